//! `config.json`: the shape of a Qwen2.5-VL model, read from the published flat layout or the newer nested one, and
//! written back with every field it came with.

mod fields;

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::Error;
use fields::Fields;

/// The file's name in a model folder.
pub const CONFIG_FILE: &str = "config.json";

/// The language model.
#[derive(Clone, Debug, PartialEq)]
pub struct TextConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward layers.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; each serves as many query heads as their numbers' ratio.
    pub num_key_value_heads: usize,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Added under the root in every norm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How many rotary frequencies turn by time, height and width; together half a head.
    pub mrope_section: [usize; 3],
    /// Longest sequence, in tokens.
    pub max_position_embeddings: usize,
    /// Standard deviation of freshly drawn weights.
    pub initializer_range: f64,
    /// Whether the head is the embedding.
    pub tie_word_embeddings: bool,
}

impl TextConfig {
    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }
}

/// The vision tower. Lengths are pixels or patches as named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisionConfig {
    /// Blocks.
    pub depth: usize,
    /// Width of the tower.
    pub hidden_size: usize,
    /// Width inside its feed-forward layers.
    pub intermediate_size: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Colour channels of a pixel.
    pub in_channels: usize,
    /// Width of an image token: that of the language model.
    pub out_hidden_size: usize,
    /// Side of a patch, in pixels.
    pub patch_size: usize,
    /// Side of the square of patches merged into one image token.
    pub spatial_merge_size: usize,
    /// Frames in a patch; a still picture is repeated.
    pub temporal_patch_size: usize,
    /// Side of an attention window, in pixels.
    pub window_size: usize,
    /// Blocks whose attention sees the whole image instead of a window.
    pub fullatt_block_indexes: Vec<usize>,
}

impl VisionConfig {
    /// Numbers in one patch as the tower takes it: channels, frames, rows and columns.
    pub fn patch_length(&self) -> usize {
        self.in_channels * self.temporal_patch_size * self.patch_size * self.patch_size
    }
}

/// Ids of the tokens that stand for pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisionTokens {
    /// Stands where an image token's embedding goes.
    pub image: u32,
    /// The same for a video.
    pub video: u32,
    /// Before the image tokens of one picture.
    pub vision_start: u32,
    /// After them.
    pub vision_end: u32,
}

/// A whole model's shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The language model.
    pub text: TextConfig,
    /// The vision tower.
    pub vision: VisionConfig,
    /// The picture tokens.
    pub tokens: VisionTokens,
    raw: Value,
}

impl Config {
    /// Reads `config.json` from a model folder.
    ///
    /// Errors: `Io` when it cannot be read; `File` naming the field that is missing, of the wrong type, out of range
    /// or at odds with another.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(CONFIG_FILE);
        let text = fs_err::read_to_string(&path)?;
        let value = serde_json::from_str(&text).map_err(|error| Error::File {
            path: path.clone(),
            problem: format!("not JSON: {error}"),
        })?;
        Self::from_json(value, &path)
    }

    /// Reads the content of a `config.json`; `path` is named in errors.
    ///
    /// Errors: `File`, as [`Self::load`].
    pub fn from_json(raw: Value, path: &Path) -> Result<Self, Error> {
        let root = Fields::new(&raw, path)?;
        root.one_of("model_type", &["qwen2_5_vl"])?;
        let text = root
            .section("text_config")?
            .map_or_else(|| read_text(&root, &root), |s| read_text(&s, &root))?;
        let vision_fields = root
            .section("vision_config")?
            .ok_or_else(|| root.problem("vision_config", "expected an object"))?;
        let vision = read_vision(&vision_fields)?;
        if vision.out_hidden_size != text.hidden_size {
            let problem = format!(
                "expected the text width {}, got {}",
                text.hidden_size, vision.out_hidden_size
            );
            return Err(vision_fields.problem("out_hidden_size", &problem));
        }
        let tokens = read_tokens(&root, text.vocab_size)?;
        Ok(Self {
            text,
            vision,
            tokens,
            raw,
        })
    }

    /// Describes a new model, in the published flat layout.
    ///
    /// Errors: `File` naming the field that is out of range or at odds with another.
    pub fn new(text: &TextConfig, vision: &VisionConfig, tokens: VisionTokens) -> Result<Self, Error> {
        let mut fields = text_fields(text);
        fields.extend(token_fields(tokens));
        fields.insert("vision_config".to_owned(), vision_fields(vision));
        Self::from_json(Value::Object(fields), Path::new(CONFIG_FILE))
    }

    /// The file's content, fields unknown to this crate included.
    pub fn to_json(&self) -> &Value {
        &self.raw
    }

    /// Writes `config.json` into a folder.
    ///
    /// Errors: `Io` when it cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        Ok(fs_err::write(folder.join(CONFIG_FILE), format!("{:#}\n", self.raw))?)
    }
}

