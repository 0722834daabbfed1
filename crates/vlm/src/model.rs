//! The whole model, of whatever family: images and tokens in; hidden states, logits and log-probabilities of tokens
//! out.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use crate::attention::AttentionContext;
use crate::batch::Batch;
use crate::config::Config;
use crate::error::Error;
use crate::families::family::VisionModel;
use crate::kernels;
pub use crate::kernels::VOCABULARY_CHUNK;
use crate::linear::{Linear, indexes};
use crate::parameter::{ParameterGroup, Parameters, parameters};
use crate::text::TextModel;
use crate::weights::files::FileLayout;
use crate::weights::{Naming, WeightReader, WeightType};

/// Vocabularies of at least this many tokens are scored chunk by chunk; smaller ones are faster with all logits at
/// once.
const CHUNKS_FROM: usize = 8 * VOCABULARY_CHUNK;

/// A vision-language model: vision tower, projector and language model.
///
/// A clone shares the weights and copies handles only; replacing a parameter of one leaves the other as it was.
#[derive(Clone, Debug)]
pub struct Vlm {
    config: Config,
    naming: Naming,
    layout: Arc<FileLayout>,
    vision: Box<dyn VisionModel>,
    /// The language model.
    pub(crate) text: TextModel,
    eager: bool,
}

/// The log-probabilities of chosen tokens.
#[derive(Clone, Debug)]
pub struct TokenScores {
    /// Log-probability (nats) of each chosen token, `[n]`; differentiable.
    pub logprobs: Tensor<1>,
    /// Entropy (nats) of each distribution, `[n]`, a constant.
    pub entropies: Tensor<1>,
}

