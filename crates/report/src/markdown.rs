//! The report as Markdown. Images are links, so the file belongs into the folder.

use align::types::Part;

use crate::contents::{CurationReport, Report, ShownRollout, TrainingRun};
use crate::markdown_text::{escaped, line, quote, response, table};
use crate::numbers::significant;
use crate::{curves, differences, facts, rollout_text, suites, tables};

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
        ("Benchmarks", suites::markdown::blocks(&report.suites, &report.model_names())),
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

fn remarks(text: &mut String, remarks: &[String]) {
    for remark in remarks {
        *text += &format!("- {}\n", escaped(remark));
    }
    if !remarks.is_empty() {
        *text += "\n";
    }
}
