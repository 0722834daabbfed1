//! Draws and judges the samples of a curation, prompt after prompt, and keeps a journal so that no answer is drawn twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::ledger::Ledger;
use super::policies::{Policy, Wanted};
use super::samples::{Cursor, Sample};
use super::{CurateError, Curation, SAMPLES, SETTINGS, SHARD, Shard};
use crate::chat::ChatError;
use crate::decontamination::{CONTAMINATED, Contamination};
use crate::progress::Progress;
use crate::run_dir::{AnswerFolder, Journal, remove_if_there};
use crate::types::Item;
use crate::verdict::Judgement;

/// The journal that samples without a score are being drawn again from.
const BEFORE_RETRY: &str = "samples.before-retry.jsonl";

/// Draws and judges whatever the folder's journal lacks, and returns what the ledger keeps of each prompt.
///
/// A sample depends on its seed, prompt and weights alone, so a run that was killed ends with the same samples as one
/// that was not. At most one batch of prompts is held at a time.
pub(super) fn draw<'a>(
    policies: &mut [Policy],
    curation: &Curation<'a>,
    shard: Option<Shard>,
    output: AnswerFolder,
    progress: &mut dyn Progress,
) -> Result<Ledger<'a>, CurateError> {
    let (settings, total) = settings(curation, shard)?;
    output.open(SAMPLES, SETTINGS, settings)?;
    let mut sampling = Sampling::open(curation, output.path)?;
    progress.begin("curate", total);
    let mut n_seen = 0;
    for item in curation.pool.items()? {
        let item = item?;
        if shard.is_some_and(|shard| !shard.holds(&item.id)) {
            continue;
        }
        n_seen += 1;
        sampling.take(item)?;
        // Where batches end depends on the pool alone, not on where an earlier run was stopped.
        if n_seen % curation.config.batch_size == 0 || n_seen == total {
            let done = sampling.ledger.len();
            if progress.interrupted() {
                sampling.journal.sync()?;
                return Err(CurateError::Interrupted { done, total });
            }
            sampling.settle(policies).map_err(|error| stopped(error, done, total))?;
            progress.advance(sampling.ledger.len() - done);
        }
    }
    progress.end();
    sampling.finish()
}

/// A model that was told to stop stopped the curation.
fn stopped(error: CurateError, done: usize, total: usize) -> CurateError {
    match error {
        CurateError::Chat(ChatError::Interrupted) => CurateError::Interrupted { done, total },
        error => error,
    }
}

/// A curation under way.
struct Sampling<'c, 'a> {
    curation: &'c Curation<'a>,
    folder: PathBuf,
    journal: Journal,
    /// Samples that an earlier call has journalled.
    earlier: Cursor<Sample>,
    /// All samples as they were before those without a score were to be drawn again.
    before_retry: Cursor<Sample>,
    contaminated: Option<Journal>,
    contaminated_earlier: Cursor<Contamination>,
    batch: Vec<Taken>,
    ledger: Ledger<'a>,
}

/// A prompt of the batch.
struct Taken {
    item: Item,
    state: State,
}

enum State {
    Contaminated(Contamination),
    /// What is known of each sample, by number.
    Sampled(BTreeMap<usize, Known>),
}

/// What is known of a sample.
enum Known {
    Journalled(Sample),
    /// Scored before, but not yet in this journal.
    Scored(Sample),
    /// Answered, and to be judged.
    Answered(String),
    Unanswered(String),
}

impl<'c, 'a> Sampling<'c, 'a> {
    fn open(curation: &'c Curation<'a>, folder: &Path) -> Result<Self, CurateError> {
        let path = folder.join(SAMPLES);
        let before_retry = folder.join(BEFORE_RETRY);
        let mut journal = Journal::open(&path)?;
        // A retry that was killed goes on: its copy is there still.
        if curation.retry_unscored && !before_retry.exists() {
            fs_err::copy(&path, &before_retry)?;
            journal.cut_to(0)?;
        }
        let contaminated = folder.join(CONTAMINATED);
        let decontaminator = curation.decontaminator;
        Ok(Self {
            curation,
            folder: folder.to_owned(),
            journal,
            earlier: Cursor::open(&path)?,
            before_retry: Cursor::open(&before_retry)?,
            contaminated: decontaminator.map(|_| Journal::open(&contaminated)).transpose()?,
            contaminated_earlier: Cursor::open(&contaminated)?,
            batch: Vec::new(),
            ledger: Ledger::new(curation),
        })
    }

    /// Puts a prompt into the batch, with what is known of it already.
    fn take(&mut self, item: Item) -> Result<(), CurateError> {
        let state = self.state_of(&item)?;
        self.batch.push(Taken { item, state });
        Ok(())
    }

    fn state_of(&mut self, item: &Item) -> Result<State, CurateError> {
        if let Some(contamination) = self.contaminated_earlier.next_of(&item.id)? {
            return Ok(State::Contaminated(contamination));
        }
        let journalled = self.earlier.samples_of(&item.id)?;
        let before_retry = self.before_retry.samples_of(&item.id)?;
        let is_new = journalled.is_empty() && before_retry.is_empty();
        if let (true, Some(decontaminator), Some(journal)) =
            (is_new, self.curation.decontaminator, &mut self.contaminated)
            && let Some(contamination) = decontaminator.check(item)
        {
            journal.append(&contamination)?;
            return Ok(State::Contaminated(contamination));
        }
        let before_retry = before_retry.into_iter().filter_map(|(number, sample)| {
            let known = match sample.judgement {
                Judgement::Verdict(_) => Known::Scored(sample),
                Judgement::Unscored(_) => Known::Answered(sample.response?),
            };
            Some((number, known))
        });
        let mut known: BTreeMap<usize, Known> = before_retry.collect();
        known.extend(
            journalled
                .into_iter()
                .map(|(number, sample)| (number, Known::Journalled(sample))),
        );
        Ok(State::Sampled(known))
    }

