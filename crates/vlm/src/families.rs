//! Families of models: what each has of its own, and the list of those that are known.
//!
//! What families share (the decoder, RoPE, kernels, weight files, sampling, LoRA) is outside this folder. Adding a
//! family takes a module here and a line in `FAMILIES`.

pub(crate) mod family;
pub mod internvl;
pub mod internvl_chat;
pub mod qwen2_5_vl;
pub mod qwen2_vl;

pub use family::VisionModel;

use crate::config::fields::ConfigFields;
use crate::error::Error;
use family::Family;

/// Every family.
static FAMILIES: [&Family; 4] =
    [&qwen2_vl::QWEN2_VL, &qwen2_5_vl::QWEN2_5_VL, &internvl_chat::INTERNVL_CHAT, &internvl::INTERNVL];

/// The family that a `config.json` names.
///
/// Errors: `File` naming the families that are known.
pub(crate) fn family_of(fields: &ConfigFields) -> Result<&'static Family, Error> {
    let known = FAMILIES.map(|family| family.model_type);
    let model_type = fields.position("model_type", &known)?;
    Ok(FAMILIES[model_type])
}
