//! `config.json` of `internvl_chat`: a vision tower, a language model, and how images are tiled.

use std::path::Path;

use crate::config::class::ConfigClass;
use crate::config::classes::{INTERN_VIT, INTERNLM2, INTERNVL_CHAT, QWEN2};
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
        // Upstream goes by the first of `architectures`, which some files have without `model_type`.
        if text.has("architectures") {
            return Ok(match text.first_word("architectures", &["InternLM2ForCausalLM", "Qwen2ForCausalLM"])? {
                "Qwen2ForCausalLM" => Self::Qwen2,
                _ => Self::InternLm2,
            });
        }
        Ok(match text.position("model_type", &["internlm2", "qwen2"])? {
            0 => Self::InternLm2,
            _ => Self::Qwen2,
        })
    }

    fn class(self) -> &'static ConfigClass {
        match self {
            Self::InternLm2 => &INTERNLM2,
            Self::Qwen2 => &QWEN2,
        }
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
        let top = top(root)?;
        let fields = root.section_of("vision_config", &INTERN_VIT)?;
        let num_hidden_layers = fields.layers("num_hidden_layers")?;
        let layer_norm_eps = fields.number("layer_norm_eps")?;
        let config = Self {
            hidden_size: fields.count("hidden_size")?,
            intermediate_size: fields.count("intermediate_size")?,
            num_hidden_layers,
            num_used_layers: used_layers(&top, num_hidden_layers)?,
            num_attention_heads: fields.count("num_attention_heads")?,
            patch_size: fields.side("patch_size")?,
            image_size: fields.side("image_size")?,
            qkv_bias: fields.flag("qkv_bias")?,
            qk_normalization: fields.flag("qk_normalization")?,
            norm: match fields.one_of("norm_type", &["rms_norm", "layer_norm"])? {
                "layer_norm" => NormKind::Layer,
                _ => NormKind::Rms,
            },
            layer_norm_eps,
            qk_norm_eps: layer_norm_eps,
        }
        .checked(&fields)?;
        if top.count_or("force_image_size", config.image_size)? != config.image_size {
            let expected = format!("{}, the vision tower's image_size", config.image_size);
            return Err(top.expected("force_image_size", &expected));
        }
        Ok(config)
    }
}

/// The file's outermost fields, with the defaults of their class.
///
/// Errors: `File` naming the field that is not supported; `use_llm_lora` and `use_backbone_lora`, ranks of an adapter
/// whose matrices are among the weights.
pub(super) fn top<'a>(root: &ConfigFields<'a>) -> Result<ConfigFields<'a>, Error> {
    for name in ["use_llm_lora", "use_backbone_lora"] {
        if root.has(name) && root.integer(name)? != 0 {
            let problem = format!(
                "expected 0, got {}: the LoRA adapter of this checkpoint is not merged: merge it with `merge_lora.py` of \
                 InternVL's tools",
                root.integer(name)?
            );
            return Err(root.problem(name, &problem));
        }
    }
    // The language model's width is repeated outside of its section.
    root.of_class(&INTERNVL_CHAT, &[&QWEN2])
}

/// Counted as upstream counts hidden states: 0 is the embedding, -1 the last block's output.
fn used_layers(root: &ConfigFields, num_hidden_layers: usize) -> Result<usize, Error> {
    let layer = root.integer("select_layer")?;
    let states = num_hidden_layers as i64 + 1;
    let used = if layer < 0 { states + layer } else { layer };
    usize::try_from(used)
        .ok()
        .filter(|used| *used <= num_hidden_layers)
        .ok_or_else(|| root.problem("select_layer", &format!("expected -{states} to {num_hidden_layers}, got {layer}")))
}

/// Reads the whole file.
pub(super) fn read(root: &ConfigFields, image_token: &str) -> Result<FamilyConfig, Error> {
    VisionConfig::read(root)?;
    let language_model = LanguageModel::read(root)?;
    let fields = root.section_of("llm_config", language_model.class())?;
    let text = read_text(language_model, &fields)?;
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
        dynamic_rope: read_dynamic_rope(&fields)?,
    })
}

fn read_text(language_model: LanguageModel, fields: &ConfigFields) -> Result<TextConfig, Error> {
    let text = TextConfig::read(fields)?;
    if text.tie_word_embeddings {
        return Err(fields.expected("tie_word_embeddings", "false, which upstream sets whatever the file says"));
    }
    Ok(TextConfig { attention_bias: language_model == LanguageModel::Qwen2, ..text })
}
