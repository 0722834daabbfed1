//! MIRage: supervised fine-tuning on labeled items, safety chains of thought with some general data mixed in.
//!
//! Items whose last message is the assistant's go in, checkpoints come out. Source: MIS (arXiv 2501.18533), which mixes
//! 11.1 % general multi-image questions in and trains on the reply's tokens. Its batch size and scheduler are not
//! given; the defaults here are this project's. The loss is the mean cross-entropy over all of the assistant's tokens
//! in a batch, however the batch is split; of dialogues over several turns each turn is trained, or the last alone.

mod config;
mod mixture;

use serde::{Deserialize, Serialize};

use crate::engine::{AdamW, Engine, LossAndGradient, Reply, Sequence, TokenLoss, TokenScores};
use crate::progress::Progress;
use crate::run_dir::RunDir;
use crate::training::{Metrics, Outcome, Steps, TrainingError};
use crate::types::{Item, Role};

pub use config::SftConfig;
pub use mixture::Mixture;

/// What a checkpoint holds beside the engine's own files. The order of the data follows from seed and step.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    /// Reply tokens trained on so far.
    num_tokens: u64,
}

/// Fine-tunes on `items` with a share of `general` mixed in, from the run's last checkpoint where there is one.
///
/// Metrics of each step: `loss` (nats a token), `learning_rate`, `grad_norm`, `epoch`, `num_tokens` (reply tokens so
/// far), `step_time` (seconds).
///
/// Errors: `Setting`, `NoItems` or `NoLabel` before anything is trained; `Engine` or `Run` naming the file.
pub fn run(
    engine: &mut dyn Engine,
    items: &[Item],
    general: &[Item],
    config: &SftConfig,
    run_dir: &mut RunDir,
    progress: &mut dyn Progress,
) -> Result<Outcome, TrainingError> {
    config.validate("sft")?;
    let mixture = Mixture::new(items, general, config)?;
    let total_steps = config.total_steps(mixture.steps_per_epoch());
    let schedule = config.schedule(total_steps);
    let steps = Steps {
        title: "fine-tuning",
        headline: "loss",
        total: total_steps,
        save_steps: config.save_steps,
        save_total_limit: config.save_total_limit,
    };
    steps.run(engine, run_dir, progress, |engine, _, step, state: &mut State| {
        let optimizer = config.optimizer(schedule.at(step));
        let mut metrics = train_step(engine, &mixture.batch(step), config, &optimizer)?;
        state.num_tokens += metrics["num_tokens"] as u64;
        metrics.extend([
            ("num_tokens".to_owned(), state.num_tokens as f64),
            ("epoch".to_owned(), step as f64 / mixture.steps_per_epoch() as f64),
        ]);
        Ok(metrics)
    })
}

/// One optimizer step on a batch, split into `gradient_accumulation_steps` parts.
fn train_step(
    engine: &mut dyn Engine,
    batch: &[&Item],
    config: &SftConfig,
    optimizer: &AdamW,
) -> Result<Metrics, TrainingError> {
    let sequences: Vec<Sequence> = batch.iter().flat_map(|item| labeled_sequences(item, config.mask_history)).collect();
    let n_tokens: usize = engine.reply_lengths(&sequences)?.iter().sum();
    let cross_entropy = CrossEntropy { n_tokens };
    let mut loss = 0.0;
    for part in sequences.chunks(sequences.len().div_ceil(config.gradient_accumulation_steps)) {
        loss += engine.forward_backward(part, &cross_entropy)?.loss;
    }
    let grad_norm = engine.optim_step(optimizer)?.grad_norm;
    Ok(Metrics::from([
        ("loss".to_owned(), loss),
        ("learning_rate".to_owned(), optimizer.learning_rate),
        ("grad_norm".to_owned(), grad_norm),
        ("num_tokens".to_owned(), n_tokens as f64),
    ]))
}

/// One sequence for each of the assistant's turns that is trained, with the dialogue before it.
pub fn labeled_sequences(item: &Item, mask_history: bool) -> impl Iterator<Item = Sequence> {
    let last = item.messages.len() - 1;
    let turns = item.messages.iter().enumerate();
    turns
        .filter(|(_, message)| message.role == Role::Assistant)
        .filter(move |(index, _)| !mask_history || *index == last)
        .map(|(index, message)| Sequence {
            id: item.id.clone(),
            messages: item.messages[..index].to_vec(),
            reply: Reply::Text(message.plain_text()),
        })
}

/// Cross-entropy of the reply, in nats, divided by the reply tokens of the whole batch.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy {
    /// Reply tokens of the whole batch.
    pub n_tokens: usize,
}

impl TokenLoss for CrossEntropy {
    fn evaluate(&self, _index: usize, scores: &TokenScores) -> LossAndGradient {
        let weight = 1.0 / self.n_tokens.max(1) as f64;
        let sum: f64 = scores.logprobs.iter().map(|logprob| f64::from(*logprob)).sum();
        LossAndGradient { loss: -sum * weight, gradient: vec![-weight as f32; scores.logprobs.len()] }
    }
}
