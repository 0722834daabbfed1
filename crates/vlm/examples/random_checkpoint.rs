//! Writes a checkpoint of random bf16 weights in the published sizes of Qwen2.5-VL-3B, in shards as published, with a
//! small tokenizer: what memory and time cost at real size can be measured on it without a download.
//!
//!     cargo run --release -p vlm --example random_checkpoint -- DIR

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use half::bf16;
use safetensors::tensor::{Dtype, View, serialize_to_file};
use serde_json::json;
use vlm::config::{CONFIG_FILE, TextConfig};
use vlm::families::qwen2_5_vl::{FeedForwardKind, VisionConfig, VisionTokens, new_config};
use vlm::image_processor::ImageSettings;
use vlm::norm::NormKind;
use vlm::tokenizer::Tokenizer;
use vlm::tokenizer::training::TokenizerRecipe;
use vlm::weights::INDEX_FILE;

/// A shard is full with this many bytes.
const SHARD_BYTES: usize = 4_000_000_000;
/// Standard deviation of matrices.
const DEVIATION: f64 = 0.02;

/// A tensor whose random values are computed when they are written.
struct Random {
    key: String,
    shape: Vec<usize>,
}

impl View for &Random {
    fn dtype(&self) -> Dtype {
        Dtype::BF16
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let count = self.shape.iter().product::<usize>();
        if self.shape.len() == 1 {
            let value = if self.key.ends_with(".bias") { 0.0 } else { 1.0 };
            return Cow::Owned(bf16::from_f32(value).to_le_bytes().repeat(count));
        }
        // Uniform, by a multiplicative hash of the index (Steele and others' SplitMix64).
        let width = DEVIATION * 12_f64.sqrt();
        let mut bytes = Vec::with_capacity(self.data_len());
        for index in 0..count {
            let mut word = (index as u64 + self.key.len() as u64 * 1_000_003).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let value = width * ((word >> 40) as f64 / f64::from(1 << 24) - 0.5);
            bytes.extend(bf16::from_f64(value).to_le_bytes());
        }
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        2 * self.shape.iter().product::<usize>()
    }
}

fn text() -> TextConfig {
    TextConfig {
        hidden_size: 2048,
        intermediate_size: 11_008,
        num_hidden_layers: 36,
        num_attention_heads: 16,
        num_key_value_heads: 2,
        attention_bias: true,
        vocab_size: 151_936,
        rms_norm_eps: 1e-6,
        rope_theta: 1e6,
        mrope_section: [16, 24, 24],
        max_position_embeddings: 128_000,
        initializer_range: DEVIATION,
        tie_word_embeddings: true,
    }
}

