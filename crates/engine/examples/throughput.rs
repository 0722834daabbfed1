//! Trains and samples a model for a minute and prints its speed as one JSON line; `bench/compare.py` runs it beside
//! PyTorch.
//!
//!     cargo run --release --example throughput -- MODEL_DIR LABELS.jsonl
//!
//! Tokens are counted as the model computes them: prompts with expanded images and replies in training, sampled tokens
//! in sampling. A training step reads its images from disk, encodes them, runs a forward and a backward pass and a step
//! of AdamW.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use align::engine::{AdamW, Engine, Reply, SampleRequest, SamplingParams, Sequence};
use align::sft::CrossEntropy;
use align::types::{Item, read_items};
use engine::{EngineOptions, LocalEngine, Trainable, open_device};
use serde_json::json;

const BATCH: usize = 32;
const WARM_UP_STEPS: usize = 2;
const STEPS: usize = 12;
const NEW_TOKENS: usize = 64;
const GROUP: usize = 8;
const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(model), Some(labels)) = (arguments.next(), arguments.next()) else {
        return Err("expected: throughput MODEL_DIR LABELS.jsonl".into());
    };
    let items = read_items(&labels)?;
    let (step_s, tokens, losses) = training(&model, &items)?;
    let alone = sampling(&model, &items, GROUP * GROUP, 1)?;
    let grouped = sampling(&model, &items, GROUP, GROUP)?;
    let report = json!({
        "train_step_s": step_s,
        "train_tokens_per_s": tokens / step_s,
        "losses": losses,
        "sample_tokens_per_s": alone,
        "sample_group_tokens_per_s": grouped,
        "peak_rss_mb": peak_rss_mb(),
    });
    println!("{report}");
    Ok(())
}

/// Median seconds of a step, mean tokens of a step, and the loss of each step.
fn training(model: &Path, items: &[Item]) -> Result<(f64, f64, Vec<f64>), Box<dyn Error>> {
    let mut engine = open(
        model,
        Trainable::Full {
            freeze_vision_tower: false,
            freeze_multi_modal_projector: false,
            freeze_language_model: false,
            gradient_checkpointing: false,
        },
    )?;
    let (mut seconds, mut tokens, mut losses) = (Vec::new(), Vec::new(), Vec::new());
    for batch in items.chunks_exact(BATCH).take(WARM_UP_STEPS + STEPS) {
        let sequences: Vec<Sequence> = batch.iter().map(sequence).collect();
        let n_tokens = engine.reply_lengths(&sequences)?.iter().sum();
        let mut total = 0;
        for sequence in &sequences {
            total += engine.score(sequence)?.input_ids.len();
        }
        let began = Instant::now();
        losses.push(engine.forward_backward(&sequences, &CrossEntropy { n_tokens })?.loss);
        engine.optim_step(&AdamW { learning_rate: 1e-4, ..AdamW::default() })?;
        seconds.push(began.elapsed().as_secs_f64());
        tokens.push(total as f64);
    }
    let timed = &tokens[WARM_UP_STEPS..];
    let mean_tokens = timed.iter().sum::<f64>() / timed.len() as f64;
    Ok((median(seconds.split_off(WARM_UP_STEPS)), mean_tokens, losses))
}

/// Sampled tokens a second: the median of some rounds over new prompts, after a first to warm up.
fn sampling(model: &Path, items: &[Item], prompts: usize, group: usize) -> Result<f64, Box<dyn Error>> {
    let mut engine = open(model, Trainable::Frozen)?;
    let params = SamplingParams { max_new_tokens: NEW_TOKENS, ignore_eos: true, ..SamplingParams::default() };
    let mut rates = Vec::new();
    for batch in items.chunks_exact(prompts).take(1 + ROUNDS) {
        let requests: Vec<SampleRequest> = batch
            .iter()
            .map(|item| SampleRequest {
                id: item.id.clone(),
                messages: item.prompt().to_vec(),
                seeds: (0..group as u64).collect(),
            })
            .collect();
        let began = Instant::now();
        engine.sample(&requests, &params)?;
        rates.push((prompts * group * NEW_TOKENS) as f64 / began.elapsed().as_secs_f64());
    }
    Ok(median(rates.split_off(1)))
}

fn open(model: &Path, trainable: Trainable) -> Result<LocalEngine, Box<dyn Error>> {
    let device = open_device("flex").ok_or("the flex back end is not compiled in")?;
    Ok(LocalEngine::open(EngineOptions { trainable, ..EngineOptions::new(model.to_owned(), device) })?)
}

fn sequence(item: &Item) -> Sequence {
    Sequence {
        id: item.id.clone(),
        messages: item.prompt().to_vec(),
        reply: Reply::Text(item.label().unwrap_or_default()),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The most memory held at once; none where `/proc` is not there.
fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}