// Newer files hold the language model's fields in a section of their own; `tie_word_embeddings` stays outside.
fn read_text(fields: &Fields, root: &Fields) -> Result<TextConfig, Error> {
    let rope_key = if fields.has("rope_parameters") {
        "rope_parameters"
    } else {
        "rope_scaling"
    };
    let rope = fields
        .section(rope_key)?
        .ok_or_else(|| fields.problem(rope_key, "expected an object"))?;
    rope.one_of(
        if rope.has("rope_type") { "rope_type" } else { "type" },
        &["mrope", "default"],
    )?;
    let theta_fields = if rope.has("rope_theta") { &rope } else { fields };
    let tie_fields = if root.has("tie_word_embeddings") { root } else { fields };
    let config = TextConfig {
        hidden_size: fields.count("hidden_size")?,
        intermediate_size: fields.count("intermediate_size")?,
        num_hidden_layers: fields.count("num_hidden_layers")?,
        num_attention_heads: fields.count("num_attention_heads")?,
        num_key_value_heads: fields.count("num_key_value_heads")?,
        vocab_size: fields.count("vocab_size")?,
        rms_norm_eps: fields.number("rms_norm_eps", 1e-6)?,
        rope_theta: theta_fields.number("rope_theta", 1e6)?,
        mrope_section: read_section(&rope)?,
        max_position_embeddings: fields.count_or("max_position_embeddings", 32_768)?,
        initializer_range: fields.number("initializer_range", 0.02)?,
        tie_word_embeddings: tie_fields.flag("tie_word_embeddings", false)?,
    };
    check_text(&config, fields, &rope)?;
    Ok(config)
}

fn read_section(rope: &Fields) -> Result<[usize; 3], Error> {
    let list = rope.indexes("mrope_section")?;
    let got = list.len();
    list.try_into()
        .map_err(|_| rope.problem("mrope_section", &format!("expected 3 numbers, got {got}")))
}

fn check_text(config: &TextConfig, fields: &Fields, rope: &Fields) -> Result<(), Error> {
    fields.one_of("hidden_act", &["silu"])?;
    if fields.flag("use_sliding_window", false)? {
        return Err(fields.problem(
            "use_sliding_window",
            "expected false: sliding windows are not supported",
        ));
    }
    fields.multiple("hidden_size", config.hidden_size, 2 * config.num_attention_heads)?;
    fields.multiple(
        "num_attention_heads",
        config.num_attention_heads,
        config.num_key_value_heads,
    )?;
    let (sum, half) = (config.mrope_section.iter().sum::<usize>(), config.head_dim() / 2);
    if sum != half {
        return Err(rope.problem(
            "mrope_section",
            &format!("expected a sum of {half}, half a head, got {sum}"),
        ));
    }
    Ok(())
}

