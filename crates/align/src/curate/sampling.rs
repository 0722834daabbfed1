//! Draws and judges the samples of a curation, prompt after prompt, and keeps a journal so that no answer is drawn
//! twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread::{self, Scope, ScopedJoinHandle};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::ledger::Ledger;
use super::policies::{Policy, Wanted};
use super::samples::{Cursor, Sample};
use super::sorting::Sorter;
use super::{CurateError, Curation, SAMPLES, SETTINGS, SHARD, Shard};
use crate::chat::ChatError;
use crate::decontamination::{CONTAMINATED, Contamination};
use crate::files::{remove_if_exists, write_streamed};
use crate::json_lines::JsonLinesFile;
use crate::progress::Progress;
use crate::run_dir::AnswerFolder;
use crate::types::Item;
use crate::verdict::{Judge, Judgement, Unscored};

/// The journal that samples without a score are being drawn again from.
const BEFORE_RETRY: &str = "samples.before-retry.jsonl";

/// Draws and judges whatever the folder's journal lacks, and returns what the ledger keeps of each prompt.
///
/// A sample depends on its seed, prompt and weights alone, so a run that was killed ends with the same samples as one
/// that was not. Two batches of prompts are held at a time: one is judged while the next is drawn.
pub(super) fn draw<'a>(
    policies: &mut [Policy],
    curation: &Curation<'a>,
    shard: Option<Shard>,
    output: AnswerFolder,
    progress: &mut dyn Progress,
) -> Result<Ledger<'a>, CurateError> {
    let (settings, total) = settings(curation, shard, output.path)?;
    output.open(SAMPLES, SETTINGS, settings)?;
    let mut sampling = Sampling::open(curation, output.path, policies)?;
    progress.begin("curate", total);
    let outcome = thread::scope(|scope| {
        let mut judging = None;
        let drawn = sampling.draw_all(policies, shard, total, scope, &mut judging, progress);
        // Whatever ended the drawing, what was drawn before is kept.
        let recorded = judging.map_or(Ok(()), |judging| sampling.record(judging, progress));
        drawn.and(recorded)
    });
    sampling.journal.sync()?;
    let done = sampling.ledger.n_prompts;
    outcome.map_err(|error| match error {
        CurateError::Chat(ChatError::Interrupted) => CurateError::Interrupted { done, total },
        error => error,
    })?;
    progress.end();
    sampling.finish()
}

/// A curation under way.
struct Sampling<'c, 'a> {
    curation: &'c Curation<'a>,
    folder: PathBuf,
    policy_names: Vec<Option<String>>,
    journal: JsonLinesFile,
    /// Samples that an earlier call has journalled.
    earlier: Cursor<Sample>,
    /// All samples as they were before those without a score were to be drawn again.
    before_retry: Cursor<Sample>,
    contaminated: Option<JsonLinesFile>,
    contaminated_earlier: Cursor<Contamination>,
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

/// A batch whose answers are being judged.
type Judging<'scope> = ScopedJoinHandle<'scope, Result<Judged, ChatError>>;

/// A batch, and a judgement for each answer in it that lacked one.
type Judged = (Vec<Taken>, Vec<Judgement>);

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
    fn open(curation: &'c Curation<'a>, folder: &Path, policies: &[Policy]) -> Result<Self, CurateError> {
        let path = folder.join(SAMPLES);
        let before_retry = folder.join(BEFORE_RETRY);
        let mut journal = JsonLinesFile::open(&path)?;
        // A retry that was killed goes on: its copy is there still.
        if curation.retry_unscored && !before_retry.exists() {
            let mut whole = fs_err::File::open(&path)?;
            write_streamed(&before_retry, |copy| std::io::copy(&mut whole, copy).map(drop))?;
            journal.truncate(0)?;
        }
        let contaminated = folder.join(CONTAMINATED);
        let decontaminator = curation.decontaminator;
        Ok(Self {
            curation,
            folder: folder.to_owned(),
            policy_names: policies.iter().map(|policy| policy.name.clone()).collect(),
            journal,
            earlier: Cursor::open(&path)?,
            before_retry: Cursor::open(&before_retry)?,
            contaminated: decontaminator.map(|_| JsonLinesFile::open(&contaminated)).transpose()?,
            contaminated_earlier: Cursor::open(&contaminated)?,
            ledger: Ledger::new(curation, folder)?,
        })
    }

