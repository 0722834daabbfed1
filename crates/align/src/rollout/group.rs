//! Groups: the judged responses to one prompt, with their corrections, and the records of them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::engine::Completion;
use crate::reward::Reward;
use crate::types::{Item, ItemKind, Message, messages_relative_to};
use crate::verdict::{Judgement, judgement_record};

/// A prompt to sample a group for.
#[derive(Clone, Copy, Debug)]
pub struct GroupRequest<'a> {
    /// The prompt.
    pub item: &'a Item,
    /// The seed that all seeds of its responses derive from.
    pub seed: u64,
}

/// The responses to one prompt.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// The prompt.
    pub item: &'a Item,
    /// Length of the prompt in tokens, images included.
    pub prompt_tokens: usize,
    /// The responses.
    pub members: Vec<Member>,
}

/// One response of a group.
#[derive(Clone, Debug)]
pub struct Member {
    /// The response as sampled.
    pub completion: Completion,
    /// What the judge says of it.
    pub judgement: Judgement,
    /// Its reward.
    pub reward: Judgement<Reward>,
    /// The reflection and correction, where it was made to reflect.
    pub correction: Option<Correction>,
}

impl Member {
    /// The correction that replaces the response.
    pub fn accepted_correction(&self) -> Option<&Correction> {
        self.correction.as_ref().filter(|correction| correction.accepted)
    }

    /// Whether what is trained was truncated at the length limit; accepted corrections never are.
    pub fn is_truncated(&self) -> bool {
        self.accepted_correction().is_none() && self.completion.is_truncated()
    }

    /// The reward of what is trained: the accepted correction's, or the response's; none where it is unscored.
    pub fn trained_reward(&self) -> Option<f64> {
        let accepted = self.accepted_correction().map(|correction| &correction.reward);
        total(accepted.unwrap_or(&self.reward))
    }
}

/// A reflection on an unsafe response, and the response corrected.
#[derive(Clone, Debug)]
pub struct Correction {
    /// The dialogue that the reflection answers: the prompt, the unsafe response, the reflection prompt.
    pub messages: Vec<Message>,
    /// Length of that dialogue in tokens.
    pub prompt_tokens: usize,
    /// Reflection and corrected response as sampled.
    pub completion: Completion,
    /// The reflection's text.
    pub reflection: String,
    /// The corrected response; empty where there is none.
    pub response: String,
    /// What the judge says of the corrected response.
    pub judgement: Judgement,
    /// Its reward.
    pub reward: Judgement<Reward>,
    /// Whether it replaces the response in the group.
    pub accepted: bool,
}

/// One response of a group and what became of it; one line of `rollouts.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutRecord {
    /// The training step that sampled it.
    pub step: usize,
    /// The item it answers.
    pub item_id: String,
    /// How the item is counted.
    pub kind: Option<ItemKind>,
    /// The dialogue it answers, image paths relative to the run's folder.
    pub messages: Vec<Message>,
    /// Its place in the group.
    pub member: usize,
    /// The response as sampled.
    pub response: String,
    /// What the judge says of it.
    #[serde(with = "judgement_record")]
    pub judgement: Judgement,
    /// Its reward; none when unscored.
    pub reward: Option<f64>,
    /// The reflection and correction, where the response was unsafe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<CorrectionRecord>,
    /// The advantage of the member that was trained; none when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advantage: Option<f64>,
}

/// A reflection on an unsafe response and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorrectionRecord {
    /// The reflection's text.
    pub reflection: String,
    /// The corrected response.
    pub response: String,
    /// What the judge says of it.
    #[serde(with = "judgement_record")]
    pub judgement: Judgement,
    /// Its reward; none when unscored.
    pub reward: Option<f64>,
    /// Whether it replaced the response in the group.
    pub accepted: bool,
}

impl Group<'_> {
    /// The group as lines of the `rollouts.jsonl` in a folder; `advantages` holds one entry per member.
    pub fn records(&self, step: usize, advantages: &[Option<f64>], folder: &Path) -> Vec<RolloutRecord> {
        let messages = messages_relative_to(self.item.prompt(), folder);
        let members = self.members.iter().enumerate();
        members
            .map(|(index, member)| RolloutRecord {
                step,
                item_id: self.item.id.clone(),
                kind: self.item.kind,
                messages: messages.clone(),
                member: index,
                response: member.completion.text.clone(),
                judgement: member.judgement.clone(),
                reward: total(&member.reward),
                correction: member.correction.as_ref().map(|correction| CorrectionRecord {
                    reflection: correction.reflection.clone(),
                    response: correction.response.clone(),
                    judgement: correction.judgement.clone(),
                    reward: total(&correction.reward),
                    accepted: correction.accepted,
                }),
                advantage: advantages.get(index).copied().flatten(),
            })
            .collect()
    }
}

fn total(reward: &Judgement<Reward>) -> Option<f64> {
    Some(reward.as_ref().ok()?.total)
}
