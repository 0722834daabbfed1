//! Estimates of what training takes, from a model's configuration and the samples' lengths alone: parameters, memory,
//! operations.
//!
//! The counts follow the passes of `vlm`, in f32. Norms, softmax, decoding of images and files are left out of the
//! operations, so that the time that follows from them is a lower bound.

use std::collections::BTreeMap;
use std::time::Instant;

use align::engine::EngineError;
use burn::tensor::{Device, Tensor};
use vlm::config::{Config, TextConfig};
use vlm::model::{VOCABULARY_CHUNK, Vlm};
use vlm::parameter::{ParameterGroup, Parameters};
use vlm::weights::WeightType;

use crate::errors::engine_error;
use crate::job_queue::PENDING_RESULTS;
use crate::options::Trainable;

const BYTES: u64 = size_of::<f32>() as u64;
/// Of a weight in f16 or bf16.
const HALF_BYTES: u64 = 2;
/// A multiplication and an addition.
const PER_WEIGHT: f64 = 2.0;

/// A model's parameters, and how many of them are trained.
#[derive(Clone, Debug)]
pub struct ModelSizes {
    /// By group of the model: all, and trained.
    pub groups: BTreeMap<&'static str, [u64; 2]>,
    /// Weights that a token of the language model is multiplied with, the head's left out.
    decoder: u64,
    head: u64,
    vision: u64,
    projector: u64,
    text: TextConfig,
    tokens_per_patch: f64,
    /// Bytes of each of the model's own weights; adapters' are in f32.
    pub bytes_per_weight: u64,
}

/// Memory of training, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The weights, in their own type.
    pub weights: u64,
    /// Copies in f32 of weights in f16 or bf16 that are trained.
    pub masters: u64,
    /// Gradients: their sum, and those of each micro-batch in progress.
    pub gradients: u64,
    /// Both moments of AdamW.
    pub moments: u64,
    /// Activations where every layer's are kept.
    pub activations: u64,
    /// Activations where layers are recomputed.
    pub recomputed: u64,
}

/// Numbers of tokens in some passes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// All tokens.
    pub tokens: f64,
    /// Those of images.
    pub image_tokens: f64,
    /// Those that are scored.
    pub reply_tokens: f64,
    /// Pairs of a token and one that it attends to: about half of each sequence's length squared.
    pub pairs: f64,
}

impl ModelSizes {
    /// Counts the parameters of the model that a configuration describes. [`WeightType::Auto`] is the type that the
    /// configuration names, as transformers writes it.
    ///
    /// Errors: `Model` or `Data` when it describes none, or an adapter fits none of its layers.
    pub fn new(config: &Config, trainable: &Trainable, weight_type: WeightType) -> Result<Self, EngineError> {
        let mut model = Vlm::shapes(config, &Device::flex()).map_err(engine_error)?;
        if let Some(lora) = trainable.lora() {
            model.attach_lora(&lora, 0).map_err(engine_error)?;
        }
        let trained = trainable.groups();
        let mut groups = BTreeMap::<&'static str, [u64; 2]>::new();
        model.visit_parameters(&mut |parameter| {
            let count = parameter.file_shape().iter().product::<usize>() as u64;
            let [all, of_trained] = groups.entry(parameter.group().name()).or_default();
            *all += count;
            *of_trained += if trained.contains(&parameter.group()) { count } else { 0 };
        });
        let [language, adapter, vision, projector] =
            [ParameterGroup::Language, ParameterGroup::Adapter, ParameterGroup::Vision, ParameterGroup::Projector]
                .map(|group| groups.get(group.name()).map_or(0, |[all, _]| *all));
        let embedding = (config.text.vocab_size * config.text.hidden_size) as u64;
        let embeddings = if config.text.tie_word_embeddings { 1 } else { 2 };
        Ok(Self {
            decoder: language.saturating_sub(embeddings * embedding) + adapter,
            head: embedding,
            vision,
            projector,
            groups,
            text: config.text.clone(),
            tokens_per_patch: 1.0 / (config.merge_size * config.merge_size) as f64,
            bytes_per_weight: bytes_per_weight(config, weight_type),
        })
    }

    /// All parameters.
    pub fn total(&self) -> u64 {
        self.groups.values().map(|[all, _]| all).sum()
    }

    /// Those that are trained.
    pub fn trained(&self) -> u64 {
        self.groups.values().map(|[_, trained]| trained).sum()
    }

    fn trains(&self, group: ParameterGroup) -> bool {
        self.groups.get(group.name()).is_some_and(|[_, trained]| *trained > 0)
    }

    /// The memory of a step whose micro-batches hold at most `largest` tokens, `n_concurrent` of them in progress.
    pub fn memory(&self, largest: Load, n_concurrent: usize) -> Memory {
        let text = &self.text;
        let (d, inner) = (text.hidden_size as f64, text.intermediate_size as f64);
        let kv = (text.num_key_value_heads * text.head_dim()) as f64;
        // Residual stream twice, both norms' outputs, queries, attention's output in two layouts; keys, values in two
        // layouts; gate, up and their product.
        let kept_of_layer = largest.tokens * (7.0 * d + 3.0 * kv + 3.0 * inner);
        let layers = text.num_hidden_layers as f64;
        let logits = largest.reply_tokens * text.vocab_size.min(VOCABULARY_CHUNK) as f64;
        let kept = layers * kept_of_layer + logits;
        let recomputed = layers * largest.tokens * d + 2.0 * kept_of_layer + logits;
        let [activations, recomputed] = [kept, recomputed].map(|values| (values * n_concurrent as f64) as u64 * BYTES);
        let adapter = self.groups.get(ParameterGroup::Adapter.name()).map_or(0, |[all, _]| *all);
        let halves_trained = if self.bytes_per_weight == BYTES { 0 } else { self.trained().saturating_sub(adapter) };
        Memory {
            weights: (self.total() - adapter) * self.bytes_per_weight + adapter * BYTES,
            masters: halves_trained * BYTES,
            gradients: self.trained() * BYTES * (1 + concurrent_gradients(n_concurrent)),
            moments: 2 * self.trained() * BYTES,
            activations,
            recomputed,
        }
    }

