//! Estimates of what training takes, against published counts.

use std::path::Path;

use engine::Trainable;
use engine::estimate::{Load, Memory, ModelSizes};
use serde_json::json;
use vlm::adapter::TargetModules;
use vlm::config::Config;
use vlm::weights::WeightType;

/// The published sizes of Qwen2.5-VL-7B.
fn qwen2_5_vl_7b() -> Config {
    let raw = json!({
        "model_type": "qwen2_5_vl", "hidden_act": "silu", "hidden_size": 3584, "intermediate_size": 18944,
        "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152_064,
        "max_position_embeddings": 128_000, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "initializer_range": 0.02,
        "tie_word_embeddings": false, "bos_token_id": 151_643, "eos_token_id": 151_645,
        "vision_start_token_id": 151_652, "vision_end_token_id": 151_653, "image_token_id": 151_655,
        "video_token_id": 151_656, "rope_scaling": { "mrope_section": [16, 24, 24], "type": "mrope" },
        "vision_config": {
            "depth": 32, "hidden_act": "silu", "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
            "in_chans": 3, "out_hidden_size": 3584, "patch_size": 14, "spatial_merge_size": 2,
            "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31], "temporal_patch_size": 2,
        },
    });
    Config::from_json(raw, Path::new("config.json")).unwrap()
}

fn lora() -> Trainable {
    Trainable::Lora {
        r: 8,
        lora_alpha: 16.0,
        lora_dropout: 0.0,
        target_modules: TargetModules::Names(vec!["q_proj".into()]),
        gradient_checkpointing: true,
    }
}

#[test]
fn parameters_are_those_of_the_published_checkpoint() {
    let sizes = ModelSizes::new(&qwen2_5_vl_7b(), &Trainable::default(), WeightType::Auto).unwrap();
    assert_eq!(sizes.total(), 8_292_166_656);
    let [vision, trained] = sizes.groups["vision_tower"];
    assert_eq!(trained, 0);
    assert_eq!(sizes.trained(), sizes.total() - vision);
}

#[test]
fn an_adapter_is_counted_and_alone_is_trained() {
    let sizes = ModelSizes::new(&qwen2_5_vl_7b(), &lora(), WeightType::Auto).unwrap();
    assert_eq!(sizes.trained(), 28 * 8 * (3584 + 3584));
    assert_eq!(sizes.total(), 8_292_166_656 + sizes.trained());
}

#[test]
fn memory_grows_with_tokens_and_shrinks_by_recomputing() {
    let sizes = ModelSizes::new(&qwen2_5_vl_7b(), &Trainable::default(), WeightType::Auto).unwrap();
    let [one, two] = [4096, 8192].map(|tokens| sizes.memory(Load::of(tokens, 2048, 512), 1));
    assert_eq!(one.weights, 4 * 8_292_166_656);
    assert_eq!(one.moments, 8 * sizes.trained());
    assert!(two.activations > one.activations * 19 / 10 && two.recomputed > one.recomputed * 19 / 10);
    assert!(one.recomputed * 5 < one.activations);
}

/// The memory of a step, and how many parameters are trained.
fn memory(config: &Config, trainable: &Trainable, weight_type: WeightType) -> (Memory, u64) {
    let sizes = ModelSizes::new(config, trainable, weight_type).unwrap();
    (sizes.memory(Load::of(128, 0, 128), 1), sizes.trained())
}

#[test]
fn half_precision_weights_and_their_master_copies_are_counted() {
    let mut raw = qwen2_5_vl_7b().to_json().clone();
    raw["torch_dtype"] = json!("bfloat16");
    let published = Config::from_json(raw, Path::new("config.json")).unwrap();
    let (full, trained) = memory(&published, &Trainable::default(), WeightType::Auto);
    assert_eq!((full.weights, full.masters), (2 * 8_292_166_656, 4 * trained));
    let (adapter, trained) = memory(&published, &lora(), WeightType::Auto);
    assert_eq!((adapter.weights, adapter.masters), (2 * 8_292_166_656 + 4 * trained, 0));
    let (whole, _) = memory(&published, &lora(), WeightType::Float32);
    assert_eq!((whole.weights, whole.masters), (4 * (8_292_166_656 + trained), 0));
}

#[test]
fn a_token_takes_about_six_operations_a_trained_weight() {
    let sizes = ModelSizes::new(&qwen2_5_vl_7b(), &Trainable::default(), WeightType::Auto).unwrap();
    let load = Load::of(128, 0, 128);
    let decoder_and_head = 7_615_616_512.0 - 152_064.0 * 3584.0;
    let ratio = sizes.train(load, false) / (6.0 * 128.0 * decoder_and_head);
    assert!((1.0..1.01).contains(&ratio), "{ratio}");
    let recomputed = sizes.train(load, true) / sizes.train(load, false);
    assert!((recomputed - 4.0 / 3.0).abs() < 1e-9, "{recomputed}");
}
