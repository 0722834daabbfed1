//! The evaluation on a suite itself: answer, score, sum up.

use std::path::Path;

use serde_json::{Value, json};

use super::protocol::{Better, Protocol};
use super::record::{Ended, Sample, SuiteRecord};
use super::summary::{RateInfo, SuiteSummary, summarize};
use crate::chat::{ChatAnswer, ChatError, ChatModel, ChatParams, ChatRequest, Unanswered, answers};
use crate::eval::EvalError;
use crate::files::write_lines;
use crate::progress::Progress;
use crate::run_dir::{ContentHash, keep_settings, write_json};
use crate::seeds::derive_seed;
use crate::types::Item;
use crate::verdict::{Judgement, Unscored};

const SETTINGS: &str = "eval.resolved.json";
const RESPONSES: &str = "responses.jsonl";
const SUMMARY: &str = "summary.json";

/// What a response scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// By the suite's rule, or by the judges together.
    pub judgement: Judgement<Value>,
    /// What each judge says, where there are several.
    pub by_judge: Vec<Value>,
}

impl Scored {
    /// What a rule or a single judge says.
    pub fn of(judgement: Judgement<Value>) -> Self {
        Self { judgement, by_judge: Vec::new() }
    }
}

/// A suite's rule, or models that judge as the suite's authors ask them.
pub trait Scorer {
    /// Its name with its version, for records.
    fn name(&self) -> String;

    /// Scores each response to its item; one for each, in order.
    ///
    /// Errors: [`ChatError`] where judges must stop before all are scored.
    fn score(&self, responses: &[(&Item, &str)]) -> Result<Vec<Scored>, ChatError>;
}

/// What to evaluate on, and how.
#[derive(Clone, Copy)]
pub struct SuiteEvaluation<'a> {
    /// How verdicts become rates.
    pub protocol: &'a Protocol,
    /// The items.
    pub items: &'a [Item],
    /// Who scores.
    pub scorer: &'a dyn Scorer,
    /// How the model answers; each item's seed is made of this one and its id.
    pub params: &'a ChatParams,
    /// So many items are answered and then scored at a time.
    pub at_a_time: usize,
    /// What the results are made with, beyond the items: kept, and compared when the evaluation is resumed.
    pub settings: &'a Value,
}

/// What an evaluation on a suite came to.
#[derive(Clone, Debug)]
pub struct SuiteOutcome {
    /// The figures.
    pub summary: SuiteSummary,
    /// The records, in the order of the items.
    pub records: Vec<SuiteRecord>,
}

