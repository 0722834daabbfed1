//! The evaluation under interruption, resumption, failing judges and changed settings.

use std::sync::Mutex;

use super::*;
use crate::chat::ChatError;
use crate::engine::{
    AdamW, Completion, FinishReason, ForwardBackward, OptimStep, Sampled, SaveKind, Sequence, TokenLoss, TokenScores,
    Weights,
};
use crate::eval::samples::{item, verdict};
use crate::progress::Silent;
use crate::types::{ItemKind, Part};
use crate::verdict::{Decision, Judgement, PerceptionLevel, Unscored};

/// Answers with the prompt's words and the seed, and counts what it is asked.
#[derive(Default)]
struct Echo {
    asked: Vec<String>,
}

impl Engine for Echo {
    fn sample(&mut self, requests: &[SampleRequest], params: &SamplingParams) -> Result<Vec<Sampled>, EngineError> {
        assert_eq!((params.temperature, params.max_new_tokens), (0.0, 1024));
        let answer = |request: &SampleRequest| {
            let text = format!("{} {:?}", request.messages[0].plain_text(), request.seeds);
            let finish_reason = FinishReason::Stop;
            let completion = Completion {
                token_ids: Vec::new(),
                logprobs: Vec::new(),
                text,
                finish_reason,
            };
            Sampled {
                prompt_ids: Vec::new(),
                completions: vec![completion],
            }
        };
        self.asked
            .extend(requests.iter().map(|request| request.messages[0].plain_text()));
        Ok(requests.iter().map(answer).collect())
    }

    fn logprobs(&mut self, _: &[Sequence], _: Weights) -> Result<Vec<TokenScores>, EngineError> {
        Err(EngineError::Model("samples only".into()))
    }

    fn forward_backward(&mut self, _: &[Sequence], _: &dyn TokenLoss) -> Result<ForwardBackward, EngineError> {
        Err(EngineError::Model("samples only".into()))
    }

    fn optim_step(&mut self, _: &AdamW) -> Result<OptimStep, EngineError> {
        Err(EngineError::Model("samples only".into()))
    }

    fn save(&mut self, _: &Path, _: SaveKind) -> Result<(), EngineError> {
        Err(EngineError::Model("samples only".into()))
    }

    fn load(&mut self, _: &Path) -> Result<(), EngineError> {
        Err(EngineError::Model("samples only".into()))
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
        let judge = |(item, _): &(&Item, &str)| {
            if item.id.ends_with(*self.fails_on.lock().unwrap()) {
                return Err(Unscored::new("no answer from the judge"));
            }
            Ok(verdict(Decision::Caution, PerceptionLevel::L1))
        };
        Ok(responses.iter().map(judge).collect())
    }
}

fn lenient() -> Lenient {
    Lenient {
        fails_on: Mutex::new('-'),
    }
}

/// Asks to stop once so many items are done.
struct StopAfter {
    done: usize,
    limit: usize,
}

impl Progress for StopAfter {
    fn begin(&mut self, _: &str, _: usize) {}
    fn advance(&mut self, count: usize) {
        self.done += count;
    }
    fn note(&mut self, _: &str) {}
    fn end(&mut self) {}
    fn interrupted(&self) -> bool {
        self.done >= self.limit
    }
}

fn items() -> Vec<Item> {
    (0..10)
        .map(|index| item(&format!("i{index}"), "hard", Some(ItemKind::Hazardous)))
        .collect()
}

fn config() -> EvalConfig {
    EvalConfig {
        batch_size: 3,
        ..EvalConfig::default()
    }
}

fn fresh(folder: &Path) -> AnswerFolder<'_> {
    AnswerFolder {
        path: folder,
        policy: "scripted",
        resume: false,
    }
}

fn again(folder: &Path) -> AnswerFolder<'_> {
    AnswerFolder {
        resume: true,
        ..fresh(folder)
    }
}

#[test]
fn an_interrupted_evaluation_goes_on_and_leaves_the_same_files() {
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let outcome = run(
        &mut Echo::default(),
        &items(),
        &lenient(),
        &config(),
        fresh(whole.path()),
        &mut Silent,
    )
    .unwrap();
    assert!(outcome.is_complete);
    assert_eq!(outcome.summary.percent("hard", "rsr"), Some(100.0));

    let mut stop = StopAfter { done: 0, limit: 5 };
    let outcome = run(
        &mut Echo::default(),
        &items(),
        &lenient(),
        &config(),
        fresh(broken.path()),
        &mut stop,
    )
    .unwrap();
    assert_eq!((outcome.is_complete, outcome.responses.len()), (false, 6));
    assert!(!broken.path().join(SUMMARY).exists());
    let journal = broken.path().join(RESPONSES);
    let torn = format!("{}{{\"item\": {{\"id\"", fs_err::read_to_string(&journal).unwrap());
    fs_err::write(&journal, torn).unwrap();

    let mut engine = Echo::default();
    // Another batch size is no other evaluation.
    let config = EvalConfig {
        batch_size: 1,
        ..config()
    };
    let outcome = run(
        &mut engine,
        &items(),
        &lenient(),
        &config,
        again(broken.path()),
        &mut Silent,
    )
    .unwrap();
    assert!(outcome.is_complete);
    assert_eq!(
        engine.asked,
        ["question i6", "question i7", "question i8", "question i9"]
    );
    for name in [RESPONSES, SUMMARY, SETTINGS] {
        let read = |folder: &Path| fs_err::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read(whole.path()), read(broken.path()));
    }
}

