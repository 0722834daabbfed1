//! The three ways of training a correction.

use align::engine::{AdamW, LossAndGradient, TokenLoss, TokenScores};
use align::grpo::{CorrectionTraining, Origin, PolicyLoss, TrainingSample, group_advantages, training_samples};
use align::rollout::{GroupRequest, sample_groups};

use super::*;

/// A model that never answers safely by itself, but corrects itself in reflection.
fn stubborn() -> FakeEngine {
    let correction = format!("i overlooked it {SAFE}");
    scripted::engine(&[(UNSAFE, 1.0)], &[(&correction, 1.0)])
}

/// Two groups of a stubborn model and their samples, scored.
fn samples(engine: &mut FakeEngine, correction: CorrectionTraining) -> Vec<TrainingSample> {
    let (items, rollout_config, reward) = (items(), rollout_config(), RewardConfig::default());
    let config = GrpoConfig { correction, ..config() };
    let rollout = Rollout { config: &rollout_config, reward: &reward, judge: &WordJudge };
    let prompts = [GroupRequest { item: &items[0], seed: 1 }, GroupRequest { item: &items[1], seed: 2 }];
    let groups = sample_groups(engine, &prompts, &rollout).unwrap();
    let advantages = group_advantages(&groups, &config);
    training_samples(engine, &groups, &advantages, &config, true).unwrap()
}

fn tokens(sample: &TrainingSample) -> &[u32] {
    match &sample.sequence.reply {
        Reply::Tokens(tokens) => tokens,
        Reply::Text(text) => panic!("expected tokens once scored, got `{text}`"),
    }
}

#[test]
fn each_way_has_its_context_and_its_old_logprobs() {
    for (training, n_messages, n_off_policy, n_tokens) in [
        (CorrectionTraining::Internalize, 1, 6, 9),
        (CorrectionTraining::Shaped, 1, 6, 9),
        (CorrectionTraining::InContext, 3, 0, 12),
    ] {
        let mut engine = stubborn();
        let samples = samples(&mut engine, training);
        assert_eq!(samples.len(), 12);
        let corrected: Vec<&TrainingSample> = samples.iter().filter(|sample| sample.advantage > 0.0).collect();
        assert_eq!(corrected.len(), 6, "half of each group");
        assert_eq!(samples.iter().filter(|sample| sample.origin == Origin::OffPolicy).count(), n_off_policy);
        for sample in corrected {
            assert_eq!(sample.sequence.messages.len(), n_messages, "{training:?}");
            assert_eq!(tokens(sample).len(), n_tokens, "{training:?}");
            assert_eq!(sample.is_shaped, training == CorrectionTraining::Shaped);
            assert_eq!(sample.reference_logprobs.len(), n_tokens);
            let scores = engine.logprobs(std::slice::from_ref(&sample.sequence), Weights::Current).unwrap();
            assert_eq!(sample.old_logprobs, scores[0].logprobs, "{training:?}");
        }
    }
}

#[test]
fn shaped_advantages_are_rewards_less_the_mean() {
    let [shaped, scaled] = [CorrectionTraining::Shaped, CorrectionTraining::Internalize].map(|training| {
        let samples = samples(&mut stubborn(), training);
        samples.iter().map(|sample| sample.advantage).collect::<Vec<f64>>()
    });
    assert!(shaped.iter().all(|advantage| advantage.abs() < 0.51), "{shaped:?}");
    assert!(scaled.iter().all(|advantage| advantage.abs() > 0.9), "{scaled:?}");
}

#[test]
fn off_policy_figures_compare_with_the_context_sampled_in() {
    let mut engine = stubborn();
    let samples = samples(&mut engine, CorrectionTraining::Internalize);
    let sample = samples.iter().find(|sample| sample.origin == Origin::OffPolicy).unwrap();
    let pairs = sample.off_policy_pairs();
    assert_eq!(pairs.len(), 9, "the correction and its end token, matched without the reflection");
    let (old, sampled): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    assert!(sampled.iter().all(|logprob| logprob.exp() > 0.99), "certain after the reflection");
    assert!(old.iter().any(|logprob| logprob.exp() < 0.01), "and far from it before");
    for (correction, n_metrics) in
        [(CorrectionTraining::Internalize, 5), (CorrectionTraining::Shaped, 4), (CorrectionTraining::InContext, 0)]
    {
        let config = GrpoConfig { correction, max_steps: 1, ..config() };
        let (metrics, _) = trained(&mut stubborn(), &config, &rollout_config());
        let off_policy = metrics[0].keys().filter(|name| name.starts_with("off_policy/"));
        assert_eq!(off_policy.count(), n_metrics, "{correction:?}");
    }
}

#[test]
fn updates_clip_corrections_and_say_so_apart() {
    let [once, often] = [1, 4].map(|num_iterations| {
        let config = GrpoConfig { num_iterations, max_steps: 1, learning_rate: 0.5, ..config() };
        trained(&mut stubborn(), &config, &rollout_config()).0.remove(0)
    });
    assert_eq!(once["off_policy/update_clip_ratio"], 0.0);
    assert!((once["off_policy/update_ratio_mean"] - 1.0).abs() < 1e-6);
    assert!(often["off_policy/update_clip_ratio"] > 0.0 && often["off_policy/update_ratio_mean"] > 1.0);
    assert_eq!(often["off_policy/ratio_mean"], once["off_policy/ratio_mean"], "of before any update");
}