    /// Draws, judges, journals and enters what the batch lacks, and empties it.
    fn settle(&mut self, policies: &mut [Policy]) -> Result<(), CurateError> {
        self.draw_missing(policies)?;
        let mut judgements = self.judge()?.into_iter();
        for Taken { item, state } in std::mem::take(&mut self.batch) {
            let known = match state {
                State::Contaminated(contamination) => {
                    self.ledger.enter_contaminated(&item, &contamination);
                    continue;
                }
                State::Sampled(known) => known,
            };
            let mut samples = Vec::with_capacity(known.len());
            for (number, known) in known {
                let sample = |response, judgement| Sample {
                    id: item.id.clone(),
                    number,
                    policy: policies[number / self.curation.config.num_samples].name.clone(),
                    response,
                    judgement,
                };
                let (sample, is_journalled) = match known {
                    Known::Journalled(sample) => (sample, true),
                    Known::Scored(sample) => (sample, false),
                    Known::Answered(response) => {
                        let judgement = judgements.next().unwrap_or_else(no_judgement);
                        (sample(Some(response), judgement), false)
                    }
                    Known::Unanswered(reason) => {
                        let judgement = Judgement::Unscored(format!("no answer: {reason}"));
                        (sample(None, judgement), false)
                    }
                };
                if !is_journalled {
                    self.journal.append(&sample)?;
                }
                samples.push(sample);
            }
            self.ledger.enter(&item, &samples);
        }
        Ok(())
    }

    fn draw_missing(&mut self, policies: &mut [Policy]) -> Result<(), CurateError> {
        let num_samples = self.curation.config.num_samples;
        for (index, policy) in policies.iter_mut().enumerate() {
            let mut wanted = Vec::new();
            for Taken { item, state } in &self.batch {
                let numbers: Vec<usize> = match state {
                    State::Contaminated(_) => Vec::new(),
                    State::Sampled(known) => (index * num_samples..(index + 1) * num_samples)
                        .filter(|number| !known.contains_key(number))
                        .collect(),
                };
                if !numbers.is_empty() {
                    self.earlier.check_ended(&item.id)?;
                }
                wanted.push(Wanted { item, numbers });
            }
            let mut answers = Vec::new();
            policy.draw(&wanted, self.curation.config, &mut |place, number, answer| {
                answers.push((place, number, answer));
            })?;
            for (place, number, answer) in answers {
                if let State::Sampled(known) = &mut self.batch[place].state {
                    known.insert(number, answer.map_or_else(Known::Unanswered, Known::Answered));
                }
            }
        }
        Ok(())
    }

    /// Judges what was answered, in the order of prompts and numbers.
    fn judge(&self) -> Result<Vec<Judgement>, CurateError> {
        let mut responses: Vec<(&Item, &str)> = Vec::new();
        for Taken { item, state } in &self.batch {
            let State::Sampled(known) = state else { continue };
            responses.extend(known.values().filter_map(|known| match known {
                Known::Answered(response) => Some((item, response.as_str())),
                _ => None,
            }));
        }
        Ok(self.curation.judge.judge(&responses))
    }

    /// Ends the curation's first half: everything is on the disk.
    fn finish(mut self) -> Result<Ledger<'a>, CurateError> {
        self.earlier.check_ended("the last prompt")?;
        self.journal.sync()?;
        if let Some(contaminated) = &self.contaminated {
            contaminated.sync()?;
        }
        remove_if_there(&self.folder.join(BEFORE_RETRY))?;
        Ok(self.ledger)
    }
}

fn no_judgement() -> Judgement {
    Judgement::Unscored("the judge said nothing".to_owned())
}

/// What must be the same for samples to belong together, and how many prompts are in the shard, or in the pool.
pub(super) fn settings(
    curation: &Curation,
    shard: Option<Shard>,
) -> Result<(serde_json::Value, usize), CurateError> {
    let mut hasher = Sha256::new();
    let mut n_prompts = 0;
    for item in curation.pool.items()? {
        let item = item?;
        hasher.update(serde_json::to_vec(&item).map_err(std::io::Error::from)?);
        n_prompts += usize::from(shard.is_none_or(|shard| shard.holds(&item.id)));
    }
    let sha256 = hasher
        .finalize()
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let mut settings = json!({
        "num_samples": curation.config.num_samples,
        "temperature": curation.config.temperature,
        "top_p": curation.config.top_p,
        "max_completion_length": curation.config.max_completion_length,
        "seed": curation.config.seed,
        "judge": curation.judge.name(),
        "items_sha256": sha256,
    });
    if let Some(decontaminator) = curation.decontaminator {
        settings["decontamination"] = decontaminator.settings();
    }
    if let Some(shard) = shard {
        settings[SHARD] = json!(shard);
    }
    Ok((settings, n_prompts))
}
