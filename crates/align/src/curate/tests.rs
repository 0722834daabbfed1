//! A curation with a scripted model and judge: what its folder holds.

mod policies;
mod prompts;
mod shards;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::chat::{ChatAnswer, ChatError, ChatModel, ChatRequest, Unanswered};
use crate::engine::EngineError;
use crate::progress::{Progress, Silent};
use crate::reward::RewardConfig;
use crate::types::{Item, ItemKind, Message, Role, read_items};
use crate::verdict::{Decision, Judge, Judgement, PerceptionLevel, Unscored, Verdict};

/// Answers every request with one digit that depends on the seed, and fails once `patience` requests were answered.
struct Digits {
    patience: usize,
    answered: Cell<usize>,
}

impl Digits {
    fn new() -> Self {
        Self::with_patience(usize::MAX)
    }

    fn with_patience(patience: usize) -> Self {
        Self { patience, answered: Cell::new(0) }
    }
}

impl ChatModel for Digits {
    fn name(&self) -> &'static str {
        "digits"
    }

    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        for (index, request) in requests.enumerate() {
            if self.answered.get() == self.patience {
                return Err(EngineError::Numerics("out of patience".into()).into());
            }
            self.answered.set(self.answered.get() + 1);
            on_answer(index, Ok(ChatAnswer::of((request.params.seed % 11).to_string())));
        }
        Ok(())
    }
}

/// Takes the digit for the answer's scores; scores nothing of items whose id says so.
struct DigitJudge;

impl Judge for DigitJudge {
    fn name(&self) -> &'static str {
        "digit"
    }

    fn judge(&self, responses: &[(&Item, &str)]) -> Result<Vec<Judgement>, ChatError> {
        fn judge((item, response): &(&Item, &str)) -> Judgement {
            if item.id.starts_with("mute") {
                return Err(Unscored::new("says nothing"));
            }
            let score: f64 = response.parse().expect("a digit");
            Ok(Verdict {
                safe: score >= 5.0,
                decision: Decision::Caution,
                perception_level: PerceptionLevel::L1,
                think: BTreeMap::new(),
                answer: ["safety", "helpfulness", "grounding"].map(|name| (name.to_owned(), score)).into(),
                hallucinations: Vec::new(),
                contradictions: Vec::new(),
                format: true,
                correct: None,
            })
        }

        Ok(responses.iter().map(judge).collect())
    }
}

/// Scores the answer alone, since the scripted model does not think.
fn reward() -> RewardConfig {
    RewardConfig { think_share: 0.0, ..RewardConfig::default() }
}

fn item(id: &str, kind: ItemKind) -> Item {
    Item {
        id: id.into(),
        messages: vec![Message::text(Role::User, "How are you?")],
        split: Some("train".into()),
        kind: Some(kind),
        category: None,
        twin_of: None,
        truth: None,
    }
}

fn pool() -> Vec<Item> {
    let hazardous = (0..20).map(|n| item(&format!("h{n}"), ItemKind::Hazardous));
    let benign = (0..10).map(|n| item(&format!("b{n}"), ItemKind::Benign));
    hazardous.chain(benign).chain([item("mute", ItemKind::Hazardous)]).collect()
}

/// A curation of nothing yet.
fn curation<'a>(reward: &'a RewardConfig, config: &'a CurateConfig) -> Curation<'a> {
    Curation {
        pool: Pool::Items(&[]),
        judge: &DigitJudge,
        reward,
        config,
        decontaminator: None,
        policy: &Value::Null,
        sample_again: false,
    }
}

fn curate(
    model: &Digits,
    items: &[Item],
    config: &CurateConfig,
    folder: &Path,
) -> Result<CurationSummary, CurateError> {
    let reward = reward();
    let curation = Curation { pool: Pool::Items(items), ..curation(&reward, config) };
    run(&[Policy::alone(model)], &curation, folder, &mut Silent)
}

fn small() -> CurateConfig {
    CurateConfig { num_samples: 4, num_kept: 10, benign_share: 0.2, batch_size: 3, ..CurateConfig::default() }
}

