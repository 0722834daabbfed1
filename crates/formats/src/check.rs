//! A data file looked through: what it holds, and everything that is wrong with it by kind and row.
//!
//! A fault in one row hides no other. Every fault is counted; of each kind the first [`SHOWN_OF_A_KIND`] are listed.
//! Memory holds a row, and for each row a few dozen bytes by which duplicates are known.

mod pictures;
mod rows;

use std::collections::BTreeMap;
use std::path::Path;

use align::progress::Progress;
use serde::Serialize;

use crate::error::FormatError;
use crate::fault::{Fault, FaultKind, Severity};
use crate::format::Format;
use crate::source::Source;
use rows::RowChecks;

/// How many findings of a kind are listed; all are counted.
pub const SHOWN_OF_A_KIND: usize = 100;
/// How many categories are counted apart.
const MAX_CATEGORIES: usize = 1000;

/// One fault, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: FaultKind,
    /// How bad it is.
    pub severity: Severity,
    /// The row, counted from one; none where the whole file is meant.
    pub row: Option<usize>,
    /// The line that the row begins on, where the file has lines.
    pub line: Option<usize>,
    /// The item's id, where it is known.
    pub id: Option<String>,
    /// The picture's file, where a picture is meant and has one.
    pub image: Option<String>,
    /// What was expected and what was found.
    pub problem: String,
}

/// What a file holds and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// The file.
    pub file: String,
    /// Its format, where one was given or found.
    pub format: Option<&'static str>,
    /// Rows, readable or not.
    pub rows: usize,
    /// Items read from them.
    pub items: usize,
    /// Items whose last message is the assistant's.
    pub labelled: usize,
    /// Pictures, counted as often as they are shown.
    pub images: usize,
    /// Messages.
    pub turns: usize,
    /// Messages by role.
    pub roles: BTreeMap<&'static str, usize>,
    /// Items by kind; `none` where they have none.
    pub kinds: BTreeMap<String, usize>,
    /// Items by split; `none` where they have none.
    pub splits: BTreeMap<String, usize>,
    /// Items by category; `none` where they have none, `others` beyond the first thousand.
    pub categories: BTreeMap<String, usize>,
    /// How many errors there are.
    pub errors: usize,
    /// How many warnings there are.
    pub warnings: usize,
    /// How often each kind of fault is there.
    pub faults: BTreeMap<&'static str, usize>,
    /// The first of each kind, in the order of rows.
    pub findings: Vec<Finding>,
}

impl CheckReport {
    fn add(&mut self, finding: Finding) {
        let count = self.faults.entry(finding.kind.name()).or_default();
        *count += 1;
        match finding.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        if *count <= SHOWN_OF_A_KIND {
            self.findings.push(finding);
        }
    }

    /// Adds a fault of the file as a whole.
    fn add_to_file(&mut self, fault: Fault) {
        self.add(Finding {
            kind: fault.kind,
            severity: fault.kind.severity(),
            row: None,
            line: None,
            id: None,
            image: None,
            problem: fault.problem,
        });
    }

    fn count_category(&mut self, category: Option<&str>) {
        let name = category.unwrap_or("none");
        let is_new = !self.categories.contains_key(name);
        let name = if is_new && self.categories.len() >= MAX_CATEGORIES {
            "others"
        } else {
            name
        };
        *self.categories.entry(name.to_owned()).or_default() += 1;
    }
}

/// Looks a file through; its format is found where none is given.
///
/// Errors: `Io` naming the file where it cannot be opened; `Interrupted`. Whatever is wrong with what stands in it is
/// in the report.
pub fn check(path: &Path, format: Option<Format>, progress: &mut dyn Progress) -> Result<CheckReport, FormatError> {
    let mut report = CheckReport {
        file: path.display().to_string(),
        format: format.map(Format::name),
        ..CheckReport::default()
    };
    if fs_err::metadata(path)?.len() == 0 {
        report.add_to_file(Fault::new(FaultKind::EmptyFile, "expected rows, got no bytes"));
        return Ok(report);
    }
    let source = match Source::open(path, format) {
        Ok(source) => source,
        Err(FormatError::Io(error)) => return Err(error.into()),
        Err(error) => {
            report.add_to_file(fault_of(&error, path));
            return Ok(report);
        }
    };
    report.format = Some(source.format.name());
    for name in &source.missing {
        let problem = format!("expected a column `{name}`, got {}", source.columns.join(", "));
        report.add_to_file(Fault::new(FaultKind::MissingColumn, problem));
    }
    if !source.missing.is_empty() {
        report.rows = source.count();
        return Ok(report);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut checks = RowChecks::new(folder);
    progress.begin("checking", 0);
    for row in source {
        if progress.interrupted() {
            return Err(FormatError::Interrupted);
        }
        checks.take(row, &mut report);
        progress.advance(1);
    }
    progress.end();
    checks.finish(&mut report);
    if report.rows == 0 {
        report.add_to_file(Fault::new(FaultKind::EmptyFile, "expected rows, got none"));
    }
    report.findings.sort_by_key(|finding| finding.row);
    Ok(report)
}

/// The fault of a file that could not even be opened as what it seems to be.
fn fault_of(error: &FormatError, path: &Path) -> Fault {
    let (kind, problem) = match error {
        FormatError::Unrecognised { looked_at, .. } => {
            (FaultKind::Unrecognised, format!("no known format fits: {looked_at}"))
        }
        FormatError::Malformed { problem, .. } if problem.starts_with("broken parquet") => {
            (FaultKind::BrokenParquet, problem.clone())
        }
        FormatError::Malformed { problem, .. } if problem.contains("UTF-8") => {
            (FaultKind::InvalidUtf8, problem.clone())
        }
        FormatError::Malformed { problem, .. } => (FaultKind::WrongValue, problem.clone()),
        other => (
            FaultKind::Unrecognised,
            other.to_string().replace(&format!("{}: ", path.display()), ""),
        ),
    };
    Fault::new(kind, problem)
}