fn read_vision(fields: &Fields) -> Result<VisionConfig, Error> {
    fields.one_of("hidden_act", &["silu"])?;
    let channels = if fields.has("in_channels") {
        "in_channels"
    } else {
        "in_chans"
    };
    let config = VisionConfig {
        depth: fields.count("depth")?,
        hidden_size: fields.count("hidden_size")?,
        intermediate_size: fields.count("intermediate_size")?,
        num_heads: fields.count("num_heads")?,
        in_channels: fields.count_or(channels, 3)?,
        out_hidden_size: fields.count("out_hidden_size")?,
        patch_size: fields.count("patch_size")?,
        spatial_merge_size: fields.count("spatial_merge_size")?,
        temporal_patch_size: fields.count_or("temporal_patch_size", 2)?,
        window_size: fields.count("window_size")?,
        fullatt_block_indexes: fields.indexes("fullatt_block_indexes")?,
    };
    // Half of a head turns by height and half by width, each in pairs.
    fields.multiple("hidden_size", config.hidden_size, 4 * config.num_heads)?;
    fields.multiple(
        "window_size",
        config.window_size,
        config.patch_size * config.spatial_merge_size,
    )?;
    match config
        .fullatt_block_indexes
        .iter()
        .find(|index| **index >= config.depth)
    {
        Some(index) => {
            let problem = format!("expected indexes below depth {}, got {index}", config.depth);
            Err(fields.problem("fullatt_block_indexes", &problem))
        }
        None => Ok(config),
    }
}

fn read_tokens(root: &Fields, vocab_size: usize) -> Result<VisionTokens, Error> {
    let token = |name| root.token(name, vocab_size);
    Ok(VisionTokens {
        image: token("image_token_id")?,
        video: token("video_token_id")?,
        vision_start: token("vision_start_token_id")?,
        vision_end: token("vision_end_token_id")?,
    })
}

fn text_fields(text: &TextConfig) -> Map<String, Value> {
    let fields = json!({
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "torch_dtype": "float32",
        "attention_dropout": 0.0,
        "hidden_act": "silu",
        "hidden_size": text.hidden_size,
        "initializer_range": text.initializer_range,
        "intermediate_size": text.intermediate_size,
        "max_position_embeddings": text.max_position_embeddings,
        "max_window_layers": text.num_hidden_layers,
        "num_attention_heads": text.num_attention_heads,
        "num_hidden_layers": text.num_hidden_layers,
        "num_key_value_heads": text.num_key_value_heads,
        "rms_norm_eps": text.rms_norm_eps,
        "rope_theta": text.rope_theta,
        "rope_scaling": { "type": "mrope", "mrope_section": text.mrope_section },
        "sliding_window": 32_768,
        "tie_word_embeddings": text.tie_word_embeddings,
        "use_cache": true,
        "use_sliding_window": false,
        "vocab_size": text.vocab_size,
    });
    fields.as_object().cloned().unwrap_or_default()
}

fn token_fields(tokens: VisionTokens) -> [(String, Value); 4] {
    [
        ("vision_start_token_id".to_owned(), tokens.vision_start.into()),
        ("vision_end_token_id".to_owned(), tokens.vision_end.into()),
        ("image_token_id".to_owned(), tokens.image.into()),
        ("video_token_id".to_owned(), tokens.video.into()),
    ]
}

fn vision_fields(vision: &VisionConfig) -> Value {
    json!({
        "model_type": "qwen2_5_vl",
        "depth": vision.depth,
        "hidden_act": "silu",
        "hidden_size": vision.hidden_size,
        "intermediate_size": vision.intermediate_size,
        "num_heads": vision.num_heads,
        "in_channels": vision.in_channels,
        "in_chans": vision.in_channels,
        "out_hidden_size": vision.out_hidden_size,
        "patch_size": vision.patch_size,
        "spatial_patch_size": vision.patch_size,
        "spatial_merge_size": vision.spatial_merge_size,
        "temporal_patch_size": vision.temporal_patch_size,
        "tokens_per_second": 2,
        "window_size": vision.window_size,
        "fullatt_block_indexes": vision.fullatt_block_indexes,
    })
}
