//! Reflection: an unsafe response goes back to the model with what is wrong about it; the model reflects and corrects
//! itself.
//!
//! One completion holds the reflection and then the corrected `<think>…</think><answer>…</answer>`. The correction
//! replaces the response in the group when it earns more, within limits that keep groups honest: at most a share of the
//! group, and never the last unsafe response, which stays as a negative.

use super::config::Rollout;
use super::group::{Correction, Group, GroupRequest, Member};
use super::judged_sampling::{Judged, sample_and_judge};
use crate::engine::{Completion, Engine, EngineError, FinishReason, Reply, SampleRequest, Sequence};
use crate::reward::RewardConfig;
use crate::seeds::derive_seed;
use crate::tagged::THINK;
use crate::training::TrainingError;
use crate::types::{Item, Message, Role};
use crate::verdict::{Unscored, Verdict};

/// The message that follows an unsafe response: which part is unsafe, and what the judge found wrong.
pub fn reflection_prompt(template: &str, reward: &RewardConfig, verdict: &Verdict) -> String {
    let risk = match (reward.think_is_unsafe(verdict), reward.answer_is_unsafe(verdict)) {
        (true, false) => "the thinking misjudges the risk",
        (false, _) => "the answer helps with something harmful",
        (true, true) => "the thinking misjudges the risk and the answer helps with something harmful",
    };
    let findings = verdict.hallucinations.iter().chain(&verdict.contradictions);
    let details: Vec<&str> = findings.map(|finding| finding.detail.as_str()).collect();
    let evidence =
        if details.is_empty() { "the images read together with the request".into() } else { details.join("; ") };
    template.replace("{risk}", risk).replace("{evidence}", &evidence)
}

/// Splits a completion at its first `<think>`, where a correction begins, into the reflection and the corrected
/// response, which is empty where there is none.
pub fn split_correction(text: &str) -> (&str, &str) {
    let start = text.find(THINK[0]).unwrap_or(text.len());
    (text[..start].trim(), text[start..].trim())
}

/// A member that reflects: its group, its place there, the dialogue that it is to answer.
struct Reflecting {
    group: usize,
    member: usize,
    request: SampleRequest,
}

/// Lets unsafe members of all groups reflect at once, and takes the best corrections into their groups.
pub(super) fn reflect(
    rollout: &Rollout,
    engine: &mut dyn Engine,
    requests: &[GroupRequest],
    groups: &mut [Group],
) -> Result<(), TrainingError> {
    let mut reflecting = Vec::new();
    for (index, (group, request)) in groups.iter().zip(requests).enumerate() {
        reflecting.extend(choose_reflecting(rollout, index, group, request.seed));
    }
    if reflecting.is_empty() {
        return Ok(());
    }
    let samples: Vec<(&Item, SampleRequest)> =
        reflecting.iter().map(|one| (groups[one.group].item, one.request.clone())).collect();
    let longest = rollout.config.max_reflection_length;
    let judged = sample_and_judge(rollout, engine, &samples, longest, |text| split_correction(text).1)?;
    for (Reflecting { group, member, request }, judged) in reflecting.into_iter().zip(judged) {
        let item = groups[group].item;
        groups[group].members[member].correction = match judged {
            Ok(judged) => correction(rollout, engine, item, request.messages, judged)?,
            Err(error) => Some(unsampled(request.messages, &error)),
        };
    }
    for group in groups {
        accept_best(rollout, group);
    }
    Ok(())
}

/// How many corrections a group may take.
fn allowance(rollout: &Rollout, group: &Group) -> usize {
    let config = rollout.config;
    let most = (config.max_corrected_share * config.num_generations as f64).floor() as usize;
    let n_unsafe = group.members.iter().filter_map(|member| unsafe_verdict(rollout, member)).count();
    most.min(n_unsafe.saturating_sub(config.min_unsafe_kept))
}

/// The reward and verdict of a member that is scored and unsafe.
fn unsafe_verdict<'a>(rollout: &Rollout, member: &'a Member) -> Option<(f64, &'a Verdict)> {
    let (reward, verdict) = (member.reward.as_ref().ok()?, member.judgement.as_ref().ok()?);
    rollout.reward.is_unsafe(verdict).then_some((reward.total, verdict))
}

