//! The memory that loading needs, as the system reports it of a process of its own.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use burn::tensor::{DType, Device, FloatDType, Tensor};
use serde_json::json;
use vlm::batch::{Batch, TokenSequence};
use vlm::config::{Config, TextConfig};
use vlm::families::qwen2_5_vl::{FeedForwardKind, VisionConfig, VisionTokens, new_config};
use vlm::model::Vlm;
use vlm::norm::NormKind;
use vlm::parameter::Parameters;
use vlm::tensor_file::{NamedTensor, write_tensors};
use vlm::weights::WeightType;

/// What the measured process is to load.
const FOLDER: &str = "SCRUPLE_TEST_FOLDER";
const TYPE: &str = "SCRUPLE_TEST_TYPE";
const LAYERS: usize = 30;
/// What scoring a few tokens may need beside the weights: blocks of them in f32, above all.
const SCRATCH: usize = 32_000_000;

fn config(num_hidden_layers: usize) -> Config {
    let text = TextConfig {
        hidden_size: 512,
        intermediate_size: 2048,
        num_hidden_layers,
        num_attention_heads: 4,
        num_key_value_heads: 1,
        attention_bias: true,
        vocab_size: 64,
        rms_norm_eps: 1e-6,
        rope_theta: 1e6,
        mrope_section: [16, 24, 24],
        max_position_embeddings: 128,
        initializer_range: 0.02,
        tie_word_embeddings: true,
    };
    let vision = VisionConfig {
        depth: 1,
        hidden_size: 8,
        intermediate_size: 12,
        num_heads: 2,
        in_channels: 3,
        out_hidden_size: 512,
        patch_size: 14,
        spatial_merge_size: 2,
        temporal_patch_size: 2,
        window_size: 56,
        fullatt_block_indexes: vec![0],
        norm: NormKind::Rms,
        feed_forward: FeedForwardKind::Gated,
    };
    let tokens = VisionTokens { image: 60, video: 61, vision_start: 62, vision_end: 63 };
    Config::from_json(new_config(&text, &vision, tokens), Path::new("config.json")).unwrap()
}

/// Writes a bf16 model of many layers, all of the same values; returns its bytes of weights.
fn write_model(folder: &Path) -> usize {
    let mut one_layer = Vlm::init(&config(1), 1, &Device::flex()).unwrap();
    let mut tensors = Vec::new();
    one_layer.visit_parameters(&mut |parameter| {
        let layers = if parameter.name().contains("model.layers.0.") { LAYERS } else { 1 };
        tensors.extend((0..layers).map(|layer| NamedTensor {
            key: parameter.name().replace("layers.0.", &format!("layers.{layer}.")),
            shape: parameter.file_shape().to_vec(),
            values: parameter.flat().cast(FloatDType::BF16),
        }));
    });
    config(LAYERS).save(folder).unwrap();
    write_tensors(&folder.join("model.safetensors"), &tensors).unwrap();
    tensors.iter().map(NamedTensor::size).sum()
}

/// A number of bytes that the system keeps of this process.
fn status(field: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    1024 * line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()
}

/// In the process that is measured: loads the model, touches every weight, and prints how much the peak has grown
/// after each.
fn load_and_score(folder: &Path, weight_type: WeightType) {
    let before = status("VmHWM");
    let model = Vlm::load_as(folder, weight_type, &Device::flex()).unwrap();
    println!("loaded: {} bytes", status("VmHWM") - before);
    let ids: Vec<u32> = (1..24).collect();
    let batch = Batch::new(&[TokenSequence { ids: &ids, grids: &[] }], model.config()).unwrap();
    let hidden = model.hidden_states(&batch, None).unwrap();
    let logits: Tensor<2> = model.logits(hidden);
    assert_eq!(logits.dtype(), DType::F32);
    println!("scored: {} bytes", status("VmHWM") - before);
}

/// The number after a word in what the measured process printed.
fn bytes(text: &str, word: &str) -> usize {
    let rest = text.split(word).nth(1).unwrap().trim_start();
    rest.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn loading_and_scoring_needs_little_more_than_the_weights_held() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let weight_type = serde_json::from_value(json!(std::env::var(TYPE).unwrap())).unwrap();
        return load_and_score(Path::new(&folder), weight_type);
    }
    let folder = tempfile::tempdir().unwrap();
    let size = write_model(folder.path());
    assert!(size > 150_000_000, "{size} bytes");
    for (name, held) in [("auto", size), ("bfloat16", size), ("float16", size), ("float32", 2 * size)] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "loading_and_scoring_needs_little_more_than_the_weights_held", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(TYPE, name)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {text}");
        let (loaded, scored) = (bytes(&text, "loaded:"), bytes(&text, "scored:"));
        let report = format!("{name}: {held} bytes of weights, {loaded} to load them, {scored} to score as well");
        assert!(loaded as f64 <= 1.1 * held as f64, "{report}");
        assert!(scored <= held + held / 10 + SCRATCH, "{report}");
        assert!(scored as f64 >= 0.9 * held as f64, "{report}: not all were touched");
        eprintln!("{report}");
    }
}
