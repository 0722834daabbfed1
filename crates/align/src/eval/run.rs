//! The evaluation itself: sample, judge, journal, sum up.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use diagnostic::{Diagnosis, Diagnostic, Kind};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{EvalSummary, JudgedResponse, RATES, summarize};
use crate::chat::ChatError;
use crate::engine::{Engine, EngineError, SampleRequest, SamplingParams};
use crate::files::{write_atomically, write_lines};
use crate::json_lines::{JsonLinesFile, read_json_lines};
use crate::progress::Progress;
use crate::run_dir::{AnswerFolder, RunError};
use crate::seeds::derive_seed;
use crate::settings::{SettingError, check_at_least_zero, check_count, check_setting};
use crate::types::{DataError, Item};
use crate::verdict::Judge;

const SETTINGS: &str = "eval.resolved.json";
const RESPONSES: &str = "responses.jsonl";
const SUMMARY: &str = "summary.json";

/// How to evaluate; the defaults are P1's: the likeliest token, 1,024 of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// The model's name in tables.
    pub model: String,
    /// 0 takes the likeliest token.
    pub temperature: f64,
    /// Keep the smallest set of tokens whose probability reaches this; 1 keeps all.
    pub top_p: f64,
    /// At most this many tokens a response.
    pub max_new_tokens: usize,
    /// Where chance begins; each item draws from its own seed made of this and its id.
    pub seed: u64,
    /// How many items are sampled and judged at a time; does not change the responses.
    pub batch_size: usize,
    /// The rates to give; empty gives every one that the judge can tell.
    pub rates: Vec<String>,
}

impl EvalConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `eval`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        let key = |name: &str| format!("{table}.{name}");
        check_at_least_zero(&key("temperature"), self.temperature)?;
        let top_p = self.top_p > 0.0 && self.top_p <= 1.0;
        check_setting(top_p, &key("top_p"), "a number above 0 and at most 1", self.top_p)?;
        for (name, count) in [("max_new_tokens", self.max_new_tokens), ("batch_size", self.batch_size)] {
            check_count(&key(name), count)?;
        }
        let unknown = |name: &&String| !RATES.iter().any(|rate| rate.name == name.as_str());
        let expected = "names of rates such as `asr` or `over_refusal`";
        match self.rates.iter().find(unknown) {
            Some(name) => check_setting(false, &key("rates"), expected, format!("`{name}`")),
            None => Ok(()),
        }
    }
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self {
            model: "model".into(),
            temperature: 0.0,
            top_p: 1.0,
            max_new_tokens: 1024,
            seed: 0,
            batch_size: 16,
            rates: Vec::new(),
        }
    }
}

/// What an evaluation came to.
#[derive(Clone, Debug)]
pub struct EvalOutcome {
    /// The figures over the responses so far.
    pub summary: EvalSummary,
    /// The responses, in the order of the items; image paths are relative to the folder.
    pub responses: Vec<JudgedResponse>,
    /// Whether every item has its response; not so after an interruption.
    pub is_complete: bool,
}

/// Why an evaluation failed.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// The model could not answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The judge had to stop. What was judged before is kept.
    #[error(transparent)]
    Judge(#[from] ChatError),
    /// A journal could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The folder holds another evaluation.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A file could not be written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// There is nothing to evaluate on.
    #[error("no items: expected at least one to evaluate on")]
    NoItems,
    /// Two items share an id, so their responses could not be told apart.
    #[error("item id `{0}` stands twice: expected unique ids")]
    RepeatedId(String),
    /// A setting cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The folder's response answers another prompt than the item of the same id.
    #[error("{}: the response to `{id}` answers another prompt than the item has now", file.display())]
    ItemChanged {
        /// The journal.
        file: PathBuf,
        /// The item.
        id: String,
    },
    /// A judge or an engine did not return one result for each request.
    #[error("{source_name}: expected {expected} results, got {got}")]
    Count {
        /// The judge's name, or `engine`.
        source_name: String,
        /// How many were asked for.
        expected: usize,
        /// How many came.
        got: usize,
    },
}

