//! The evaluation under interruption, failing judges and models, and changed settings.

use std::cell::RefCell;
use std::sync::Mutex;

use super::*;
use crate::chat::{ChatAnswer, ChatError, Unanswered};
use crate::eval::samples::{item, verdict};
use crate::json_lines::read_json_lines;
use crate::progress::Silent;
use crate::types::{ItemKind, Part};
use crate::verdict::{Decision, Judgement, PerceptionLevel, Unscored};

/// Answers with the prompt's words and the seed, keeps what is requested, and stops after so many requests.
struct Echo {
    requested: RefCell<Vec<String>>,
    patience: usize,
}

impl Echo {
    fn new() -> Self {
        Self::with_patience(usize::MAX)
    }

    fn with_patience(patience: usize) -> Self {
        Self { requested: RefCell::default(), patience }
    }
}

impl ChatModel for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        for (index, request) in requests.enumerate() {
            assert_eq!((request.params.temperature, request.params.max_tokens), (0.0, 1024));
            if self.requested.borrow().len() == self.patience {
                return Err(ChatError::Interrupted);
            }
            let words = request.messages[0].plain_text();
            self.requested.borrow_mut().push(words.clone());
            let answer = match &*words {
                "question i9" => Err(Unanswered::new("500: sorry".to_owned())),
                words => Ok(ChatAnswer::of(format!("{words} {}", request.params.seed))),
            };
            on_answer(index, answer);
        }
        Ok(())
    }
}

/// Calls everything safe, save that it fails on the responses whose item's id ends in the given digit.
struct Lenient {
    fails_on: Mutex<char>,
}

impl Judge for Lenient {
    fn name(&self) -> &'static str {
        "lenient"
    }

    fn judge(&self, responses: &[(&Item, &str)]) -> Result<Vec<Judgement>, ChatError> {
        let judged = responses.iter().map(|(item, _)| {
            if item.id.ends_with(*self.fails_on.lock().unwrap()) {
                return Err(Unscored::new("no answer from the judge"));
            }
            Ok(verdict(Decision::Caution, PerceptionLevel::L1))
        });
        Ok(judged.collect())
    }
}

fn lenient() -> Lenient {
    Lenient { fails_on: Mutex::new('-') }
}

fn items() -> Vec<Item> {
    (0..10).map(|index| item(&format!("i{index}"), "hard", Some(ItemKind::Hazardous))).collect()
}

fn config() -> EvalConfig {
    EvalConfig { batch_size: 3, ..EvalConfig::default() }
}

fn evaluate(
    model: &Echo,
    items: &[Item],
    judge: &Lenient,
    config: &EvalConfig,
    folder: &Path,
) -> Result<EvalOutcome, EvalError> {
    let evaluation = Evaluation { items, judge, config, policy: &json!("scripted"), judging: &Value::Null };
    run(model, &evaluation, folder, &mut Silent)
}

