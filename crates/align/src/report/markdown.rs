//! The report as Markdown. Pictures are links, so the file is read beside the folder.

#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "the text is small, and reads best so"
)]

use super::numbers::significant;
use super::tables::{self, Cell, Grid, Row};
use super::{Report, ShownRollout, TrainingRun, curves, differences, verdicts};
use crate::tagged;
use crate::types::{Part, Role};

/// Writes the whole report.
pub(super) fn render(report: &Report) -> String {
    let mut text = format!("# {}\n\n", report.title);
    for (name, value) in tables::about(report) {
        text += &format!("- {}: {}\n", escaped(&name), escaped(&value));
    }
    section(
        &mut text,
        "Figures by split",
        tables::rates(&report.models).iter().map(grid),
    );
    section(
        &mut text,
        "Paired differences",
        differences::grids(&report.comparisons).iter().map(grid),
    );
    section(
        &mut text,
        "Reward dimensions",
        tables::dimensions(&report.models).iter().map(grid),
    );
    section(
        &mut text,
        "Which prompts were trained on",
        report.curations.iter().map(curation),
    );
    section(&mut text, "Training", report.runs.iter().map(run));
    section(&mut text, "Rollouts", report.rollouts.iter().map(rollout));
    section(&mut text, "Not in this report", missing(&report.missing).into_iter());
    text
}

/// A heading and what stands under it; nothing where there is nothing.
fn section(text: &mut String, heading: &str, blocks: impl Iterator<Item = String>) {
    let blocks: Vec<String> = blocks.collect();
    if !blocks.is_empty() {
        *text += &format!("\n## {heading}\n\n{}", blocks.join("\n"));
    }
}

fn missing(missing: &[String]) -> Option<String> {
    (!missing.is_empty()).then(|| missing.iter().map(|what| format!("- {}\n", escaped(what))).collect())
}

fn grid(grid: &Grid) -> String {
    let mut text = String::new();
    if !grid.caption.is_empty() {
        text += &format!("{}\n\n", escaped(&grid.caption));
    }
    text += &line(grid.head.iter().map(|cell| escaped(cell)));
    text += &line(
        grid.head
            .iter()
            .enumerate()
            .map(|(column, _)| if column == 0 { "---" } else { "---:" }.to_owned()),
    );
    for row in &grid.rows {
        text += &match row {
            Row::Heading(heading) => {
                let rest = grid.head.iter().skip(1).map(|_| String::new());
                line(std::iter::once(format!("**{}**", escaped(heading))).chain(rest))
            }
            Row::Figures { name, cells } => line(std::iter::once(escaped(name)).chain(cells.iter().map(cell))),
        };
    }
    text
}

fn line(cells: impl Iterator<Item = String>) -> String {
    cells.fold("|".to_owned(), |line, cell| format!("{line} {cell} |")) + "\n"
}

fn cell(cell: &Cell) -> String {
    let figure = if cell.strong {
        format!("**{}**", escaped(&cell.figure))
    } else {
        escaped(&cell.figure)
    };
    match &cell.detail {
        Some(detail) => format!("{figure} ({})", escaped(detail)),
        None => figure,
    }
}

fn curation(curation: &super::CurationReport) -> String {
    let mut text = String::new();
    if !curation.name.is_empty() {
        text += &format!("### {}\n\n", escaped(&curation.name));
    }
    if let Some(picture) = &curation.picture {
        text += &format!("![Prompts by quality and instability]({})\n\n", picture.display());
    }
    text + &grid(&tables::curation(&curation.summary))
}

fn run(run: &TrainingRun) -> String {
    let mut text = format!("### {}\n\n{}\n", escaped(&run.name), tables::run_facts(run));
    if run.curves.is_empty() {
        return text;
    }
    text += "\n| Metric | First | Last | Lowest | Highest |\n| --- | ---: | ---: | ---: | ---: |\n";
    for curve in &run.curves {
        let values = || curve.points.iter().map(|(_, value)| *value);
        let (first, last) = (curve.points[0].1, curve.points[curve.points.len() - 1].1);
        let (lowest, highest) = (
            values().fold(f64::INFINITY, f64::min),
            values().fold(f64::NEG_INFINITY, f64::max),
        );
        let figures = [first, last, lowest, highest].map(significant);
        text += &line(std::iter::once(curves::label(&curve.metric).to_owned()).chain(figures));
    }
    text
}

fn rollout(shown: &ShownRollout) -> String {
    let record = &shown.record;
    let mut text = format!(
        "### {}: {}\n\n",
        verdicts::event_label(record),
        escaped(&record.item_id)
    );
    text += &format!("{}\n\n", escaped(&verdicts::facts(&shown.run, record)));
    text += &verdicts::grid(record).map_or_else(String::new, |verdict| grid(&verdict) + "\n");
    text += "<details><summary>Text and images (may describe hazards)</summary>\n\n";
    for message in &record.messages {
        for part in &message.content {
            match part {
                Part::Text { text: words } => quote(&mut text, speaker(message.role), words),
                Part::Image { image } => text += &format!("Image: `{}`\n\n", image.display()),
            }
        }
    }
    response(&mut text, "", &record.response);
    remarks(&mut text, &verdicts::remarks(&record.judgement));
    if let Some(correction) = &record.correction {
        quote(&mut text, "Reflection", &correction.reflection);
        response(&mut text, "Corrected ", &correction.response);
        remarks(&mut text, &verdicts::remarks(&correction.judgement));
    }
    text + "</details>\n"
}

pub(super) fn speaker(role: Role) -> &'static str {
    match role {
        Role::System => "System",
        Role::User => "Prompt",
        Role::Assistant => "Earlier reply",
    }
}

fn response(text: &mut String, prefix: &str, response: &str) {
    let parts = tagged::parts(response);
    if let Some(think) = parts.think {
        quote(text, &format!("{prefix}thinking"), think);
    }
    quote(text, &format!("{prefix}answer"), parts.answer);
}

fn remarks(text: &mut String, remarks: &[String]) {
    for remark in remarks {
        *text += &format!("- {}\n", escaped(remark));
    }
    if !remarks.is_empty() {
        *text += "\n";
    }
}

/// Words as they are, in a fence longer than any they hold.
fn quote(text: &mut String, label: &str, words: &str) {
    let longest = words.split(|sign| sign != '~').map(str::len).max().unwrap_or(0);
    let fence = "~".repeat(longest.max(2) + 1);
    let mut label = label.to_owned();
    label[..1].make_ascii_uppercase();
    *text += &format!("{label}:\n\n{fence}text\n{words}\n{fence}\n\n");
}

/// Text that Markdown would take for markup, escaped; line breaks become spaces.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' => escaped.extend(['\\', sign]),
            '\n' | '\r' => escaped.push(' '),
            _ => escaped.push(sign),
        }
    }
    escaped
}
