//! Memory and processor time of one training step over 4,096 tokens, two pictures among them: everything at once and kept, then
//! with attention by strips, log-probabilities by chunks and recomputed layers one after the other.
//!
//! `cargo run --release --example training_memory` runs each variant in a process of its own and prints a table. Memory
//! is the most that the process held during the step less what it held with the model loaded (Linux's `VmHWM` and
//! `VmRSS`); gradients are part of it. Time is that of all cores together, which other work on the machine disturbs least.

use std::error::Error;
use std::path::Path;
use std::process::Command;

use burn::tensor::{Device, Tensor};
use serde_json::json;
use vlm::batch::{Batch, TokenSequence};
use vlm::config::Config;
use vlm::model::Vlm;
use vlm::parameter::Group;
use vlm::scored_pass::ScoredTokens;

const TOKENS: usize = 4096;
/// Each picture has 64 by 64 patches, which make 1,024 tokens.
const GRID: [usize; 3] = [1, 64, 64];
const TOKENS_OF_PICTURE: usize = 1024;
const IMAGE_TOKEN: u32 = 7;

const VARIANTS: [(&str, &str); 3] = [
    ("plain", "all at once, all kept"),
    ("kernels", "attention by strips, log-probabilities by chunks"),
    ("recomputed", "the same, layers recomputed"),
];

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1) {
        Some(variant) => step(&variant),
        None => compare(),
    }
}

fn compare() -> Result<(), Box<dyn Error>> {
    println!(
        "{:<52} {:>9} {:>7} {:>9}",
        "one step over 4,096 tokens", "MB", "share", "CPU s"
    );
    let mut plain = None;
    for (variant, meaning) in VARIANTS {
        let output = Command::new(std::env::current_exe()?).arg(variant).output()?;
        let text = String::from_utf8(output.stdout)?;
        let mut numbers = text.split_whitespace().map(str::parse::<f64>);
        let (Some(megabytes), Some(seconds)) = (numbers.next(), numbers.next()) else {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        };
        let (megabytes, seconds) = (megabytes?, seconds?);
        let whole = *plain.get_or_insert(megabytes);
        println!(
            "{meaning:<52} {megabytes:>9.0} {:>7.3} {seconds:>9.1}",
            megabytes / whole
        );
    }
    Ok(())
}

/// One step in this process; prints megabytes and seconds.
fn step(variant: &str) -> Result<(), Box<dyn Error>> {
    let config = config()?;
    let mut model = Vlm::init(&config, 0, &Device::flex())?;
    if variant == "plain" {
        model = model.all_at_once();
    }
    let n_text = TOKENS - 2 * TOKENS_OF_PICTURE;
    let picture = std::iter::repeat_n(IMAGE_TOKEN, TOKENS_OF_PICTURE);
    let text = |first: usize, count: usize| (first..first + count).map(|index| 100 + (index * 7919 % 30_000) as u32);
    let ids: Vec<u32> = text(0, 40)
        .chain(picture.clone())
        .chain(text(40, 20))
        .chain(picture)
        .chain(text(60, n_text - 60))
        .collect();
    let grids = [GRID; 2];
    let sequence = TokenSequence {
        ids: &ids,
        grids: &grids,
    };
    let batch = Batch::new(&[sequence], &config)?;
    let images = Tensor::ones([2 * TOKENS_OF_PICTURE, config.text.hidden_size], &Device::flex()) * 0.02;
    // Every token of text after the pictures is learnt.
    let rows: Vec<usize> = (TOKENS - (n_text - 60)..TOKENS - 1).collect();
    let targets: Vec<u32> = rows.iter().map(|row| ids[row + 1]).collect();

    std::fs::write("/proc/self/clear_refs", "5")?;
    let (loaded, began) = (megabytes("VmRSS")?, cpu_seconds()?);
    let view = model.training_view(&[Group::Language]);
    let tokens = ScoredTokens {
        rows: &rows,
        ids: &targets,
    };
    let pass = view.score(&batch, Some(images), tokens, variant == "recomputed")?;
    let gradients = pass.backward(vec![-1.0 / targets.len() as f32; targets.len()])?;
    let seconds = cpu_seconds()? - began;
    assert!(!gradients.is_empty());
    println!("{} {seconds}", megabytes("VmHWM")? - loaded);
    Ok(())
}

/// A decoder of eight layers 512 wide with a vocabulary of 32,768: 42 M parameters.
fn config() -> Result<Config, Box<dyn Error>> {
    let raw = json!({
        "model_type": "qwen2_5_vl", "hidden_act": "silu", "hidden_size": 512, "intermediate_size": 1408,
        "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 32768,
        "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "initializer_range": 0.02,
        "tie_word_embeddings": true, "bos_token_id": 1, "eos_token_id": 2,
        "vision_start_token_id": 5, "vision_end_token_id": 6, "image_token_id": IMAGE_TOKEN, "video_token_id": 8,
        "rope_scaling": { "mrope_section": [8, 12, 12], "type": "mrope" },
        "vision_config": {
            "depth": 1, "hidden_act": "silu", "hidden_size": 64, "intermediate_size": 100, "num_heads": 4,
            "in_chans": 3, "out_hidden_size": 512, "patch_size": 14, "spatial_merge_size": 2,
            "window_size": 56, "fullatt_block_indexes": [0], "temporal_patch_size": 2,
        },
    });
    Ok(Config::from_json(raw, Path::new("config.json"))?)
}

/// What this process has used of all cores.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field is a name in brackets; the user's and the system's time are the 12th and 13th after it.
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in brackets")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS_A_SECOND)
}

/// A line of `/proc/self/status`.
fn megabytes(name: &str) -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with(name))
        .ok_or("no such line")?;
    let kilobytes: f64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kilobytes / 1024.0)
}
