//! Sampling and judging, one beside the other: while some responses are judged, the next are drawn.

use std::sync::mpsc;
use std::thread;

use super::Rollout;
use crate::chat::ChatError;
use crate::engine::{Engine, EngineError, SampleRequest, Sampled, sample_usable};
use crate::training::TrainingError;
use crate::types::Item;
use crate::verdict::{Judge, Judgement};

/// What was drawn for a request, and a judgement for each of its completions; or why the request cannot be used.
pub(super) type Judged = Result<(Sampled, Vec<Judgement>), EngineError>;

/// Requests that were drawn for, each for its item.
type Drawn<'a> = (&'a [(&'a Item, SampleRequest)], Vec<Result<Sampled, EngineError>>);

/// Draws completions for each item's request and has what `judged` makes of each text judged. The judge works on a
/// thread of its own, part by part as [`super::RolloutConfig::batch_size`] cuts them, in order; a judge that stalls is
/// waited for.
///
/// Errors: the engine's; `Judge` where the judge had to stop.
pub(super) fn draw_judged(
    rollout: &Rollout,
    engine: &mut dyn Engine,
    requests: &[(&Item, SampleRequest)],
    max_new_tokens: usize,
    judged: fn(&str) -> &str,
) -> Result<Vec<Judged>, TrainingError> {
    let params = rollout.config.params(max_new_tokens);
    let judge = rollout.judge;
    let batch_size = match rollout.config.batch_size {
        0 => requests.len().max(1),
        batch_size => batch_size,
    };
    thread::scope(|scope| {
        let (hand_over, drawn) = mpsc::channel::<Drawn>();
        let judging = scope.spawn(move || -> Result<Vec<Judged>, ChatError> {
            let mut all = Vec::new();
            for (requests, sampled) in drawn {
                all.extend(judge_part(judge, requests, sampled, judged)?);
            }
            Ok(all)
        });
        for part in requests.chunks(batch_size) {
            let asked: Vec<SampleRequest> = part.iter().map(|(_, request)| request.clone()).collect();
            let sampled = sample_usable(engine, &asked, &params)?;
            // The judge has gone where it had to stop; it says why below.
            if hand_over.send((part, sampled)).is_err() {
                break;
            }
        }
        drop(hand_over);
        match judging.join() {
            Ok(judged) => Ok(judged?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Judges the completions of some requests in one go, so that a judge behind a network can work on many at once.
fn judge_part(
    judge: &dyn Judge,
    requests: &[(&Item, SampleRequest)],
    sampled: Vec<Result<Sampled, EngineError>>,
    judged: fn(&str) -> &str,
) -> Result<Vec<Judged>, ChatError> {
    let texts = requests.iter().zip(&sampled).flat_map(|((item, _), sampled)| {
        let completions = sampled.iter().flat_map(|sampled| &sampled.completions);
        completions.map(|completion| (*item, judged(&completion.text)))
    });
    let mut judgements = judge.judge(&texts.collect::<Vec<_>>())?.into_iter();
    let mut with_judgements = |sampled: Sampled| {
        let of_each = sampled.completions.iter().map(|_| {
            let missing = || Judgement::Unscored("the judge gave no judgement for this response".into());
            judgements.next().unwrap_or_else(missing)
        });
        let of_each = of_each.collect();
        (sampled, of_each)
    };
    Ok(sampled
        .into_iter()
        .map(|sampled| sampled.map(&mut with_judgements))
        .collect())
}
