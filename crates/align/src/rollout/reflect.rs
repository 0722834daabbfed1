//! Reflection: an unsafe response is put before the model with what is wrong about it; it reflects and corrects itself.
//!
//! One completion holds the reflection and then the corrected `<think>…</think><answer>…</answer>`. The correction
//! takes the response's place in the group when it earns more, within limits that keep groups honest: at most a share
//! of the group, and never the last unsafe response, which stays as a negative.

use super::{CorrectionRecord, Group, Member, Prompt, Rollout, draw_judged};
use crate::engine::{Completion, Engine, EngineError, FinishReason, Reply, SampleRequest, Sampled, Sequence};
use crate::reward::{Reward, Rubric, Unscored};
use crate::tagged::THINK;
use crate::training::{TrainingError, derive_seed};
use crate::types::{Item, Message, Role};
use crate::verdict::{Fault, Judgement, Verdict};

/// The reflection prompt of this version of the program.
pub const DEFAULT_REFLECTION_PROMPT: &str = include_str!("prompts/reflection.v1.md");

/// A reflection on an unsafe response, and the response corrected.
#[derive(Clone, Debug)]
pub struct Correction {
    /// The dialogue that the reflection answers: the prompt, the unsafe response, the reflection prompt.
    pub messages: Vec<Message>,
    /// Length of that dialogue in tokens.
    pub prompt_tokens: usize,
    /// What was drawn: reflection and corrected response.
    pub completion: Completion,
    /// The reflection's text.
    pub reflection: String,
    /// The corrected response; empty where there is none.
    pub response: String,
    /// What the judge says of the corrected response.
    pub judgement: Judgement,
    /// Its reward, or why it has none.
    pub reward: Result<Reward, Unscored>,
    /// Whether it takes the response's place in the group.
    pub accepted: bool,
}

impl Correction {
    /// What stands in a correction's place where the engine could not be asked for one.
    fn undrawn(messages: Vec<Message>, error: &EngineError) -> Self {
        let reason = format!("no reflection could be drawn: {error}");
        Self {
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
            reward: Err(Unscored(reason.clone())),
            judgement: Judgement::Unscored(reason),
            accepted: false,
        }
    }

    pub(super) fn record(&self) -> CorrectionRecord {
        CorrectionRecord {
            reflection: self.reflection.clone(),
            response: self.response.clone(),
            judgement: self.judgement.clone(),
            reward: self.reward.as_ref().ok().map(|reward| reward.total),
            accepted: self.accepted,
        }
    }
}

/// What the model is told of an unsafe response: which part is unsafe, and the faults that the judge found.
pub fn reflection_prompt(template: &str, rubric: &Rubric, verdict: &Verdict) -> String {
    let risk = match (rubric.think_is_unsafe(verdict), rubric.answer_is_unsafe(verdict)) {
        (true, false) => "the thinking misjudges the risk",
        (false, _) => "the answer helps with something harmful",
        (true, true) => "the thinking misjudges the risk and the answer helps with something harmful",
    };
    let faults = verdict.hallucinations.iter().chain(&verdict.contradictions);
    let evidence: Vec<&str> = faults.map(|fault: &Fault| fault.detail.as_str()).collect();
    let evidence = if evidence.is_empty() {
        "the images read together with the request".into()
    } else {
        evidence.join("; ")
    };
    template.replace("{risk}", risk).replace("{evidence}", &evidence)
}

/// Splits a completion at its first `<think>`, where a correction begins, into the reflection and the corrected
/// response, which is empty where there is none.
pub fn split_correction(text: &str) -> (&str, &str) {
    let start = text.find(THINK[0]).unwrap_or(text.len());
    (text[..start].trim(), text[start..].trim())
}

/// A member that reflects: its group, its place there, the dialogue it is put in.
struct Reflecting {
    group: usize,
    member: usize,
    request: SampleRequest,
}

/// Lets unsafe members reflect, all groups' in one go, and takes the best corrections into their groups.
pub(super) fn reflect(
    rollout: &Rollout,
    engine: &mut dyn Engine,
    prompts: &[Prompt],
    groups: &mut [Group],
) -> Result<(), TrainingError> {
    let reflecting: Vec<Reflecting> = groups
        .iter()
        .enumerate()
        .flat_map(|(index, group)| choose_reflecting(rollout, index, group, prompts[index].seed))
        .collect();
    if reflecting.is_empty() {
        return Ok(());
    }
    let requests: Vec<(&Item, SampleRequest)> = reflecting
        .iter()
        .map(|one| (groups[one.group].item, one.request.clone()))
        .collect();
    let longest = rollout.config.max_reflection_length;
    let drawn = draw_judged(rollout, engine, &requests, longest, |text| split_correction(text).1)?;
    for (one, judged) in reflecting.into_iter().zip(drawn) {
        let Reflecting { group, member, request } = one;
        let item = groups[group].item;
        groups[group].members[member].correction = match judged {
            Ok(drawn) => correction(rollout, engine, item, request.messages, drawn)?,
            Err(error) => Some(Correction::undrawn(request.messages, &error)),
        };
    }
    for group in groups.iter_mut() {
        accept_best(rollout, group);
    }
    Ok(())
}