impl Diagnostic for EvalError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Engine(error) => error.diagnosis(),
            Self::Judge(error) => error.diagnosis(),
            Self::Data(error) => error.diagnosis(),
            Self::Run(error) => error.diagnosis(),
            Self::Io(error) => error.diagnosis(),
            Self::Setting(error) => error.diagnosis(),
            Self::NoItems | Self::RepeatedId(_) => Kind::Data.into(),
            Self::ItemChanged { .. } => Kind::Settings.hint("add `--restart` to start over, or choose another `--out`"),
            Self::Count { .. } => Kind::Engine.into(),
        }
    }
}

/// Samples a response to each item, has it judged, and sums up.
///
/// The folder gets `eval.resolved.json`, `responses.jsonl` and `summary.json`. Each response is journalled as soon as
/// it is judged. After an interruption the summary is of the responses so far and is not written; the same call with
/// `resume` goes on: responses are kept, those left unscored are judged again.
///
/// Errors: [`EvalError`]; responses journalled before stay.
pub fn run(
    engine: &mut dyn Engine,
    items: &[Item],
    judge: &dyn Judge,
    config: &EvalConfig,
    output: AnswerFolder,
    progress: &mut dyn Progress,
) -> Result<EvalOutcome, EvalError> {
    check_items(items)?;
    config.validate("eval")?;
    let rates = rates(config, judge)?;
    let mut answers = Answers::open(output, judge, config)?;
    answers.check_prompts(items)?;
    progress.begin(&format!("evaluate {}", config.model), items.len());
    answers.judge_again(items, judge)?;
    let pending: Vec<&Item> = items
        .iter()
        .filter(|item| !answers.by_id.contains_key(&item.id))
        .collect();
    progress.advance(items.len() - pending.len());
    for batch in pending.chunks(config.batch_size) {
        if progress.interrupted() {
            break;
        }
        let texts = sample(engine, batch, config)?;
        answers.judge(batch, texts, judge)?;
        progress.advance(batch.len());
    }
    progress.end();

    let responses = answers.in_order_of(items);
    let summary = summarize(&config.model, judge.name(), &responses, &rates);
    let is_complete = responses.len() == items.len();
    if is_complete {
        write_results(output.path, &responses, &summary)?;
    }
    Ok(EvalOutcome {
        summary,
        responses,
        is_complete,
    })
}

fn check_items(items: &[Item]) -> Result<(), EvalError> {
    let mut ids = HashSet::new();
    match items.iter().find(|item| !ids.insert(&item.id)) {
        Some(item) => Err(EvalError::RepeatedId(item.id.clone())),
        None if items.is_empty() => Err(EvalError::NoItems),
        None => Ok(()),
    }
}

/// The rates to give: those asked for, or all that the judge can tell.
fn rates(config: &EvalConfig, judge: &dyn Judge) -> Result<Vec<String>, SettingError> {
    let told: Vec<&str> = judge
        .rates()
        .map_or_else(|| RATES.iter().map(|rate| rate.name).collect(), <[&str]>::to_vec);
    if config.rates.is_empty() {
        return Ok(told.into_iter().map(str::to_owned).collect());
    }
    let untold = config.rates.iter().find(|name| !told.contains(&name.as_str()));
    let expected = format!("rates that `{}` can tell: {}", judge.name(), told.join(", "));
    let got = untold.map_or_else(String::new, |name| format!("`{name}`"));
    check_setting(untold.is_none(), "eval.rates", &expected, got)?;
    Ok(config.rates.clone())
}

/// The judged responses so far and their journal. Their items' image paths are as seen from the folder.
struct Answers {
    folder: PathBuf,
    journal: JsonLinesFile,
    by_id: HashMap<String, JudgedResponse>,
}

