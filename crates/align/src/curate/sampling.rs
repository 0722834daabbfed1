//! Has the prompts of a pool answered and judged, batch after batch.
//!
//! Nothing is resumed here: models answer from their journals what they answered before, so that the file of samples
//! ends in the same bytes however often the work was stopped. Once it is there it is not made again.

use std::io::Write;
use std::path::Path;
use std::thread::{self, ScopedJoinHandle};

use serde_json::{Value, json};

use super::curation::Curation;
use super::error::CurateError;
use super::policies::{Answer, Policy, answers_of};
use super::pool::Shard;
use super::samples::{SAMPLES, Sample};
use super::sorting::Sorter;
use crate::chat::ChatError;
use crate::decontamination::{CONTAMINATED, Contamination};
use crate::files::{write_line, write_streamed};
use crate::progress::Progress;
use crate::run_dir::{ContentHash, keep_settings};
use crate::types::{DataError, Item};
use crate::verdict::{Judge, Judgement, Unscored};

/// The settings that samples are made with.
pub(super) const SETTINGS: &str = "sampling.json";
/// The setting that tells a shard from a whole curation.
pub(super) const SHARD: &str = "shard";

/// Leaves the samples of the pool, or of a shard of it, in the folder.
///
/// Two batches of prompts are held at a time: one is judged while the next is answered.
pub(super) fn sample(
    policies: &[Policy],
    curation: &Curation,
    shard: Option<Shard>,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<(), CurateError> {
    let (settings, n_prompts) = settings(curation, shard, folder)?;
    keep_settings(&folder.join(SETTINGS), &settings)?;
    let path = folder.join(SAMPLES);
    if path.exists() && !curation.sample_again {
        return Ok(());
    }
    let sampling = Sampling { policies, curation, shard };
    progress.begin("curate", n_prompts);
    write_streamed(&path, |samples| match curation.decontaminator {
        None => sampling.write(samples, &mut std::io::sink(), progress),
        Some(_) => {
            write_streamed(&folder.join(CONTAMINATED), |contaminated| sampling.write(samples, contaminated, progress))
        }
    })?;
    progress.end();
    Ok(())
}

struct Sampling<'c> {
    policies: &'c [Policy<'c>],
    curation: &'c Curation<'c>,
    shard: Option<Shard>,
}

/// A prompt, and what became of it.
struct Prompt {
    item: Item,
    fate: Fate,
}

enum Fate {
    Contaminated(Contamination),
    /// The answers by number.
    Answered(Vec<Answer>),
}

/// A batch that is being judged: its prompts, and a judgement for each answer.
type Judging<'scope> = ScopedJoinHandle<'scope, Result<(Vec<Prompt>, Vec<Judgement>), ChatError>>;