/// How many corrections a group may take.
fn allowance(rollout: &Rollout, group: &Group) -> usize {
    let config = rollout.config;
    let most = (config.max_corrected_share * config.num_generations as f64).floor() as usize;
    let n_unsafe = group.members.iter().filter(|member| is_unsafe(rollout, member)).count();
    most.min(n_unsafe.saturating_sub(config.min_unsafe_kept))
}

fn is_unsafe(rollout: &Rollout, member: &Member) -> bool {
    member.reward.is_ok()
        && member
            .judgement
            .verdict()
            .is_some_and(|verdict| rollout.rubric.is_unsafe(verdict))
}

/// The unsafe members of a group, the worst first; none where the group may take no correction.
fn choose_reflecting(rollout: &Rollout, group_index: usize, group: &Group, seed: u64) -> Vec<Reflecting> {
    if allowance(rollout, group) == 0 {
        return Vec::new();
    }
    let reward = |member: &Member| member.reward.as_ref().map_or(f64::INFINITY, |reward| reward.total);
    let mut chosen: Vec<(usize, &Member, &Verdict)> = group
        .members
        .iter()
        .enumerate()
        .filter(|(_, member)| is_unsafe(rollout, member))
        .filter_map(|(index, member)| Some((index, member, member.judgement.verdict()?)))
        .collect();
    chosen.sort_by(|left, right| reward(left.1).total_cmp(&reward(right.1)));
    if rollout.config.max_reflections > 0 {
        chosen.truncate(rollout.config.max_reflections);
    }
    let reflecting = |(member, drawn, verdict): (usize, &Member, &Verdict)| {
        let told = reflection_prompt(&rollout.config.reflection_prompt, rollout.rubric, verdict);
        let mut messages = group.item.prompt().to_vec();
        messages.push(Message::text(Role::Assistant, drawn.completion.text.clone()));
        messages.push(Message::text(Role::User, told));
        let seeds = vec![derive_seed(seed, "reflection", &[member as u64])];
        Reflecting {
            group: group_index,
            member,
            request: SampleRequest {
                id: group.item.id.clone(),
                messages,
                seeds,
            },
        }
    };
    chosen.into_iter().map(reflecting).collect()
}

fn correction(
    rollout: &Rollout,
    engine: &mut dyn Engine,
    item: &Item,
    messages: Vec<Message>,
    (sampled, judgements): (Sampled, Vec<Judgement>),
) -> Result<Option<Correction>, EngineError> {
    let judged = sampled.completions.into_iter().zip(judgements).next();
    let Some((completion, mut judgement)) = judged else {
        return Ok(None);
    };
    let (reflection, response) = split_correction(&completion.text);
    let (reflection, response) = (reflection.to_owned(), response.to_owned());
    if response.is_empty() {
        judgement = Judgement::Unscored("the completion holds no `<think>`, so no correction".into());
    } else if let Some(reason) = fault_as_reply(engine, item, &response)? {
        judgement = Judgement::Unscored(format!("the correction cannot be trained: {reason}"));
    }
    Ok(Some(Correction {
        messages,
        prompt_tokens: sampled.prompt_ids.len(),
        completion,
        reflection,
        response,
        reward: rollout.rubric.reward(&judgement, item.kind),
        judgement,
        accepted: false,
    }))
}

/// Why the words of a correction cannot be a reply to the item, if they cannot: unlike what was drawn, they are
/// tokenised anew where they are trained without the reflection.
fn fault_as_reply(engine: &mut dyn Engine, item: &Item, response: &str) -> Result<Option<String>, EngineError> {
    let reply = Sequence {
        id: item.id.clone(),
        messages: item.prompt().to_vec(),
        reply: Reply::Text(response.to_owned()),
    };
    match engine.reply_lengths(&[reply]) {
        Ok(_) => Ok(None),
        Err(error) if error.is_of_data() => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Accepts the corrections that gain most over their responses, within the group's allowance. A correction that was cut
/// off is never accepted: its last words were not the model's choice.
fn accept_best(rollout: &Rollout, group: &mut Group) {
    let allowance = allowance(rollout, group);
    let mut gains: Vec<(f64, usize)> = group
        .members
        .iter()
        .enumerate()
        .filter_map(|(index, member)| Some((gain(member)?, index)))
        .filter(|(gain, _)| *gain > 0.0)
        .collect();
    gains.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
    for (_, index) in gains.into_iter().take(allowance) {
        if let Some(correction) = &mut group.members[index].correction {
            correction.accepted = true;
        }
    }
}

/// What a whole correction earns over the response it corrects.
fn gain(member: &Member) -> Option<f64> {
    let correction = member.correction.as_ref()?;
    let gain = correction.reward.as_ref().ok()?.total - member.reward.as_ref().ok()?.total;
    (!correction.completion.is_cut_off()).then_some(gain)
}
