//! `scruple data check`: a data file in, what it holds and what is wrong with it out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use formats::{CheckReport, Finding, Format, Severity, check};

use super::format;
use crate::context::Context;
use crate::errors::{Failure, Result};
use crate::terminal::{print_json, print_line};

const AFTER_HELP: &str = "\
`scruple data --help` lists the formats. Every row is looked at, every picture decoded; a fault in
one row hides no other. All faults are counted; of each kind the first 100 are listed, 10 where
they are printed as text. The exit code is 3 where there is an error; warnings leave it 0.

Examples:
  scruple data check train.jsonl
  scruple data check train.parquet --format verl --json";

/// How many findings of a kind are printed.
const PRINTED_OF_A_KIND: usize = 10;
/// How many splits or categories are printed.
const PRINTED_GROUPS: usize = 12;

/// Tell what a data file holds, and everything that is wrong with it.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Its format; found by its name and content otherwise
    #[arg(long, value_name = "NAME", value_parser = format)]
    format: Option<Format>,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// Errors: of data where there is an error in the file.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let report = check(&arguments.file, arguments.format, &mut context.progress)?;
    if arguments.json {
        print_json(&report)?;
    } else {
        print_line(text(&report).trim_end())?;
    }
    let CheckReport { errors, rows, .. } = &report;
    if report.errors == 0 {
        return Ok(());
    }
    let message = format!("{}: {errors} errors in {rows} rows", report.file);
    Err(Failure::data(message))
}

fn text(report: &CheckReport) -> String {
    let mut text = format!("{}: {}\n\n", report.file, report.format.unwrap_or("unknown format"));
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<12}{value}\n"));
    line("rows", report.rows.to_string());
    line("items", format!("{}, {} labelled", report.items, report.labelled));
    line("images", report.images.to_string());
    line("turns", format!("{}{}", report.turns, groups(&report.roles)));
    for (name, counts) in [
        ("kinds", &report.kinds),
        ("splits", &report.splits),
        ("categories", &report.categories),
    ] {
        let is_telling = counts.keys().any(|group| group != "none");
        if is_telling {
            line(name, format!("{}{}", counts.len(), groups(counts)));
        }
    }
    line("errors", report.errors.to_string());
    line("warnings", report.warnings.to_string());
    for (kind, &count) in &report.faults {
        let of_kind: Vec<&Finding> = report
            .findings
            .iter()
            .filter(|found| found.kind.name() == *kind)
            .collect();
        let severity = match of_kind.first().map(|found| found.severity) {
            Some(Severity::Warning) => "warning",
            _ => "error",
        };
        text.push_str(&format!("\n{severity}: {kind} ({count})\n"));
        for found in of_kind.iter().take(PRINTED_OF_A_KIND) {
            text.push_str(&format!("  {}{}\n", place(found), found.problem));
        }
        if count > PRINTED_OF_A_KIND {
            text.push_str(&format!("  and {} more\n", count - PRINTED_OF_A_KIND));
        }
    }
    text
}

fn place(found: &Finding) -> String {
    let Some(row) = found.row else {
        return String::new();
    };
    let line = match found.line {
        Some(line) if line != row => format!(" (line {line})"),
        _ => String::new(),
    };
    let id = found.id.as_ref().map(|id| format!(" `{id}`")).unwrap_or_default();
    format!("row {row}{line}{id}: ")
}

/// ": assistant 3, user 4", the most frequent first.
fn groups<K: std::fmt::Display + Ord>(counts: &BTreeMap<K, usize>) -> String {
    let mut sorted: Vec<(&K, &usize)> = counts.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let shown: Vec<String> = sorted
        .iter()
        .take(PRINTED_GROUPS)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    let more = if sorted.len() > PRINTED_GROUPS { ", …" } else { "" };
    if shown.is_empty() {
        String::new()
    } else {
        format!(": {}{more}", shown.join(", "))
    }
}