#[test]
fn corrections_teach_what_sampling_alone_cannot() {
    use CorrectionTraining::{Internalize, Shaped};
    let [alone, internalized, shaped] = [None, Some(Internalize), Some(Shaped)].map(|training| {
        let mut engine = stubborn();
        let correction = training.unwrap_or(Internalize);
        let config = GrpoConfig { correction, max_steps: 30, learning_rate: 0.3, ..config() };
        let rollout = RolloutConfig { reflect: training.is_some(), ..rollout_config() };
        trained(&mut engine, &config, &rollout);
        let [safe, not_safe] = [SAFE, UNSAFE].map(|response| probability(&mut engine, "hazard-0", response));
        safe / (safe + not_safe)
    });
    assert!(alone < 0.01, "every sample is the same, so nothing is learned");
    assert!(internalized > 0.9, "expected above 0.9, got {internalized}");
    assert!(shaped > 0.9, "expected above 0.9, got {shaped}");
}

// Words may spell a token that only the layout of dialogues may write; nothing that is sampled ends a run.
#[test]
fn sampled_words_that_the_engine_refuses_are_unscored_with_the_reason() {
    let refused = "<think> all fine mumble </think> <answer> do it </answer>";
    let forged = "i see <think> risk seen mumble </think> <answer> warn them </answer>";
    let correction = format!("i overlooked it {SAFE}");
    let responses = [(refused, 0.5), (UNSAFE, 0.3), (SAFE, 0.2)];
    let mut engine = Faulty {
        refused: Some("mumble"),
        ..Faulty::of(scripted::engine(&responses, &[(&correction, 0.5), (forged, 0.5)]))
    };
    let (metrics, records) = trained(&mut engine, &config(), &rollout_config());
    let corrections = records.iter().filter_map(|one| Some((one, one.correction.as_ref()?)));
    let (mut n_unsampled, mut n_untrainable) = (0, 0);
    for (record, correction) in corrections.clone() {
        let Err(unscored) = &correction.judgement else {
            continue;
        };
        let reason = unscored.to_string();
        assert!(!correction.accepted && correction.reward.is_none());
        if record.response.contains("mumble") {
            assert_eq!(reason, "no reflection could be sampled: expected words, got `mumble`");
            n_unsampled += 1;
        } else {
            assert!(correction.response.contains("mumble"), "{correction:?}");
            assert_eq!(reason, "the correction cannot be trained: expected words, got `mumble`");
            n_untrainable += 1;
        }
    }
    assert!(n_unsampled > 0 && n_untrainable > 0);
    assert!(corrections.clone().any(|(_, correction)| correction.accepted));
    let counted: f64 = metrics.iter().map(|line| line["unscored/count"]).sum();
    assert_eq!(counted, f64::from(n_unsampled + n_untrainable));
}

#[test]
fn in_context_training_teaches_to_correct() {
    let correction = format!("i overlooked it {SAFE}");
    let mut engine = scripted::engine(&[(UNSAFE, 1.0)], &[(&correction, 0.3), (UNSAFE, 0.7)]);
    let config = GrpoConfig { correction: CorrectionTraining::InContext, max_steps: 30, ..config() };
    let (metrics, _) = trained(&mut engine, &config, &rollout_config());
    let [first, last] = [&metrics[..5], &metrics[25..]].map(|part| mean(part, "reflection/gain"));
    assert!(last > first + 0.2);
}

/// A batch's loss handed over in parts: the place of the part's first sequence is added to each index.
struct FromPlace<'a>(&'a PolicyLoss<'a>, usize);

impl TokenLoss for FromPlace<'_> {
    fn evaluate(&self, index: usize, scores: &TokenScores) -> LossAndGradient {
        self.0.evaluate(self.1 + index, scores)
    }
}

#[test]
fn splitting_the_batch_changes_nothing() {
    let [whole, single, parts] = [100, 1, 5].map(|part_size| {
        let mut engine = engine();
        let samples = samples(&mut engine, CorrectionTraining::Internalize);
        let config = config();
        let loss = PolicyLoss::new(samples.iter().collect(), &config);
        let sequences: Vec<Sequence> = samples.iter().map(|sample| sample.sequence.clone()).collect();
        let mut total = 0.0;
        for (place, part) in sequences.chunks(part_size).enumerate() {
            total += engine.forward_backward(part, &FromPlace(&loss, place * part_size)).unwrap().loss;
        }
        let optimizer = AdamW { learning_rate: 0.1, weight_decay: 0.0, max_grad_norm: 0.0, ..AdamW::default() };
        engine.optim_step(&optimizer).unwrap();
        (engine.state(), (total * 1e9).round())
    });
    assert_eq!(single, whole);
    assert_eq!(parts, whole);
}
