//! The metrics of a step, by TRL's names.

use std::collections::BTreeMap;

use super::advantages::{ZERO_SPREAD, spread, standard_deviation};
use super::config::GrpoConfig;
use super::loss::{ClipRegion, PolicyLoss, clip_region, kl_term};
use super::samples::{Origin, TrainingSample};
use crate::engine::{ForwardBackward, TokenScores};
use crate::rollout::{Group, Member};

/// Means by name; a name that nothing was added to does not appear.
#[derive(Debug, Default)]
pub struct Means {
    sums: BTreeMap<String, (f64, u64)>,
}

impl Means {
    /// Adds one value to a mean.
    pub fn add(&mut self, name: &str, value: f64) {
        let (sum, count) = self.sums.entry(name.to_owned()).or_default();
        *sum += value;
        *count += 1;
    }

    /// Adds 1 where something holds and 0 where not, for shares.
    fn add_share(&mut self, name: &str, holds: bool) {
        self.add(name, f64::from(u8::from(holds)));
    }

    /// The means.
    pub fn finish(self) -> BTreeMap<String, f64> {
        self.sums.into_iter().map(|(name, (sum, count))| (name, sum / count as f64)).collect()
    }
}

/// Tokens processed for a group: for each completion its own and its prompt's.
pub fn tokens_of(group: &Group) -> u64 {
    let mut tokens = 0;
    for member in &group.members {
        tokens += group.prompt_tokens + member.completion.token_ids.len();
        if let Some(correction) = &member.correction {
            tokens += correction.prompt_tokens + correction.completion.token_ids.len();
        }
    }
    tokens as u64
}

/// Rewards, lengths and reflections of the step's groups, those that teach nothing included.
pub fn measure_groups(means: &mut Means, groups: &[Group]) {
    let mut n_unscored = 0;
    for group in groups {
        let members = group.members.iter();
        let sampled: Vec<f64> = members.clone().flat_map(|member| &member.reward).map(|reward| reward.total).collect();
        if !sampled.is_empty() {
            means.add("reward_std", standard_deviation(&sampled));
        }
        let trained: Vec<f64> = members.filter_map(Member::trained_reward).collect();
        means.add_share("frac_reward_zero_std", spread(&trained) <= ZERO_SPREAD);
        for member in &group.members {
            measure_member(means, member);
            n_unscored += usize::from(member.reward.is_err());
            if let Some(correction) = &member.correction {
                n_unscored += usize::from(correction.reward.is_err());
            }
        }
    }
    means.add("unscored/count", n_unscored as f64);
}

fn measure_member(means: &mut Means, member: &Member) {
    means.add("completions/mean_length", member.completion.token_ids.len() as f64);
    means.add_share("completions/clipped_ratio", member.completion.is_truncated());
    means.add_share("reflection/rate", member.correction.is_some());
    if let Ok(reward) = &member.reward {
        means.add("reward", reward.total);
        for (dimension, score) in &reward.dimensions {
            means.add(&format!("rewards/{dimension}/mean"), *score);
        }
    }
    if let Some(correction) = &member.correction {
        means.add_share("reflection/accepted_rate", correction.accepted);
        if let (Ok(before), Ok(after)) = (&member.reward, &correction.reward) {
            means.add("reflection/gain", after.total - before.total);
        }
    }
}

/// How far corrections trained without their reflection are from the context they were sampled in, before any update.
pub fn measure_off_policy(means: &mut Means, samples: &[TrainingSample], config: &GrpoConfig) {
    for (old, sampled) in samples.iter().flat_map(TrainingSample::off_policy_pairs) {
        let ratio = (old - sampled).exp();
        means.add("off_policy/ratio_mean", ratio);
        means.add("off_policy/kl", sampled - old);
        let inside = (1.0 - config.epsilon..=1.0 + config.epsilon_high).contains(&ratio);
        means.add_share("off_policy/clip_ratio", !inside);
    }
}

/// Loss, entropy, divergence and clipping of one optimizer step, under the weights before it.
pub fn measure_update(means: &mut Means, loss: &PolicyLoss, result: &ForwardBackward) {
    means.add("loss", result.loss);
    for (sample, scores) in loss.samples.iter().zip(&result.scores) {
        measure_tokens(means, sample, scores, loss.config);
    }
}

fn measure_tokens(means: &mut Means, sample: &TrainingSample, scores: &TokenScores, config: &GrpoConfig) {
    for entropy in &scores.entropies {
        means.add("entropy", f64::from(*entropy));
    }
    for (logprob, reference) in scores.logprobs.iter().zip(&sample.reference_logprobs) {
        means.add("kl", kl_term(f64::from(*logprob), f64::from(*reference)).loss);
    }
    for (logprob, old) in scores.logprobs.iter().zip(&sample.old_logprobs) {
        let (logprob, old) = (f64::from(*logprob), f64::from(*old));
        let region = clip_region(logprob, old, sample.advantage, config);
        if sample.origin == Origin::OnPolicy {
            means.add_share("clip_ratio/low_mean", region == ClipRegion::Low);
            means.add_share("clip_ratio/high_mean", region == ClipRegion::High);
            means.add_share("clip_ratio/region_mean", region != ClipRegion::Free);
            continue;
        }
        means.add("off_policy/update_ratio_mean", (logprob - old).exp());
        // Shaped losses have no clip.
        if !sample.is_shaped {
            means.add_share("off_policy/update_clip_ratio", region != ClipRegion::Free);
        }
    }
}