    /// Goes through the prompts batch by batch, and leaves the last one being judged.
    fn draw_all<'scope>(
        &mut self,
        policies: &mut [Policy],
        shard: Option<Shard>,
        total: usize,
        scope: &'scope Scope<'scope, '_>,
        judging: &mut Option<Judging<'scope>>,
        progress: &mut dyn Progress,
    ) -> Result<(), CurateError>
    where
        'a: 'scope,
    {
        let judge = self.curation.judge;
        let (mut n_seen, mut done) = (0, 0);
        let mut batch = Vec::new();
        for item in self.curation.pool.items()? {
            let item = item?;
            if shard.is_some_and(|shard| !shard.holds(&item.id)) {
                continue;
            }
            let state = self.state_of(&item)?;
            batch.push(Taken { item, state });
            n_seen += 1;
            // Where batches end depends on the pool alone, not on where an earlier run was stopped.
            if n_seen % self.curation.config.batch_size != 0 && n_seen != total {
                continue;
            }
            if progress.interrupted() {
                return Err(CurateError::Interrupted { done, total });
            }
            self.draw_missing(&mut batch, policies)?;
            if let Some(judging) = judging.take() {
                self.record(judging, progress)?;
            }
            let drawn = std::mem::take(&mut batch);
            *judging = Some(scope.spawn(move || {
                let judgements = judge_batch(judge, &drawn)?;
                Ok((drawn, judgements))
            }));
            done = n_seen;
        }
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
                Ok(_) => Known::Scored(sample),
                Err(_) => Known::Answered(sample.response?),
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

    /// Draws what a batch lacks.
    fn draw_missing(&mut self, batch: &mut [Taken], policies: &mut [Policy]) -> Result<(), CurateError> {
        let num_samples = self.curation.config.num_samples;
        for (index, policy) in policies.iter_mut().enumerate() {
            let mut wanted = Vec::with_capacity(batch.len());
            for Taken { item, state } in &*batch {
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
                if let State::Sampled(known) = &mut batch[place].state {
                    known.insert(number, answer.map_or_else(Known::Unanswered, Known::Answered));
                }
            }
        }
        Ok(())
    }

    /// Waits for a batch's judgements, writes its samples down and enters its prompts.
    fn record(&mut self, judging: Judging, progress: &mut dyn Progress) -> Result<(), CurateError> {
        let (batch, judgements) = match judging.join() {
            Ok(judged) => judged?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let mut judgements = judgements.into_iter();
        let n_prompts = batch.len();
        for Taken { item, state } in batch {
            match state {
                State::Contaminated(contamination) => self.ledger.enter_contaminated(&item, &contamination)?,
                State::Sampled(known) => {
                    let mut samples = Vec::with_capacity(known.len());
                    for (number, known) in known {
                        samples.push(self.settled(&item, number, known, &mut judgements)?);
                    }
                    self.ledger.enter(&item, &samples)?;
                }
            }
        }
        progress.advance(n_prompts);
        Ok(())
    }

    /// The sample that something known becomes; it is in the journal then.
    fn settled(
        &mut self,
        item: &Item,
        number: usize,
        known: Known,
        judgements: &mut impl Iterator<Item = Judgement>,
    ) -> Result<Sample, CurateError> {
        let (response, judgement) = match known {
            Known::Journalled(sample) => return Ok(sample),
            Known::Scored(sample) => (sample.response, sample.judgement),
            Known::Answered(response) => {
                let missing = || Err(Unscored::new("the judge gave no judgement for this response"));
                (Some(response), judgements.next().unwrap_or_else(missing))
            }
            Known::Unanswered(reason) => (None, Err(Unscored::new(format!("no answer: {reason}")))),
        };
        let policy = number / self.curation.config.num_samples;
        let sample = Sample {
            id: item.id.clone(),
            number,
            policy: self.policy_names.get(policy).cloned().flatten(),
            response,
            judgement,
        };
        self.journal.append(&sample)?;
        Ok(sample)
    }

    /// Ends the curation's first half: everything is on the disk.
    fn finish(mut self) -> Result<Ledger<'a>, CurateError> {
        self.earlier.check_ended("the last prompt")?;
        if let Some(contaminated) = &self.contaminated {
            contaminated.sync()?;
        }
        remove_if_exists(&self.folder.join(BEFORE_RETRY))?;
        Ok(self.ledger)
    }
}

/// Judges what a batch has of answers without a judgement, in the order of prompts and numbers.
fn judge_batch(judge: &dyn Judge, batch: &[Taken]) -> Result<Vec<Judgement>, ChatError> {
    let mut responses: Vec<(&Item, &str)> = Vec::new();
    for Taken { item, state } in batch {
        let State::Sampled(known) = state else { continue };
        responses.extend(known.values().filter_map(|known| match known {
            Known::Answered(response) => Some((item, response.as_str())),
            _ => None,
        }));
    }
    if responses.is_empty() {
        return Ok(Vec::new());
    }
    judge.judge(&responses)
}

/// What must be the same for samples to belong together, and how many prompts are in the shard, or in the pool, whose
/// ids are known to be unique then. `answers` is the folder of the samples.
pub(super) fn settings(
    curation: &Curation,
    shard: Option<Shard>,
    answers: &Path,
) -> Result<(serde_json::Value, usize), CurateError> {
    let home = curation.pool.home(answers);
    let mut hasher = Sha256::new();
    let mut n_prompts = 0;
    let mut ids = Sorter::new(answers);
    for (place, item) in curation.pool.items()?.enumerate() {
        let item = item?;
        hasher.update(serde_json::to_vec(&item.relative_to(home)).map_err(std::io::Error::from)?);
        n_prompts += usize::from(shard.is_none_or(|shard| shard.holds(&item.id)));
        ids.push((item.id, place))?;
    }
    curation.pool.check_unique(ids)?;
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
