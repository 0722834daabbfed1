//! The classes of `config.json`, each with its defaults: transformers 4.45 to 4.51 wrote only what differs from them.
//!
//! Source: `configuration_*.py` of transformers 5.24 and 4.57 (where both have a field they agree on it), and of
//! OpenGVLab/InternVL. Dropout and initialization are known and change no score.

use std::sync::LazyLock;

use serde_json::{Map, json};

use super::class::{ConfigClass, fields_of};

/// `Qwen2VLConfig` and `Qwen2_5_VLConfig`.
pub(crate) static QWEN_VL: ConfigClass = ConfigClass {
    name: "Qwen2VLConfig",
    defaults: LazyLock::new(|| {
        fields_of(json!({
            "image_token_id": 151_655,
            "video_token_id": 151_656,
            "vision_start_token_id": 151_652,
            "vision_end_token_id": 151_653,
            "tie_word_embeddings": false,
        }))
    }),
    only: LazyLock::new(Map::new),
    known: &["text_config", "vision_config"],
};

/// `Qwen2VLTextConfig` and `Qwen2_5_VLTextConfig`; until transformers 4.51 its fields stood beside those of
/// [`QWEN_VL`].
pub(crate) static QWEN_VL_TEXT: ConfigClass = ConfigClass {
    name: "Qwen2VLTextConfig",
    defaults: LazyLock::new(|| {
        fields_of(json!({
            "vocab_size": 152_064,
            "hidden_size": 8192,
            "intermediate_size": 29_568,
            "num_hidden_layers": 80,
            "num_attention_heads": 64,
            "num_key_value_heads": 8,
            "max_position_embeddings": 32_768,
            "initializer_range": 0.02,
            "rms_norm_eps": 1e-5,
            "rope_theta": 1e6,
            "tie_word_embeddings": false,
            "use_sliding_window": false,
        }))
    }),
    only: LazyLock::new(|| fields_of(json!({ "hidden_act": ["silu"] }))),
    known: DECODER_KNOWN,
};

/// `Qwen2Config`.
pub(crate) static QWEN2: ConfigClass = ConfigClass {
    name: "Qwen2Config",
    defaults: LazyLock::new(|| {
        fields_of(json!({
            "vocab_size": 151_936,
            "hidden_size": 4096,
            "intermediate_size": 22_016,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "max_position_embeddings": 32_768,
            "initializer_range": 0.02,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1e4,
            "tie_word_embeddings": false,
            "use_sliding_window": false,
        }))
    }),
    only: LazyLock::new(|| fields_of(json!({ "hidden_act": ["silu"] }))),
    known: DECODER_KNOWN,
};

/// `LlamaConfig`, as the language model of `internvl`.
pub(crate) static LLAMA: ConfigClass = ConfigClass {
    name: "LlamaConfig",
    defaults: LazyLock::new(|| {
        fields_of(json!({
            "vocab_size": 32_000,
            "hidden_size": 4096,
            "intermediate_size": 11_008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "max_position_embeddings": 2048,
            "initializer_range": 0.02,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1e4,
            "tie_word_embeddings": false,
            "use_sliding_window": false,
        }))
    }),
    only: LazyLock::new(|| {
        fields_of(json!({ "hidden_act": ["silu"], "attention_bias": [false], "mlp_bias": [false] }))
    }),
    known: DECODER_KNOWN,
};

/// `InternLM2Config` of InternVL's own code.
pub(crate) static INTERNLM2: ConfigClass = ConfigClass {
    name: "InternLM2Config",
    defaults: LazyLock::new(|| {
        fields_of(json!({
            "vocab_size": 103_168,
            "hidden_size": 4096,
            "intermediate_size": 11_008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "max_position_embeddings": 2048,
            "initializer_range": 0.02,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1e4,
            "tie_word_embeddings": false,
            "use_sliding_window": false,
            "bias": true,
        }))
    }),
    // Every InternLM2 of InternVL is without biases.
    only: LazyLock::new(|| fields_of(json!({ "hidden_act": ["silu"], "bias": [false] }))),
    known: DECODER_KNOWN,
};

/// Fields that all decoders have.
const DECODER_KNOWN: &[&str] = &[
    "attention_dropout",
    "head_dim",
    "layer_types",
    "max_window_layers",
    "num_key_value_heads",
    "pretraining_tp",
    "rope_parameters",
    "rope_scaling",
    "sliding_window",
];

/// The settings of RoPE inside those of a decoder. `mrope_section` is that of the Qwen families where it is left out.
pub(crate) static ROPE: ConfigClass = ConfigClass {
    name: "RopeParameters",
    defaults: LazyLock::new(|| fields_of(json!({ "mrope_section": [16, 24, 24] }))),
    only: LazyLock::new(|| fields_of(json!({ "partial_rotary_factor": [1.0] }))),
    // Those of kinds that are not supported count for nothing in the others.
    known: &[
        "attention_factor",
        "beta_fast",
        "beta_slow",
        "factor",
        "high_freq_factor",
        "long_factor",
        "low_freq_factor",
        "original_max_position_embeddings",
        "rope_theta",
        "rope_type",
        "short_factor",
        "type",
    ],
};

/// `Qwen2VLVisionConfig`: `hidden_size` is the language model's width.
pub(crate) static QWEN2_VL_VISION: ConfigClass = ConfigClass {
    name: "Qwen2VLVisionConfig",
    defaults: LazyLock::new(|| {
        fields_of(json!({
            "depth": 32,
            "embed_dim": 1280,
            "hidden_size": 3584,
            "mlp_ratio": 4,
            "num_heads": 16,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        }))
    }),
    only: LazyLock::new(|| fields_of(json!({ "hidden_act": ["quick_gelu"], "in_channels": [3], "in_chans": [3] }))),
    known: QWEN_VISION_KNOWN,
};

