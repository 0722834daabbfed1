//! Model folders: what is read is what is written, and what is broken is refused by name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize_to_file};
use serde_json::{Value, json};
use vlm::config::{Config, TextConfig};
use vlm::families::qwen2_5_vl::{FeedForwardKind, VisionConfig, VisionTokens, new_config};
use vlm::model::Vlm;
use vlm::norm::NormKind;
use vlm::optim::{AdamW, AdamWSettings};
use vlm::parameter::ParameterGroup;

const ALL_GROUPS: [ParameterGroup; 3] = [ParameterGroup::Vision, ParameterGroup::Projector, ParameterGroup::Language];

fn fixture_model() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl/model")
}

fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The fixture's model folder, copied so that a test may damage it.
fn copied_model() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = fixture_model();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(source.join(name), folder.path().join(name)).unwrap();
    }
    folder
}

fn load_error(folder: &Path) -> String {
    Vlm::load(folder, &Device::flex()).unwrap_err().to_string()
}

/// Rewrites the weights file with one tensor renamed, dropped (no new name) or stored otherwise.
fn rewrite(folder: &Path, change: impl Fn(&str, &TensorView) -> Option<(String, Dtype, Vec<usize>, Vec<u8>)>) {
    let path = folder.join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let changed: Vec<_> = tensors.iter().filter_map(|(name, view)| change(name, &view)).collect();
    let views = changed
        .iter()
        .map(|(name, dtype, shape, data)| (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
    serialize_to_file(views, Some(HashMap::new()), &path).unwrap();
}

fn unchanged(name: &str, view: &TensorView) -> (String, Dtype, Vec<usize>, Vec<u8>) {
    (name.to_owned(), view.dtype(), view.shape().to_vec(), view.data().to_vec())
}

fn tiny_config() -> Config {
    let text = TextConfig {
        hidden_size: 16,
        intermediate_size: 24,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        attention_bias: true,
        vocab_size: 40,
        rms_norm_eps: 1e-6,
        rope_theta: 1e6,
        mrope_section: [1, 1, 2],
        max_position_embeddings: 128,
        initializer_range: 0.02,
        tie_word_embeddings: true,
    };
    let vision = VisionConfig {
        depth: 2,
        hidden_size: 8,
        intermediate_size: 12,
        num_heads: 2,
        in_channels: 3,
        out_hidden_size: 16,
        patch_size: 14,
        spatial_merge_size: 2,
        temporal_patch_size: 2,
        window_size: 56,
        fullatt_block_indexes: vec![1],
        norm: NormKind::Rms,
        feed_forward: FeedForwardKind::Gated,
    };
    let tokens = VisionTokens { image: 36, video: 37, vision_start: 38, vision_end: 39 };
    Config::from_json(new_config(&text, &vision, tokens), Path::new("config.json")).unwrap()
}

#[test]
fn a_model_written_and_read_again_has_the_same_weights_and_config() {
    let model = Vlm::load(&fixture_model(), &Device::flex()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();

    let original: Value = serde_json::from_slice(&std::fs::read(fixture_model().join("config.json")).unwrap()).unwrap();
    assert_eq!(Config::load(folder.path()).unwrap().to_json(), &original, "unknown fields are kept");
    let (before, after) = (weights(&fixture_model()), weights(folder.path()));
    assert_eq!(before.keys().collect::<std::collections::BTreeSet<_>>(), after.keys().collect());
    for (key, bytes) in before {
        assert_eq!(after[&key], bytes, "{key}");
    }
}

fn weights(folder: &Path) -> HashMap<String, (Vec<usize>, Vec<u8>)> {
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    tensors.iter().map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), view.data().to_vec()))).collect()
}