    /// Bytes of the KV cache of so many tokens.
    pub fn kv_cache(&self, tokens: usize) -> u64 {
        let kv = self.text.num_key_value_heads * self.text.head_dim();
        (2 * tokens * kv * self.text.num_hidden_layers) as u64 * BYTES
    }

    /// Floating-point operations of a forward pass through the language model.
    pub fn forward(&self, load: Load) -> f64 {
        // Scores and weighted values: two products of a head's width for each pair, in all heads.
        let attention = 2.0 * PER_WEIGHT * load.pairs * (self.text.hidden_size * self.text.num_hidden_layers) as f64;
        PER_WEIGHT * (load.tokens * self.decoder as f64 + load.reply_tokens * self.head as f64) + attention
    }

    /// Floating-point operations of encoding and projecting images once.
    pub fn encode_images(&self, image_tokens: f64) -> f64 {
        self.image_passes(image_tokens, 1.0, 1.0)
    }

    fn image_passes(&self, image_tokens: f64, of_tower: f64, of_projector: f64) -> f64 {
        let tower = of_tower * self.vision as f64 / self.tokens_per_patch;
        PER_WEIGHT * image_tokens * (tower + of_projector * self.projector as f64)
    }

    /// Floating-point operations of a forward and backward pass. Images count in the parts of the model that are
    /// trained or come after such a part.
    pub fn train(&self, load: Load, recompute: bool) -> f64 {
        // The backward pass of a layer takes as much as its forward pass for the gradient of its inputs, and again for
        // that of its weights where they are trained.
        let weights = if self.trains(ParameterGroup::Language) { 1.0 } else { 0.0 };
        let passes = 2.0 + weights + if recompute { 1.0 } else { 0.0 };
        let (of_tower, of_projector) =
            match (self.trains(ParameterGroup::Vision), self.trains(ParameterGroup::Projector)) {
                (true, _) => (3.0, 3.0),
                (false, true) => (0.0, 3.0),
                (false, false) => (0.0, 0.0),
            };
        passes * self.forward(load) + self.image_passes(load.image_tokens, of_tower, of_projector)
    }

    /// Whether images go through the vision tower once for all epochs.
    pub fn caches_image_features(&self) -> bool {
        !self.trains(ParameterGroup::Vision)
    }
}

impl Load {
    /// One sequence.
    pub fn of(tokens: usize, image_tokens: usize, reply_tokens: usize) -> Self {
        let tokens = tokens as f64;
        Self {
            tokens,
            image_tokens: image_tokens as f64,
            reply_tokens: reply_tokens as f64,
            pairs: tokens * (tokens + 1.0) / 2.0,
        }
    }

    /// The sum of two loads.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens + other.tokens,
            image_tokens: self.image_tokens + other.image_tokens,
            reply_tokens: self.reply_tokens + other.reply_tokens,
            pairs: self.pairs + other.pairs,
        }
    }

    /// The load, `factor` times.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            tokens: self.tokens * factor,
            image_tokens: self.image_tokens * factor,
            reply_tokens: self.reply_tokens * factor,
            pairs: self.pairs * factor,
        }
    }
}

/// How many micro-batches' gradients are in memory, beside their sum.
fn concurrent_gradients(n_concurrent: usize) -> u64 {
    let pending = if n_concurrent > 1 { PENDING_RESULTS } else { 0 };
    (n_concurrent + pending) as u64
}

fn bytes_per_weight(config: &Config, weight_type: WeightType) -> u64 {
    let named = ["dtype", "torch_dtype"].iter().find_map(|key| config.to_json().get(*key)?.as_str());
    match (weight_type, named) {
        (WeightType::Float32, _) => BYTES,
        (WeightType::Float16 | WeightType::BFloat16, _) => HALF_BYTES,
        (WeightType::Auto, Some("float16" | "bfloat16")) => HALF_BYTES,
        (WeightType::Auto, _) => BYTES,
    }
}

/// Floating-point operations a second of matrix products on this device, measured for about half a second.
pub fn measured_flops(device: &Device) -> f64 {
    const SIDE: usize = 768;
    const SECONDS: f64 = 0.5;
    let matrix = Tensor::<2>::ones([SIDE, SIDE], device) * 1e-3;
    multiply(&matrix);
    let (began, mut count) = (Instant::now(), 0_u32);
    while began.elapsed().as_secs_f64() < SECONDS {
        multiply(&matrix);
        count += 1;
    }
    PER_WEIGHT * (SIDE as f64).powi(3) * f64::from(count) / began.elapsed().as_secs_f64()
}

/// Multiplies a matrix by itself and waits for the result.
fn multiply(matrix: &Tensor<2>) -> f32 {
    matrix.clone().matmul(matrix.clone()).sum().into_scalar::<f32>()
}