/// `Qwen2_5_VLVisionConfig`.
pub(crate) static QWEN2_5_VL_VISION: ConfigClass = ConfigClass {
    name: "Qwen2_5_VLVisionConfig",
    defaults: LazyLock::new(|| {
        fields_of(json!({
            "depth": 32,
            "hidden_size": 3584,
            "intermediate_size": 3420,
            "num_heads": 16,
            "out_hidden_size": 3584,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 112,
            "fullatt_block_indexes": [7, 15, 23, 31],
        }))
    }),
    only: LazyLock::new(|| fields_of(json!({ "hidden_act": ["silu"], "in_channels": [3], "in_chans": [3] }))),
    known: QWEN_VISION_KNOWN,
};

/// Some of these belong to one of the two families, and stand in files of the other.
const QWEN_VISION_KNOWN: &[&str] = &[
    "initializer_range",
    "intermediate_size",
    "out_hidden_size",
    "rope_parameters",
    "spatial_patch_size",
    "tie_word_embeddings",
    "tokens_per_second",
];

/// The settings of RoPE inside those of a Qwen vision tower, since transformers 5.
pub(crate) static QWEN_VISION_ROPE: ConfigClass = ConfigClass {
    name: "RopeParameters",
    defaults: LazyLock::new(Map::new),
    only: LazyLock::new(|| {
        fields_of(json!({ "rope_theta": [1e4], "rope_type": ["axial", "default"], "type": ["axial", "default"] }))
    }),
    known: &[],
};

/// `InternVLConfig`.
pub(crate) static INTERNVL: ConfigClass = ConfigClass {
    name: "InternVLConfig",
    defaults: LazyLock::new(|| fields_of(json!({ "image_token_id": 151_667 }))),
    only: LazyLock::new(|| {
        fields_of(json!({
            "downsample_ratio": [0.5],
            "projector_hidden_act": ["gelu"],
            "vision_feature_layer": [-1],
            "vision_feature_select_strategy": ["default"],
        }))
    }),
    known: &["image_seq_length", "text_config", "tie_word_embeddings", "vision_config"],
};

/// `InternVLVisionConfig`.
pub(crate) static INTERNVL_VISION: ConfigClass = ConfigClass {
    name: "InternVLVisionConfig",
    defaults: LazyLock::new(|| {
        fields_of(json!({
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "attention_bias": false,
            "use_qk_norm": false,
            "intermediate_size": 4096,
            "norm_type": "layer_norm",
            "layer_norm_eps": 1e-6,
            "image_size": [448, 448],
            "patch_size": [14, 14],
        }))
    }),
    only: LazyLock::new(|| {
        fields_of(json!({
            "hidden_act": ["gelu"],
            "norm_type": ["layer_norm", "rms_norm"],
            "num_channels": [3],
            "use_absolute_position_embeddings": [true],
            "use_mask_token": [false],
            "use_mean_pooling": [true],
        }))
    }),
    known: VIT_KNOWN,
};

/// `InternVLChatConfig` of InternVL's own code.
pub(crate) static INTERNVL_CHAT: ConfigClass = ConfigClass {
    name: "InternVLChatConfig",
    defaults: LazyLock::new(|| {
        fields_of(json!({
            "select_layer": -1,
            "downsample_ratio": 0.5,
            "template": null,
            "dynamic_image_size": false,
            "use_thumbnail": false,
            "ps_version": "v1",
            "min_dynamic_patch": 1,
            "max_dynamic_patch": 6,
        }))
    }),
    only: LazyLock::new(|| {
        fields_of(json!({
            "downsample_ratio": [0.5],
            "pad2square": [false],
            "ps_version": ["v2"],
            "template": ["internvl2_5"],
            "tie_word_embeddings": [false],
        }))
    }),
    known: &["force_image_size", "llm_config", "use_backbone_lora", "use_llm_lora", "vision_config"],
};

/// `InternVisionConfig` of InternVL's own code, whose defaults are InternViT-6B's.
pub(crate) static INTERN_VIT: ConfigClass = ConfigClass {
    name: "InternVisionConfig",
    defaults: LazyLock::new(|| {
        fields_of(json!({
            "patch_size": 14,
            "image_size": 224,
            "qkv_bias": false,
            "hidden_size": 3200,
            "num_attention_heads": 25,
            "intermediate_size": 12_800,
            "qk_normalization": true,
            "num_hidden_layers": 48,
            "norm_type": "rms_norm",
            "layer_norm_eps": 1e-6,
        }))
    }),
    only: LazyLock::new(|| {
        fields_of(json!({
            "hidden_act": ["gelu"],
            "norm_type": ["rms_norm", "layer_norm"],
            "num_channels": [3],
            "use_moe": [false],
        }))
    }),
    known: VIT_KNOWN,
};

/// Fields of InternViT in either layout. Published files hold settings of experts too, which count for nothing without
/// `use_moe`.
const VIT_KNOWN: &[&str] = &[
    "attention_dropout",
    "capacity_factor",
    "drop_path_rate",
    "dropout",
    "ep_size",
    "eval_capacity_factor",
    "hidden_dropout_prob",
    "initializer_factor",
    "initializer_range",
    "laux_allreduce",
    "layer_scale_init_value",
    "moe_coeff_ratio",
    "moe_intermediate_size",
    "moe_output_scale",
    "noisy_gate_policy",
    "num_experts",
    "num_routed_experts",
    "num_shared_experts",
    "projection_dropout",
    "shared_expert_intermediate_size",
    "tie_word_embeddings",
    "use_flash_attn",
    "use_residual",
    "use_rts",
    "use_weighted_residual",
];
