//! Sampling and judging side by side: while some responses are judged, the next are sampled.

use std::sync::mpsc;
use std::thread;

use super::config::Rollout;
use crate::chat::ChatError;
use crate::engine::{Completion, Engine, EngineError, SampleRequest, Sampled, sample_usable};
use crate::training::TrainingError;
use crate::types::Item;
use crate::verdict::{Judge, Judgement, Unscored};

/// The judged completions of a request.
pub(super) struct Judged {
    /// Length of the prompt in tokens, images included.
    pub prompt_tokens: usize,
    pub completions: Vec<(Completion, Judgement)>,
}

/// A batch of requests, each for its item, and what was sampled for them.
type Batch<'a> = (&'a [(&'a Item, SampleRequest)], Vec<Result<Sampled, EngineError>>);

/// Samples completions for each item's request and has the part of each text that `to_judge` gives judged. Gives for
/// each request its judged completions, or why it cannot be used. The judge works on a thread of its own, batch by batch
/// as [`super::RolloutConfig::batch_size`] sets them, in order.
///
/// Errors: the engine's; `Judge` where the judge had to stop.
pub(super) fn sample_and_judge(
    rollout: &Rollout,
    engine: &mut dyn Engine,
    requests: &[(&Item, SampleRequest)],
    max_new_tokens: usize,
    to_judge: fn(&str) -> &str,
) -> Result<Vec<Result<Judged, EngineError>>, TrainingError> {
    let params = rollout.config.sampling(max_new_tokens);
    let judge = rollout.judge;
    let batch_size = match rollout.config.batch_size {
        0 => requests.len().max(1),
        batch_size => batch_size,
    };
    thread::scope(|scope| {
        let (sender, batches) = mpsc::channel::<Batch>();
        let judging = scope.spawn(move || -> Result<_, ChatError> {
            let mut judged = Vec::new();
            for (requests, sampled) in batches {
                judged.extend(judge_batch(judge, requests, sampled, to_judge)?);
            }
            Ok(judged)
        });
        for batch in requests.chunks(batch_size) {
            let requests: Vec<SampleRequest> = batch.iter().map(|(_, request)| request.clone()).collect();
            let sampled = sample_usable(engine, &requests, &params)?;
            // Sending fails once the judge has stopped; its thread returns the reason.
            if sender.send((batch, sampled)).is_err() {
                break;
            }
        }
        drop(sender);
        match judging.join() {
            Ok(judged) => Ok(judged?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Judges the completions of a batch in one call, so that a judge behind a network can work on many at once.
fn judge_batch(
    judge: &dyn Judge,
    requests: &[(&Item, SampleRequest)],
    sampled: Vec<Result<Sampled, EngineError>>,
    to_judge: fn(&str) -> &str,
) -> Result<Vec<Result<Judged, EngineError>>, ChatError> {
    let mut texts = Vec::new();
    for ((item, _), sampled) in requests.iter().zip(&sampled) {
        let completions = sampled.iter().flat_map(|sampled| &sampled.completions);
        texts.extend(completions.map(|completion| (*item, to_judge(&completion.text))));
    }
    let mut judgements = judge.judge(&texts)?.into_iter();
    let mut judged = Vec::with_capacity(sampled.len());
    for sampled in sampled {
        judged.push(sampled.map(|sampled| {
            Judged {
                prompt_tokens: sampled.prompt_ids.len(),
                completions: sampled
                    .completions
                    .into_iter()
                    .map(|completion| {
                        let judgement = judgements.next();
                        let missing = "the judge gave no judgement for this response";
                        (completion, judgement.unwrap_or_else(|| Err(Unscored::new(missing))))
                    })
                    .collect(),
            }
        }));
    }
    Ok(judged)
}
