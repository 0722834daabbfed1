//! GRPO with reflecting rollouts and a structured reward: the reinforcement learning of SaFeR-VLM.
//!
//! Prompts go in, checkpoints come out. Each step samples groups, judges them, lets unsafe members reflect, turns
//! rewards into advantages within each group, and updates the policy by a clipped loss. Sources: GRPO (DeepSeekMath,
//! arXiv 2402.03300), clip-higher, token-mean and dynamic sampling (DAPO, 2503.14476), dual clip (1912.09729),
//! SaFeR-VLM (arXiv 2510.06871) for the whole. No random generator lives between steps: every seed is a hash of the
//! run's seed, the step and the prompt, so a checkpoint holds two counters and a resumed run ends in the same bytes.
//!
//! Responses that could not be scored are neither rewarded nor punished, so only the KL term keeps a policy from
//! drifting towards them: `unscored/count` is the metric to watch.

mod advantages;
mod config;
mod loss;
mod metrics;
mod prompts;
mod samples;

use serde::{Deserialize, Serialize};

use crate::engine::{AdamW, Engine, Sequence, TokenScores};
use crate::progress::Progress;
use crate::rollout::{Group, Member, Rollout, sample_groups};
use crate::run_dir::RunDir;
use crate::seeds::{derive_seed, shuffled};
use crate::training::{Outcome, Steps, TrainingError};
use crate::types::Item;
use crate::verdict::first_reason;

use metrics::Means;
use prompts::PromptOrder;

pub use advantages::{ScaleRewards, advantages};
pub use config::{CorrectionTraining, GrpoConfig};
pub use loss::{PolicyLoss, Term, clipped_term, kl_term, shaped_term};
pub use samples::{Origin, TrainingSample, training_samples};

/// What a checkpoint holds beside the engine's own files.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    /// How many prompts were sampled for so far; decides which come next.
    prompts_sampled: u64,
    /// Tokens processed so far, prompts and images included.
    num_tokens: u64,
}

/// Trains on the prompts of `items`, from the run's last checkpoint where there is one.
///
/// Metrics of each step, named as in TRL: of responses as sampled `reward`, `reward_std` (mean over groups),
/// `rewards/<dimension>/mean` (0..10), `completions/{mean_length,clipped_ratio}`, `unscored/count`; of groups after
/// correction `frac_reward_zero_std`; of reflection `reflection/{rate,accepted_rate,gain}`; of updates `loss`,
/// `grad_norm`, `learning_rate`, `kl` and `entropy` (nats), `clip_ratio/{low,high,region}_mean`, `ratio/max_deviation`;
/// of corrections trained in another context than they were sampled in, before any update
/// `off_policy/{ratio_mean,clip_ratio,kl}` against that context, and of updates
/// `off_policy/{update_ratio_mean,update_clip_ratio}` against the policy before them; and `epoch`, `num_tokens`,
/// `step_time` (seconds). A metric that nothing was measured for is left out.
///
/// Errors: `Setting` or `NoItems` before anything is sampled; `NothingScored`; `RatioNotOne`; `Engine` or `Run` naming
/// the file.
pub fn run(
    engine: &mut dyn Engine,
    items: &[Item],
    config: &GrpoConfig,
    rollout: &Rollout,
    run_dir: &mut RunDir,
    progress: &mut dyn Progress,
) -> Result<Outcome, TrainingError> {
    config.validate("grpo")?;
    rollout.config.validate("rollout")?;
    rollout.reward.validate("reward")?;
    let order = PromptOrder::new(items, config.seed)?;
    let total_steps = config.total_steps(items.len());
    let schedule = config.schedule(total_steps);
    let steps = Steps {
        title: "reinforcement learning",
        headline: "reward",
        total: total_steps,
        save_steps: config.save_steps,
        save_total_limit: config.save_total_limit,
    };
    steps.run(engine, run_dir, progress, |engine, run_dir, step, state: &mut State| {
        // Sample, judge, reflect, refill.
        let groups = gather_groups(engine, &order, config, rollout, step, state)?;
        let advantages = group_advantages(&groups, config);
        let mut means = Means::default();
        metrics::measure_groups(&mut means, &groups);
        // Old and reference log-probabilities.
        let samples = training_samples(engine, &groups, &advantages, config, sampler_is_policy(rollout))?;
        metrics::measure_off_policy(&mut means, &samples, config);
        // Inner epochs.
        let optimizer = config.optimizer(schedule.at(step));
        optimize(engine, &samples, config, &optimizer, step, &mut means)?;
        for (group, advantages) in groups.iter().zip(&advantages) {
            state.num_tokens += metrics::tokens_of(group);
            let records = group.records(step, advantages, &run_dir.folder);
            run_dir.append_rollouts(&records)?;
        }
        let mut metrics = means.finish();
        metrics.extend([
            ("learning_rate".to_owned(), optimizer.learning_rate),
            ("num_tokens".to_owned(), state.num_tokens as f64),
            ("epoch".to_owned(), state.prompts_sampled as f64 / order.items.len() as f64),
        ]);
        Ok(metrics)
    })
}

