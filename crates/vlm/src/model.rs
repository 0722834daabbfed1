//! The whole model, of whatever family: pictures and tokens in; hidden states, logits and log-probabilities of tokens
//! out.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use crate::batch::Batch;
use crate::config::Config;
use crate::error::Error;
use crate::families::VisionModel;
use crate::kernels;
pub use crate::kernels::VOCABULARY_CHUNK;
use crate::linear::{Linear, indexes};
use crate::parameter::{AnyParameter, Group, Parameters};
use crate::text::TextModel;
use crate::text::attention::AttentionContext;
use crate::weights::files::FileLayout;
use crate::weights::{Naming, WeightReader, WeightType};

/// Vocabularies of at least this many tokens are scored by chunks; smaller ones are faster with all logits at once.
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
    text: TextModel,
    at_once: bool,
}

/// How likely chosen tokens are.
#[derive(Clone, Debug)]
pub struct TokenScores {
    /// Log-probability (nats) of each chosen token, `[n]`; differentiable.
    pub logprobs: Tensor<1>,
    /// Entropy (nats) of each distribution, `[n]`, a constant; none unless asked for.
    pub entropies: Option<Tensor<1>>,
}

impl Vlm {
    /// Loads a Hugging Face folder: `config.json` and safetensors, sharded or not. Weights keep the type that they are
    /// stored as.
    ///
    /// Errors: `Io`, `File` or `Tensor`, naming the file and the key that is missing, unexpected, misshapen or cut off.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, Error> {
        Self::load_as(folder, WeightType::Auto, device)
    }

    /// The same with weights held, and later saved, in a type of the caller's.
    ///
    /// On the CPU, matrices of two-byte numbers that need no conversion are the mapped files' own pages. All else is
    /// copied tensor by tensor: beside what is held, loading never needs more than the largest tensor takes.
    ///
    /// Errors: as [`Self::load`].
    pub fn load_as(folder: &Path, weight_type: WeightType, device: &Device) -> Result<Self, Error> {
        let config = Config::load(folder)?.with_dtype(weight_type.config_name());
        let reader = WeightReader::open(folder, config.family, weight_type)?;
        Self::build(config, reader, device)
    }

    /// Draws a new model's weights from a seed.
    ///
    /// Errors: none in practice; the signature is that of reading.
    pub fn init(config: &Config, seed: u64, device: &Device) -> Result<Self, Error> {
        let reader = WeightReader::random(seed, config.text.initializer_range, config.family);
        Self::build(config.clone(), reader, device)
    }

    /// Compares a folder's weights with what its `config.json` describes, without reading them: the model that comes
    /// out has every parameter, all zero and none in memory. For inspection alone.
    ///
    /// Errors: as [`Self::load`].
    pub fn check(folder: &Path, device: &Device) -> Result<Self, Error> {
        let config = Config::load(folder)?;
        let reader = WeightReader::check(folder, config.family)?;
        Self::build(config, reader, device)
    }

    /// The model that a `config.json` describes, all zero and nothing of it in memory: for counting its parameters.
    ///
    /// Errors: `File` when the configuration describes no model.
    pub fn shapes(config: &Config, device: &Device) -> Result<Self, Error> {
        Self::build(config.clone(), WeightReader::shapes(config.family), device)
    }

    fn build(config: Config, mut reader: WeightReader, device: &Device) -> Result<Self, Error> {
        let vision = config.family.vision(&config, &mut reader, device)?;
        let layout = config.family.text_layout(&config)?;
        let text = TextModel::load(&mut reader, &config.text, layout, device)?;
        let naming = reader.naming();
        Ok(Self {
            config,
            naming,
            layout: Arc::new(reader.finish()?),
            vision,
            text,
            at_once: false,
        })
    }

    /// The same model, which computes all scores of attention and all logits at once whatever their number: what the
    /// passes that spare memory are compared with.
    #[must_use]
    pub fn all_at_once(self) -> Self {
        Self { at_once: true, ..self }
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
            if parameter.group() != Group::Adapter {
                tensors.push(parameter.to_named_tensor());
            }
        });
        self.layout.save(tensors, folder)
    }

    /// The model's shape.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How the checkpoint names its parts.
    pub fn naming(&self) -> Naming {
        self.naming
    }

    /// Turns patches into image tokens.
    ///
    /// Shapes: `pixel_values` `[p, channels · frames · patch²]`, `grids` one `[time, height, width]` in patches for
    /// each picture (`time` counts tiles where the family cuts pictures into some) → `[m, d]`, in the order of the
    /// image tokens of the prompt.
    ///
    /// Errors: `Input` when patches and grids disagree.
    pub fn encode_images(&self, pixel_values: Tensor<2>, grids: &[[usize; 3]]) -> Result<Tensor<2>, Error> {
        self.vision.forward(pixel_values, grids)
    }

    /// What the vision tower alone makes of patches, as [`Self::encode_images`] takes them: `[p', d_vision]`, for
    /// [`Self::project_images`].
    ///
    /// Errors: as [`Self::encode_images`].
    pub fn see_images(&self, pixel_values: Tensor<2>, grids: &[[usize; 3]]) -> Result<Tensor<2>, Error> {
        self.vision.see(pixel_values, grids)
    }

    /// Turns what the vision tower saw into image tokens. Shapes: `[p', d_vision]` → `[m, d]`.
    pub fn project_images(&self, seen: Tensor<2>) -> Tensor<2> {
        self.vision.project(seen)
    }

    /// Embeds a batch, image tokens replaced by the rows of `images` in order. Shapes: `images` `[m, d]` → `[b·t, d]`.
    ///
    /// Errors: `Input` when the batch has not as many image tokens as there are rows.
    pub fn embed(&self, batch: &Batch, images: Option<Tensor<2>>) -> Result<Tensor<2>, Error> {
        let device = self.device();
        let expected = batch.is_image().filter(|is_image| *is_image).count();
        let got = images.as_ref().map_or(0, |images| images.dims()[0]);
        if expected != got {
            return Err(Error::Input(format!(
                "expected {expected} image rows, one for each image token, got {got}"
            )));
        }
        let Some(images) = images.filter(|_| got > 0) else {
            return Ok(self
                .text
                .embed(indexes(batch.ids().iter().map(|id| *id as usize), &device)));
        };
        let text_ids = batch
            .ids()
            .iter()
            .zip(batch.is_image())
            .filter(|(_, is_image)| !is_image);
        let words = self.text.embed(indexes(text_ids.map(|(id, _)| *id as usize), &device));
        let n_words = words.dims()[0];
        let (mut word, mut image) = (0, n_words);
        let sources = batch.is_image().map(|is_image| {
            let source = if is_image { &mut image } else { &mut word };
            *source += 1;
            *source - 1
        });
        let order = indexes(sources, &device);
        Ok(Tensor::cat(vec![words, images], 0).select(0, order))
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

    /// Who sees whom in a batch.
    pub(crate) fn attention_context(&self, batch: &Batch) -> AttentionContext {
        AttentionContext::for_training(batch.placement(), &self.config.text, self.at_once)
    }

    /// Scores of every token of the vocabulary. Shapes: `[n, d]` → `[n, v]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.text.logits(hidden)
    }

    /// Log-probabilities of `targets`, each given the hidden state at its row of `rows`; no other row's logits are
    /// computed, and those of a large vocabulary never all at once.
    ///
    /// Shapes: `hidden` `[b·t, d]`, `rows` and `targets` `[n]` → `[n]`.
    ///
    /// Errors: `Input` when rows and targets differ in number.
    pub fn token_scores(
        &self,
        hidden: Tensor<2>,
        rows: &[usize],
        targets: &[u32],
        with_entropies: bool,
    ) -> Result<TokenScores, Error> {
        if rows.len() != targets.len() {
            return Err(Error::Input(format!(
                "expected {} targets, one for each row, got {}",
                rows.len(),
                targets.len()
            )));
        }
        let device = self.device();
        let hidden = hidden.select(0, indexes(rows.iter().copied(), &device)); // [n, d]
        let head = self.text.head_weight();
        let by_chunks = head.dims()[0] >= CHUNKS_FROM && !self.at_once;
        if by_chunks && kernels::supported(&hidden) {
            let (logprobs, entropies) = kernels::chunked_logprobs(hidden, head, targets);
            return Ok(TokenScores {
                logprobs,
                entropies: with_entropies.then_some(entropies),
            });
        }
        let logits = self.logits(hidden); // [n, v]
        if kernels::supported(&logits) {
            let (logprobs, entropies) = kernels::token_logprobs(logits, targets);
            return Ok(TokenScores {
                logprobs,
                entropies: with_entropies.then_some(entropies),
            });
        }
        // Any constant may be taken off a row; its largest score keeps the exponentials finite.
        let largest = logits.clone().without_autodiff().max_dim(1);
        let shifted = logits - largest;
        let log_total = shifted.clone().exp().sum_dim(1).log(); // [n, 1]
        let entropies = with_entropies.then(|| entropies(shifted.clone(), log_total.clone()));
        let targets = indexes(targets.iter().map(|id| *id as usize), &device).reshape([rows.len(), 1]);
        let logprobs = (shifted.gather(1, targets) - log_total).reshape([rows.len()]);
        Ok(TokenScores { logprobs, entropies })
    }

    /// Shows every linear layer that LoRA may adapt: those of the language model's layers.
    pub fn visit_linears(&mut self, visit: &mut dyn FnMut(&mut Linear)) {
        self.text.visit_linears(visit);
    }

    /// The language model.
    pub(crate) fn text(&self) -> &TextModel {
        &self.text
    }

    /// The same model for sampling: every parameter a constant, and the decoder's layers of f32 weights copies that are
    /// fast for few rows; those of two-byte weights share them. Equal up to rounding; not for saving, as a tied head
    /// stands beside the embedding.
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

// -Σ p log p, with log p = shifted - log_total.
fn entropies(shifted: Tensor<2>, log_total: Tensor<2>) -> Tensor<1> {
    let logprobs = shifted.without_autodiff() - log_total.without_autodiff();
    let n = logprobs.dims()[0];
    -(logprobs.clone().exp() * logprobs).sum_dim(1).reshape([n])
}

impl Parameters for Vlm {
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter)) {
        self.vision.visit_parameters(visit);
        self.text.visit_parameters(visit);
    }
}
