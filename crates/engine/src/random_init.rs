//! A randomly initialized model of the Qwen2.5-VL architecture: configuration, tokenizer and weights in a Hugging Face
//! folder.

use std::path::Path;

use align::engine::EngineError;
use align::settings::{SettingError, check_at_least_zero, check_count, check_each, settings_table};
use burn::tensor::Device;
use vlm::config::{CONFIG_FILE, Config, TextConfig};
use vlm::families::qwen2_5_vl::{FeedForwardKind, VisionConfig, VisionTokens, new_config};
use vlm::image_processor::ImageSettings;
use vlm::model::Vlm;
use vlm::norm::NormKind;
use vlm::tokenizer::Tokenizer;
use vlm::tokenizer::training::TokenizerRecipe;

use crate::errors::engine_error;

/// Tokens that mark thinking and answer. They are whole tokens, so that a small model need not spell them.
const ADDED_TOKENS: [&str; 4] = ["<think>", "</think>", "<answer>", "</answer>"];

/// CLIP's image statistics, which Qwen2.5-VL uses.
const IMAGE_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const IMAGE_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

settings_table! {
    /// The size of the model.
    pub struct ModelSize {
        /// Tokens of the vocabulary.
        pub vocab_size: usize = 1024,
        /// Width of the language model.
        pub hidden_size: usize = 128,
        /// Layers of the language model.
        pub num_hidden_layers: usize = 4,
        /// Width of its feed-forward layers.
        pub intermediate_size: usize = 384,
        /// Query heads.
        pub num_attention_heads: usize = 4,
        /// Key and value heads.
        pub num_key_value_heads: usize = 2,
        /// Layers of the vision tower.
        pub vision_depth: usize = 4,
        /// Width of the vision tower.
        pub vision_hidden_size: usize = 96,
        /// Width of its feed-forward layers.
        pub vision_intermediate_size: usize = 256,
        /// Heads of the vision tower.
        pub vision_num_heads: usize = 4,
        /// Side of an attention window, in pixels.
        pub window_size: usize = 28,
        /// Layers of the vision tower that see the whole image.
        pub fullatt_block_indexes: Vec<usize> = vec![1, 3],
        /// Images are resized to at most this many pixels.
        pub max_pixels: usize = 84 * 84,
        /// Standard deviation of the random weights.
        pub initializer_range: f64 = 0.06,
    }
}

impl ModelSize {
    /// Checks that no size is zero. `table` is their table in the settings, such as `size`. Whether they fit together
    /// is checked when the model is made.
    ///
    /// Errors: [`SettingError`] naming the first that cannot be used.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        check_each!(check_count, table, self, [vocab_size, hidden_size, num_hidden_layers, intermediate_size])?;
        check_each!(check_count, table, self, [num_attention_heads, num_key_value_heads])?;
        check_each!(check_count, table, self, [vision_depth, vision_hidden_size, vision_intermediate_size])?;
        check_each!(check_count, table, self, [vision_num_heads, window_size, max_pixels])?;
        check_at_least_zero(&format!("{table}.initializer_range"), self.initializer_range)
    }
}

/// Writes a randomly initialized model's folder; its tokenizer is trained on the texts.
///
/// Errors: `Model` when the sizes do not fit together; `Io`, naming the file.
pub fn create<'a>(
    size: &ModelSize,
    texts: impl IntoIterator<Item = &'a str>,
    seed: u64,
    folder: &Path,
    device: &Device,
) -> Result<(), EngineError> {
    TokenizerRecipe { vocab_size: size.vocab_size, added_tokens: &ADDED_TOKENS }
        .train(texts, folder)
        .map_err(engine_error)?;
    image_settings(size).write(folder).map_err(engine_error)?;
    let config = config(size, folder)?;
    Vlm::init(&config, seed, device).and_then(|model| model.save(folder)).map_err(engine_error)
}

fn image_settings(size: &ModelSize) -> ImageSettings {
    ImageSettings {
        min_pixels: 56 * 56,
        max_pixels: size.max_pixels,
        patch_size: 14,
        temporal_patch_size: 2,
        merge_size: 2,
        rescale_factor: 1.0 / 255.0,
        image_mean: IMAGE_MEAN,
        image_std: IMAGE_STD,
    }
}

fn config(size: &ModelSize, folder: &Path) -> Result<Config, EngineError> {
    // The end and padding tokens of config.json are read from the tokenizer's own files.
    let tokenizer = Tokenizer::open(folder).map_err(engine_error)?;
    let [image, video, vision_start, vision_end] =
        ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
            .map(|token| tokenizer.token_id(token).unwrap_or_default());
    let tokens = VisionTokens { image, video, vision_start, vision_end };
    let half_head = size.hidden_size / size.num_attention_heads / 2;
    let text = TextConfig {
        hidden_size: size.hidden_size,
        intermediate_size: size.intermediate_size,
        num_hidden_layers: size.num_hidden_layers,
        num_attention_heads: size.num_attention_heads,
        num_key_value_heads: size.num_key_value_heads,
        attention_bias: true,
        vocab_size: tokenizer.vocab_size(),
        rms_norm_eps: 1e-6,
        rope_theta: 10_000.0,
        // A quarter of the rotary frequencies for time, the rest shared by height and width, as published.
        mrope_section: [half_head - 2 * (half_head * 3 / 8), half_head * 3 / 8, half_head * 3 / 8],
        max_position_embeddings: 4096,
        initializer_range: size.initializer_range,
        tie_word_embeddings: true,
    };
    let vision = VisionConfig {
        depth: size.vision_depth,
        hidden_size: size.vision_hidden_size,
        intermediate_size: size.vision_intermediate_size,
        num_heads: size.vision_num_heads,
        in_channels: 3,
        out_hidden_size: size.hidden_size,
        patch_size: 14,
        spatial_merge_size: 2,
        temporal_patch_size: 2,
        window_size: size.window_size,
        fullatt_block_indexes: size.fullatt_block_indexes.clone(),
        norm: NormKind::Rms,
        feed_forward: FeedForwardKind::Gated,
    };
    Config::from_json(new_config(&text, &vision, tokens), Path::new(CONFIG_FILE)).map_err(engine_error)
}
