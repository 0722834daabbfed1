//! Safety-aware rollout: sample a group of responses, judge them, let unsafe ones reflect and correct themselves.
//!
//! Prompts go in; groups of judged members come out, some with a correction that may replace them. The trainer decides
//! how a correction is trained. Source: SaFeR-VLM (arXiv 2510.06871), which does not discard unsafe responses but
//! reflects on them; counts and thresholds were not published and are settings here.

mod config;
mod group;
mod judged_sampling;
mod reflection;

use crate::engine::{Engine, SampleRequest};
use crate::seeds::derive_seed;
use crate::training::TrainingError;
use crate::types::Item;

use judged_sampling::sample_and_judge;

pub use config::{DEFAULT_REFLECTION_PROMPT, Rollout, RolloutConfig};
pub use group::{Correction, CorrectionRecord, Group, GroupRequest, Member, RolloutRecord};
pub use reflection::{reflection_prompt, split_correction};

/// Samples one group for each request, judges it, and lets unsafe members reflect. A reflection or correction that the
/// engine cannot take, such as one that spells out a special token, is unscored and says why.
///
/// Errors: the engine's, of what is not sampled text; `Judge` where the judge had to stop.
pub fn sample_groups<'a>(
    engine: &mut dyn Engine,
    requests: &[GroupRequest<'a>],
    rollout: &Rollout,
) -> Result<Vec<Group<'a>>, TrainingError> {
    let config = rollout.config;
    let mut samples: Vec<(&Item, SampleRequest)> = Vec::with_capacity(requests.len());
    for GroupRequest { item, seed } in requests {
        let members = 0..config.num_generations as u64;
        let request = SampleRequest {
            id: item.id.clone(),
            messages: item.prompt().to_vec(),
            seeds: members.map(|member| derive_seed(*seed, "response", &[member])).collect(),
        };
        samples.push((item, request));
    }
    let judged = sample_and_judge(rollout, engine, &samples, config.max_completion_length, |text| text)?;
    let mut groups = Vec::with_capacity(requests.len());
    for (GroupRequest { item, .. }, judged) in requests.iter().zip(judged) {
        let judged = judged?;
        let completions = judged.completions.into_iter();
        groups.push(Group {
            item,
            prompt_tokens: judged.prompt_tokens,
            members: completions
                .map(|(completion, judgement)| Member {
                    completion,
                    reward: rollout.reward.reward(&judgement, item.kind),
                    judgement,
                    correction: None,
                })
                .collect(),
        });
    }
    if config.reflect {
        reflection::reflect(rollout, engine, requests, &mut groups)?;
    }
    Ok(groups)
}