#[test]
fn the_folder_holds_what_the_summary_says() {
    let folder = tempfile::tempdir().unwrap();
    let summary = curate(&Digits::new(), &pool(), &small(), folder.path()).unwrap();
    assert_eq!((summary.n_prompts, summary.n_samples, summary.n_unscored), (31, 124, 4));
    assert_eq!((summary.n_kept, summary.n_kept_benign), (10, 2));
    assert_eq!(summary.dropped[&DropReason::TooFewScored], 1);
    assert_eq!(summary.dropped.values().sum::<usize>(), 21);

    let kept = read_items(&folder.path().join("curated.jsonl")).unwrap();
    let records = std::fs::read_to_string(folder.path().join("curation.jsonl")).unwrap();
    let records: Vec<CurationRecord> = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kept_records: Vec<_> = records.iter().filter(|record| record.kept).map(|record| &record.id).collect();
    assert_eq!(kept.iter().map(|item| &item.id).collect::<Vec<_>>(), kept_records);
    let mute = records.last().unwrap();
    assert_eq!((mute.q, mute.n_scored, mute.reason), (None, 0, Some(DropReason::TooFewScored)));

    let text = std::fs::read_to_string(folder.path().join("summary.json")).unwrap();
    assert_eq!(serde_json::from_str::<CurationSummary>(&text).unwrap().n_kept, 10);
    let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let names: BTreeSet<_> = names.map(|name| name.into_string().unwrap()).collect();
    insta::assert_debug_snapshot!(names, @r#"
    {
        "curated.jsonl",
        "curation.jsonl",
        "samples.jsonl",
        "sampling.json",
        "summary.json",
    }
    "#);
}

#[test]
fn a_run_that_failed_leaves_no_samples_and_the_next_ends_the_same() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    curate(&Digits::new(), &pool(), &small(), whole.path()).unwrap();
    let failure = curate(&Digits::with_patience(40), &pool(), &small(), parts.path()).unwrap_err();
    assert!(matches!(failure, CurateError::Chat(ChatError::Engine(_))), "{failure}");
    assert!(!parts.path().join("samples.jsonl").exists());

    curate(&Digits::new(), &pool(), &small(), parts.path()).unwrap();
    let again = Digits::new();
    curate(&again, &pool(), &small(), parts.path()).unwrap();
    assert_eq!(again.answered.get(), 0, "samples that are there are not made again");
    for name in ["samples.jsonl", "curation.jsonl", "curated.jsonl", "summary.json"] {
        let [whole, parts] = [&whole, &parts].map(|folder| std::fs::read_to_string(folder.path().join(name)).unwrap());
        assert_eq!(whole, parts, "{name}");
    }
}

#[test]
fn selection_may_change_afterwards_but_sampling_may_not() {
    let folder = tempfile::tempdir().unwrap();
    curate(&Digits::new(), &pool(), &small(), folder.path()).unwrap();
    let model = Digits::new();
    let fewer = CurateConfig { num_kept: 5, ..small() };
    let summary = curate(&model, &pool(), &fewer, folder.path()).unwrap();
    assert_eq!((model.answered.get(), summary.n_kept), (0, 5));
    let hotter = CurateConfig { temperature: 0.7, ..small() };
    let refused = curate(&model, &pool(), &hotter, folder.path()).unwrap_err();
    assert!(refused.to_string().contains("sampling.json: `temperature` differs"), "{refused}");
}

#[test]
fn nothing_scored_is_said_and_the_records_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mute = [item("mute1", ItemKind::Hazardous), item("mute2", ItemKind::Benign)];
    let message = curate(&Digits::new(), &mute, &small(), folder.path()).unwrap_err().to_string();
    assert!(
        message.ends_with("samples.jsonl: none of 8 samples could be scored; the first: says nothing"),
        "{message}"
    );
    assert!(folder.path().join("curation.jsonl").exists());
}

#[test]
fn samples_of_another_policy_are_never_taken_for_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (items, config, reward) = (pool(), small(), reward());
    let by = |policy: Value| {
        let curation = Curation { pool: Pool::Items(&items), policy: &policy, ..curation(&reward, &config) };
        run(&[Policy::alone(&Digits::new())], &curation, folder.path(), &mut Silent)
    };
    by(json!({ "model": { "path": "digits" } })).unwrap();
    let message = by(json!({ "model": { "path": "letters" } })).unwrap_err().to_string();
    let message = message.replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(message, @r#"FOLDER/sampling.json: `policy.model.path` differs from the run's: expected "digits", got "letters""#);
}

struct Stopping;

impl Progress for Stopping {
    fn begin(&mut self, _: &str, _: usize) {}
    fn advance(&mut self, _: usize) {}
    fn note(&mut self, _: &str) {}
    fn end(&mut self) {}
    fn interrupted(&self) -> bool {
        true
    }
}

#[test]
fn an_interruption_is_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (items, config, reward) = (pool(), small(), reward());
    let curation = Curation { pool: Pool::Items(&items), ..curation(&reward, &config) };
    let model = Digits::new();
    let stopped = run(&[Policy::alone(&model)], &curation, folder.path(), &mut Stopping).unwrap_err();
    assert!(matches!(stopped, CurateError::Chat(ChatError::Interrupted)), "{stopped}");
}

#[test]
fn settings_out_of_range_are_named() {
    let base = CurateConfig::default;
    let cases = [
        (CurateConfig { num_samples: 1, ..base() }, "`curate.num_samples`: expected a whole number from 2 to 1000000"),
        (CurateConfig { num_kept: 0, ..base() }, "`curate.num_kept`: expected a whole number of at least 1, got 0"),
        (CurateConfig { temperature: 0.0, ..base() }, "`curate.temperature`: expected a number above 0"),
        (CurateConfig { top_p: 1.5, ..base() }, "`curate.top_p`: expected a number above 0 and at most 1, got 1.5"),
        (
            CurateConfig { benign_share: 1.0, ..base() },
            "`curate.benign_share`: expected a number from 0 to below 1, got 1",
        ),
        (CurateConfig { drop_lowest: f64::NAN, ..base() }, "`curate.drop_lowest`"),
        (
            CurateConfig { drop_lowest: 0.5, drop_highest: 0.5, ..base() },
            "less than 1 together with `drop_lowest`, got 1",
        ),
    ];
    for (config, expected) in cases {
        let message = config.validate("curate").unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    assert!(base().validate("curate").is_ok());
    let unknown = serde_json::from_str::<CurateConfig>(r#"{"num_sample": 8}"#).unwrap_err().to_string();
    assert!(unknown.contains("unknown field `num_sample`"), "{unknown}");
}
