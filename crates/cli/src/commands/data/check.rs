//! `scruple data check`: a data file in, its contents and problems out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use diagnostic::printable;
use formats::{CheckReport, Format, LocatedProblem, Severity, check};

use crate::context::Context;
use crate::errors::{Failure, Result};
use crate::terminal::{print_json, print_line};

const AFTER_HELP: &str = "\
`scruple data --help` lists the formats. Every row is checked and every image decoded; a problem
in one row hides no other. All problems are counted. The first 10 of each kind are printed, or the
first 100 with `--json`. The exit code is 3 if there is an error; warnings leave it 0.

Examples:
  scruple data check train.jsonl
  scruple data check train.parquet --format verl --json";

/// How many problems of a kind are printed.
const PRINTED_OF_A_KIND: usize = 10;
/// How many splits or categories are printed.
const PRINTED_GROUPS: usize = 12;

/// Report a data file's contents and problems.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Its format [default: detected by name and content]
    #[arg(long, value_name = "NAME")]
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
        print_line(&printable(text(&report).trim_end()))?;
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
    let mut lines = vec![
        ("rows", report.rows.to_string()),
        ("items", format!("{}, {} labeled", report.items, report.labeled)),
        ("images", report.images.to_string()),
        ("turns", format!("{}{}", report.turns, groups(&report.roles))),
    ];
    for (name, counts) in [("kinds", &report.kinds), ("splits", &report.splits), ("categories", &report.categories)] {
        if counts.keys().any(|group| group != "none") {
            lines.push((name, format!("{}{}", counts.len(), groups(counts))));
        }
    }
    lines.push(("errors", report.errors.to_string()));
    lines.push(("warnings", report.warnings.to_string()));
    for (name, value) in lines {
        text.push_str(&format!("{name:<12}{value}\n"));
    }
    for (kind, &count) in &report.problem_counts {
        let of_kind = report.problems.iter().filter(|problem| problem.kind.name() == *kind);
        let severity = match of_kind.clone().next().map(|problem| problem.severity) {
            Some(Severity::Warning) => "warning",
            _ => "error",
        };
        text.push_str(&format!("\n{severity}: {kind} ({count})\n"));
        for problem in of_kind.take(PRINTED_OF_A_KIND) {
            text.push_str(&format!("  {}{}\n", location(problem), problem.message));
        }
        if count > PRINTED_OF_A_KIND {
            text.push_str(&format!("  and {} more\n", count - PRINTED_OF_A_KIND));
        }
    }
    text
}

fn location(problem: &LocatedProblem) -> String {
    let Some(row) = problem.row else {
        return String::new();
    };
    let line = match problem.line {
        Some(line) if line != row => format!(" (line {line})"),
        _ => String::new(),
    };
    let id = problem.id.as_ref().map(|id| format!(" `{id}`")).unwrap_or_default();
    format!("row {row}{line}{id}: ")
}

/// ": assistant 3, user 4", the most frequent first.
fn groups<K: std::fmt::Display + Ord>(counts: &BTreeMap<K, usize>) -> String {
    let mut sorted: Vec<(&K, &usize)> = counts.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let shown: Vec<String> =
        sorted.iter().take(PRINTED_GROUPS).map(|(name, count)| format!("{name} {count}")).collect();
    let more = if sorted.len() > PRINTED_GROUPS { ", …" } else { "" };
    if shown.is_empty() { String::new() } else { format!(": {}{more}", shown.join(", ")) }
}
