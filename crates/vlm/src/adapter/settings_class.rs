//! What is known of `adapter_config.json`.
//!
//! Source: `LoraConfig` and `LoraLayer.update_layer` of PEFT 0.17 to 0.20.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::config::class::{ConfigClass, fields_of, shown};
use crate::config::fields::ConfigFields;
use crate::error::Error;

/// `LoraConfig`. Fields with one supported value change what the matrices mean, or add others. Those of how matrices
/// were initialized count for nothing once they are read, except for `init_lora_weights`, which is looked at apart.
pub(super) static LORA: ConfigClass = ConfigClass {
    name: "LoraConfig",
    defaults: LazyLock::new(|| {
        fields_of(json!({ "r": 8, "lora_alpha": 8, "lora_dropout": 0.0, "use_rslora": false, "target_modules": null }))
    }),
    only: LazyLock::new(|| {
        fields_of(json!({
            "peft_type": ["LORA"],
            "bias": ["none"],
            "fan_in_fan_out": [false],
            "lora_bias": [false],
            "use_dora": [false],
            "use_qalora": [false],
            "alora_invocation_tokens": [null],
            "arrow_config": [null],
            "kasa_config": [null],
            "layer_replication": [null],
            "megatron_config": [null],
            "modules_to_save": [null],
            "monteclora_config": [null],
            "target_parameters": [null],
            "trainable_token_indices": [null],
            "use_bdlora": [null],
            "velora_config": [null],
        }))
    }),
    known: &[
        "alpha_pattern",
        "auto_mapping",
        "base_model_name_or_path",
        "corda_config",
        "ensure_weight_tying",
        "eva_config",
        "exclude_modules",
        "inference_mode",
        "init_lora_weights",
        "layers_pattern",
        "layers_to_transform",
        "loftq_config",
        "lora_dtype",
        "lora_ga_config",
        "lorap_emb_lr",
        "lorap_lr_ratio",
        "megatron_core",
        "peft_version",
        "qalora_group_size",
        "rank_pattern",
        "revision",
        "runtime_config",
        "task_type",
    ],
};

/// The ways of initializing that leave the base model's weights as they are.
const PLAIN_INITIALIZATIONS: [&str; 4] = ["gaussian", "eva", "orthogonal", "mica"];

/// Fails for a way of initializing that changes the base model's weights (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA), to
/// which the matrices belong: PEFT changes them again when it loads the adapter.
///
/// Errors: `File` naming the field.
pub(super) fn check_initialization(fields: &ConfigFields) -> Result<(), Error> {
    const NAME: &str = "init_lora_weights";
    let got = match fields.stated(NAME) {
        None | Some(Value::Null | Value::Bool(_)) => return Ok(()),
        Some(Value::String(word)) if PLAIN_INITIALIZATIONS.iter().any(|plain| word.eq_ignore_ascii_case(plain)) => {
            return Ok(());
        }
        Some(other) => shown(other),
    };
    let problem = format!(
        "expected true, false, \"{}\", got {got}: others change the base model's weights, and PEFT changes them again when \
         it loads the adapter: save it anew with `path_initial_model_for_weight_conversion` of PEFT's `save_pretrained`",
        PLAIN_INITIALIZATIONS.join("\" or \"")
    );
    Err(fields.problem(NAME, &problem))
}
