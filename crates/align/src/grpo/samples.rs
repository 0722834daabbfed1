//! From members to what is trained: each member's sequence, its advantage, and the log-probabilities its loss needs.

use super::{CorrectionTraining, GrpoConfig};
use crate::engine::{Engine, EngineError, Policy, Reply, Sequence};
use crate::rollout::{Correction, Group, Member};

/// Whether a sequence is trained under the context it was drawn in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is; the policy's ratio to the sampler's is 1 before any update.
    OnPolicy,
    /// It was drawn with a reflection before it, which is left out in training.
    OffPolicy,
}

/// One member in training.
#[derive(Clone, Debug)]
pub struct TrainingSample {
    /// What is trained; its id is that of the item that was answered.
    pub sequence: Sequence,
    /// The advantage of all its tokens.
    pub advantage: f64,
    /// Whether it is trained under the context it was drawn in.
    pub origin: Origin,
    /// Whether its loss is shaped instead of clipped.
    pub is_shaped: bool,
    /// Log-probability (nats) of each reply token under the policy before the step's updates.
    pub old_logprobs: Vec<f32>,
    /// The same under the reference; empty without a KL term.
    pub reference_logprobs: Vec<f32>,
    /// For off-policy samples, the tokens as drawn and their log-probabilities there; the reply is their end.
    pub drawn: Option<(Vec<u32>, Vec<f32>)>,
}

impl TrainingSample {
    /// Log-probabilities under the policy before the step's updates beside those of the sampler, for the tokens that
    /// both share. The reply was tokenised anew, so the two are matched from their ends.
    pub fn off_policy_pairs(&self) -> Vec<(f64, f64)> {
        let (Some((drawn, sampled)), Reply::Tokens(tokens)) = (&self.drawn, &self.sequence.reply) else {
            return Vec::new();
        };
        let n_shared = drawn
            .iter()
            .rev()
            .zip(tokens.iter().rev())
            .take_while(|(left, right)| left == right)
            .count();
        let old = self.old_logprobs.iter().rev().take(n_shared);
        old.zip(sampled.iter().rev())
            .map(|(old, sampled)| (f64::from(*old), f64::from(*sampled)))
            .collect()
    }
}

/// The members that have an advantage, one a member in `advantages`, with the log-probabilities that their loss needs.
/// `sampler_is_policy` says that responses were drawn from the policy itself, so that their own log-probabilities serve.
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
        drawn: None,
    };
    if let Some(correction) = member.accepted_correction() {
        train_correction(&mut sample, correction, training);
    }
    sample
}

/// Puts an accepted correction in the response's place.
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
    sample.drawn = Some((completion.token_ids.clone(), completion.logprobs.clone()));
}

/// Fills in old and reference log-probabilities. The sampler's serve as old ones where it drew from the policy itself
/// (`sampler_is_policy`); they are computed anew for off-policy samples, and for all where temperature or top-p bent
/// the distribution.
///
/// Errors: the engine's.
fn score(
    engine: &mut dyn Engine,
    samples: &mut [TrainingSample],
    config: &GrpoConfig,
    sampler_is_policy: bool,
) -> Result<(), EngineError> {
    let stale = |sample: &TrainingSample| !sampler_is_policy || sample.origin == Origin::OffPolicy;
    let mut unscored: Vec<&mut TrainingSample> = samples.iter_mut().filter(|sample| stale(sample)).collect();
    let sequences: Vec<Sequence> = unscored.iter().map(|sample| sample.sequence.clone()).collect();
    let scores = if sequences.is_empty() {
        Vec::new()
    } else {
        engine.logprobs(&sequences, Policy::Current)?
    };
    for (sample, scores) in unscored.iter_mut().zip(scores) {
        sample.sequence.reply = Reply::Tokens(scores.token_ids);
        sample.old_logprobs = scores.logprobs;
    }
    if config.beta > 0.0 && !samples.is_empty() {
        let sequences: Vec<Sequence> = samples.iter().map(|sample| sample.sequence.clone()).collect();
        let scores = engine.logprobs(&sequences, Policy::Reference)?;
        for (sample, scores) in samples.iter_mut().zip(scores) {
            sample.reference_logprobs = scores.logprobs;
        }
    }
    Ok(())
}
