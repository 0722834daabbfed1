//! From members to what is trained: each member's sequence, its advantage, and the log-probabilities its loss needs.

use super::config::{CorrectionTraining, GrpoConfig};
use crate::engine::{Engine, EngineError, Reply, Sequence, Weights};
use crate::rollout::{Correction, Group, Member};

/// Whether a sequence is trained in the context it was sampled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is; the policy's ratio to the sampler's is 1 before any update.
    OnPolicy,
    /// It was sampled with a reflection before it, which is left out in training.
    OffPolicy,
}

/// One member in training.
#[derive(Clone, Debug)]
pub struct TrainingSample {
    /// What is trained; its id is that of the item that was answered.
    pub sequence: Sequence,
    /// The advantage of all its tokens.
    pub advantage: f64,
    /// Whether it is trained in the context it was sampled in.
    pub origin: Origin,
    /// Whether its loss is shaped instead of clipped.
    pub is_shaped: bool,
    /// Log-probability (nats) of each reply token under the policy before the step's updates.
    pub old_logprobs: Vec<f32>,
    /// The same under the reference; empty without a KL term.
    pub reference_logprobs: Vec<f32>,
    /// For off-policy samples, the tokens as sampled and their log-probabilities there; the reply is their end.
    pub sampled: Option<(Vec<u32>, Vec<f32>)>,
}

impl TrainingSample {
    /// Log-probabilities under the policy before the step's updates beside those of the sampler, for the tokens that
    /// both share. The reply was tokenized again, so the two are matched from their ends.
    pub fn off_policy_pairs(&self) -> Vec<(f64, f64)> {
        let (Some((sampled, logprobs)), Reply::Tokens(tokens)) = (&self.sampled, &self.sequence.reply) else {
            return Vec::new();
        };
        let from_the_end = sampled.iter().rev().zip(tokens.iter().rev());
        let n_shared = from_the_end.take_while(|(left, right)| left == right).count();
        let old = self.old_logprobs.iter().rev().take(n_shared);
        old.zip(logprobs.iter().rev()).map(|(old, sampled)| (f64::from(*old), f64::from(*sampled))).collect()
    }
}

/// The members that have an advantage (`advantages` holds one entry per member), with the log-probabilities that their
/// loss needs. `sampler_is_policy` says that responses were sampled from the policy itself, so that the sampler's
/// log-probabilities serve as the old ones.
///
/// Errors: the engine's.
pub fn training_samples(
    engine: &mut dyn Engine,
    groups: &[Group],
    advantages: &[Vec<Option<f64>>],
    config: &GrpoConfig,
    sampler_is_policy: bool,
) -> Result<Vec<TrainingSample>, EngineError> {
    let mut samples = trained_members(groups, advantages, config);
    score(engine, &mut samples, config, sampler_is_policy)?;
    Ok(samples)
}

/// The members that have an advantage, each as a sample without its scores.
fn trained_members(groups: &[Group], advantages: &[Vec<Option<f64>>], config: &GrpoConfig) -> Vec<TrainingSample> {
    let mut samples = Vec::new();
    for (group, advantages) in groups.iter().zip(advantages) {
        for (member, advantage) in group.members.iter().zip(advantages) {
            if let Some(advantage) = advantage {
                samples.push(sample(group, member, *advantage, config.correction));
            }
        }
    }
    samples
}

fn sample(group: &Group, member: &Member, advantage: f64, training: CorrectionTraining) -> TrainingSample {
    let completion = &member.completion;
    let mut sample = TrainingSample {
        sequence: Sequence {
            id: group.item.id.clone(),
            messages: group.item.prompt().to_vec(),
            reply: Reply::Tokens(completion.token_ids.clone()),
        },
        advantage,
        origin: Origin::OnPolicy,
        is_shaped: false,
        old_logprobs: completion.logprobs.clone(),
        reference_logprobs: Vec::new(),
        sampled: None,
    };
    if let Some(correction) = member.accepted_correction() {
        train_correction(&mut sample, correction, training);
    }
    sample
}

/// Replaces the response by an accepted correction.
fn train_correction(sample: &mut TrainingSample, correction: &Correction, training: CorrectionTraining) {
    let completion = &correction.completion;
    if training == CorrectionTraining::InContext {
        sample.sequence.messages.clone_from(&correction.messages);
        sample.sequence.reply = Reply::Tokens(completion.token_ids.clone());
        sample.old_logprobs.clone_from(&completion.logprobs);
        return;
    }
    sample.sequence.reply = Reply::Text(correction.response.clone());
    sample.origin = Origin::OffPolicy;
    sample.is_shaped = training == CorrectionTraining::Shaped;
    sample.old_logprobs.clear();
    sample.sampled = Some((completion.token_ids.clone(), completion.logprobs.clone()));
}

/// Fills in old and reference log-probabilities. The sampler's serve as old ones where it sampled from the policy itself
/// (`sampler_is_policy`); they are recomputed for off-policy samples, and for all where temperature or top-p changed the
/// distribution.
///
/// Errors: the engine's.
fn score(
    engine: &mut dyn Engine,
    samples: &mut [TrainingSample],
    config: &GrpoConfig,
    sampler_is_policy: bool,
) -> Result<(), EngineError> {
    let mut stale: Vec<&mut TrainingSample> =
        samples.iter_mut().filter(|sample| !sampler_is_policy || sample.origin == Origin::OffPolicy).collect();
    if !stale.is_empty() {
        let sequences: Vec<Sequence> = stale.iter().map(|sample| sample.sequence.clone()).collect();
        let scores = engine.logprobs(&sequences, Weights::Current)?;
        for (sample, scores) in stale.iter_mut().zip(scores) {
            sample.sequence.reply = Reply::Tokens(scores.token_ids);
            sample.old_logprobs = scores.logprobs;
        }
    }
    if config.beta > 0.0 && !samples.is_empty() {
        let sequences: Vec<Sequence> = samples.iter().map(|sample| sample.sequence.clone()).collect();
        let scores = engine.logprobs(&sequences, Weights::Reference)?;
        for (sample, scores) in samples.iter_mut().zip(scores) {
            sample.reference_logprobs = scores.logprobs;
        }
    }
    Ok(())
}