#[test]
fn nested_names_and_shards_and_sixteen_bits_are_read() {
    let folder = copied_model();
    // Upper halves of f32 are bf16, rounded towards zero.
    rewrite(folder.path(), |name, view| {
        let name = match name.split_once('.') {
            Some(("visual", rest)) => format!("model.visual.{rest}"),
            Some(("model", rest)) => format!("model.language_model.{rest}"),
            _ => name.to_owned(),
        };
        let halves = view.data().chunks(4).flat_map(|bytes| [bytes[2], bytes[3]]).collect();
        Some((name, Dtype::BF16, view.shape().to_vec(), halves))
    });
    std::fs::rename(folder.path().join("model.safetensors"), folder.path().join("shard.safetensors")).unwrap();
    let bytes = std::fs::read(folder.path().join("shard.safetensors")).unwrap();
    let keys: serde_json::Map<String, Value> = SafeTensors::deserialize(&bytes)
        .unwrap()
        .names()
        .iter()
        .map(|n| ((*n).to_owned(), json!("shard.safetensors")))
        .collect();
    let index = folder.path().join("model.safetensors.index.json");
    std::fs::write(&index, json!({ "metadata": {}, "weight_map": keys }).to_string()).unwrap();

    let model = Vlm::load(folder.path(), &Device::flex()).unwrap();
    let original = Vlm::load(&fixture_model(), &Device::flex()).unwrap();
    let (read, exact) = (model.parameters(&ALL_GROUPS), original.parameters(&ALL_GROUPS));
    assert_eq!(read.len(), exact.len());
    let key = "layers.0.mlp.up_proj.weight";
    let (read, exact) = (&read[&format!("model.language_model.{key}")], &exact[&format!("model.{key}")]);
    for (read, exact) in values(read.clone()).iter().zip(values(exact.clone())) {
        assert_eq!(read.to_bits(), exact.to_bits() & 0xffff_0000);
    }

    let mut keys = keys;
    keys.insert("model.language_model.extra".to_owned(), json!("shard.safetensors"));
    std::fs::write(&index, json!({ "weight_map": keys }).to_string()).unwrap();
    let message = load_error(folder.path());
    assert!(message.contains("shard.safetensors: tensor `model.language_model.extra`: missing"), "{message}");
}

#[test]
fn a_missing_an_unexpected_and_a_misshapen_tensor_are_named() {
    const KEY: &str = "model.layers.1.mlp.up_proj.weight";
    let folder = copied_model();
    rewrite(folder.path(), |name, view| (name != KEY).then(|| unchanged(name, view)));
    let message = load_error(folder.path());
    assert!(message.contains(KEY) && message.contains("missing") && message.contains("[128, 64]"), "{message}");

    let folder = copied_model();
    rewrite(folder.path(), |name, view| {
        let (name, dtype, shape, data) = unchanged(name, view);
        let shape = if name == KEY { vec![64, 128] } else { shape };
        Some((name, dtype, shape, data))
    });
    let message = load_error(folder.path());
    assert!(message.contains(KEY) && message.contains("expected shape [128, 64], got [64, 128]"), "{message}");

    let folder = copied_model();
    rewrite(folder.path(), |name, view| {
        let (name, dtype, shape, data) = unchanged(name, view);
        let dtype = if name == KEY { Dtype::I32 } else { dtype };
        Some((name, dtype, shape, data))
    });
    let message = load_error(folder.path());
    assert!(message.contains(KEY) && message.contains("expected type F32, F16 or BF16, got I32"), "{message}");

    let folder = copied_model();
    let mut config: Value = serde_json::from_slice(&std::fs::read(folder.path().join("config.json")).unwrap()).unwrap();
    config["num_hidden_layers"] = json!(2);
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let message = load_error(folder.path());
    assert!(message.contains("`model.layers.2.") && message.contains("unexpected"), "{message}");
}

#[test]
fn a_truncated_a_damaged_and_an_absent_weights_file_are_named() {
    let folder = copied_model();
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    let message = load_error(folder.path());
    assert!(
        message.contains("model.safetensors: tensor `") && message.contains("bytes are there (truncated or damaged"),
        "{message}"
    );

    let header = String::from_utf8_lossy(&bytes[8..200]).replace("F32", "F99");
    std::fs::write(&path, [&bytes[..8], header.as_bytes(), &bytes[200..]].concat()).unwrap();
    let message = load_error(folder.path());
    assert!(
        message.contains("model.safetensors: not a readable safetensors file") && message.contains("F99"),
        "{message}"
    );

    std::fs::write(&path, b"").unwrap();
    assert!(load_error(folder.path()).contains("model.safetensors: expected a safetensors file, got 0 bytes"));
    std::fs::remove_file(&path).unwrap();
    assert!(load_error(folder.path()).contains("model.safetensors"));
}

