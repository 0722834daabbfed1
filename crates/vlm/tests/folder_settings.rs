//! What a folder says of its model, table by table: fields that are left out have the library's defaults, fields that
//! change the computation are supported or refused by name, and published files open.

#[allow(dead_code, reason = "each test file uses its part of what all share")]
mod common;

use std::path::Path;

use common::settings_files::{read, without_weights, write};
use serde_json::{Value, json};
use vlm::config::Config;
use vlm::model::Vlm;
use vlm::parameter::Parameters;

/// Everything that a configuration decides: its text fields, tokens, positions and the shape of every parameter.
fn described(raw: Value, folder: &Path) -> Result<String, String> {
    let config = Config::from_json(raw, &folder.join("config.json")).map_err(|error| error.to_string())?;
    let mut model = Vlm::shapes(&config, &common::device()).map_err(|error| error.to_string())?;
    let mut shapes = Vec::new();
    model.visit_parameters(&mut |parameter| {
        shapes.push(format!("{} {:?}", parameter.name(), parameter.file_shape()));
    });
    Ok(format!("{:?} {:?} {} {:?} {shapes:?}", config.text, config.tokens, config.merge_size, config.rope_base(50_000)))
}

/// Defaults by family and section, as transformers 4.45 to 5.24 and InternVL's own code have them.
fn defaults() -> Vec<(&'static str, &'static str, Value)> {
    let qwen_text = json!({
        "vocab_size": 152_064, "hidden_size": 8192, "intermediate_size": 29_568, "num_hidden_layers": 80,
        "num_attention_heads": 64, "num_key_value_heads": 8, "hidden_act": "silu", "max_position_embeddings": 32_768,
        "initializer_range": 0.02, "rms_norm_eps": 1e-5, "use_cache": true, "tie_word_embeddings": false,
        "rope_theta": 1e6, "use_sliding_window": false, "sliding_window": 4096, "max_window_layers": 80,
        "attention_dropout": 0.0, "image_token_id": 151_655, "video_token_id": 151_656,
        "vision_start_token_id": 151_652, "vision_end_token_id": 151_653,
    });
    let qwen2 = json!({
        "model_type": "qwen2", "vocab_size": 151_936, "hidden_size": 4096, "intermediate_size": 22_016,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "hidden_act": "silu",
        "max_position_embeddings": 32_768, "initializer_range": 0.02, "rms_norm_eps": 1e-6, "rope_theta": 1e4,
        "tie_word_embeddings": false, "use_sliding_window": false, "rope_scaling": null, "layer_types": null,
    });
    let internlm2 = json!({
        "vocab_size": 103_168, "hidden_size": 4096, "intermediate_size": 11_008, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": null, "hidden_act": "silu", "max_position_embeddings": 2048,
        "initializer_range": 0.02, "rms_norm_eps": 1e-6, "rope_theta": 10_000, "tie_word_embeddings": false,
        "bias": true, "rope_scaling": null,
    });
    let qwen2_vl_vision = json!({
        "depth": 32, "embed_dim": 1280, "hidden_size": 3584, "hidden_act": "quick_gelu", "mlp_ratio": 4,
        "num_heads": 16, "in_channels": 3, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2,
    });
    let qwen2_5_vl_vision = json!({
        "depth": 32, "hidden_size": 3584, "hidden_act": "silu", "intermediate_size": 3420, "num_heads": 16,
        "in_channels": 3, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "tokens_per_second": 4,
        "window_size": 112, "out_hidden_size": 3584, "fullatt_block_indexes": [7, 15, 23, 31],
    });
    let internvl_vision = json!({
        "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "attention_bias": false,
        "use_qk_norm": false, "intermediate_size": 4096, "hidden_act": "gelu", "norm_type": "layer_norm",
        "layer_norm_eps": 1e-6, "image_size": [448, 448], "patch_size": [14, 14], "num_channels": 3,
        "use_mask_token": false, "use_absolute_position_embeddings": true, "use_mean_pooling": true,
    });
    let intern_vit = json!({
        "num_channels": 3, "patch_size": 14, "image_size": 224, "qkv_bias": false, "hidden_size": 3200,
        "num_attention_heads": 25, "intermediate_size": 12_800, "qk_normalization": true, "num_hidden_layers": 48,
        "hidden_act": "gelu", "norm_type": "rms_norm", "layer_norm_eps": 1e-6,
    });
    let internvl = json!({
        "image_token_id": 151_667, "downsample_ratio": 0.5, "projector_hidden_act": "gelu",
        "vision_feature_layer": -1, "vision_feature_select_strategy": "default",
    });
    let internvl_chat = json!({
        "use_backbone_lora": 0, "use_llm_lora": 0, "pad2square": false, "select_layer": -1, "force_image_size": null,
        "downsample_ratio": 0.5, "dynamic_image_size": false, "use_thumbnail": false, "ps_version": "v1",
        "template": null, "min_dynamic_patch": 1, "max_dynamic_patch": 6,
    });
    vec![
        ("qwen2_vl", "", qwen_text.clone()),
        ("qwen2_5_vl", "", qwen_text),
        ("qwen2_vl", "/vision_config", qwen2_vl_vision),
        ("qwen2_5_vl", "/vision_config", qwen2_5_vl_vision),
        ("internvl", "", internvl),
        ("internvl", "/text_config", qwen2),
        ("internvl", "/vision_config", internvl_vision.clone()),
        ("internvl_6b", "/vision_config", internvl_vision),
        ("internvl2_5", "", internvl_chat),
        ("internvl2_5", "/llm_config", internlm2),
        ("internvl2_5", "/vision_config", intern_vit),
    ]
}

