//! InternVL2.5 and InternVL3 in their original layout, `internvl_chat` (arXiv 2412.05271): InternViT on tiles of an
//! image, pixel shuffle, a two-layer projector, and InternLM2 or Qwen2 as the language model.
//!
//! Source: `modeling_internvl_chat.py` and `conversation.py` of OpenGVLab/InternVL. Differs: dynamic rotary scaling
//! measures each sequence alone (see [`crate::config::Config::rope_base`]), and acts where sequences are scored and
//! trained; none is sampled beyond `max_position_embeddings`, where the original's cached keys have several bases.

pub(crate) mod config;
mod projector;
pub mod tiles;
pub mod vision;

pub use config::{LanguageModel, VisionConfig};
use tiles::Tiles;
use vision::{InternVit, VisionLayout};

use super::family::{Family, ProcessorParts};
use crate::attention::QkvLayout;
use crate::chat_template::ChatTemplate;
use crate::text::TextLayout;
use crate::weights::FamilyKeys;

/// The placeholder of one token of an image.
const IMAGE_TOKEN: &str = "<IMG_CONTEXT>";

/// `internvl2_5` of upstream's `conversation.py`.
const TEMPLATE: &str = include_str!("internvl_chat/template.jinja");

const INTERNLM2: TextLayout = TextLayout {
    embed_tokens: "language_model.model.tok_embeddings",
    layers: "language_model.model.layers",
    input_layernorm: "attention_norm",
    qkv: QkvLayout::Fused("attention.wqkv"),
    o_proj: "attention.wo",
    post_attention_layernorm: "ffn_norm",
    gate_proj: "feed_forward.w1",
    up_proj: "feed_forward.w3",
    down_proj: "feed_forward.w2",
    norm: "language_model.model.norm",
    lm_head: "language_model.output",
};

const VISION: VisionLayout = VisionLayout {
    cls_token: "vision_model.embeddings.class_embedding",
    patch_embedding: "vision_model.embeddings.patch_embedding",
    position_embedding: "vision_model.embeddings.position_embedding",
    layers: "vision_model.encoder.layers",
    norm1: "norm1",
    qkv: QkvLayout::Fused("attn.qkv"),
    qk_norms: ["attn.q_norm", "attn.k_norm"],
    proj: "attn.proj",
    ls1: "ls1",
    norm2: "norm2",
    ls2: "ls2",
    projector: ["mlp1.0", "mlp1.1", "mlp1.3"],
};

pub(super) const QWEN2: TextLayout = TextLayout::qwen2([
    "language_model.model.embed_tokens",
    "language_model.model.layers",
    "language_model.model.norm",
    "language_model.lm_head",
]);

/// The family.
pub(crate) static INTERNVL_CHAT: Family = Family {
    name: "InternVL, original layout",
    model_type: "internvl_chat",
    keys: FamilyKeys { moved: &[], projector: "mlp1.", vision: "vision_model." },
    has_mrope: false,
    config: |fields| config::read(fields, IMAGE_TOKEN),
    text_layout: |fields| {
        Ok(match LanguageModel::read(fields)? {
            LanguageModel::InternLm2 => &INTERNLM2,
            LanguageModel::Qwen2 => &QWEN2,
        })
    },
    vision: |fields, d, reader| Ok(Box::new(InternVit::load(reader, &VisionConfig::read(fields)?, &VISION, d)?)),
    processor_parts: |folder, fields| {
        Ok(ProcessorParts {
            template: ChatTemplate::from_source(TEMPLATE, folder)?,
            image_processor: Box::new(Tiles::read(fields)?),
            image_token: IMAGE_TOKEN,
            around_image: Some(["<img>", "</img>"]),
            video_token: None,
            end_token: Some("<|im_end|>"),
        })
    },
};