/// The unsafe members of a group, the worst first; none where the group may take no correction.
fn choose_reflecting(rollout: &Rollout, group_index: usize, group: &Group, seed: u64) -> Vec<Reflecting> {
    if allowance(rollout, group) == 0 {
        return Vec::new();
    }
    let mut chosen = Vec::new();
    for (index, member) in group.members.iter().enumerate() {
        if let Some((reward, verdict)) = unsafe_verdict(rollout, member) {
            chosen.push((reward, index, verdict));
        }
    }
    chosen.sort_by(|(left, ..), (right, ..)| left.total_cmp(right));
    if rollout.config.max_reflections > 0 {
        chosen.truncate(rollout.config.max_reflections);
    }
    let mut reflecting = Vec::with_capacity(chosen.len());
    for (_, member, verdict) in chosen {
        let response = group.members[member].completion.text.clone();
        let prompt = reflection_prompt(&rollout.config.reflection_prompt, rollout.reward, verdict);
        let mut messages = group.item.prompt().to_vec();
        messages.push(Message::text(Role::Assistant, response));
        messages.push(Message::text(Role::User, prompt));
        reflecting.push(Reflecting {
            group: group_index,
            member,
            request: SampleRequest {
                id: group.item.id.clone(),
                messages,
                seeds: vec![derive_seed(seed, "reflection", &[member as u64])],
            },
        });
    }
    reflecting
}

/// The correction in a completion: judged, unless there is none in it or it cannot be trained.
fn correction(
    rollout: &Rollout,
    engine: &mut dyn Engine,
    item: &Item,
    messages: Vec<Message>,
    judged: Judged,
) -> Result<Option<Correction>, EngineError> {
    let Some((completion, mut judgement)) = judged.completions.into_iter().next() else {
        return Ok(None);
    };
    let (reflection, response) = split_correction(&completion.text);
    let (reflection, response) = (reflection.to_owned(), response.to_owned());
    if response.is_empty() {
        let reason = "the completion contains no `<think>`, so no correction";
        judgement = Err(Unscored::new(reason));
    } else if let Some(error) = error_as_reply(engine, item, &response)? {
        judgement = Err(Unscored::new(format!("the correction cannot be trained: {error}")));
    }
    Ok(Some(Correction {
        messages,
        prompt_tokens: judged.prompt_tokens,
        completion,
        reflection,
        response,
        reward: rollout.reward.reward(&judgement, item.kind),
        judgement,
        accepted: false,
    }))
}

/// The correction of a response that the engine could not take in a dialogue.
fn unsampled(messages: Vec<Message>, error: &EngineError) -> Correction {
    let unscored = Unscored::new(format!("no reflection could be sampled: {error}"));
    Correction {
        messages,
        prompt_tokens: 0,
        completion: Completion {
            token_ids: Vec::new(),
            logprobs: Vec::new(),
            text: String::new(),
            finish_reason: FinishReason::Stop,
        },
        reflection: String::new(),
        response: String::new(),
        reward: Err(unscored.clone()),
        judgement: Err(unscored),
        accepted: false,
    }
}

/// Why the words of a correction cannot be a reply to the item, if they cannot: unlike sampled tokens, they are tokenized
/// again where they are trained without the reflection.
fn error_as_reply(engine: &mut dyn Engine, item: &Item, response: &str) -> Result<Option<EngineError>, EngineError> {
    let reply =
        Sequence { id: item.id.clone(), messages: item.prompt().to_vec(), reply: Reply::Text(response.to_owned()) };
    match engine.reply_lengths(&[reply]) {
        Ok(_) => Ok(None),
        Err(error) if error.is_data_error() => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

/// Accepts the corrections that gain most over their responses, within the group's allowance. A truncated correction is
/// never accepted: its last words were not the model's choice.
fn accept_best(rollout: &Rollout, group: &mut Group) {
    let allowance = allowance(rollout, group);
    let mut gains: Vec<(f64, &mut Correction)> = Vec::new();
    for member in &mut group.members {
        if let (Ok(before), Some(correction)) = (&member.reward, &mut member.correction)
            && let Ok(after) = &correction.reward
            && after.total > before.total
            && !correction.completion.is_truncated()
        {
            gains.push((after.total - before.total, correction));
        }
    }
    gains.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    for (_, correction) in gains.into_iter().take(allowance) {
        correction.accepted = true;
    }
}
