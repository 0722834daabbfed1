//! Workbooks of Excel, which are read only: one sheet, whose first row names the columns.

use std::path::Path;

use calamine::{Data, Reader, Xlsx, open_workbook};
use diagnostic::exact_whole;
use serde_json::{Map, Value};

use crate::error::RowsError;
use crate::guard::guarded;
use crate::problem::{Problem, ProblemKind};
use crate::row::{BrokenRow, Row, RowResult, Rows};

/// The rows of a workbook's only sheet. A whole number is one, however the sheet shows it; an empty cell is no value.
/// Memory holds the sheet.
///
/// Errors: `Io` naming the file; `Malformed` where it is no workbook, or has more than one sheet.
pub fn workbook(path: &Path) -> Result<Rows, RowsError> {
    let broken = |problem: &str| RowsError::malformed(path, ProblemKind::WrongValue, problem);
    // For the operating system's own error.
    fs_err::File::open(path)?;
    let damaged = || broken("expected a workbook of Excel, got a damaged archive");
    let mut workbook: Xlsx<_> = guarded(|| open_workbook(path).map_err(|_: calamine::XlsxError| damaged()), damaged)?;
    let sheets = workbook.sheet_names();
    let [sheet] = &sheets[..] else {
        let problem = format!("expected a workbook with one sheet, got {}: save the sheet as CSV", sheets.len());
        return Err(broken(&problem));
    };
    let unreadable = || broken("the sheet cannot be read");
    let cells = guarded(|| workbook.worksheet_range(sheet).map_err(|_| unreadable()), unreadable)?;
    let first_line = cells.start().map_or(1, |(row, _)| row as usize + 1);
    let columns: Vec<String> = cells.rows().next().into_iter().flatten().map(ToString::to_string).collect();
    let rows = cells.rows().enumerate().skip(1).filter(|(_, cells)| cells.iter().any(|cell| *cell != Data::Empty));
    let rows: Vec<RowResult> =
        rows.enumerate().map(|(index, (at, cells))| row(&columns, cells, index + 1, first_line + at)).collect();
    Ok(Rows::new(Some(columns), rows.into_iter()))
}

/// A row of the sheet; `line` is its number there.
fn row(columns: &[String], cells: &[Data], number: usize, line: usize) -> RowResult {
    let mut fields = Map::new();
    for (name, cell) in columns.iter().zip(cells).filter(|(name, _)| !name.is_empty()) {
        let value = value(cell).map_err(|problem| {
            let problem = Problem::new(ProblemKind::WrongValue, format!("`{name}`: {problem}"));
            BrokenRow::new(number, Some(line), problem)
        })?;
        fields.extend(value.map(|value| (name.clone(), value)));
    }
    Ok(Row { number, line: Some(line), fields, ..Row::default() })
}

/// A cell's value; none where it is empty.
///
/// Errors: what the sheet says that went wrong in the cell.
fn value(cell: &Data) -> Result<Option<Value>, String> {
    Ok(match cell {
        Data::Empty => None,
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => {
            (!text.is_empty()).then(|| text.as_str().into())
        }
        Data::Int(number) => Some((*number).into()),
        Data::Float(number) => Some(exact_whole(*number).map_or_else(|| (*number).into(), Value::from)),
        // As pandas writes it, and VLMEvalKit compares it.
        Data::Bool(flag) => Some(if *flag { "True" } else { "False" }.into()),
        Data::DateTime(moment) => Some(moment.as_f64().into()),
        Data::Error(error) => return Err(format!("expected a value, got {error}")),
    })
}
