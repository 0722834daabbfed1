//! The evaluation itself: answer, judge, sum up.

use std::collections::HashSet;
use std::path::Path;

use diagnostic::{Diagnosis, Diagnostic, Kind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{EvalSummary, JudgedResponse, RATES, summarize};
use crate::chat::{ChatError, ChatModel, ChatParams, ChatRequest, answers};
use crate::files::write_lines;
use crate::progress::Progress;
use crate::run_dir::{ContentHash, RunError, keep_settings, write_json};
use crate::seeds::derive_seed;
use crate::settings::{
    SettingError, check_at_least_zero, check_count, check_each, check_setting, check_some_share, settings_table,
};
use crate::types::Item;
use crate::verdict::{Judge, Unscored};

const SETTINGS: &str = "eval.resolved.json";
const RESPONSES: &str = "responses.jsonl";
const SUMMARY: &str = "summary.json";

/// So many batches are answered and then judged at a time, so that one slow call does not hold up every batch, and a
/// judge that cannot be used is found out early.
const BATCHES_AT_A_TIME: usize = 8;

settings_table! {
    /// How to evaluate; the defaults are the MIS paper's: greedy, 1,024 tokens.
    pub struct EvalConfig {
        /// The model's name in tables.
        pub model: String = "model".into(),
        /// 0 is greedy.
        pub temperature: f64 = 0.0,
        /// Keep the smallest set of tokens whose probability reaches this; 1 keeps all.
        pub top_p: f64 = 1.0,
        /// At most this many tokens a response.
        pub max_new_tokens: usize = 1024,
        /// Each item is sampled by a seed of its own, made of this and its id.
        pub seed: u64 = 0,
        /// How many items a model on this machine answers at a time; does not change the responses.
        pub batch_size: usize = 16,
        /// The rates to give; empty gives every one that the judge can tell.
        pub rates: Vec<String> = Vec::new(),
        /// Who says whether responses refuse.
        pub refusal: RefusalBy = RefusalBy::Phrases,
    }
}

/// Who says whether a response to a benchmark refuses, beside the benchmark's own judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalBy {
    /// Phrases in it.
    Phrases,
    /// The judges too, who tell safe completion from refusal.
    Judge,
}

impl EvalConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `eval`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        check_at_least_zero(&format!("{table}.temperature"), self.temperature)?;
        check_some_share(&format!("{table}.top_p"), self.top_p)?;
        check_each!(check_count, table, self, [max_new_tokens, batch_size])?;
        let expected = "names of rates such as `asr` or `over_refusal`";
        match self.rates.iter().find(|name| !RATES.iter().any(|rate| rate.name == name.as_str())) {
            Some(name) => check_setting(false, &format!("{table}.rates"), expected, format!("`{name}`")),
            None => Ok(()),
        }
    }
}

/// What to evaluate on, and who judges.
#[derive(Clone, Copy)]
pub struct Evaluation<'a> {
    /// The items.
    pub items: &'a [Item],
    /// Who judges the responses.
    pub judge: &'a dyn Judge,
    /// The settings.
    pub config: &'a EvalConfig,
    /// Who answers, by more than a name; a part of the settings that are kept.
    pub policy: &'a Value,
    /// How models judge, a part of the settings that are kept; null where none does.
    pub judging: &'a Value,
}

/// What an evaluation came to.
#[derive(Clone, Debug)]
pub struct EvalOutcome {
    /// The figures.
    pub summary: EvalSummary,
    /// The responses, in the order of the items; image paths are relative to the folder.
    pub responses: Vec<JudgedResponse>,
}

/// Why an evaluation failed.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// The model or the judge stopped early. What they answered is in their journals.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// The folder holds another evaluation.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A file could not be written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// There is nothing to evaluate on.
    #[error("no items: expected at least one to evaluate on")]
    NoItems,
    /// Two items share an id, so their responses could not be matched.
    #[error("item id `{0}` occurs twice: expected unique ids")]
    RepeatedId(String),
    /// A setting cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A judge did not return one judgement for each response.
    #[error("{judge}: expected {expected} judgements, got {got}")]
    Count {
        /// The judge's name.
        judge: String,
        /// How many were requested.
        expected: usize,
        /// How many came.
        got: usize,
    },
}

impl Diagnostic for EvalError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Chat(error) => error.diagnosis(),
            Self::Run(error) => error.diagnosis(),
            Self::Io(error) => error.diagnosis(),
            Self::Setting(error) => error.diagnosis(),
            Self::NoItems | Self::RepeatedId(_) => Kind::Data.into(),
            Self::Count { .. } => Kind::Engine.into(),
        }
    }
}