#[test]
fn a_field_that_is_left_out_has_the_default_of_the_library() {
    for (family, section, defaults) in defaults() {
        let folder = without_weights(family);
        let original = read(folder.path(), "config.json");
        for (name, default) in defaults.as_object().unwrap() {
            let mut without = original.clone();
            without.pointer_mut(section).unwrap().as_object_mut().unwrap().shift_remove(name);
            let mut stated = without.clone();
            stated.pointer_mut(section).unwrap()[name] = default.clone();
            let [without, stated] = [without, stated].map(|raw| described(raw, folder.path()));
            // A default that does not fit the rest of this small model is refused, stated or not.
            match (without, stated) {
                (Ok(without), Ok(stated)) => assert_eq!(without, stated, "{family}{section}/{name}"),
                (Err(without), Err(_)) => assert!(without.contains("field `"), "{without}"),
                (without, stated) => panic!("{family}{section}/{name}: {without:?}, stated: {stated:?}"),
            }
        }
    }
}

#[test]
fn fields_that_change_the_computation_are_refused_by_name() {
    let quantized = json!({ "quant_method": "awq", "bits": 4, "group_size": 128 });
    for (family, pointer, value, expected) in [
        (
            "qwen2_5_vl",
            "/rope_scaling",
            json!({ "type": "yarn", "mrope_section": [2, 3, 3], "factor": 4, "original_max_position_embeddings": 9 }),
            "field `rope_scaling.type`: expected \"mrope\" or \"default\", got \"yarn\"",
        ),
        (
            "qwen2_5_vl",
            "/rope_scaling/factor_of_mine",
            json!(4.0),
            "field `rope_scaling.factor_of_mine`: not known here",
        ),
        ("qwen2_5_vl", "/rope_scaling/rope_type", json!("dynamic"), "field `rope_scaling.rope_type`: expected"),
        ("qwen2_5_vl", "/use_sliding_window", json!(true), "field `use_sliding_window`: expected false"),
        (
            "qwen2_5_vl",
            "/layer_types",
            json!(["full_attention", "sliding_attention"]),
            "field `layer_types`: expected a list of \"full_attention\"",
        ),
        ("qwen2_5_vl", "/hidden_act", json!("gelu"), "field `hidden_act`: expected \"silu\", got \"gelu\""),
        ("qwen2_5_vl", "/head_dim", json!(32), "field `head_dim`: expected 16"),
        (
            "qwen2_5_vl",
            "/attention_bias",
            json!(true),
            "field `attention_bias`: not known here, and may change what the model computes: true",
        ),
        ("qwen2_5_vl", "/logit_scale", json!(0.5), "field `logit_scale`: not known here"),
        (
            "qwen2_5_vl",
            "/quantization_config",
            quantized.clone(),
            "field `quantization_config`: weights quantized by awq (4 bits) are not supported",
        ),
        (
            "qwen2_5_vl",
            "/vision_config/hidden_act",
            json!("gelu"),
            "field `vision_config.hidden_act`: expected \"silu\", got \"gelu\"",
        ),
        (
            "qwen2_5_vl",
            "/vision_config/deepstack_visual_indexes",
            json!([5]),
            "field `vision_config.deepstack_visual_indexes`: not known here",
        ),
        (
            "qwen2_5_vl",
            "/vision_config/rope_parameters",
            json!({ "rope_theta": 5e5 }),
            "field `vision_config.rope_parameters.rope_theta`: expected 10000.0, got 500000.0",
        ),
        ("qwen2_5_vl", "/num_hidden_layers", json!(1_000_000_000), "field `num_hidden_layers`: expected at most"),
        ("qwen2_5_vl", "/hidden_size", json!(1_000_000_000_000_000_000_u64), "field `hidden_size`: expected at most"),
        ("qwen2_vl", "/vision_config/depth", json!(9_999_999), "field `vision_config.depth`: expected at most"),
        ("qwen2_vl", "/vision_config/mlp_ratio", json!(1e300), "field `vision_config.mlp_ratio`: expected at most"),
        ("qwen2_vl", "/vision_config/in_channels", json!(4), "field `vision_config.in_channels`: expected 3, got 4"),
        (
            "internvl",
            "/projector_hidden_act",
            json!("relu"),
            "field `projector_hidden_act`: expected \"gelu\", got \"relu\"",
        ),
        ("internvl", "/vision_feature_layer", json!(-2), "field `vision_feature_layer`: expected -1, got -2"),
        (
            "internvl",
            "/vision_feature_select_strategy",
            json!("full"),
            "field `vision_feature_select_strategy`: expected \"default\"",
        ),
        ("internvl", "/downsample_ratio", json!(0.25), "field `downsample_ratio`: expected 0.5, got 0.25"),
        ("internvl", "/text_config/model_type", json!("qwen3"), "field `text_config.model_type`: expected"),
        (
            "internvl",
            "/text_config/rope_scaling/rope_type",
            json!("linear"),
            "field `text_config.rope_scaling.rope_type`: expected",
        ),
        (
            "internvl",
            "/text_config/rope_scaling/type",
            json!("default"),
            "field `text_config.rope_scaling.type`: expected \"dynamic\", as in `rope_type`",
        ),
        (
            "internvl",
            "/text_config/quantization_config",
            quantized.clone(),
            "field `text_config.quantization_config`: weights",
        ),
        (
            "internvl",
            "/vision_config/use_mean_pooling",
            json!(false),
            "field `vision_config.use_mean_pooling`: expected true, got false",
        ),
        ("internvl", "/vision_config/norm_type", json!("batch_norm"), "field `vision_config.norm_type`: expected"),
        ("internvl2_5", "/ps_version", json!("v1"), "field `ps_version`: expected \"v2\", got \"v1\""),
        ("internvl2_5", "/template", json!("internlm2-chat"), "field `template`: expected \"internvl2_5\""),
        ("internvl2_5", "/system_message", json!("Be brief."), "field `system_message`: not known here"),
        ("internvl2_5", "/pad2square", json!(true), "field `pad2square`: expected false, got true"),
        (
            "internvl2_5",
            "/use_llm_lora",
            json!(16),
            "field `use_llm_lora`: expected 0, got 16: the LoRA adapter of this checkpoint is not merged",
        ),
        (
            "internvl2_5",
            "/llm_config/architectures",
            json!(["Qwen3ForCausalLM"]),
            "field `llm_config.architectures`: expected",
        ),
        (
            "internvl2_5",
            "/llm_config/tie_word_embeddings",
            json!(true),
            "field `llm_config.tie_word_embeddings`: expected false",
        ),
        (
            "internvl2_5",
            "/vision_config/use_moe",
            json!(true),
            "field `vision_config.use_moe`: expected false, got true",
        ),
        (
            "internvl2_5",
            "/vision_config/quantization_config",
            quantized,
            "field `vision_config.quantization_config`: weights",
        ),
    ] {
        let folder = without_weights(family);
        let mut raw = read(folder.path(), "config.json");
        let (section, name) = pointer.rsplit_once('/').unwrap();
        raw.pointer_mut(section).unwrap()[name] = value;
        let message = described(raw, folder.path()).unwrap_err();
        assert!(message.contains(expected), "{family}{pointer}: {message}");
    }
}