// The demo goes on after its folder was moved; others from another working directory.
#[test]
fn pictures_are_known_again_however_they_are_spelled_and_wherever_all_is_moved() {
    let parent = tempfile::tempdir().unwrap();
    let [here, there] = ["here", "there"].map(|name| parent.path().join(name));
    fs_err::create_dir_all(here.join("world/images")).unwrap();
    let shown = |world: &Path| -> Vec<Item> {
        let mut items = items();
        for (index, item) in items.iter_mut().enumerate() {
            let image = world.join(format!("images/{index}.png"));
            item.messages[0].content.insert(0, Part::Image { image });
        }
        items
    };
    let go_on = |items: &[Item], answers: &Path, limit: usize| {
        let mut stop = StopAfter { done: 0, limit };
        let (judge, output) = (lenient(), again(answers));
        run(&mut Echo::default(), items, &judge, &config(), output, &mut stop).map(|outcome| outcome.is_complete)
    };
    assert!(!go_on(&shown(&here.join("world")), &here.join("eval/base"), 3).unwrap());
    let spelled = shown(&here.join("eval/../world/."));
    assert!(!go_on(&spelled, &here.join("eval/./base"), 6).unwrap());
    fs_err::rename(&here, &there).unwrap();
    let other = go_on(&shown(&there.join("other")), &there.join("eval/base"), 9).unwrap_err();
    assert!(matches!(other, EvalError::ItemChanged { .. }), "{other}");
    assert!(go_on(&shown(&there.join("world")), &there.join("eval/base"), 99).unwrap());
    let journal = fs_err::read_to_string(there.join("eval/base").join(RESPONSES)).unwrap();
    assert_eq!(journal.matches("\"../../world/images/").count(), 10);
}

#[test]
fn what_the_judge_left_unscored_is_judged_again_but_not_sampled_again() {
    let folder = tempfile::tempdir().unwrap();
    let judge = Lenient {
        fails_on: Mutex::new('4'),
    };
    let outcome = run(
        &mut Echo::default(),
        &items(),
        &judge,
        &config(),
        fresh(folder.path()),
        &mut Silent,
    )
    .unwrap();
    let hard = &outcome.summary.splits[0];
    assert_eq!((hard.n, hard.unscored, hard.rates["asr"].n), (10, 1, 9));

    *judge.fails_on.lock().unwrap() = '-';
    let mut engine = Echo::default();
    let outcome = run(
        &mut engine,
        &items(),
        &judge,
        &config(),
        again(folder.path()),
        &mut Silent,
    )
    .unwrap();
    assert!(engine.asked.is_empty());
    assert_eq!(outcome.summary.splits[0].unscored, 0);
    assert_eq!(
        read_json_lines::<JudgedResponse>(&folder.path().join(RESPONSES)).unwrap(),
        outcome.responses
    );
}

#[test]
fn another_evaluation_is_not_overwritten_nor_mixed_in() {
    let folder = tempfile::tempdir().unwrap();
    let attempt = |items: &[Item], config: &EvalConfig, output: AnswerFolder| {
        run(&mut Echo::default(), items, &lenient(), config, output, &mut Silent).map(|_| ())
    };
    let message = |result: Result<(), EvalError>| result.unwrap_err().to_string();
    attempt(&items(), &config(), fresh(folder.path())).unwrap();
    assert!(message(attempt(&items(), &config(), fresh(folder.path()))).contains("already there"));
    let other = EvalConfig { seed: 1, ..config() };
    let differs = message(attempt(&items(), &other, again(folder.path())));
    assert!(
        differs.contains("`seed` differs from the run's: expected 0, got 1"),
        "{differs}"
    );
    let mut changed = items();
    changed[2].messages = item("other", "hard", None).messages;
    let differs = message(attempt(&changed, &config(), again(folder.path())));
    assert!(
        differs.contains("the response to `i2` answers another prompt"),
        "{differs}"
    );
}

#[test]
fn bad_items_and_settings_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let attempt = |items: &[Item], config: &EvalConfig| {
        run(
            &mut Echo::default(),
            items,
            &lenient(),
            config,
            fresh(folder.path()),
            &mut Silent,
        )
        .unwrap_err()
        .to_string()
    };
    assert_eq!(
        attempt(&[], &config()),
        "no items: expected at least one to evaluate on"
    );
    let twice = [items(), items()].concat();
    assert_eq!(
        attempt(&twice, &config()),
        "item id `i0` stands twice: expected unique ids"
    );
    let config = |change: fn(&mut EvalConfig)| {
        let mut config = config();
        change(&mut config);
        config
    };
    let nothing_at_a_time = config(|config| config.batch_size = 0);
    assert_eq!(
        attempt(&items(), &nothing_at_a_time),
        "`eval.batch_size`: expected a whole number of at least 1, got 0"
    );
    let not_a_number = config(|config| config.temperature = f64::NAN);
    assert_eq!(
        attempt(&items(), &not_a_number),
        "`eval.temperature`: expected a number of at least 0, got NaN"
    );
    let unknown = config(|config| config.rates = vec!["aser".into()]);
    assert!(attempt(&items(), &unknown).starts_with("`eval.rates`: expected names of rates"));
}