/// Has each item answered and judged, and sums up.
///
/// The folder gets `eval.resolved.json`, and once everything is judged `responses.jsonl` and `summary.json`. Nothing is
/// resumed here: models answer from their journals what they answered before, so that the same call after a stop ends
/// in the same bytes.
///
/// Errors: [`EvalError`].
pub fn run(
    model: &dyn ChatModel,
    evaluation: &Evaluation,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<EvalOutcome, EvalError> {
    let Evaluation { items, judge, config, .. } = *evaluation;
    check_items(items)?;
    config.validate("eval")?;
    let rates = rates(config, judge)?;
    keep_settings(&folder.join(SETTINGS), &evaluation.settings(folder)?)?;
    let mut responses = Vec::with_capacity(items.len());
    progress.begin(&format!("evaluate {}", config.model), items.len());
    for part in items.chunks(config.batch_size * BATCHES_AT_A_TIME) {
        if progress.interrupted() {
            return Err(ChatError::Interrupted.into());
        }
        responses.extend(evaluation.respond(model, part, folder, progress)?);
    }
    progress.end();
    let summary = summarize(&config.model, judge.name(), &responses, &rates);
    write_lines(&folder.join(RESPONSES), &responses)?;
    write_json(&folder.join(SUMMARY), &summary)?;
    Ok(EvalOutcome { summary, responses })
}

pub(super) fn check_items(items: &[Item]) -> Result<(), EvalError> {
    let mut ids = HashSet::new();
    match items.iter().find(|item| !ids.insert(&item.id)) {
        Some(item) => Err(EvalError::RepeatedId(item.id.clone())),
        None if items.is_empty() => Err(EvalError::NoItems),
        None => Ok(()),
    }
}

/// The rates to give: those that the settings name, or all that the judge can tell.
fn rates(config: &EvalConfig, judge: &dyn Judge) -> Result<Vec<String>, SettingError> {
    let known: Vec<&str> = judge.rates().map_or_else(|| RATES.iter().map(|rate| rate.name).collect(), <[&str]>::to_vec);
    if config.rates.is_empty() {
        return Ok(known.into_iter().map(str::to_owned).collect());
    }
    let unknown = config.rates.iter().find(|name| !known.contains(&name.as_str()));
    let expected = format!("rates that `{}` supports: {}", judge.name(), known.join(", "));
    let got = unknown.map_or_else(String::new, |name| format!("`{name}`"));
    check_setting(unknown.is_none(), "eval.rates", &expected, got)?;
    Ok(config.rates.clone())
}

impl Evaluation<'_> {
    /// What the results are made with.
    fn settings(&self, folder: &Path) -> Result<Value, EvalError> {
        let mut hash = ContentHash::default();
        for item in self.items {
            hash.add(&item.relative_to(folder))?;
        }
        let config = self.config;
        let mut settings = json!({
            "model": config.model, "judge": self.judge.name(), "temperature": config.temperature,
            "top_p": config.top_p, "max_new_tokens": config.max_new_tokens, "seed": config.seed,
            "policy": self.policy, "items_sha256": hash.finish(),
        });
        if !self.judging.is_null() {
            settings["judging"] = self.judging.clone();
        }
        Ok(settings)
    }

    /// The judged responses to some items, in their order.
    fn respond(
        &self,
        model: &dyn ChatModel,
        items: &[Item],
        folder: &Path,
        progress: &mut dyn Progress,
    ) -> Result<Vec<JudgedResponse>, EvalError> {
        let requests = items.iter().map(|item| self.request(item)).collect();
        let answers = answers(model, requests, &mut || progress.advance(1))?;
        let mut answered: Vec<(&Item, &str)> = Vec::with_capacity(items.len());
        for (item, answer) in items.iter().zip(&answers) {
            answered.extend(answer.as_ref().ok().map(|answer| (item, answer.text.as_str())));
        }
        let judgements = self.judge.judge(&answered)?;
        if judgements.len() != answered.len() {
            return Err(EvalError::Count {
                judge: self.judge.name().to_owned(),
                expected: answered.len(),
                got: judgements.len(),
            });
        }
        let mut judgements = judgements.into_iter();
        let mut responses = Vec::with_capacity(items.len());
        for (item, answer) in items.iter().zip(answers) {
            let (response, judgement) = match answer {
                Ok(answer) => (answer.text, judgements.next()),
                Err(unanswered) => (String::new(), Some(Err(Unscored::new(format!("no answer: {unanswered}"))))),
            };
            responses.push(JudgedResponse {
                item: item.relative_to(folder),
                response,
                judgement: judgement.unwrap_or_else(|| Err(Unscored::new("no judgement"))),
            });
        }
        Ok(responses)
    }

    fn request(&self, item: &Item) -> ChatRequest {
        let params = ChatParams {
            temperature: self.config.temperature,
            top_p: self.config.top_p,
            max_tokens: self.config.max_new_tokens,
            // A seed of the item's own, so that its response does not depend on which items stand before it.
            seed: derive_seed(self.config.seed, &item.id, &[]),
            ..ChatParams::default()
        };
        ChatRequest::of_item(item, params)
    }
}

#[cfg(test)]
mod tests;
