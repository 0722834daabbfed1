//! `config.json` and `preprocessor_config.json` of `internvl`.

use std::path::Path;

use serde::Deserialize;

use crate::config::fields::ConfigFields;
use crate::config::text::{FamilyConfig, ImageTokens, TextConfig, read_dynamic_rope};
use crate::error::Error;
use crate::families::internvl_chat::config::{VisionConfig, check_downsampling};
use crate::families::internvl_chat::tiles::Tiles;
use crate::image_processor::levels;
use crate::json_file::read_json;
use crate::norm::NormKind;

/// Reads the whole file.
pub(super) fn read(root: &ConfigFields) -> Result<FamilyConfig, Error> {
    root.one_of("projector_hidden_act", &["gelu"])?;
    root.one_of("vision_feature_select_strategy", &["default"])?;
    check_downsampling(root)?;
    if root.integer("vision_feature_layer", -1)? != -1 {
        return Err(root.problem("vision_feature_layer", "expected -1, the last"));
    }
    read_vision(root)?;
    let text = read_text(root)?;
    let image = root.token("image_token_id", text.vocab_size)?;
    Ok(FamilyConfig {
        text,
        tokens: ImageTokens { image, video: None },
        merge_size: 2,
        dynamic_rope: read_dynamic_rope(&root.required_section("text_config")?)?,
    })
}

fn read_text(root: &ConfigFields) -> Result<TextConfig, Error> {
    let fields = root.required_section("text_config")?;
    let is_qwen = fields.one_of("model_type", &["qwen2", "llama"])? == "qwen2";
    let tie_fields = if fields.has("tie_word_embeddings") { &fields } else { root };
    if !is_qwen && fields.flag("attention_bias", false)? {
        return Err(fields.problem("attention_bias", "expected false for a Llama"));
    }
    Ok(TextConfig {
        attention_bias: is_qwen,
        tie_word_embeddings: tie_fields.flag("tie_word_embeddings", false)?,
        ..TextConfig::read(&fields)?
    })
}

/// The tower's part.
pub(super) fn read_vision(root: &ConfigFields) -> Result<VisionConfig, Error> {
    /// The published code has it fixed.
    const QK_NORM_EPSILON: f64 = 1e-6;
    let fields = root.required_section("vision_config")?;
    fields.one_of("hidden_act", &["gelu"])?;
    for (name, expected) in
        [("use_mask_token", false), ("use_absolute_position_embeddings", true), ("use_mean_pooling", true)]
    {
        if fields.flag(name, expected)? != expected {
            return Err(fields.problem(name, &format!("expected {expected}")));
        }
    }
    let num_hidden_layers = fields.count("num_hidden_layers")?;
    VisionConfig {
        hidden_size: fields.count("hidden_size")?,
        intermediate_size: fields.count("intermediate_size")?,
        num_hidden_layers,
        num_used_layers: num_hidden_layers,
        num_attention_heads: fields.count("num_attention_heads")?,
        patch_size: fields.side("patch_size")?,
        image_size: fields.side("image_size")?,
        qkv_bias: fields.flag("attention_bias", false)?,
        qk_normalization: fields.flag("use_qk_norm", false)?,
        norm: match fields.one_of("norm_type", &["layer_norm", "rms_norm"])? {
            "rms_norm" => NormKind::Rms,
            _ => NormKind::Layer,
        },
        layer_norm_eps: fields.number("layer_norm_eps", 1e-6)?,
        qk_norm_eps: QK_NORM_EPSILON,
    }
    .checked(&fields)
}

/// The keys of `preprocessor_config.json` that matter here.
#[derive(Deserialize)]
struct PreprocessorFile {
    min_patches: Option<usize>,
    max_patches: Option<usize>,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
    rescale_factor: Option<f64>,
}

/// How a folder's images are tiled. `crop_to_patches` is not read: the processor of transformers always tiles.
pub(super) fn read_tiles(folder: &Path, root: &ConfigFields) -> Result<Tiles, Error> {
    /// CLIP's statistics, transformers' default here.
    const IMAGE_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
    const IMAGE_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];
    let vision = read_vision(root)?;
    let path = folder.join("preprocessor_config.json");
    let settings = read_json(&path)?.ok_or_else(|| Error::file(&path, "expected settings, got no file"))?;
    let settings: PreprocessorFile =
        serde_json::from_value(settings).map_err(|error| Error::file(&path, error.to_string()))?;
    let (min_dynamic_patch, max_dynamic_patch) =
        (settings.min_patches.unwrap_or(1), settings.max_patches.unwrap_or(12));
    if min_dynamic_patch == 0 || min_dynamic_patch > max_dynamic_patch {
        return Err(Error::file(
            &path,
            format!("key `min_patches`: expected 1 to max_patches, {max_dynamic_patch}, got {min_dynamic_patch}"),
        ));
    }
    Ok(Tiles {
        image_size: vision.image_size,
        patch_size: vision.patch_size,
        min_dynamic_patch,
        max_dynamic_patch,
        dynamic_image_size: max_dynamic_patch > 1,
        use_thumbnail: true,
        levels: levels(
            settings.rescale_factor.unwrap_or(1.0 / 255.0),
            settings.image_mean.unwrap_or(IMAGE_MEAN),
            settings.image_std.unwrap_or(IMAGE_STD),
        ),
    })
}