impl Sampling<'_> {
    fn write(
        &self,
        samples: &mut dyn Write,
        contaminated: &mut dyn Write,
        progress: &mut dyn Progress,
    ) -> Result<(), CurateError> {
        let judge = self.curation.judge;
        thread::scope(|scope| {
            let mut judging: Option<Judging> = None;
            let mut items = self.curation.pool.items()?;
            loop {
                if progress.interrupted() {
                    return Err(ChatError::Interrupted.into());
                }
                let batch = self.answered(&mut items)?;
                let is_last = batch.is_empty();
                if let Some(judging) = judging.take() {
                    progress.advance(self.record(judging, samples, contaminated)?);
                }
                if is_last {
                    return Ok(());
                }
                judging = Some(scope.spawn(move || {
                    let judgements = judge_batch(judge, &batch)?;
                    Ok((batch, judgements))
                }));
            }
        })
    }

    /// The next prompts, answered unless they are contaminated; none at the end.
    fn answered(&self, items: &mut dyn Iterator<Item = Result<Item, DataError>>) -> Result<Vec<Prompt>, CurateError> {
        let mut batch = Vec::new();
        for item in items {
            let item = item?;
            if self.shard.is_some_and(|shard| !shard.holds(&item.id)) {
                continue;
            }
            let contamination = self.curation.decontaminator.and_then(|it| it.check(&item));
            let fate = contamination.map_or(Fate::Answered(Vec::new()), Fate::Contaminated);
            batch.push(Prompt { item, fate });
            if batch.len() == self.curation.config.batch_size {
                break;
            }
        }
        let (mut open, mut answers) = (Vec::new(), Vec::new());
        for prompt in &mut batch {
            if let Fate::Answered(of_prompt) = &mut prompt.fate {
                open.push(&prompt.item);
                answers.push(of_prompt);
            }
        }
        let all = answers_of(self.policies, &open, self.curation.config)?;
        for (of_prompt, answered) in answers.into_iter().zip(all) {
            *of_prompt = answered;
        }
        Ok(batch)
    }

    /// Waits for a batch's judgements and writes its samples down; returns how many prompts it has.
    fn record(
        &self,
        judging: Judging,
        samples: &mut dyn Write,
        contaminated: &mut dyn Write,
    ) -> Result<usize, CurateError> {
        let (batch, judgements) = match judging.join() {
            Ok(judged) => judged?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let n_prompts = batch.len();
        let mut judgements = judgements.into_iter();
        for Prompt { item, fate } in batch {
            let answers = match fate {
                Fate::Answered(answers) => answers,
                Fate::Contaminated(contamination) => {
                    write_line(contaminated, &contamination)?;
                    continue;
                }
            };
            for (number, answer) in answers.into_iter().enumerate() {
                let policy = &self.policies[number / self.curation.config.num_samples];
                let (response, judgement) = match answer {
                    Ok(response) => (Some(response), judgements.next()),
                    Err(reason) => (None, Some(Err(Unscored::new(format!("no answer: {reason}"))))),
                };
                let judgement =
                    judgement.unwrap_or_else(|| Err(Unscored::new("the judge gave no judgement for this response")));
                let sample = Sample { id: item.id.clone(), number, policy: policy.name.clone(), response, judgement };
                write_line(samples, &sample)?;
            }
        }
        Ok(n_prompts)
    }
}

/// Judges a batch's answers, in the order of prompts and numbers.
fn judge_batch(judge: &dyn Judge, batch: &[Prompt]) -> Result<Vec<Judgement>, ChatError> {
    let mut responses: Vec<(&Item, &str)> = Vec::new();
    for Prompt { item, fate } in batch {
        if let Fate::Answered(answers) = fate {
            let answers = answers.iter().flatten();
            responses.extend(answers.map(|response| (item, response.as_str())));
        }
    }
    if responses.is_empty() {
        return Ok(Vec::new());
    }
    judge.judge(&responses)
}

/// What must be the same for samples to belong together, and how many prompts are in the shard, or in the pool, whose
/// ids are known to be unique then. `folder` is that of the samples.
pub(super) fn settings(
    curation: &Curation,
    shard: Option<Shard>,
    folder: &Path,
) -> Result<(Value, usize), CurateError> {
    let home = curation.pool.home(folder);
    let mut hash = ContentHash::default();
    let mut n_prompts = 0;
    let mut ids = Sorter::new(folder);
    for (place, item) in curation.pool.items()?.enumerate() {
        let item = item?;
        hash.add(&item.relative_to(home))?;
        n_prompts += usize::from(shard.is_none_or(|shard| shard.holds(&item.id)));
        ids.push((item.id, place))?;
    }
    curation.pool.check_unique(ids)?;
    let mut settings = json!({
        "num_samples": curation.config.num_samples,
        "temperature": curation.config.temperature,
        "top_p": curation.config.top_p,
        "max_completion_length": curation.config.max_completion_length,
        "seed": curation.config.seed,
        "judge": curation.judge.name(),
        "policy": curation.policy,
        "items_sha256": hash.finish(),
    });
    if let Some(decontaminator) = curation.decontaminator {
        settings["decontamination"] = decontaminator.settings();
    }
    if let Some(shard) = shard {
        settings[SHARD] = json!(shard);
    }
    Ok((settings, n_prompts))
}
