//! `config.json` of `internvl_chat`: a vision tower, a language model, and how images are tiled.

use std::path::Path;

use crate::config::fields::ConfigFields;
use crate::config::text::{FamilyConfig, ImageTokens, TextConfig, read_dynamic_rope};
use crate::error::Error;
use crate::norm::NormKind;
use crate::tokenizer::added_tokens::ListedTokens;

/// Which decoder the model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LanguageModel {
    /// InternLM2: one projection for queries, keys and values, no biases.
    InternLm2,
    /// Qwen2.
    Qwen2,
}

impl LanguageModel {
    pub(super) fn read(root: &ConfigFields) -> Result<Self, Error> {
        let text = root.required_section("llm_config")?;
        Ok(match text.one_of("model_type", &["internlm2", "qwen2"])? {
            "qwen2" => Self::Qwen2,
            _ => Self::InternLm2,
        })
    }
}

/// InternViT and the projector. Lengths are pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct VisionConfig {
    /// Width of the tower.
    pub hidden_size: usize,
    /// Width inside its feed-forward layers.
    pub intermediate_size: usize,
    /// Blocks in the checkpoint.
    pub num_hidden_layers: usize,
    /// Blocks that are run: `select_layer` may take an earlier one's output.
    pub num_used_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Side of a patch.
    pub patch_size: usize,
    /// Side of a tile.
    pub image_size: usize,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Whether queries and keys are normalized over all heads (InternViT-6B).
    pub qk_normalization: bool,
    /// The norms: by the root mean square in InternViT-6B.
    pub norm: NormKind,
    /// Added under the root in the norms of the blocks.
    pub layer_norm_eps: f64,
    /// The same in the norms of queries and keys.
    pub qk_norm_eps: f64,
}

impl VisionConfig {
    /// The same, if its sizes, read from `fields`, fit together.
    ///
    /// Errors: `File` naming the field that does not fit.
    pub(in crate::families) fn checked(self, fields: &ConfigFields) -> Result<Self, Error> {
        fields.multiple("hidden_size", self.hidden_size, self.num_attention_heads)?;
        fields.multiple("image_size", self.image_size, 2 * self.patch_size)?;
        Ok(self)
    }

    /// Patches of a tile along a side.
    pub fn grid_side(&self) -> usize {
        self.image_size / self.patch_size
    }

    pub(super) fn read(root: &ConfigFields) -> Result<Self, Error> {
        let fields = root.required_section("vision_config")?;
        fields.one_of("hidden_act", &["gelu"])?;
        let num_hidden_layers = fields.count("num_hidden_layers")?;
        let layer_norm_eps = fields.number("layer_norm_eps", 1e-6)?;
        let config = Self {
            hidden_size: fields.count("hidden_size")?,
            intermediate_size: fields.count("intermediate_size")?,
            num_hidden_layers,
            num_used_layers: used_layers(root, num_hidden_layers)?,
            num_attention_heads: fields.count("num_attention_heads")?,
            patch_size: fields.count("patch_size")?,
            image_size: fields.count("image_size")?,
            qkv_bias: fields.flag("qkv_bias", false)?,
            qk_normalization: fields.flag("qk_normalization", false)?,
            norm: match fields.one_of("norm_type", &["rms_norm", "layer_norm"])? {
                "layer_norm" => NormKind::Layer,
                _ => NormKind::Rms,
            },
            layer_norm_eps,
            qk_norm_eps: layer_norm_eps,
        }
        .checked(&fields)?;
        let tile = root.count_or("force_image_size", config.image_size)?;
        if tile != config.image_size {
            let expected = format!("expected {}, the vision tower's image_size, got {tile}", config.image_size);
            return Err(root.problem("force_image_size", &expected));
        }
        Ok(config)
    }
}

/// Counted as upstream counts hidden states: 0 is the embedding, -1 the last block's output.
fn used_layers(root: &ConfigFields, num_hidden_layers: usize) -> Result<usize, Error> {
    let layer = root.integer("select_layer", -1)?;
    let states = num_hidden_layers as i64 + 1;
    let used = if layer < 0 { states + layer } else { layer };
    usize::try_from(used)
        .ok()
        .filter(|used| *used <= num_hidden_layers)
        .ok_or_else(|| root.problem("select_layer", &format!("expected -{states} to {num_hidden_layers}, got {layer}")))
}

/// Four patches make one image token in every model of either layout.
///
/// Errors: `File` naming the field for any other ratio.
pub(in crate::families) fn check_downsampling(root: &ConfigFields) -> Result<(), Error> {
    if root.number("downsample_ratio", 0.5)? == 0.5 {
        return Ok(());
    }
    Err(root.problem("downsample_ratio", "expected 0.5"))
}

/// Reads the whole file.
pub(super) fn read(root: &ConfigFields, image_token: &str) -> Result<FamilyConfig, Error> {
    root.one_of("ps_version", &["v2"])?;
    root.one_of("template", &["internvl2_5"])?;
    check_downsampling(root)?;
    VisionConfig::read(root)?;
    let text = read_text(root)?;
    let folder = root.path().parent().unwrap_or(Path::new(""));
    let listed = ListedTokens::read(folder)?;
    let image = listed
        .id(image_token)
        .ok_or_else(|| Error::file(&listed.file, format!("expected the added token `{image_token}`, got none")))?;
    if image as usize >= text.vocab_size {
        let problem = format!("expected more than {image}, the id of `{image_token}`, got {}", text.vocab_size);
        return Err(root.problem("llm_config.vocab_size", &problem));
    }
    Ok(FamilyConfig {
        text,
        tokens: ImageTokens { image, video: None },
        merge_size: 2,
        dynamic_rope: read_dynamic_rope(&root.required_section("llm_config")?)?,
    })
}

fn read_text(root: &ConfigFields) -> Result<TextConfig, Error> {
    let fields = root.required_section("llm_config")?;
    let is_internlm = LanguageModel::read(root)? == LanguageModel::InternLm2;
    if is_internlm && fields.flag("bias", true)? {
        return Err(fields.problem("bias", "expected false, as in every InternLM2 of InternVL"));
    }
    Ok(TextConfig { attention_bias: !is_internlm, ..TextConfig::read(&fields)? })
}