/// Samples groups until enough of them can teach something, or the refills are used up.
fn gather_groups<'a>(
    engine: &mut dyn Engine,
    order: &PromptOrder<'a>,
    config: &GrpoConfig,
    rollout: &Rollout,
    step: usize,
    state: &mut State,
) -> Result<Vec<Group<'a>>, TrainingError> {
    let mut groups: Vec<Group> = Vec::new();
    for _ in 0..=config.max_refills {
        let useful = groups.iter().filter(|group| teaches(group, config)).count();
        let missing = config.prompts_per_step - useful;
        if missing == 0 {
            break;
        }
        let requests = order.next(state.prompts_sampled, missing, step);
        state.prompts_sampled += requests.len() as u64;
        groups.extend(sample_groups(engine, &requests, rollout)?);
    }
    check_scored(&groups, step)?;
    Ok(groups)
}

/// Whether a group has enough scored members, and rewards that differ.
fn teaches(group: &Group, config: &GrpoConfig) -> bool {
    let rewards: Vec<f64> = group.members.iter().filter_map(Member::trained_reward).collect();
    let n_unscored = group.members.len() - rewards.len();
    let enough = n_unscored as f64 <= config.max_unscored_share * group.members.len() as f64;
    enough && advantages::spread(&rewards) > advantages::ZERO_SPREAD
}

/// Makes sure that at least one response has a reward.
fn check_scored(groups: &[Group], step: usize) -> Result<(), TrainingError> {
    let rewards: Vec<_> = groups.iter().flat_map(|group| &group.members).map(|member| &member.reward).collect();
    match first_reason(rewards.iter().copied()) {
        Some(reason) => Err(TrainingError::NothingScored { step, responses: rewards.len(), reason }),
        None => Ok(()),
    }
}

/// One advantage per member; none for members that are not trained: unscored ones, those of groups that teach nothing,
/// and, where so set, truncated ones, whose rewards still count in their group.
pub fn group_advantages(groups: &[Group], config: &GrpoConfig) -> Vec<Vec<Option<f64>>> {
    let mut rewards: Vec<Vec<Option<f64>>> = Vec::with_capacity(groups.len());
    for group in groups {
        let teaches = teaches(group, config);
        let members = group.members.iter();
        rewards.push(members.map(|member| member.trained_reward().filter(|_| teaches)).collect());
    }
    let mut advantages = advantages(&rewards, config.reward_scale());
    if config.mask_truncated_completions {
        for (group, advantages) in groups.iter().zip(&mut advantages) {
            for (member, advantage) in group.members.iter().zip(advantages) {
                *advantage = advantage.filter(|_| !member.is_truncated());
            }
        }
    }
    advantages
}

/// Whether the sampler's log-probabilities are the policy's own, so that they can serve as the old ones. (They differ
/// by the probability of the tokens that are never sampled, which is negligible.)
fn sampler_is_policy(rollout: &Rollout) -> bool {
    rollout.config.temperature == 1.0 && rollout.config.top_p == 1.0
}

/// The inner epochs: minibatches in an order that seed and step decide, one optimizer step each.
fn optimize(
    engine: &mut dyn Engine,
    samples: &[TrainingSample],
    config: &GrpoConfig,
    optimizer: &AdamW,
    step: usize,
    means: &mut Means,
) -> Result<(), TrainingError> {
    let batch_size = if config.train_batch_size == 0 { samples.len() } else { config.train_batch_size };
    let mut is_first_update = true;
    for iteration in 0..config.num_iterations {
        let seed = derive_seed(config.seed, "minibatches", &[step as u64, iteration as u64]);
        for chunk in shuffled(samples.len(), seed).chunks(batch_size.max(1)) {
            let batch: Vec<&TrainingSample> = chunk.iter().map(|index| &samples[*index]).collect();
            let sequences: Vec<Sequence> = batch.iter().map(|sample| sample.sequence.clone()).collect();
            let loss = PolicyLoss::new(batch, config);
            let result = engine.forward_backward(&sequences, &loss)?;
            if is_first_update {
                let deviation = check_ratios(&loss, &result.scores, config.ratio_tolerance, step)?;
                means.add("ratio/max_deviation", deviation);
                is_first_update = false;
            }
            metrics::measure_update(means, &loss, &result);
            means.add("grad_norm", engine.optim_step(optimizer)?.grad_norm);
        }
    }
    Ok(())
}

/// Before any update the policy is the one that was sampled from, so each ratio is 1 within rounding; returns the
/// largest deviation.
fn check_ratios(loss: &PolicyLoss, scores: &[TokenScores], tolerance: f64, step: usize) -> Result<f64, TrainingError> {
    let mut worst = 0.0_f64;
    for (sample, scores) in loss.samples.iter().zip(scores) {
        if sample.origin == Origin::OffPolicy {
            continue;
        }
        for (token, (logprob, old)) in scores.logprobs.iter().zip(&sample.old_logprobs).enumerate() {
            let ratio = f64::from(logprob - old).exp();
            let deviation = (ratio - 1.0).abs();
            if deviation.is_nan() || deviation > tolerance {
                let item = sample.sequence.id.clone();
                return Err(TrainingError::RatioNotOne { step, item, token, ratio, tolerance });
            }
            worst = worst.max(deviation);
        }
    }
    Ok(worst)
}