impl Answers {
    fn open(output: AnswerFolder, judge: &dyn Judge, config: &EvalConfig) -> Result<Self, EvalError> {
        let settings = json!({
            "model": config.model, "judge": judge.name(), "temperature": config.temperature,
            "top_p": config.top_p, "max_new_tokens": config.max_new_tokens, "seed": config.seed,
        });
        output.open(RESPONSES, SETTINGS, settings)?;
        let path = output.path.join(RESPONSES);
        // A response judged again stands twice; the later line is the one that holds.
        let lines: Vec<JudgedResponse> = read_json_lines(&path)?;
        let by_id = lines
            .into_iter()
            .map(|response| (response.item.id.clone(), response))
            .collect();
        Ok(Self {
            folder: output.path.to_owned(),
            journal: JsonLinesFile::open(&path)?,
            by_id,
        })
    }

    fn check_prompts(&self, items: &[Item]) -> Result<(), EvalError> {
        let is_other = |item: &&Item| {
            self.by_id
                .get(&item.id)
                .is_some_and(|response| response.item.prompt() != item.relative_to(&self.folder).prompt())
        };
        match items.iter().find(is_other) {
            Some(item) => Err(EvalError::ItemChanged {
                file: self.journal.path().to_owned(),
                id: item.id.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Gives the judge another try at what it left unscored.
    fn judge_again(&mut self, items: &[Item], judge: &dyn Judge) -> Result<(), EvalError> {
        let unscored = |item: &&Item| match self.by_id.get(&item.id) {
            Some(response) => response.judgement.is_err(),
            None => false,
        };
        let items: Vec<&Item> = items.iter().filter(unscored).collect();
        let texts = items.iter().map(|item| self.by_id[&item.id].response.clone()).collect();
        self.judge(&items, texts, judge)
    }

    fn judge(&mut self, items: &[&Item], texts: Vec<String>, judge: &dyn Judge) -> Result<(), EvalError> {
        let pairs: Vec<(&Item, &str)> = items.iter().copied().zip(texts.iter().map(String::as_str)).collect();
        let judgements = judge.judge(&pairs)?;
        check_results(judge.name(), items.len(), judgements.len())?;
        for ((item, response), judgement) in items.iter().zip(texts).zip(judgements) {
            let judged = JudgedResponse {
                item: item.relative_to(&self.folder),
                response,
                judgement,
            };
            self.journal.append(&judged)?;
            self.by_id.insert(item.id.clone(), judged);
        }
        Ok(())
    }

    fn in_order_of(self, items: &[Item]) -> Vec<JudgedResponse> {
        let mut by_id = self.by_id;
        items.iter().filter_map(|item| by_id.remove(&item.id)).collect()
    }
}

fn sample(engine: &mut dyn Engine, items: &[&Item], config: &EvalConfig) -> Result<Vec<String>, EvalError> {
    let params = SamplingParams {
        temperature: config.temperature,
        top_p: config.top_p,
        max_new_tokens: config.max_new_tokens,
        ignore_eos: false,
    };
    let request = |item: &&Item| SampleRequest {
        id: item.id.clone(),
        messages: item.prompt().to_vec(),
        // A seed of the item's own, so that its response does not depend on which items stand before it.
        seeds: vec![derive_seed(config.seed, &item.id, &[])],
    };
    let sampled = engine.sample(&items.iter().map(request).collect::<Vec<_>>(), &params)?;
    let texts: Vec<String> = sampled
        .into_iter()
        .flat_map(|sampled| sampled.completions)
        .map(|completion| completion.text)
        .collect();
    check_results("engine", items.len(), texts.len())?;
    Ok(texts)
}

fn check_results(source_name: &str, expected: usize, got: usize) -> Result<(), EvalError> {
    if expected == got {
        return Ok(());
    }
    Err(EvalError::Count {
        source_name: source_name.to_owned(),
        expected,
        got,
    })
}

/// Leaves one line a response, in the order of the items, and the figures beside them.
fn write_results(folder: &Path, responses: &[JudgedResponse], summary: &EvalSummary) -> Result<(), EvalError> {
    write_lines(&folder.join(RESPONSES), responses)?;
    let text = serde_json::to_string_pretty(summary).map_err(std::io::Error::from)?;
    Ok(write_atomically(&folder.join(SUMMARY), format!("{text}\n").as_bytes())?)
}

#[cfg(test)]
mod tests;