/// Has each item answered and scored, and sums up. `about` is the summary without rates and groups, which are filled in.
///
/// The folder gets `eval.resolved.json`, and once everything is scored `responses.jsonl` and `summary.json`. Nothing is
/// resumed here: models answer from their journals what they answered before, so that the same call after a stop ends
/// in the same bytes.
///
/// Errors: [`EvalError`].
pub fn run(
    model: &dyn ChatModel,
    evaluation: &SuiteEvaluation,
    about: SuiteSummary,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<SuiteOutcome, EvalError> {
    let SuiteEvaluation { items, protocol, .. } = *evaluation;
    crate::eval::run::check_items(items)?;
    keep_settings(&folder.join(SETTINGS), &evaluation.kept_settings(folder)?)?;
    let mut records = Vec::with_capacity(items.len());
    progress.begin(&format!("{} {}", about.suite, about.model), items.len() * protocol.samples);
    for part in items.chunks(evaluation.at_a_time.max(1)) {
        if progress.interrupted() {
            return Err(ChatError::Interrupted.into());
        }
        records.extend(evaluation.records(model, part, folder, progress)?);
    }
    progress.end();
    let summary = SuiteSummary { groups: summarize(&records, protocol), ..protocol.described(about) };
    write_lines(&folder.join(RESPONSES), &records)?;
    write_json(&folder.join(SUMMARY), &summary)?;
    Ok(SuiteOutcome { summary, records })
}

/// Asks what [`run()`] would ask and keeps nothing: for models that only count what they are asked.
///
/// Errors: as [`run()`].
pub fn rehearse(
    model: &dyn ChatModel,
    evaluation: &SuiteEvaluation,
    progress: &mut dyn Progress,
) -> Result<(), EvalError> {
    crate::eval::run::check_items(evaluation.items)?;
    for part in evaluation.items.chunks(evaluation.at_a_time.max(1)) {
        if progress.interrupted() {
            return Err(ChatError::Interrupted.into());
        }
        evaluation.records(model, part, Path::new(""), progress)?;
    }
    Ok(())
}

impl Protocol {
    /// The summary with the names of rates and scores.
    fn described(&self, about: SuiteSummary) -> SuiteSummary {
        let info = |name: &str, heading: &str, better| RateInfo { name: name.into(), heading: heading.into(), better };
        let mut rates: Vec<RateInfo> =
            self.metrics.iter().map(|metric| info(metric.name, metric.heading, metric.better)).collect();
        rates.extend(self.combined.iter().map(|combined| info(combined.name, combined.heading, combined.better)));
        let scores = self.scores.iter().map(|score| info(score.name, score.heading, Better::Higher)).collect();
        SuiteSummary { rates, scores, ..about }
    }
}

impl SuiteEvaluation<'_> {
    fn kept_settings(&self, folder: &Path) -> Result<Value, EvalError> {
        let mut hash = ContentHash::default();
        for item in self.items {
            hash.add(&item.relative_to(folder))?;
        }
        Ok(json!({
            "scored_by": self.scorer.name(), "samples": self.protocol.samples, "params": self.params,
            "settings": self.settings, "items_sha256": hash.finish(),
        }))
    }

    /// The records of some items, in their order.
    fn records(
        &self,
        model: &dyn ChatModel,
        items: &[Item],
        folder: &Path,
        progress: &mut dyn Progress,
    ) -> Result<Vec<SuiteRecord>, EvalError> {
        let samples = self.protocol.samples.max(1);
        let requests = items.iter().flat_map(|item| (0..samples).map(|sample| self.request(item, sample)));
        let answers = answers(model, requests.collect(), &mut || progress.advance(1))?;
        let answered: Vec<(&Item, &str)> = answers
            .iter()
            .enumerate()
            .filter_map(|(index, answer)| Some((&items[index / samples], answer.as_ref().ok()?.text.as_str())))
            .collect();
        let scored = self.scorer.score(&answered)?;
        if scored.len() != answered.len() {
            let (judge, expected, got) = (self.scorer.name(), answered.len(), scored.len());
            return Err(EvalError::Count { judge, expected, got });
        }
        let mut scored = scored.into_iter();
        let mut answers = answers.into_iter().map(|answer| match answer {
            Ok(answer) => answered_sample(answer, scored.next()),
            Err(unanswered) => unanswered_sample(&unanswered),
        });
        let mut records = Vec::with_capacity(items.len());
        for item in items {
            let samples = answers.by_ref().take(samples).collect();
            records.push(self.protocol.record(item.relative_to(folder), samples));
        }
        Ok(records)
    }

    fn request(&self, item: &Item, sample: usize) -> ChatRequest {
        // The first sample has the seed that an only one would have.
        let more: &[u64] = &[sample as u64];
        let seed = derive_seed(self.params.seed, &item.id, if sample == 0 { &[] } else { more });
        ChatRequest::of_item(item, ChatParams { seed, ..self.params.clone() })
    }
}

fn answered_sample(answer: ChatAnswer, scored: Option<Scored>) -> Sample {
    let ended = if answer.is_truncated() { Ended::Length } else { Ended::Stop };
    let scored = scored.unwrap_or_else(|| Scored::of(Err(Unscored::new("no judgement"))));
    Sample { response: answer.text, ended, judgement: scored.judgement, by_judge: scored.by_judge }
}

fn unanswered_sample(unanswered: &Unanswered) -> Sample {
    let ended = if unanswered.is_refused { Ended::Refused } else { Ended::Failed };
    let judgement = Err(Unscored::new(format!("no answer: {unanswered}")));
    Sample { response: String::new(), ended, judgement, by_judge: Vec::new() }
}
