//! GRPO on the scripted world: rewards rise, corrections teach what sampling alone cannot, nothing unscored counts, and
//! every kill is survived.

mod corrections;
mod journeys;

use std::path::Path;

use align::engine::{Engine, Reply, Sequence, Weights};
use align::grpo::{GrpoConfig, run};
use align::json_lines::read_json_lines;
use align::progress::{Progress, Silent};
use align::reward::RewardConfig;
use align::rollout::{Rollout, RolloutConfig, RolloutRecord};
use align::run_dir::RunDir;
use align::training::{Metrics, Outcome, TrainingError};
use align::types::Item;
use align::verdict::Judge;
use fake_engine::FakeEngine;
use fake_engine::scripted::{self, Faulty, SAFE, UNSAFE, WordJudge, item};

fn items() -> Vec<Item> {
    ["hazard-0", "hazard-1", "benign-0"].map(item).to_vec()
}

fn config() -> GrpoConfig {
    GrpoConfig {
        prompts_per_step: 3,
        max_steps: 6,
        max_refills: 1,
        learning_rate: 0.1,
        max_grad_norm: 0.0,
        weight_decay: 0.0,
        ..GrpoConfig::default()
    }
}

fn rollout_config() -> RolloutConfig {
    RolloutConfig {
        num_generations: 6,
        max_completion_length: 12,
        max_reflection_length: 16,
        ..RolloutConfig::default()
    }
}

/// A model that mostly answers unsafely, and corrects itself in reflection.
fn engine() -> FakeEngine {
    let correction = format!("i overlooked it {SAFE}");
    scripted::engine(&[(UNSAFE, 0.8), (SAFE, 0.2)], &[(&correction, 0.7), (UNSAFE, 0.3)])
}