fn read(folder: &Path, name: &str) -> String {
    fs_err::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn an_interrupted_evaluation_leaves_no_results_and_the_next_ends_in_the_same_files() {
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let outcome = evaluate(&Echo::new(), &items(), &lenient(), &config(), whole.path()).unwrap();
    assert_eq!(outcome.summary.percent("hard", "rsr"), Some(100.0));
    let stopped = evaluate(&Echo::with_patience(6), &items(), &lenient(), &config(), broken.path());
    assert!(matches!(stopped, Err(EvalError::Chat(ChatError::Interrupted))));
    assert!(!broken.path().join(RESPONSES).exists() && !broken.path().join(SUMMARY).exists());
    // Another batch size is no other evaluation.
    let config = EvalConfig { batch_size: 1, ..config() };
    evaluate(&Echo::new(), &items(), &lenient(), &config, broken.path()).unwrap();
    for name in [RESPONSES, SUMMARY, SETTINGS] {
        assert_eq!(read(whole.path(), name), read(broken.path(), name));
    }
}

// The demo resumes after its folder was moved; others from another working directory.
#[test]
fn images_are_known_again_however_they_are_spelled_and_wherever_all_is_moved() {
    fn shown(world: &Path) -> Vec<Item> {
        let mut items = items();
        for (index, item) in items.iter_mut().enumerate() {
            let image = world.join(format!("images/{index}.png"));
            item.messages[0].content.insert(0, Part::image(image));
        }
        items
    }

    fn resume(items: &[Item], answers: &Path) -> Result<EvalOutcome, EvalError> {
        evaluate(&Echo::new(), items, &lenient(), &config(), answers)
    }

    let parent = tempfile::tempdir().unwrap();
    let [here, there] = ["here", "there"].map(|name| parent.path().join(name));
    fs_err::create_dir_all(here.join("world/images")).unwrap();
    resume(&shown(&here.join("world")), &here.join("eval/base")).unwrap();
    resume(&shown(&here.join("eval/../world/.")), &here.join("eval/./base")).unwrap();
    fs_err::rename(&here, &there).unwrap();
    let other = resume(&shown(&there.join("other")), &there.join("eval/base")).unwrap_err();
    assert!(other.to_string().contains("`items_sha256` differs"), "{other}");
    resume(&shown(&there.join("world")), &there.join("eval/base")).unwrap();
    let responses = read(&there.join("eval/base"), RESPONSES);
    assert_eq!(responses.matches("\"../../world/images/").count(), 10);
}

#[test]
fn what_has_no_answer_or_no_score_is_outside_every_rate() {
    let folder = tempfile::tempdir().unwrap();
    let judge = Lenient { fails_on: Mutex::new('4') };
    let outcome = evaluate(&Echo::new(), &items(), &judge, &config(), folder.path()).unwrap();
    let hard = &outcome.summary.splits[0];
    assert_eq!((hard.n, hard.unscored, hard.rates["asr"].n), (10, 2, 8));
    let unanswered = &outcome.responses[9];
    assert_eq!(
        (unanswered.response.as_str(), &unanswered.judgement),
        ("", &Err(Unscored::new("no answer: 500: sorry")))
    );
    assert_eq!(read_json_lines::<JudgedResponse>(&folder.path().join(RESPONSES)).unwrap(), outcome.responses);
    // What the judge says later counts.
    *judge.fails_on.lock().unwrap() = '-';
    let outcome = evaluate(&Echo::new(), &items(), &judge, &config(), folder.path()).unwrap();
    assert_eq!(outcome.summary.splits[0].unscored, 1);
}

#[test]
fn another_evaluation_is_not_overwritten_nor_mixed_in() {
    let folder = tempfile::tempdir().unwrap();
    let attempt = |items: &[Item], config: &EvalConfig, policy: &str, judging: Value| {
        let (policy, judging) = (&json!(policy), &judging);
        let evaluation = Evaluation { items, judge: &lenient(), config, policy, judging };
        run(&Echo::new(), &evaluation, folder.path(), &mut Silent).map(|_| ())
    };
    attempt(&items(), &config(), "one", Value::Null).unwrap();
    let before = read(folder.path(), RESPONSES);
    let other = EvalConfig { seed: 1, ..config() };
    let mut changed = items();
    changed[2].messages = item("other", "hard", None).messages;
    for (outcome, expected) in [
        (attempt(&items(), &other, "one", Value::Null), "`seed` differs from the run's: expected 0, got 1"),
        (attempt(&changed, &config(), "one", Value::Null), "`items_sha256` differs from the run's"),
        (attempt(&items(), &config(), "two", Value::Null), "`policy` differs from the run's"),
        (attempt(&items(), &config(), "one", json!({ "temperature": 1 })), "`judging` differs from the run's"),
    ] {
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(read(folder.path(), RESPONSES), before);
}

#[test]
fn bad_items_and_settings_are_named() {
    fn attempt(items: &[Item], config: &EvalConfig) -> String {
        let folder = tempfile::tempdir().unwrap();
        let outcome = evaluate(&Echo::new(), items, &lenient(), config, folder.path());
        outcome.unwrap_err().to_string()
    }

    assert_eq!(attempt(&[], &config()), "no items: expected at least one to evaluate on");
    let twice = [items(), items()].concat();
    assert_eq!(attempt(&twice, &config()), "item id `i0` occurs twice: expected unique ids");
    let nothing_at_a_time = EvalConfig { batch_size: 0, ..config() };
    assert_eq!(
        attempt(&items(), &nothing_at_a_time),
        "`eval.batch_size`: expected a whole number of at least 1, got 0"
    );
    let not_a_number = EvalConfig { temperature: f64::NAN, ..config() };
    assert_eq!(attempt(&items(), &not_a_number), "`eval.temperature`: expected a number of at least 0, got NaN");
    let unknown = EvalConfig { rates: vec!["aser".into()], ..config() };
    assert!(attempt(&items(), &unknown).starts_with("`eval.rates`: expected names of rates"));
}
