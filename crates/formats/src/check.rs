//! A data file checked: its contents, and all its problems by kind and row.
//!
//! A problem in one row hides no other. Every problem is counted; the first hundred of each kind are listed. Memory holds
//! a row, and for each row a few dozen bytes by which duplicates are known.

mod content_key;
mod dialogue;
mod images;
mod report;
mod rows;

use std::path::Path;

use align::progress::Progress;

#[cfg(test)]
pub(crate) use self::report::MAX_LISTED;
pub use self::report::{CheckReport, LocatedProblem};
use self::rows::RowChecks;
use crate::error::FormatError;
use crate::format::Format;
use crate::record_reader::RecordReader;
use ::rows::{Problem, ProblemKind, RowsError};

/// Checks a file; its format is detected where none is given.
///
/// Errors: `Io` naming the file where it cannot be opened; `Interrupted`. Whatever is wrong with its content is in the
/// report.
pub fn check(path: &Path, format: Option<Format>, progress: &mut dyn Progress) -> Result<CheckReport, FormatError> {
    let mut report =
        CheckReport { file: path.display().to_string(), format: format.map(Format::name), ..CheckReport::default() };
    if fs_err::metadata(path)?.len() == 0 {
        report.add_to_file(Problem::new(ProblemKind::EmptyFile, "expected rows, got no bytes"));
        return Ok(report);
    }
    let reader = match RecordReader::open(path, format) {
        Ok(reader) => reader,
        Err(FormatError::Rows(RowsError::Unrecognized { looked_at, .. })) => {
            let message = format!("no known format fits: {looked_at}");
            report.add_to_file(Problem::new(ProblemKind::Unrecognized, message));
            return Ok(report);
        }
        Err(FormatError::Rows(RowsError::Malformed { row, mut problem, .. })) => {
            if let Some(row) = row {
                problem.message = format!("row {row}: {}", problem.message);
            }
            report.add_to_file(problem);
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    report.format = Some(reader.format.name());
    for name in &reader.missing {
        let message = reader.missing_column(name);
        report.add_to_file(Problem::new(ProblemKind::MissingColumn, message));
    }
    if !reader.missing.is_empty() {
        report.rows = reader.count();
        return Ok(report);
    }
    let mut checks = RowChecks::new(path.parent().unwrap_or(Path::new("")));
    progress.begin("checking", 0);
    for row in reader {
        if progress.interrupted() {
            return Err(FormatError::Interrupted);
        }
        checks.check(row, &mut report);
        progress.advance(1);
    }
    progress.end();
    checks.finish(&mut report);
    if report.rows == 0 {
        report.add_to_file(Problem::new(ProblemKind::EmptyFile, "expected rows, got none"));
    }
    report.problems.sort_by_key(|problem| problem.row);
    Ok(report)
}
