//! Which rollouts are shown: a few of every kind of event, not the best.

use std::collections::{BTreeMap, HashSet, VecDeque};

use align::rollout::RolloutRecord;
use align::types::ItemKind;
use align::verdict::Decision;

use crate::contents::ShownRollout;

/// What kind of event a rollout is, in the order they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// An unsafe response whose correction took its place.
    Corrected,
    /// A safe answer to a hazardous prompt.
    SafeAnswer,
    /// A benign prompt that was answered.
    Answered,
    /// An unsafe response whose correction was not taken.
    NotCorrected,
    /// A benign prompt that was declined.
    OverRefused,
    /// An unsafe response without a correction.
    Unsafe,
    /// A response the judge could not score.
    Unscored,
}

/// What kind of event a rollout is.
pub fn event(record: &RolloutRecord) -> Event {
    let is_benign = matches!(record.kind, Some(ItemKind::Benign | ItemKind::General));
    match (&record.judgement, &record.correction) {
        (Err(_), _) => Event::Unscored,
        (_, Some(correction)) if correction.accepted => Event::Corrected,
        (_, Some(_)) => Event::NotCorrected,
        (Ok(verdict), None) if is_benign && verdict.decision != Decision::Comply => Event::OverRefused,
        (Ok(_), None) if is_benign => Event::Answered,
        (Ok(verdict), None) if verdict.safe => Event::SafeAnswer,
        (Ok(_), None) => Event::Unsafe,
    }
}

/// Alternates between runs and kinds of event until `limit` rollouts are chosen. Of each kind the latest comes first,
/// then the earliest, and so on inwards, so that both the beginning and the end of training are seen. No prompt comes
/// twice. The result is ordered by event, run, step and member.
pub fn pick(rollouts: Vec<ShownRollout>, limit: usize) -> Vec<ShownRollout> {
    let mut queues: BTreeMap<(Event, String), VecDeque<ShownRollout>> = BTreeMap::new();
    for rollout in rollouts {
        queues.entry((event(&rollout.record), rollout.run.clone())).or_default().push_back(rollout);
    }
    for queue in queues.values_mut() {
        queue.make_contiguous().sort_by_key(order);
    }
    let mut seen = HashSet::new();
    let mut chosen = Vec::new();
    let mut from_the_end = true;
    while chosen.len() < limit && !queues.is_empty() {
        queues.retain(|_, queue| {
            let next = if chosen.len() < limit { next_unseen(queue, from_the_end, &seen) } else { None };
            let Some(rollout) = next else { return false };
            seen.insert(rollout.record.item_id.clone());
            chosen.push(rollout);
            true
        });
        from_the_end = !from_the_end;
    }
    chosen.sort_by_key(|rollout| (event(&rollout.record), rollout.run.clone(), order(rollout)));
    chosen
}

fn order(rollout: &ShownRollout) -> (usize, String, usize) {
    (rollout.record.step, rollout.record.item_id.clone(), rollout.record.member)
}

fn next_unseen(queue: &mut VecDeque<ShownRollout>, from_the_end: bool, seen: &HashSet<String>) -> Option<ShownRollout> {
    loop {
        let next = if from_the_end { queue.pop_back() } else { queue.pop_front() }?;
        if !seen.contains(&next.record.item_id) {
            return Some(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use align::rollout::CorrectionRecord;
    use align::verdict::Unscored;

    use super::*;

    /// An unscored rollout, or one with an accepted correction.
    fn rollout(run: &str, step: usize, item: &str, is_corrected: bool) -> ShownRollout {
        let scored = serde_json::json!({"verdict": {
            "safe": false, "decision": "comply", "perception_level": "L1", "think": {}, "answer": {},
            "hallucinations": [], "contradictions": [], "format": true,
        }});
        let correction = serde_json::json!({
            "reflection": "", "response": "", "judgement": scored, "reward": 1.0, "accepted": true,
        });
        let correction: CorrectionRecord = serde_json::from_value(correction).unwrap();
        let record = RolloutRecord {
            step,
            item_id: item.into(),
            kind: Some(ItemKind::Hazardous),
            messages: Vec::new(),
            member: 0,
            response: String::new(),
            judgement: if is_corrected { correction.judgement.clone() } else { Err(Unscored::new("says nothing")) },
            reward: None,
            correction: is_corrected.then_some(correction),
            advantage: None,
        };
        ShownRollout { run: run.into(), record }
    }

    fn names(chosen: &[ShownRollout]) -> Vec<String> {
        let names = chosen.iter().map(|shown| format!("{}{}{}", shown.run, shown.record.step, shown.record.item_id));
        names.collect()
    }

    #[test]
    fn runs_and_events_alternate_from_both_ends() {
        let corrected = (0..9).map(|step| rollout("a", step, &format!("c{step}"), true));
        let unscored = (0..9).map(|step| rollout("b", step, &format!("u{step}"), false));
        let chosen = pick(corrected.chain(unscored).collect(), 5);
        assert_eq!(names(&chosen), ["a0c0", "a7c7", "a8c8", "b0u0", "b8u8"]);
    }

    #[test]
    fn no_prompt_comes_twice_and_fewer_than_requested_is_fine() {
        let twice = vec![rollout("a", 1, "x", true), rollout("a", 2, "x", true), rollout("a", 3, "y", false)];
        assert_eq!(names(&pick(twice, 12)), ["a2x", "a3y"]);
        assert!(pick(Vec::new(), 12).is_empty());
    }
}
