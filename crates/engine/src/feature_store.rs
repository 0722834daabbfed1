//! Image features on disk: one file for each image, found by a hash of all that determines it.
//!
//! A file's name is a hash of the image's bytes, the size that its dialogue gives it, the image settings, and the weights
//! that it went through, so that nothing stale is ever found, whichever model or run reads.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use align::engine::EngineError;
use burn::tensor::{Device, Tensor};
use sha2::{Digest, Sha256};
use vlm::image_processor::ImageFile;
use vlm::model::Vlm;
use vlm::parameter::{ParameterGroup, Parameters};
use vlm::processor::Processor;
use vlm::tensor_file::{NamedTensor, TensorFile, write_tensors};

use crate::errors::engine_error;
use crate::image_features::Stage;
use crate::options::FeatureFolder;

const TENSOR: &str = "features";

/// A folder of features.
#[derive(Debug)]
pub struct FeatureStore {
    folder: FeatureFolder,
    // Size of all files in it; other runs' additions are not counted.
    bytes: AtomicU64,
    // Hash of the model that makes the features.
    model: [u8; 32],
}

impl FeatureStore {
    /// Opens a folder for one model's features of a stage; creates it where it does not exist.
    ///
    /// Errors: `Io` naming the folder.
    pub fn open(folder: &FeatureFolder, model: &Vlm, processor: &Processor, stage: Stage) -> Result<Self, EngineError> {
        fs_err::create_dir_all(&folder.path)?;
        let mut bytes = 0;
        for file in fs_err::read_dir(&folder.path)? {
            bytes += file?.metadata()?.len();
        }
        Ok(Self { folder: folder.clone(), bytes: AtomicU64::new(bytes), model: hash_of_model(model, processor, stage) })
    }

    /// An image's features, `[m, d]`; none where there is no file or it is damaged.
    ///
    /// Errors: `Io` naming the image.
    pub fn read(&self, image: &ImageFile, device: &Device) -> Result<Option<Tensor<2>>, EngineError> {
        let path = self.path_of(image)?;
        let Ok(file) = TensorFile::open(&path) else {
            return Ok(None);
        };
        let shape = file.shape(TENSOR).unwrap_or_default().to_vec();
        Ok(match (file.read(TENSOR, &shape), shape.len()) {
            (Ok(data), 2) => Some(Tensor::from_data(data, device)),
            _ => None,
        })
    }

    /// Writes an image's features within the folder's limit. The file appears whole or not at all.
    ///
    /// Errors: `Io` or `Model` naming the file.
    pub fn write(&self, image: &ImageFile, features: &Tensor<2>) -> Result<(), EngineError> {
        let size = (features.dims().iter().product::<usize>() * size_of::<f32>()) as u64;
        if self.bytes.fetch_add(size, Ordering::Relaxed) + size > self.folder.max_bytes {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            return Ok(());
        }
        let features = NamedTensor::new(TENSOR, features.clone());
        write_tensors(&self.path_of(image)?, &[features]).map_err(engine_error)
    }

    fn path_of(&self, image: &ImageFile) -> Result<PathBuf, EngineError> {
        let mut hash = Sha256::new();
        hash.update(self.model);
        hash.update(fs_err::read(&image.path)?);
        // Features of images that are shown as they are were found without it, and still are.
        if !image.size.is_empty() {
            hash.update(format!("{:?}", image.size));
        }
        let name = hex::encode(hash.finalize());
        Ok(self.folder.path.join(name + ".safetensors"))
    }
}

fn hash_of_model(model: &Vlm, processor: &Processor, stage: Stage) -> [u8; 32] {
    let groups: &[ParameterGroup] = match stage {
        Stage::VisionTower => &[ParameterGroup::Vision],
        Stage::Projector => &[ParameterGroup::Vision, ParameterGroup::Projector],
    };
    let mut hash = Sha256::new();
    hash.update(format!("{stage:?}"));
    hash.update(env!("CARGO_PKG_VERSION"));
    hash.update(format!("{:?}", processor.image_processor()));
    hash.update(model.config().to_json().to_string());
    model.clone().visit_parameters(&mut |parameter| {
        if groups.contains(&parameter.group()) {
            hash.update(parameter.name());
            hash.update(parameter.flat().into_data().as_bytes());
        }
    });
    hash.finalize().into()
}