impl Vlm {
    /// Loads a Hugging Face folder: `config.json` and safetensors, sharded or not. Weights keep the type that they are
    /// stored as.
    ///
    /// Errors: `Io`, `File` or `Tensor`, naming the file and the key that is missing, unexpected, misshapen or
    /// truncated.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, Error> {
        Self::load_as(folder, WeightType::Auto, device)
    }

    /// The same with weights held, and later saved, in another type.
    ///
    /// On the CPU, matrices of two-byte numbers that need no conversion are the mapped files' own pages. All else is
    /// copied tensor by tensor: beyond what is held, loading never needs more than the largest tensor takes.
    ///
    /// Errors: as [`Self::load`].
    pub fn load_as(folder: &Path, weight_type: WeightType, device: &Device) -> Result<Self, Error> {
        let config = Config::load(folder)?.with_dtype(weight_type.config_name());
        let reader = WeightReader::open(folder, config.family.keys, weight_type, device)?;
        Self::build(config, reader)
    }

    /// Randomly initializes a new model from a seed.
    ///
    /// Errors: none in practice; the signature is that of reading.
    pub fn init(config: &Config, seed: u64, device: &Device) -> Result<Self, Error> {
        let (deviation, keys) = (config.text.initializer_range, config.family.keys);
        Self::build(config.clone(), WeightReader::random(seed, deviation, keys, device))
    }

    /// Compares a folder's weights with what its `config.json` describes, without reading them: the model that comes
    /// out has every parameter, all zero and none in memory. For inspection alone.
    ///
    /// Errors: as [`Self::load`].
    pub fn check(folder: &Path, device: &Device) -> Result<Self, Error> {
        let config = Config::load(folder)?;
        let reader = WeightReader::open(folder, config.family.keys, WeightType::Auto, device)?;
        Self::build(config, reader.dry())
    }

    /// The model that a `config.json` describes, all zero and nothing of it in memory: for counting its parameters.
    ///
    /// Errors: `File` when the configuration describes no model.
    pub fn shapes(config: &Config, device: &Device) -> Result<Self, Error> {
        let reader = WeightReader::random(0, 0.0, config.family.keys, device);
        Self::build(config.clone(), reader.dry())
    }

    fn build(config: Config, mut reader: WeightReader) -> Result<Self, Error> {
        let fields = config.fields()?;
        let vision = (config.family.vision)(&fields, config.text.hidden_size, &mut reader)?;
        let layout = (config.family.text_layout)(&fields)?;
        let text = TextModel::load(&mut reader, &config.text, layout)?;
        let naming = reader.naming();
        Ok(Self { config, naming, layout: Arc::new(reader.finish()?), vision, text, eager: false })
    }

    /// The same model with eager attention and eager logits: all scores at once whatever their number. What the passes
    /// that save memory are compared with.
    #[must_use]
    pub fn eager(self) -> Self {
        Self { eager: true, ..self }
    }

    /// Writes `config.json` and the weights: under the keys, in the types and in the files they were read with, an
    /// index included where there was one. Adapters are left out.
    ///
    /// Errors: `Io` or `File` when the folder cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        fs_err::create_dir_all(folder)?;
        self.config.save(folder)?;
        let mut tensors = Vec::new();
        self.clone().visit_parameters(&mut |parameter| {
            if parameter.group() != ParameterGroup::Adapter {
                tensors.push(parameter.to_named_tensor());
            }
        });
        self.layout.save(tensors, folder)
    }

    /// The model's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How the checkpoint names its parts.
    pub fn naming(&self) -> Naming {
        self.naming
    }

    /// Encodes images: vision tower and projector, from patches to image tokens.
    ///
    /// Shapes: `pixel_values` `[p, channels · frames · patch²]`, `grids` one `[time, height, width]` in patches for
    /// each image (`time` counts tiles where the family cuts images into some) → `[m, d]`, in the order of the image
    /// tokens of the prompt.
    ///
    /// Errors: `Input` when patches and grids disagree.
    pub fn encode_images(&self, pixel_values: Tensor<2>, grids: &[[usize; 3]]) -> Result<Tensor<2>, Error> {
        self.vision.forward(pixel_values, grids)
    }

    /// The output of the vision tower alone, for patches as [`Self::encode_images`] takes them: `[p', d_vision]`, for
    /// [`Self::project_features`].
    ///
    /// Errors: as [`Self::encode_images`].
    pub fn vision_features(&self, pixel_values: Tensor<2>, grids: &[[usize; 3]]) -> Result<Tensor<2>, Error> {
        self.vision.features(pixel_values, grids)
    }

    /// The projector alone: from vision features to image tokens. Shapes: `[p', d_vision]` → `[m, d]`.
    pub fn project_features(&self, features: Tensor<2>) -> Tensor<2> {
        self.vision.project(features)
    }

    /// Embeds a batch, image tokens replaced by the rows of `images` in order. Shapes: `images` `[m, d]` → `[b·t, d]`.
    ///
    /// Errors: `Input` when the batch has not as many image tokens as there are rows.
    pub fn embed(&self, batch: &Batch, images: Option<Tensor<2>>) -> Result<Tensor<2>, Error> {
        let device = self.device();
        let expected = batch.is_image().filter(|is_image| *is_image).count();
        let got = images.as_ref().map_or(0, |images| images.dims()[0]);
        if expected != got {
            return Err(Error::Input(format!("expected {expected} image rows, one for each image token, got {got}")));
        }
        let Some(images) = images.filter(|_| got > 0) else {
            let ids = batch.ids.iter().map(|id| *id as usize);
            return Ok(self.text.embed(indexes(ids, &device)));
        };
        let (mut text_ids, mut order) = (Vec::new(), Vec::new());
        let (n_text, mut n_image_rows) = (batch.ids.len() - got, 0);
        for (id, is_image) in batch.ids.iter().zip(batch.is_image()) {
            if is_image {
                order.push(n_text + n_image_rows);
                n_image_rows += 1;
            } else {
                order.push(text_ids.len());
                text_ids.push(*id as usize);
            }
        }
        let text = self.text.embed(indexes(text_ids.into_iter(), &device));
        let rows = Tensor::cat(vec![text, images], 0);
        Ok(rows.select(0, indexes(order.into_iter(), &device)))
    }

    /// Runs the language model over a batch.
    ///
    /// Shapes: `images` `[m, d]` → hidden states `[b·t, d]`, final norm applied; row [`Batch::row`] is a token's.
    /// Rows of padding are meaningless.
    ///
    /// Errors: `Input` when image tokens and rows disagree.
    pub fn hidden_states(&self, batch: &Batch, images: Option<Tensor<2>>) -> Result<Tensor<2>, Error> {
        let embedded = self.embed(batch, images)?;
        Ok(self.text.forward(embedded, &self.attention_context(batch)))
    }

    /// What attention needs to know of a batch.
    pub(crate) fn attention_context(&self, batch: &Batch) -> AttentionContext {
        AttentionContext::for_training(batch.placement(), &self.config.text, self.eager)
    }

    /// Scores of every token of the vocabulary. Shapes: `[n, d]` → `[n, v]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.text.logits(hidden)
    }

    /// Log-probabilities of `targets`, each given the hidden state at its row of `rows`; only these rows' logits are
    /// computed, and those of a large vocabulary chunk by chunk.
    ///
    /// Shapes: `hidden` `[b·t, d]`, `rows` and `targets` `[n]` → `[n]`.
    ///
    /// Errors: `Input` when rows and targets differ in number.
    pub fn token_scores(&self, hidden: Tensor<2>, rows: &[usize], targets: &[u32]) -> Result<TokenScores, Error> {
        if rows.len() != targets.len() {
            return Err(Error::Input(format!(
                "expected {} targets, one for each row, got {}",
                rows.len(),
                targets.len()
            )));
        }
        let hidden = hidden.select(0, indexes(rows.iter().copied(), &self.device())); // [n, d]
        let head = self.text.head_weight();
        let (logprobs, entropies) = if self.eager || head.dims()[0] < CHUNKS_FROM {
            kernels::token_logprobs(self.logits(hidden), targets)
        } else {
            kernels::chunked_logprobs(hidden, head, targets)
        };
        Ok(TokenScores { logprobs, entropies })
    }

    /// Shows every linear layer that LoRA may adapt: those of the language model's layers.
    pub fn visit_linears(&mut self, visit: &mut dyn FnMut(&mut Linear)) {
        self.text.visit_linears(visit);
    }

    /// The same model for sampling: every parameter a constant, and the decoder's layers of f32 weights copies that are
    /// fast for few rows; those of two-byte weights share them. Equal up to rounding; not for saving, as a tied head
    /// becomes a copy of the embedding.
    #[must_use]
    pub(crate) fn for_sampling(&self) -> Self {
        let mut model = self.training_view(&[]);
        model.text.prepare_for_sampling();
        model
    }

    /// Where the weights live, without autodiff.
    pub fn device(&self) -> Device {
        self.text.device()
    }
}

parameters!(Vlm: vision, text);
