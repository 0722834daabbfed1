//! The report as Markdown. Images are links, so the file belongs into the folder.

use align::tagged;
use align::types::Part;

use crate::contents::{CurationReport, Report, ShownRollout, TrainingRun};
use crate::numbers::significant;
use crate::tables::{self, Cell, Table, TableRow};
use crate::{curves, differences, facts, rollout_text};

/// Writes the whole report.
pub fn render(report: &Report) -> String {
    let mut text = format!("# {}\n\n", report.title);
    for (name, value) in facts::about(report) {
        text += &format!("- {name}: {}\n", escaped(&value));
    }
    for (name, value) in facts::stages(&report.about) {
        text += &format!("- Stage {}: {value}\n", escaped(name));
    }
    let differences = differences::tables(&report.comparisons);
    let sections = [
        ("Rates by split", tables::rates(&report.models).iter().map(table).collect()),
        ("Paired differences", differences.iter().map(table).collect()),
        ("Reward dimensions", tables::dimensions(&report.models).iter().map(table).collect()),
        ("Curation of training prompts", report.curations.iter().map(curation).collect()),
        ("Training", report.runs.iter().map(run).collect()),
        ("Rollouts", report.rollouts.iter().map(rollout).collect()),
        ("Not in this report", missing(&report.missing)),
    ];
    for (heading, blocks) in sections {
        let blocks: Vec<String> = blocks;
        if !blocks.is_empty() {
            text += &format!("\n## {heading}\n\n{}", blocks.join("\n"));
        }
    }
    text
}

/// All in one block; none where nothing is missing.
fn missing(missing: &[String]) -> Vec<String> {
    let lines: String = missing.iter().map(|what| format!("- {}\n", escaped(what))).collect();
    if lines.is_empty() { Vec::new() } else { vec![lines] }
}

fn table(table: &Table) -> String {
    let mut text = String::new();
    if !table.caption.is_empty() {
        text += &format!("{}\n\n", escaped(&table.caption));
    }
    text += &line(table.head.iter().map(|cell| escaped(cell)));
    let columns = 0..table.head.len();
    text += &line(columns.map(|column| if column == 0 { "---" } else { "---:" }.to_owned()));
    for row in &table.rows {
        text += &match row {
            TableRow::Heading(heading) => {
                let rest = table.head.iter().skip(1).map(|_| String::new());
                line(std::iter::once(format!("**{}**", escaped(heading))).chain(rest))
            }
            TableRow::Figures { name, cells } => line(std::iter::once(escaped(name)).chain(cells.iter().map(cell))),
        };
    }
    text
}

fn line(cells: impl Iterator<Item = String>) -> String {
    cells.fold("|".to_owned(), |line, cell| format!("{line} {cell} |")) + "\n"
}

fn cell(cell: &Cell) -> String {
    let mut figure = escaped(&cell.figure);
    if cell.strong {
        figure = format!("**{figure}**");
    }
    match &cell.detail {
        Some(detail) => format!("{figure} ({})", escaped(detail)),
        None => figure,
    }
}

fn curation(curation: &CurationReport) -> String {
    let mut text = String::new();
    if !curation.name.is_empty() {
        text += &format!("### {}\n\n", escaped(&curation.name));
    }
    if let Some(plot) = &curation.plot {
        text += &format!("![Prompts by quality and instability]({})\n\n", plot.display());
    }
    text + &table(&tables::curation(&curation.summary))
}

fn run(run: &TrainingRun) -> String {
    let mut text = format!("### {}\n\n{}\n", escaped(&run.name), facts::run(run));
    if run.curves.is_empty() {
        return text;
    }
    text += "\n| Metric | First | Last | Lowest | Highest |\n| --- | ---: | ---: | ---: | ---: |\n";
    for curve in &run.curves {
        let values: Vec<f64> = curve.points.iter().map(|(_, value)| *value).collect();
        let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let figures = [values[0], values[values.len() - 1], lowest, highest].map(significant);
        text += &line(std::iter::once(curves::label(&curve.metric).to_owned()).chain(figures));
    }
    text
}

fn rollout(shown: &ShownRollout) -> String {
    let record = &shown.record;
    let (event, id) = (rollout_text::event_label(record), escaped(&record.item_id));
    let facts = escaped(&rollout_text::facts(&shown.run, record));
    let mut text = format!("### {event}: {id}\n\n{facts}\n\n");
    if let Some(verdict) = rollout_text::verdict_table(record) {
        text += &(table(&verdict) + "\n");
    }
    text += "<details><summary>Text and images (may describe hazards)</summary>\n\n";
    for message in &record.messages {
        for part in &message.content {
            match part {
                Part::Text { text: words } => quote(&mut text, rollout_text::speaker(message.role), words),
                Part::Image { image, .. } => text += &format!("Image: `{}`\n\n", image.display()),
            }
        }
    }
    response(&mut text, "", &record.response);
    remarks(&mut text, &rollout_text::remarks(&record.judgement));
    if let Some(correction) = &record.correction {
        quote(&mut text, "Reflection", &correction.reflection);
        response(&mut text, "Corrected ", &correction.response);
        remarks(&mut text, &rollout_text::remarks(&correction.judgement));
    }
    text + "</details>\n"
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

/// Text as it is, in a fence longer than any it holds.
fn quote(text: &mut String, label: &str, words: &str) {
    let longest = words.split(|sign| sign != '~').map(str::len).max().unwrap_or(0);
    let fence = "~".repeat(longest.max(2) + 1);
    let mut label = label.to_owned();
    label[..1].make_ascii_uppercase();
    *text += &format!("{label}:\n\n{fence}text\n{words}\n{fence}\n\n");
}

/// Text with what Markdown would take for markup escaped; line breaks become spaces.
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