fn vision() -> VisionConfig {
    VisionConfig {
        depth: 32,
        hidden_size: 1280,
        intermediate_size: 3420,
        num_heads: 16,
        in_channels: 3,
        out_hidden_size: 2048,
        patch_size: 14,
        spatial_merge_size: 2,
        temporal_patch_size: 2,
        window_size: 112,
        fullatt_block_indexes: vec![7, 15, 23, 31],
        norm: NormKind::Rms,
        feed_forward: FeedForwardKind::Gated,
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("expected the folder to write")?);
    std::fs::create_dir_all(&folder)?;
    let recipe = TokenizerRecipe { vocab_size: 1024, added_tokens: &[] };
    recipe.train(["What is in the pictures? A red square beside a dog."], &folder)?;
    ImageSettings::default().write(&folder)?;
    let tokenizer = Tokenizer::open(&folder)?;
    let [image, video, vision_start, vision_end] =
        ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
            .map(|token| tokenizer.token_id(token).ok_or("a special token is missing"));
    let tokens = VisionTokens { image: image?, video: video?, vision_start: vision_start?, vision_end: vision_end? };
    let mut config = new_config(&text(), &vision(), tokens);
    config["torch_dtype"] = json!("bfloat16");
    std::fs::write(folder.join(CONFIG_FILE), format!("{config:#}\n"))?;

    let mut shards: Vec<Vec<Random>> = vec![Vec::new()];
    let mut filled = 0;
    for (key, shape) in vision_weights(&vision()).into_iter().chain(text_weights(&text())) {
        let tensor = Random { key, shape };
        if filled + (&tensor).data_len() > SHARD_BYTES {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += (&tensor).data_len();
        shards.last_mut().ok_or("there is a first shard")?.push(tensor);
    }
    let mut weight_map = BTreeMap::new();
    let mut total_size = 0;
    for (number, shard) in shards.iter().enumerate() {
        let name = format!("model-{:05}-of-{:05}.safetensors", number + 1, shards.len());
        let notes = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let tensors = shard.iter().map(|tensor| (tensor.key.as_str(), tensor));
        serialize_to_file(tensors, Some(notes), &folder.join(&name))?;
        total_size += shard.iter().map(|tensor| tensor.data_len()).sum::<usize>();
        weight_map.extend(shard.iter().map(|tensor| (tensor.key.clone(), name.clone())));
    }
    let index = json!({ "metadata": { "total_size": total_size }, "weight_map": weight_map });
    std::fs::write(folder.join(INDEX_FILE), format!("{index:#}\n"))?;
    println!("{total_size} bytes of weights in {} shards", shards.len());
    Ok(())
}

type Shapes = Vec<(String, Vec<usize>)>;

fn linear(shapes: &mut Shapes, key: &str, [d_out, d_in]: [usize; 2], has_bias: bool) {
    shapes.push((format!("{key}.weight"), vec![d_out, d_in]));
    if has_bias {
        shapes.push((format!("{key}.bias"), vec![d_out]));
    }
}

fn vision_weights(config: &VisionConfig) -> Shapes {
    let (d, inner) = (config.hidden_size, config.intermediate_size);
    let merged = d * config.spatial_merge_size * config.spatial_merge_size;
    let patch = vec![d, config.in_channels, config.temporal_patch_size, config.patch_size, config.patch_size];
    let mut shapes = vec![("visual.patch_embed.proj.weight".to_owned(), patch)];
    for index in 0..config.depth {
        let block = format!("visual.blocks.{index}");
        shapes.push((format!("{block}.norm1.weight"), vec![d]));
        shapes.push((format!("{block}.norm2.weight"), vec![d]));
        linear(&mut shapes, &format!("{block}.attn.qkv"), [3 * d, d], true);
        linear(&mut shapes, &format!("{block}.attn.proj"), [d, d], true);
        linear(&mut shapes, &format!("{block}.mlp.gate_proj"), [inner, d], true);
        linear(&mut shapes, &format!("{block}.mlp.up_proj"), [inner, d], true);
        linear(&mut shapes, &format!("{block}.mlp.down_proj"), [d, inner], true);
    }
    shapes.push(("visual.merger.ln_q.weight".to_owned(), vec![d]));
    linear(&mut shapes, "visual.merger.mlp.0", [merged, merged], true);
    linear(&mut shapes, "visual.merger.mlp.2", [config.out_hidden_size, merged], true);
    shapes
}

fn text_weights(config: &TextConfig) -> Shapes {
    let (d, inner) = (config.hidden_size, config.intermediate_size);
    let kv = config.num_key_value_heads * config.head_dim();
    let mut shapes = vec![("model.embed_tokens.weight".to_owned(), vec![config.vocab_size, d])];
    for index in 0..config.num_hidden_layers {
        let layer = format!("model.layers.{index}");
        shapes.push((format!("{layer}.input_layernorm.weight"), vec![d]));
        shapes.push((format!("{layer}.post_attention_layernorm.weight"), vec![d]));
        linear(&mut shapes, &format!("{layer}.self_attn.q_proj"), [d, d], true);
        linear(&mut shapes, &format!("{layer}.self_attn.k_proj"), [kv, d], true);
        linear(&mut shapes, &format!("{layer}.self_attn.v_proj"), [kv, d], true);
        linear(&mut shapes, &format!("{layer}.self_attn.o_proj"), [d, d], false);
        linear(&mut shapes, &format!("{layer}.mlp.gate_proj"), [inner, d], false);
        linear(&mut shapes, &format!("{layer}.mlp.up_proj"), [inner, d], false);
        linear(&mut shapes, &format!("{layer}.mlp.down_proj"), [d, inner], false);
    }
    shapes.push(("model.norm.weight".to_owned(), vec![d]));
    shapes
}