#[test]
fn a_config_field_that_is_wrong_is_named() {
    let original: Value = serde_json::from_slice(&std::fs::read(fixture_model().join("config.json")).unwrap()).unwrap();
    let families = "expected \"qwen2_vl\" or \"qwen2_5_vl\" or \"internvl_chat\" or \"internvl\"";
    let cases: [(&[&str], Value, &str); 6] = [
        (
            &["vision_config", "depth"],
            json!("four"),
            "field `vision_config.depth`: expected a positive integer, got \"four\"",
        ),
        (&["vocab_size"], Value::Null, "field `vocab_size`: expected a positive integer, got null"),
        (
            &["rope_scaling", "mrope_section"],
            json!([2, 3, 4]),
            "field `rope_scaling.mrope_section`: expected a sum of 8, half a head, got 9",
        ),
        (&["image_token_id"], json!(608), "field `image_token_id`: expected a token id below vocab_size 608, got 608"),
        (&["model_type"], json!("llama"), &format!("field `model_type`: {families}, got \"llama\"")),
        (&["model_type"], Value::Null, &format!("field `model_type`: {families}, got null")),
    ];
    for (field, value, expected) in cases {
        let mut config = original.clone();
        *config.pointer_mut(&format!("/{}", field.join("/"))).unwrap() = value;
        let error = Config::from_json(config, Path::new("config.json")).unwrap_err();
        assert_eq!(error.to_string(), format!("config.json: {expected}"));
    }
}

#[test]
fn the_newer_nested_config_says_the_same() {
    let flat = Config::load(&fixture_model()).unwrap();
    let mut root = flat.to_json().as_object().unwrap().clone();
    let mut text = root.clone();
    text.retain(|name, _| !name.contains("token_id") && name != "vision_config" && name != "tie_word_embeddings");
    let rope = json!({ "rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": text.remove("rope_theta") });
    text.remove("rope_scaling");
    text.insert("rope_parameters".to_owned(), rope);
    root.retain(|name, _| {
        name.contains("token_id") || ["vision_config", "model_type", "tie_word_embeddings"].contains(&name.as_str())
    });
    root.insert("text_config".to_owned(), Value::Object(text));
    let nested = Config::from_json(Value::Object(root), Path::new("config.json")).unwrap();
    let [nested_vision, flat_vision] =
        [&nested, &flat].map(|config| VisionConfig::read(config.to_json(), Path::new("config.json")).unwrap());
    assert_eq!(nested_vision, flat_vision);
    assert_eq!((nested.text, nested.tokens), (flat.text, flat.tokens));
}

#[test]
fn a_new_model_depends_on_its_seed_alone_and_can_be_loaded() {
    let config = tiny_config();
    let folders = [5, 5, 6].map(|seed| {
        let folder = tempfile::tempdir().unwrap();
        let model = Vlm::init(&config, seed, &Device::flex()).unwrap();
        model.save(folder.path()).unwrap();
        folder
    });
    let [first, same_seed, other_seed] =
        folders.each_ref().map(|folder| std::fs::read(folder.path().join("model.safetensors")).unwrap());
    assert_eq!(first, same_seed);
    assert_ne!(first, other_seed);
    let loaded = Vlm::load(folders[0].path(), &Device::flex()).unwrap();
    assert_eq!(loaded.config(), &config);
    let random = values(loaded.parameters(&ALL_GROUPS)["model.embed_tokens.weight"].clone());
    let deviation = (random.iter().map(|x| f64::from(x * x)).sum::<f64>() / random.len() as f64).sqrt();
    assert!((deviation - 0.02).abs() < 0.002, "standard deviation {deviation}");
}

