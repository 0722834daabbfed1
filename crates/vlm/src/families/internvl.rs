//! InternVL2.5 and InternVL3 as transformers lays them out, `internvl`: the same network as [`super::internvl_chat`]
//! under other names, with a chat template and image settings of its own files, and Qwen2 or Llama as the language
//! model (InternLM2 with its projections apart is a Llama).
//!
//! Source: `modeling_internvl.py` and `image_processing_got_ocr2.py` of transformers 4.57.

mod config;

use super::family::{Family, ProcessorParts};
use super::internvl_chat::QWEN2;
use super::internvl_chat::vision::{InternVit, VisionLayout};
use crate::attention::QkvLayout;
use crate::chat_template::ChatTemplate;
use crate::weights::{FamilyKeys, Moved};

/// Modules that transformers has nested since 4.52.
const MOVED: [Moved; 4] = [
    ("vision_tower.", "model.vision_tower."),
    ("multi_modal_projector.", "model.multi_modal_projector."),
    ("language_model.model.", "model.language_model."),
    ("language_model.lm_head.", "lm_head."),
];

const VISION: VisionLayout = VisionLayout {
    cls_token: "vision_tower.embeddings.cls_token",
    patch_embedding: "vision_tower.embeddings.patch_embeddings.projection",
    position_embedding: "vision_tower.embeddings.position_embeddings",
    layers: "vision_tower.encoder.layer",
    norm1: "layernorm_before",
    qkv: QkvLayout::Separate(["attention.q_proj", "attention.k_proj", "attention.v_proj"]),
    qk_norms: ["attention.q_norm", "attention.k_norm"],
    proj: "attention.projection_layer",
    ls1: "lambda_1",
    norm2: "layernorm_after",
    ls2: "lambda_2",
    projector: ["multi_modal_projector.layer_norm", "multi_modal_projector.linear_1", "multi_modal_projector.linear_2"],
};

/// The family.
pub(crate) static INTERNVL: Family = Family {
    name: "InternVL",
    model_type: "internvl",
    keys: FamilyKeys { moved: &MOVED, projector: "multi_modal_projector.", vision: "vision_tower." },
    has_mrope: false,
    config: config::read,
    text_layout: |_| Ok(&QWEN2),
    vision: |fields, d, reader| Ok(Box::new(InternVit::load(reader, &config::read_vision(fields)?, &VISION, d)?)),
    processor_parts: |folder, fields| {
        Ok(ProcessorParts {
            template: ChatTemplate::open(folder)?,
            image_processor: Box::new(config::read_tiles(folder, fields)?),
            image_token: "<IMG_CONTEXT>",
            around_image: Some(["<img>", "</img>"]),
            video_token: Some("<video>"),
            end_token: Some("<|im_end|>"),
        })
    },
};