#[test]
fn published_files_open_and_so_do_those_that_libraries_write_anew() {
    let folder = tempfile::tempdir().unwrap();
    let added = json!({ "added_tokens_decoder": { "92546": { "content": "<IMG_CONTEXT>", "special": true } } });
    write(folder.path(), "tokenizer_config.json", &added);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/published_configs.jsonl");
    for line in fs_err::read_to_string(path).unwrap().lines() {
        let published: Value = serde_json::from_str(line).unwrap();
        let name = published["name"].as_str().unwrap();
        let config = Config::from_json(published["config"].clone(), &folder.path().join("config.json"));
        let config = config.unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut n_parameters = 0;
        let mut model = Vlm::shapes(&config, &common::device()).unwrap();
        model
            .visit_parameters(&mut |parameter| n_parameters += parameter.file_shape().iter().product::<usize>() as u64);
        assert_eq!(json!(n_parameters), published["parameters"], "{name}");
        assert_eq!(config.text.rope_theta, 1e6, "{name}");
    }
}

#[test]
fn what_says_nothing_and_what_trainers_leave_behind_is_harmless() {
    let folder = without_weights("qwen2_5_vl");
    let original = read(folder.path(), "config.json");
    let expected = described(original.clone(), folder.path());
    for (name, value) in [
        ("some_feature", Value::Null),
        ("some_feature", json!(false)),
        ("some_feature", json!({})),
        ("_private", json!({ "a": 1 })),
        ("audio_token_id", json!(3)),
        ("unsloth_version", json!("2026.3.3")),
        ("max_length", json!(20)),
        ("torch_dtype", json!("bfloat16")),
    ] {
        for section in ["", "/vision_config"] {
            let mut raw = original.clone();
            raw.pointer_mut(section).unwrap()[name] = value.clone();
            assert_eq!(described(raw, folder.path()), expected, "{name}");
        }
    }
}
