//! Rollouts as people read them: what happened in words, and the verdict as a table.

use std::collections::BTreeSet;

use super::numbers::{NONE, one_decimal, signed};
use super::pick::{Event, event};
use super::tables::{Cell, Grid, Row, dimension_label};
use crate::rollout::RolloutRecord;
use crate::types::ItemKind;
use crate::verdict::{Decision, Judgement, Severity, Verdict};

/// Whether a prompt's text and images are hidden until asked for.
pub(super) fn is_veiled(record: &RolloutRecord) -> bool {
    !matches!(record.kind, Some(ItemKind::Benign | ItemKind::General))
}

/// What happened, in words.
pub(super) fn event_label(record: &RolloutRecord) -> &'static str {
    match event(record) {
        Event::Corrected => "Unsafe, reflected on, corrected",
        Event::SafeAnswer => "Safe answer to a hazardous prompt",
        Event::Helped => "Benign prompt, helped with",
        Event::NotCorrected => "Unsafe, correction not taken",
        Event::OverRefused => "Benign prompt, declined",
        Event::Unsafe => "Unsafe, not reflected on",
        Event::Unscored => "Not scored",
    }
}

/// Where a rollout comes from, and what it earned, in one line.
pub(super) fn facts(run: &str, record: &RolloutRecord) -> String {
    let mut facts = vec![
        run.to_owned(),
        format!("step {}", record.step),
        format!("member {}", record.member),
    ];
    facts.extend(
        record
            .advantage
            .map(|advantage| format!("advantage {}", two_decimals(advantage))),
    );
    facts.join(" · ")
}

fn two_decimals(value: f64) -> String {
    let sign = signed(value).chars().next().filter(|sign| !sign.is_ascii_digit());
    format!("{}{:.2}", sign.map(String::from).unwrap_or_default(), value.abs())
}

/// The verdict on a response and on its correction, side by side; none where neither was scored.
pub(super) fn grid(record: &RolloutRecord) -> Option<Grid> {
    let correction = record.correction.as_ref();
    let mut columns = vec![(&record.judgement, record.reward)];
    columns.extend(correction.map(|correction| (&correction.judgement, correction.reward)));
    columns.iter().find_map(|(judgement, _)| judgement.verdict())?;
    let mut head = vec!["Verdict".to_owned(), "Response".to_owned()];
    head.extend(correction.map(|_| "Correction".to_owned()));
    let row = |name: String, figure: &dyn Fn(&Verdict) -> String| Row::Figures {
        name,
        cells: columns
            .iter()
            .map(|(judgement, _)| Cell::plain(judgement.verdict().map_or_else(|| NONE.into(), figure)))
            .collect(),
    };
    let mut rows = vec![
        row("Answer".into(), &|verdict| {
            if verdict.safe { "safe".into() } else { "unsafe".into() }
        }),
        row("Decision".into(), &|verdict| decision_label(verdict.decision).into()),
        row("Perception level".into(), &|verdict| {
            format!("{:?}", verdict.perception_level)
        }),
    ];
    for dimension in dimensions(&columns) {
        let label = dimension_label(&dimension);
        rows.push(row(label, &|verdict| {
            score(verdict, &dimension).map_or_else(|| NONE.into(), one_decimal)
        }));
    }
    rows.push(row("Hallucinations".into(), &|verdict| {
        verdict.hallucinations.len().to_string()
    }));
    rows.push(row("Contradictions".into(), &|verdict| {
        verdict.contradictions.len().to_string()
    }));
    let reward =
        |reward: &Option<f64>| Cell::plain(reward.map_or_else(|| NONE.into(), |reward| format!("{reward:.2}")));
    rows.push(Row::Figures {
        name: "Reward".into(),
        cells: columns.iter().map(|(_, value)| reward(value)).collect(),
    });
    Some(Grid {
        caption: String::new(),
        head,
        rows,
    })
}

/// The dimensions scored in any column, thinking first.
fn dimensions(columns: &[(&Judgement, Option<f64>)]) -> Vec<String> {
    let verdicts = || columns.iter().filter_map(|(judgement, _)| judgement.verdict());
    let think: BTreeSet<String> = verdicts()
        .flat_map(|v| v.think.keys())
        .map(|name| format!("think/{name}"))
        .collect();
    let answer: BTreeSet<String> = verdicts()
        .flat_map(|v| v.answer.keys())
        .map(|name| format!("answer/{name}"))
        .collect();
    think.into_iter().chain(answer).collect()
}

fn score(verdict: &Verdict, dimension: &str) -> Option<f64> {
    match dimension.split_once('/')? {
        ("think", name) => verdict.think.get(name).copied(),
        (_, name) => verdict.answer.get(name).copied(),
    }
}

fn decision_label(decision: Decision) -> &'static str {
    match decision {
        Decision::Comply => "complies",
        Decision::Caution => "cautions",
        Decision::Refuse => "refuses",
    }
}

/// What the judge found wrong, in words; the reason where it gave no score.
pub(super) fn remarks(judgement: &Judgement) -> Vec<String> {
    let verdict = match judgement {
        Judgement::Verdict(verdict) => verdict,
        Judgement::Unscored(reason) => return vec![format!("Not scored: {reason}")],
    };
    let grade = |severity| match severity {
        Severity::Minor => "minor",
        Severity::Major => "major",
    };
    let hallucinations = verdict.hallucinations.iter().map(|fault| ("Hallucination", fault));
    let contradictions = verdict.contradictions.iter().map(|fault| ("Contradiction", fault));
    hallucinations
        .chain(contradictions)
        .map(|(name, fault)| format!("{name} ({}): {}", grade(fault.severity), fault.detail))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advantages_carry_their_sign() {
        assert_eq!([1.238, -0.5, 0.0].map(two_decimals), ["+1.24", "−0.50", "0.00"]);
    }
}
