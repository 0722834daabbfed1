//! The contents and problems of a model's folder, without reading its weights.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use serde::Serialize;

use crate::config::Config;
use crate::error::Error;
use crate::model::Vlm;
use crate::parameter::Parameters;
use crate::processor::Processor;
use crate::resample::RgbImage;
use crate::tensor_file::TensorFile;
use crate::weights::files::WeightFiles;

/// Widths and heights of the images that tokens are counted for.
const IMAGES: [[usize; 2]; 4] = [[336, 336], [640, 480], [1024, 768], [1920, 1080]];

/// A description of a model's folder. Fields that could not be determined are empty, and `problems` say why.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Inspection {
    /// The family.
    pub family: Option<String>,
    /// Layers of the language model.
    pub num_hidden_layers: Option<usize>,
    /// Width of the language model.
    pub hidden_size: Option<usize>,
    /// Query heads.
    pub num_attention_heads: Option<usize>,
    /// Key and value heads.
    pub num_key_value_heads: Option<usize>,
    /// Rows of the embedding.
    pub vocab_size: Option<usize>,
    /// Longest sequence, in tokens.
    pub max_position_embeddings: Option<usize>,
    /// Files that hold weights.
    pub weight_files: usize,
    /// Bytes of weights by the type they are stored as.
    pub bytes_by_type: BTreeMap<String, u64>,
    /// Parameters by group.
    pub parameters: BTreeMap<&'static str, u64>,
    /// Image tokens of images of some sizes.
    pub image_tokens: Vec<ImageTokenCount>,
    /// The problems of the folder.
    pub problems: Vec<String>,
}

/// The number of image tokens of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ImageTokenCount {
    /// The image's width in pixels.
    pub width: usize,
    /// Its height in pixels.
    pub height: usize,
    /// Its tokens.
    pub tokens: usize,
}

impl Inspection {
    /// Inspects every file of a folder.
    pub fn of(folder: &Path, device: &Device) -> Self {
        let mut found = Self::default();
        match Config::load(folder) {
            Ok(config) => found.describe(&config),
            Err(error) => found.problems.push(error.to_string()),
        }
        match WeightFiles::open(folder) {
            Ok(files) => found.describe_files(files.files()),
            Err(error) => found.problems.push(error.to_string()),
        }
        if found.problems.is_empty() {
            match Vlm::check(folder, device) {
                Ok(model) => found.count_parameters(&model),
                Err(error) => found.problems.push(error.to_string()),
            }
        }
        match image_tokens(folder) {
            Ok(counts) => found.image_tokens = counts,
            Err(error) => found.note(&error),
        }
        found
    }

    /// Notes a problem once.
    fn note(&mut self, error: &Error) {
        let problem = error.to_string();
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn describe(&mut self, config: &Config) {
        let text = &config.text;
        self.family = Some(config.family.name.to_owned());
        self.num_hidden_layers = Some(text.num_hidden_layers);
        self.hidden_size = Some(text.hidden_size);
        self.num_attention_heads = Some(text.num_attention_heads);
        self.num_key_value_heads = Some(text.num_key_value_heads);
        self.vocab_size = Some(text.vocab_size);
        self.max_position_embeddings = Some(text.max_position_embeddings);
    }

    fn describe_files(&mut self, files: &[TensorFile]) {
        self.weight_files = files.len();
        for (name, bytes) in files.iter().flat_map(TensorFile::bytes_by_type) {
            *self.bytes_by_type.entry(name).or_default() += bytes;
        }
    }

    fn count_parameters(&mut self, model: &Vlm) {
        model.clone().visit_parameters(&mut |parameter| {
            let group = parameter.group().name();
            *self.parameters.entry(group).or_default() += parameter.file_shape().iter().product::<usize>() as u64;
        });
    }
}

fn image_tokens(folder: &Path) -> Result<Vec<ImageTokenCount>, Error> {
    let processor = Processor::open(folder)?;
    let mut counts = Vec::with_capacity(IMAGES.len());
    for [width, height] in IMAGES {
        if let Some(blank) = RgbImage::new(width, height, vec![0; 3 * width * height]) {
            counts.push(ImageTokenCount {
                width,
                height,
                tokens: processor.image_processor().process(&blank)?.n_tokens(),
            });
        }
    }
    Ok(counts)
}