#[test]
fn an_optimizer_that_is_loaded_resumes_with_the_same_numbers() {
    let settings =
        AdamWSettings { learning_rate: 1e-2, betas: [0.9, 0.95], epsilon: 1e-8, weight_decay: 0.1, max_grad_norm: 0.5 };
    let parameters = Vlm::init(&tiny_config(), 1, &Device::flex()).unwrap().parameters(&ALL_GROUPS);
    let gradients = Vlm::init(&tiny_config(), 2, &Device::flex()).unwrap().parameters(&ALL_GROUPS);
    let mut optimizer = AdamW::new();
    let parameters = optimizer.step(&settings, parameters, gradients.clone()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimizer.safetensors");
    optimizer.save(&path).unwrap();
    let mut resumed = AdamW::load(&path, &Device::flex()).unwrap();
    let uninterrupted = optimizer.step(&settings, parameters.clone(), gradients.clone()).unwrap();
    for (name, resumed) in resumed.step(&settings, parameters, gradients).unwrap() {
        assert_eq!(values(resumed), values(uninterrupted[&name].clone()), "{name}");
    }
}

#[test]
fn weights_of_another_kind_are_told_as_such() {
    const KEY: &str = "model.layers.1.mlp.up_proj.weight";
    for (key, expected) in [
        ("model.layers.1.mlp.up_proj.base_layer.weight", "a checkpoint whose LoRA adapter is not merged"),
        ("base_model.model.model.layers.1.mlp.up_proj.weight", "a checkpoint whose LoRA adapter is not merged"),
        ("model.layers.1.mlp.up_proj.lora_A.default.weight", "a checkpoint whose LoRA adapter is not merged"),
        ("model.layers.1.mlp.up_proj.qweight", "quantized by GPTQ or AWQ are not supported"),
        ("model.layers.1.mlp.up_proj.weight.absmax", "quantized by bitsandbytes are not supported"),
        (
            "model.layers.1.mlp.up_proj.weight.quant_state.bitsandbytes__nf4",
            "quantized by bitsandbytes are not supported",
        ),
        ("model.layers.1.mlp.up_proj.weight_scale_inv", "quantized by FP8 are not supported"),
        ("model.layers.1.mlp.up_proj.weight_packed", "quantized by compressed-tensors are not supported"),
    ] {
        let folder = copied_model();
        rewrite(folder.path(), |name, view| {
            let (name, dtype, shape, data) = unchanged(name, view);
            Some((if name == KEY { key.to_owned() } else { name }, dtype, shape, data))
        });
        let message = load_error(folder.path());
        assert!(message.contains(&format!("tensor `{key}`: ")) && message.contains(expected), "{message}");
    }
}

#[test]
fn files_of_another_kind_are_told_as_such() {
    let folder = copied_model();
    let path = folder.path();
    std::fs::remove_file(path.join("model.safetensors")).unwrap();
    for (name, expected) in [
        ("pytorch_model-00001-of-00002.bin", "got `pytorch_model-00001-of-00002.bin`, of PyTorch: save the model anew"),
        ("model-q4_k_m.gguf", "got `model-q4_k_m.gguf`, of llama.cpp"),
        ("model-00001-of-00002.safetensors", "got `model-00001-of-00002.safetensors`, which no index lists"),
        ("adapter_model.safetensors", "got `adapter_model.safetensors`, a LoRA adapter's"),
    ] {
        std::fs::write(path.join(name), "x").unwrap();
        let message = load_error(path);
        assert!(message.contains(expected), "{message}");
    }
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    for name in ["model.safetensors", "model.safetensors.index.json", "config.json"] {
        std::fs::write(path.join(name), pointer).unwrap();
        let message = load_error(path);
        assert!(message.contains(&format!("{name}: a Git LFS pointer in place of the file")), "{message}");
    }
    let folder = copied_model();
    let index = json!({ "weight_map": { "lm_head.weight": "model-00001-of-00001.safetensors" } });
    std::fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    let message = load_error(folder.path());
    assert!(message.contains("model.safetensors: a second set of weights, beside the shards"), "{message}");
    std::fs::remove_file(folder.path().join("model.safetensors.index.json")).unwrap();
    std::fs::write(folder.path().join("model.safetensors"), b"PK\x03\x04archive/data.pkl").unwrap();
    assert!(load_error(folder.path()).contains("a file of PyTorch under the name of safetensors"));
}
