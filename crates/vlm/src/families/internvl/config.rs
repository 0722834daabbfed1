//! `config.json` of `internvl`, and how its images are tiled.

use std::path::Path;

use crate::config::classes::{INTERNVL, INTERNVL_VISION, LLAMA, QWEN2};
use crate::config::fields::ConfigFields;
use crate::config::text::{FamilyConfig, ImageTokens, TextConfig, read_dynamic_rope};
use crate::error::Error;
use crate::families::internvl_chat::config::VisionConfig;
use crate::families::internvl_chat::tiles::Tiles;
use crate::image_processor::Alpha;
use crate::image_processor::levels::Normalization;
use crate::image_processor::settings_file::{ImageSettingsFile, TILED_IMAGES};
use crate::norm::NormKind;

/// Reads the whole file.
pub(super) fn read(root: &ConfigFields) -> Result<FamilyConfig, Error> {
    // Trainers repeat fields of the language model outside of its section.
    let top = root.of_class(&INTERNVL, &[&QWEN2])?;
    read_vision(root)?;
    let is_qwen = match root.section("text_config")? {
        Some(text) => text.one_of("model_type", &["qwen2", "llama"])? == "qwen2",
        None => true,
    };
    let fields = root.section_of("text_config", if is_qwen { &QWEN2 } else { &LLAMA })?;
    let tie_fields = if fields.stated("tie_word_embeddings").is_some() { &fields } else { &top };
    let text = TextConfig {
        attention_bias: is_qwen,
        tie_word_embeddings: tie_fields.flag("tie_word_embeddings")?,
        ..TextConfig::read(&fields)?
    };
    let image = top.token("image_token_id", text.vocab_size)?;
    Ok(FamilyConfig {
        text,
        tokens: ImageTokens { image, video: None },
        merge_size: 2,
        dynamic_rope: read_dynamic_rope(&fields)?,
    })
}

/// The tower's part.
pub(super) fn read_vision(root: &ConfigFields) -> Result<VisionConfig, Error> {
    /// The published code has it fixed.
    const QK_NORM_EPSILON: f64 = 1e-6;
    let fields = root.section_of("vision_config", &INTERNVL_VISION)?;
    let num_hidden_layers = fields.layers("num_hidden_layers")?;
    VisionConfig {
        hidden_size: fields.count("hidden_size")?,
        intermediate_size: fields.count("intermediate_size")?,
        num_hidden_layers,
        num_used_layers: num_hidden_layers,
        num_attention_heads: fields.count("num_attention_heads")?,
        patch_size: fields.side("patch_size")?,
        image_size: fields.side("image_size")?,
        qkv_bias: fields.flag("attention_bias")?,
        qk_normalization: fields.flag("use_qk_norm")?,
        norm: match fields.one_of("norm_type", &["layer_norm", "rms_norm"])? {
            "rms_norm" => NormKind::Rms,
            _ => NormKind::Layer,
        },
        layer_norm_eps: fields.number("layer_norm_eps")?,
        qk_norm_eps: QK_NORM_EPSILON,
    }
    .checked(&fields)
}

/// How a folder's images are tiled.
pub(super) fn read_tiles(folder: &Path, root: &ConfigFields) -> Result<Tiles, Error> {
    let vision = read_vision(root)?;
    let file = ImageSettingsFile::open(folder)?;
    let fields = file.fields(&TILED_IMAGES)?;
    check_tile(&fields, vision.image_size)?;
    let (min_dynamic_patch, max_dynamic_patch) = (fields.count("min_patches")?, fields.count("max_patches")?);
    if max_dynamic_patch > Tiles::most(vision.image_size) {
        return Err(fields.expected("max_patches", &format!("at most {}", Tiles::most(vision.image_size))));
    }
    if min_dynamic_patch > max_dynamic_patch {
        return Err(fields.expected("min_patches", &format!("1 to max_patches, {max_dynamic_patch}")));
    }
    Ok(Tiles {
        image_size: vision.image_size,
        patch_size: vision.patch_size,
        min_dynamic_patch,
        max_dynamic_patch,
        dynamic_image_size: max_dynamic_patch > 1,
        use_thumbnail: true,
        levels: Normalization::read(&fields)?.levels(),
        alpha: Alpha::default(),
    })
}

/// Tiles of another size would have other positions than the tower's own, which the library interpolates.
fn check_tile(fields: &ConfigFields, image_size: usize) -> Result<(), Error> {
    let size = fields.inner("size")?;
    if [size.count("height")?, size.count("width")?] == [image_size; 2] {
        return Ok(());
    }
    let expected = format!("a height and a width of {image_size}, the vision tower's image_size");
    Err(fields.expected("size", &expected))
}
