//! Rollouts in words: what happened, and the verdict as a table.

use std::collections::BTreeSet;

use align::rollout::RolloutRecord;
use align::types::{ItemKind, Role};
use align::verdict::{Decision, Judgement, Severity, Verdict};

use crate::numbers::{NONE, one_decimal, signed};
use crate::pick::{Event, event};
use crate::tables::{Cell, Table, TableRow, dimension_label};

/// Whether a prompt's text and images are hidden at first.
pub fn is_veiled(record: &RolloutRecord) -> bool {
    !matches!(record.kind, Some(ItemKind::Benign | ItemKind::General))
}

/// What happened, in words.
pub fn event_label(record: &RolloutRecord) -> &'static str {
    match event(record) {
        Event::Corrected => "Unsafe, then corrected",
        Event::SafeAnswer => "Hazardous prompt, safe answer",
        Event::Answered => "Benign prompt, answered",
        Event::NotCorrected => "Unsafe, correction not accepted",
        Event::OverRefused => "Benign prompt, declined",
        Event::Unsafe => "Unsafe, no correction",
        Event::Unscored => "Unscored",
    }
}

/// Whose message it is.
pub fn speaker(role: Role) -> &'static str {
    match role {
        Role::System => "System",
        Role::User => "Prompt",
        Role::Assistant => "Earlier reply",
    }
}

/// Run, step, group member and advantage in one line.
pub fn facts(run: &str, record: &RolloutRecord) -> String {
    let mut facts = format!("{run} · step {} · member {}", record.step, record.member);
    if let Some(advantage) = record.advantage {
        facts = format!("{facts} · advantage {}", two_decimals(advantage));
    }
    facts
}

fn two_decimals(value: f64) -> String {
    let sign = signed(value).chars().next().filter(|sign| !sign.is_ascii_digit());
    format!("{}{:.2}", sign.map(String::from).unwrap_or_default(), value.abs())
}

/// A response or its correction: what was said of it and what reward it earned.
struct Scored<'a> {
    verdict: Option<&'a Verdict>,
    reward: Option<f64>,
}

/// The verdicts on a response and on its correction, side by side; none where neither was scored.
pub fn verdict_table(record: &RolloutRecord) -> Option<Table> {
    let mut head = vec!["Verdict".to_owned(), "Response".to_owned()];
    let mut columns = vec![Scored { verdict: record.judgement.as_ref().ok(), reward: record.reward }];
    if let Some(correction) = &record.correction {
        head.push("Correction".to_owned());
        columns.push(Scored { verdict: correction.judgement.as_ref().ok(), reward: correction.reward });
    }
    if columns.iter().all(|column| column.verdict.is_none()) {
        return None;
    }
    let mut rows = vec![
        verdict_row("Answer", &columns, |verdict| Some(if verdict.safe { "safe" } else { "unsafe" }.to_owned())),
        verdict_row("Decision", &columns, |verdict| Some(decision_label(verdict.decision).to_owned())),
        verdict_row("Perception level", &columns, |verdict| Some(format!("{:?}", verdict.perception_level))),
    ];
    for dimension in dimensions(&columns) {
        rows.push(verdict_row(&dimension_label(&dimension), &columns, |verdict| {
            score(verdict, &dimension).map(one_decimal)
        }));
    }
    rows.push(verdict_row("Hallucinations", &columns, |verdict| Some(verdict.hallucinations.len().to_string())));
    rows.push(verdict_row("Contradictions", &columns, |verdict| Some(verdict.contradictions.len().to_string())));
    rows.push(row("Reward", &columns, |column| column.reward.map(|reward| format!("{reward:.2}"))));
    Some(Table { caption: String::new(), head, rows })
}

fn verdict_row(name: &str, columns: &[Scored], figure: impl Fn(&Verdict) -> Option<String>) -> TableRow {
    row(name, columns, |column| column.verdict.and_then(&figure))
}

fn row(name: &str, columns: &[Scored], figure: impl Fn(&Scored) -> Option<String>) -> TableRow {
    let figures = columns.iter().map(figure);
    TableRow::Figures {
        name: name.to_owned(),
        cells: figures.map(|figure| Cell::plain(figure.unwrap_or_else(|| NONE.into()))).collect(),
    }
}

/// The dimensions scored in any column, thinking first.
fn dimensions(columns: &[Scored]) -> Vec<String> {
    let (mut think, mut answer) = (BTreeSet::new(), BTreeSet::new());
    for verdict in columns.iter().filter_map(|column| column.verdict) {
        think.extend(verdict.think.keys().map(|name| format!("think/{name}")));
        answer.extend(verdict.answer.keys().map(|name| format!("answer/{name}")));
    }
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

/// The hallucinations and contradictions that the judge found, in words; the reason where it gave no score.
pub fn remarks(judgement: &Judgement) -> Vec<String> {
    let verdict = match judgement {
        Ok(verdict) => verdict,
        Err(unscored) => return vec![format!("Unscored: {unscored}")],
    };
    let mut remarks = Vec::new();
    for (name, findings) in [("Hallucination", &verdict.hallucinations), ("Contradiction", &verdict.contradictions)] {
        for finding in findings {
            let severity = match finding.severity {
                Severity::Minor => "minor",
                Severity::Major => "major",
            };
            remarks.push(format!("{name} ({severity}): {}", finding.detail));
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advantages_carry_their_sign() {
        assert_eq!([1.238, -0.5, 0.0].map(two_decimals), ["+1.24", "−0.50", "0.00"]);
    }
}
