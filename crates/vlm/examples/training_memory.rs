//! Memory and CPU time of one training step over 4,096 tokens, two images among them: eager and all activations kept,
//! then with blockwise attention, chunked log-probabilities and recomputed layers one after the other. And of one over
//! eight replies to such a prompt: each with a prompt of its own, then the prompt once for all of them.
//!
//! `cargo run --release --example training_memory` runs each variant in a process of its own and prints a table. Memory
//! is the process's peak during the step minus its size with the model loaded (Linux's `VmHWM` and `VmRSS`); gradients
//! are part of it. Time is that of all cores together, on which other work on the machine has the least influence.

use std::error::Error;
use std::path::Path;
use std::process::Command;

use burn::tensor::{Device, Tensor};
use serde_json::json;
use vlm::batch::{Batch, SequenceGroup, TokenSequence};
use vlm::config::Config;
use vlm::model::Vlm;
use vlm::parameter::ParameterGroup;
use vlm::scored_pass::ScoredTokens;

const TOKENS: usize = 4096;
/// Each image has 64 by 64 patches, which make 1,024 tokens.
const GRID: [usize; 3] = [1, 64, 64];
const TOKENS_OF_IMAGE: usize = 1024;
const IMAGE_TOKEN: u32 = 7;

/// Replies of a group, and the tokens of each.
const REPLIES: usize = 8;
const TOKENS_OF_REPLY: usize = 256;

/// What is compared: a title, and variants of which the first is the baseline of the others.
const TABLES: [(&str, &[(&str, &str)]); 2] = [
    (
        "one step over 4,096 tokens",
        &[
            ("plain", "eager, all activations kept"),
            ("kernels", "blockwise attention, chunked log-probabilities"),
            ("recomputed", "the same, layers recomputed"),
        ],
    ),
    (
        "one step over 8 replies of 256 tokens to 2,108",
        &[("apart", "each with a prompt of its own, one after the other"), ("shared", "the prompt once for all")],
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1) {
        Some(variant) => step(&variant),
        None => compare(),
    }
}

fn compare() -> Result<(), Box<dyn Error>> {
    for (title, variants) in TABLES {
        println!("{title:<52} {:>9} {:>7} {:>9}", "MB", "share", "CPU s");
        let mut first = None;
        for (variant, meaning) in variants {
            let output = Command::new(std::env::current_exe()?).arg(variant).output()?;
            let text = String::from_utf8(output.stdout)?;
            let mut numbers = text.split_whitespace().map(str::parse::<f64>);
            let (Some(megabytes), Some(seconds)) = (numbers.next(), numbers.next()) else {
                return Err(String::from_utf8_lossy(&output.stderr).into());
            };
            let (megabytes, seconds) = (megabytes?, seconds?);
            let whole = *first.get_or_insert(megabytes);
            println!("{meaning:<52} {megabytes:>9.0} {:>7.3} {seconds:>9.1}", megabytes / whole);
        }
    }
    Ok(())
}

/// One step in this process; prints megabytes and seconds.
fn step(variant: &str) -> Result<(), Box<dyn Error>> {
    let config = config()?;
    let mut model = Vlm::init(&config, 0, &Device::flex())?;
    if variant == "plain" {
        model = model.eager();
    }
    std::fs::write("/proc/self/clear_refs", "5")?;
    let (loaded, began) = (megabytes("VmRSS")?, cpu_seconds()?);
    match variant {
        "apart" => (0..REPLIES).try_for_each(|reply| train(&model, &[reply], false))?,
        "shared" => train(&model, &(0..REPLIES).collect::<Vec<_>>(), false)?,
        _ => train(&model, &[], variant == "recomputed")?,
    }
    println!("{} {}", megabytes("VmHWM")? - loaded, cpu_seconds()? - began);
    Ok(())
}

/// One pass forward and back: over replies to one prompt, or without any over a long text.
fn train(model: &Vlm, replies: &[usize], recompute: bool) -> Result<(), Box<dyn Error>> {
    let image = std::iter::repeat_n(IMAGE_TOKEN, TOKENS_OF_IMAGE);
    let prompt: Vec<u32> = words(0, 40).chain(image.clone()).chain(words(40, 20)).chain(image).collect();
    let mut continuations = Vec::new();
    if replies.is_empty() {
        continuations.push(words(60, TOKENS - prompt.len()));
    }
    continuations.extend(replies.iter().map(|reply| words(60 + reply, TOKENS_OF_REPLY)));
    let sequences: Vec<Vec<u32>> =
        continuations.into_iter().map(|continuation| prompt.iter().copied().chain(continuation).collect()).collect();
    let members = sequences.iter().map(|ids| TokenSequence { ids, grids: &[GRID; 2] });
    let group =
        SequenceGroup { members: members.collect(), n_shared: if replies.len() > 1 { prompt.len() } else { 0 } };
    let batch = Batch::grouped(&[group], false, model.config())?;
    let (mut rows, mut targets) = (Vec::new(), Vec::new());
    for (index, ids) in sequences.iter().enumerate() {
        // Every token after the images is learned.
        rows.extend((prompt.len()..ids.len()).map(|token_idx| batch.row(index, token_idx - 1)));
        targets.extend_from_slice(&ids[prompt.len()..]);
    }
    let images = Tensor::ones([2 * TOKENS_OF_IMAGE, model.config().text.hidden_size], &Device::flex()) * 0.02;
    let view = model.training_view(&[ParameterGroup::Language]);
    let tokens = ScoredTokens { rows: &rows, ids: &targets };
    let pass = view.score(&batch, Some(images), tokens, recompute)?;
    let gradients = pass.backward(vec![-1.0 / targets.len() as f32; targets.len()])?;
    assert!(!gradients.is_empty());
    Ok(())
}

fn words(first: usize, count: usize) -> impl Iterator<Item = u32> {
    (first..first + count).map(|index| 100 + (index * 7919 % 30_000) as u32)
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

/// The CPU time of this process.
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
    let line = status.lines().find(|line| line.starts_with(name)).ok_or("no such line")?;
    let kilobytes: f64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kilobytes / 1024.0)
}
