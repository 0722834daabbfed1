//! Runs that are stopped or killed, and resumed.

use std::sync::atomic::Ordering;

use align::chat::ChatError;
use align::verdict::Judgement;
use fake_engine::scripted::StopsAfter;

use super::*;

/// What a run left behind, its times and TensorBoard's left out.
#[derive(Debug, PartialEq)]
struct Remains {
    metrics: Vec<Metrics>,
    rollouts: Vec<u8>,
    state: Vec<u8>,
}

fn remains(engine: &FakeEngine, folder: &Path) -> Remains {
    let mut metrics: Vec<Metrics> = read_json_lines(&folder.join("metrics.jsonl")).unwrap();
    for line in &mut metrics {
        line.remove("step_time");
    }
    Remains { metrics, rollouts: std::fs::read(folder.join("rollouts.jsonl")).unwrap(), state: engine.state() }
}

fn config() -> GrpoConfig {
    GrpoConfig { save_steps: 2, max_steps: 3, max_refills: 0, num_iterations: 2, ..super::config() }
}

fn uninterrupted() -> Remains {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = engine();
    train(&mut engine, &config(), &rollout_config(), folder.path(), &mut Silent).unwrap();
    remains(&engine, folder.path())
}

fn resumed(folder: &Path) -> Remains {
    let mut engine = engine();
    let outcome = train(&mut engine, &config(), &rollout_config(), folder, &mut Silent).unwrap();
    assert_eq!(outcome, Outcome::Finished { steps: 3 });
    remains(&engine, folder)
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_does_not() {
    let expected = uninterrupted();
    assert_eq!(uninterrupted(), expected);
    let mut other = engine();
    let folder = tempfile::tempdir().unwrap();
    let config = GrpoConfig { seed: 1, ..config() };
    train(&mut other, &config, &rollout_config(), folder.path(), &mut Silent).unwrap();
    assert_ne!(other.state(), expected.state);
}

#[test]
fn interrupted_after_any_step_it_ends_in_the_same_bytes() {
    let expected = uninterrupted();
    for step in 1..3 {
        let folder = tempfile::tempdir().unwrap();
        let mut stopping = StopsAfter(step);
        let outcome = train(&mut engine(), &config(), &rollout_config(), folder.path(), &mut stopping).unwrap();
        assert_eq!(outcome, Outcome::Interrupted { step });
        assert_eq!(resumed(folder.path()), expected, "stopped after step {step}");
    }
}

#[test]
fn killed_before_any_verb_it_ends_in_the_same_bytes() {
    let expected = uninterrupted();
    let mut verbs = 0;
    loop {
        let folder = tempfile::tempdir().unwrap();
        let mut dying = Faulty { calls_left: verbs, ..Faulty::of(engine()) };
        match train(&mut dying, &config(), &rollout_config(), folder.path(), &mut Silent) {
            Ok(_) => break,
            Err(error) => assert_eq!(error.to_string(), "the power went out"),
        }
        assert_eq!(resumed(folder.path()), expected, "killed before verb {verbs}");
        verbs += 1;
    }
    assert!(verbs > 20, "expected several verbs a step, got {verbs} in all");
}

/// Judges so many responses, and then must stop.
struct Budgeted(std::sync::atomic::AtomicUsize);

impl Judge for Budgeted {
    fn name(&self) -> &'static str {
        WordJudge.name()
    }

    fn judge(&self, responses: &[(&Item, &str)]) -> Result<Vec<Judgement>, ChatError> {
        let left = self.0.load(Ordering::SeqCst).checked_sub(responses.len());
        let Some(left) = left else {
            return Err(ChatError::Budget("max_cost of 1 is spent".to_owned()));
        };
        self.0.store(left, Ordering::SeqCst);
        WordJudge.judge(responses)
    }
}

#[test]
fn a_judge_that_must_stop_leaves_the_last_step_saved_and_the_run_ends_in_the_same_bytes() {
    let expected = uninterrupted();
    for verdicts in [0, 20, 45, 60] {
        let folder = tempfile::tempdir().unwrap();
        let judge = Budgeted(verdicts.into());
        let ended = train_judged(&mut engine(), &config(), &rollout_config(), &judge, folder.path(), &mut Silent);
        assert!(matches!(ended, Err(TrainingError::Judge(ChatError::Budget(_)))), "{verdicts}: {ended:?}");
        assert_eq!(resumed(folder.path()), expected, "stopped after {verdicts} verdicts");
    }
}