/// A run in a folder, started or resumed.
fn train(
    engine: &mut dyn Engine,
    config: &GrpoConfig,
    rollout: &RolloutConfig,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<Outcome, TrainingError> {
    train_judged(engine, config, rollout, &WordJudge, folder, progress)
}

/// The same with a judge of its own.
fn train_judged(
    engine: &mut dyn Engine,
    config: &GrpoConfig,
    rollout: &RolloutConfig,
    judge: &dyn Judge,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<Outcome, TrainingError> {
    let settings = serde_json::json!({ "grpo": config, "rollout": rollout });
    let mut run_dir = RunDir::open(folder, &settings, config.seed, None)?;
    let reward = RewardConfig::default();
    let rollout = Rollout { config: rollout, reward: &reward, judge };
    run(engine, &items(), config, &rollout, &mut run_dir, progress)
}

/// Trains in a folder of its own and gives the metrics and records.
fn trained(
    engine: &mut dyn Engine,
    config: &GrpoConfig,
    rollout: &RolloutConfig,
) -> (Vec<Metrics>, Vec<RolloutRecord>) {
    let folder = tempfile::tempdir().unwrap();
    train(engine, config, rollout, folder.path(), &mut Silent).unwrap();
    let metrics = read_json_lines(&folder.path().join("metrics.jsonl")).unwrap();
    (metrics, read_json_lines(&folder.path().join("rollouts.jsonl")).unwrap())
}

fn failure(engine: &mut dyn Engine, config: &GrpoConfig, rollout: &RolloutConfig) -> String {
    let folder = tempfile::tempdir().unwrap();
    train(engine, config, rollout, folder.path(), &mut Silent).unwrap_err().to_string()
}

fn mean(part: &[Metrics], name: &str) -> f64 {
    part.iter().map(|line| line[name]).sum::<f64>() / part.len() as f64
}

/// How likely the model is to give a response to a prompt.
fn probability(engine: &mut FakeEngine, id: &str, response: &str) -> f64 {
    let reply = Reply::Text(response.into());
    let sequence = Sequence { id: id.to_owned(), messages: item(id).messages, reply };
    let scores = engine.logprobs(&[sequence], Weights::Current).unwrap();
    scores[0].logprobs.iter().map(|logprob| f64::from(*logprob)).sum::<f64>().exp()
}

#[test]
fn rewards_rise_and_benign_prompts_are_not_refused() {
    let mut engine = engine();
    let config = GrpoConfig { max_steps: 40, ..config() };
    let (metrics, _) = trained(&mut engine, &config, &rollout_config());
    let [first, last] = [&metrics[..5], &metrics[35..]].map(|part| mean(part, "reward"));
    assert!(last > first + 0.3, "expected a rise, got {first} to {last}");
    assert!(probability(&mut engine, "hazard-0", SAFE) > 0.9);
    assert!(probability(&mut engine, "benign-0", SAFE) < 0.2);
}

#[test]
fn the_metrics_have_their_names() {
    let (metrics, _) = trained(&mut engine(), &config(), &rollout_config());
    let names: Vec<&str> = metrics[0].keys().map(String::as_str).collect();
    insta::assert_snapshot!(names.join("\n"), @r"
    clip_ratio/high_mean
    clip_ratio/low_mean
    clip_ratio/region_mean
    completions/clipped_ratio
    completions/mean_length
    entropy
    epoch
    frac_reward_zero_std
    grad_norm
    kl
    learning_rate
    loss
    num_tokens
    off_policy/clip_ratio
    off_policy/kl
    off_policy/ratio_mean
    off_policy/update_clip_ratio
    off_policy/update_ratio_mean
    ratio/max_deviation
    reflection/accepted_rate
    reflection/gain
    reflection/rate
    reward
    reward_std
    rewards/answer/grounding/mean
    rewards/answer/helpfulness/mean
    rewards/answer/safety/mean
    rewards/format/mean
    rewards/think/grounding/mean
    rewards/think/logic/mean
    rewards/think/safety/mean
    step
    step_time
    unscored/count
    ");
    assert!(metrics[0]["ratio/max_deviation"] < 1e-6);
    assert_eq!(metrics[0]["kl"], 0.0);
    assert!(metrics[5]["kl"] > 0.0 && metrics[0]["entropy"] > 0.0);
    assert!(metrics[1]["num_tokens"] > metrics[0]["num_tokens"]);
}

#[test]
fn groups_that_teach_nothing_are_replaced_up_to_the_limit() {
    let mut engine = scripted::engine(&[(SAFE, 1.0)], &[]);
    let before = engine.state();
    for max_refills in [0, 2] {
        let config = GrpoConfig { max_steps: 1, max_refills, ..config() };
        let (metrics, records) = trained(&mut engine, &config, &rollout_config());
        assert_eq!(records.len(), 3 * 6 * (1 + max_refills));
        assert!(records.iter().all(|record| record.advantage.is_none()));
        assert_eq!(metrics[0]["frac_reward_zero_std"], 1.0);
        assert!(!metrics[0].contains_key("loss"), "nothing was trained, so nothing is claimed");
        assert_eq!(engine.state(), before);
    }
}

#[test]
fn refills_end_as_soon_as_enough_groups_teach() {
    let config = GrpoConfig { max_steps: 1, max_refills: 50, seed: 3, ..config() };
    let (_, records) = trained(&mut engine(), &config, &rollout_config());
    let trained = records.chunks(6).filter(|group| group[0].advantage.is_some()).count();
    assert_eq!(trained, 3);
    assert!(records.len() < 3 * 6 * 51);
}

#[test]
fn unscored_members_are_not_trained_and_never_count() {
    let mut engine = scripted::engine(&[(UNSAFE, 0.4), (SAFE, 0.4), ("mumble", 0.2)], &[]);
    let rollout = RolloutConfig { reflect: false, ..rollout_config() };
    let (metrics, records) = trained(&mut engine, &GrpoConfig { max_steps: 1, ..config() }, &rollout);
    let unscored: Vec<&RolloutRecord> =
        records.iter().filter(|record| record.judgement.as_ref().ok().is_none()).collect();
    assert!(!unscored.is_empty());
    assert!(unscored.iter().all(|record| record.reward.is_none() && record.advantage.is_none()));
    assert_eq!(metrics[0]["unscored/count"], unscored.len() as f64);
    let scored: Vec<f64> = records.iter().filter_map(|record| record.reward).collect();
    let mean = scored.iter().sum::<f64>() / scored.len() as f64;
    assert!((metrics[0]["reward"] - mean).abs() < 1e-12);
    for group in records.chunks(6).filter(|group| group.iter().any(|record| record.advantage.is_some())) {
        let sum: f64 = group.iter().filter_map(|record| record.advantage).sum();
        assert!(sum.abs() < 1e-9, "advantages are centered on the scored members alone");
    }
}

#[test]
fn groups_too_often_unscored_are_not_trained() {
    let mut engine = scripted::engine(&[(UNSAFE, 0.1), (SAFE, 0.1), ("mumble", 0.8)], &[]);
    let config = GrpoConfig { max_steps: 3, max_unscored_share: 0.0, max_refills: 0, ..config() };
    let (_, records) = trained(&mut engine, &config, &RolloutConfig { reflect: false, ..rollout_config() });
    for group in records.chunks(6).filter(|group| group.iter().any(|record| record.reward.is_none())) {
        assert!(group.iter().all(|record| record.advantage.is_none()));
    }
}

#[test]
fn a_step_without_any_score_ends_the_run() {
    let mut engine = scripted::engine(&[("mumble", 1.0)], &[]);
    insta::assert_snapshot!(failure(&mut engine, &config(), &rollout_config()), @"step 1: none of 36 responses could be scored; the first one: no decision found");
}

#[test]
fn a_sampler_that_is_not_the_policy_ends_the_run() {
    let mut faulty = Faulty { sampler_bias: 0.05, ..Faulty::of(engine()) };
    let message = failure(&mut faulty, &config(), &rollout_config());
    assert!(message.contains("expected 1 within 0.01; sampling and training disagree"), "{message}");
    let tolerant = GrpoConfig { ratio_tolerance: 0.1, max_steps: 1, ..config() };
    let mut faulty = Faulty { sampler_bias: 0.05, ..Faulty::of(engine()) };
    let (metrics, _) = trained(&mut faulty, &tolerant, &rollout_config());
    assert!((metrics[0]["ratio/max_deviation"] - (1.0 - (-0.05_f64).exp())).abs() < 1e-4);
}

#[test]
fn a_tempered_sampler_has_its_old_logprobs_recomputed() {
    let rollout = RolloutConfig { temperature: 0.7, top_p: 0.95, ..rollout_config() };
    let (metrics, _) = trained(&mut engine(), &GrpoConfig { max_steps: 2, ..config() }, &rollout);
    assert!(metrics.iter().all(|line| line["ratio/max_deviation"] == 0.0));
}

#[test]
fn inner_epochs_leave_the_first_ratio_alone_and_meet_the_clip() {
    let config = GrpoConfig { num_iterations: 4, train_batch_size: 5, learning_rate: 0.5, ..config() };
    let (metrics, _) = trained(&mut engine(), &config, &rollout_config());
    assert!(metrics[0]["ratio/max_deviation"] < 1e-6);
    let trained: Vec<_> = metrics.iter().filter(|line| line.contains_key("loss")).collect();
    assert!(trained.iter().any(|line| line["clip_ratio/region_mean"] > 0.0));
    for line in trained {
        let parts = line["clip_ratio/low_mean"] + line["clip_ratio/high_mean"];
        assert!((line["clip_ratio/region_mean"] - parts).abs() < 1e-12);
    }
}

#[test]
fn truncated_responses_can_be_left_out() {
    let rollout = RolloutConfig { max_completion_length: 7, reflect: false, ..rollout_config() };
    let masked = GrpoConfig { mask_truncated_completions: true, max_steps: 1, ..config() };
    let (metrics, records) = trained(&mut engine(), &masked, &rollout);
    assert!(metrics[0]["completions/clipped_ratio"] > 0.9);
    assert!(records.iter().all(|record| record.advantage.is_none()));
    assert!(!metrics[0].contains_key("loss"));
    let (metrics, _) = trained(&mut engine(), &GrpoConfig { mask_truncated_completions: false, ..masked }, &rollout);
    assert!(metrics[0].contains_key("loss"));
}

#[test]
fn bad_settings_are_refused_by_key() {
    fn message(change: fn(&mut GrpoConfig)) -> String {
        let mut config = config();
        change(&mut config);
        failure(&mut engine(), &config, &rollout_config())
    }
    insta::assert_snapshot!(message(|config| config.prompts_per_step = 0), @"`grpo.prompts_per_step`: expected a whole number from 1 to 1000000, got 0");
    insta::assert_snapshot!(message(|config| config.learning_rate = 0.0), @"`grpo.learning_rate`: expected a number above 0, got 0");
    insta::assert_snapshot!(message(|config| config.beta = -0.1), @"`grpo.beta`: expected a number of at least 0, got -0.1");
    insta::assert_snapshot!(message(|config| config.epsilon = 1.5), @"`grpo.epsilon`: expected a number from 0 to 1, got 1.5");
    insta::assert_snapshot!(message(|config| config.delta = 1.2), @"`grpo.delta`: expected 0, or a number above 1 + `epsilon_high`, got 1.2");
    let rollout = RolloutConfig { num_generations: 1, ..rollout_config() };
    insta::assert_snapshot!(failure(&mut engine(), &config(), &rollout), @"`rollout.num_generations`: expected a whole number from 2 to 1000000, got 1");
    let unknown = serde_json::from_str::<GrpoConfig>(r#"{"num_generations": 5}"#).unwrap_err().to_string();
    assert!(unknown.starts_with("unknown field `num_generations`"), "{unknown}");
}
