//! Workbooks of Excel, which are read only: one sheet, whose first row names the columns.

mod archive;
mod markup;

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::RowsError;
use crate::problem::{Problem, ProblemKind};
use crate::row::{BrokenRow, Row, RowResult, Rows};
use archive::{Entry, entries};
use markup::{Piece, Pieces, attribute, unescaped};

/// A cell's text, and its column.
type Cell = (usize, Result<Value, String>);

/// The rows of a workbook's only sheet. A whole number is one, however the sheet shows it; an empty cell is no value.
/// Memory holds the sheet.
///
/// Errors: `Io` naming the file; `Malformed` where it is no workbook, or has more than one sheet.
pub fn workbook(path: &Path) -> Result<Rows, RowsError> {
    let broken = |problem: &str| RowsError::malformed(path, ProblemKind::WrongValue, problem);
    let bytes = fs_err::read(path)?;
    let entries = entries(&bytes).ok_or_else(|| broken("expected a workbook of Excel, got a damaged archive"))?;
    let sheets: Vec<&Entry> = entries.iter().filter(|entry| entry.name.starts_with("xl/worksheets/sheet")).collect();
    let [sheet] = sheets[..] else {
        let problem = format!("expected a workbook with one sheet, got {}: save the sheet as CSV", sheets.len());
        return Err(broken(&problem));
    };
    let sheet = sheet.text().ok_or_else(|| broken("the sheet cannot be unpacked"))?;
    let strings = match entries.iter().find(|entry| entry.name == "xl/sharedStrings.xml") {
        Some(strings) => strings_of(&strings.text().ok_or_else(|| broken("the strings cannot be unpacked"))?),
        None => Vec::new(),
    };
    let mut rows = rows_of(&sheet, &strings).into_iter();
    let (_, header) = rows.next().unwrap_or_default();
    let mut columns = Vec::new();
    for (column, name) in header {
        columns.resize(columns.len().max(column + 1), String::new());
        columns[column] =
            name.ok().map(|name| name.as_str().map_or_else(|| name.to_string(), str::to_owned)).unwrap_or_default();
    }
    let named = columns.clone();
    let rows = rows.enumerate().map(move |(index, (line, cells))| row(&named, cells, index + 1, line));
    Ok(Rows::new(Some(columns), rows.collect::<Vec<RowResult>>().into_iter()))
}

/// A row of the sheet; `line` is its number there.
fn row(columns: &[String], cells: Vec<Cell>, number: usize, line: usize) -> RowResult {
    let mut fields = Map::new();
    for (column, value) in cells {
        let Some(name) = columns.get(column).filter(|name| !name.is_empty()) else { continue };
        let value = value.map_err(|problem| {
            let problem = Problem::new(ProblemKind::WrongValue, format!("`{name}`: {problem}"));
            BrokenRow::new(number, Some(line), problem)
        })?;
        if value != "" {
            fields.insert(name.clone(), value);
        }
    }
    Ok(Row { number, line: Some(line), fields, ..Row::default() })
}

/// The texts that cells refer to. What is spoken aloud (`rPh`) is no part of them.
fn strings_of(xml: &str) -> Vec<String> {
    let (mut strings, mut is_text, mut is_spoken) = (Vec::new(), false, false);
    for piece in Pieces(xml) {
        match piece {
            Piece::Open("si", _) => strings.push(String::new()),
            Piece::Open("rPh", _) => is_spoken = true,
            Piece::Close("rPh") => is_spoken = false,
            Piece::Open(name, _) => is_text = name == "t",
            Piece::Close(_) => is_text = false,
            Piece::Text(text) if is_text && !is_spoken => {
                if let Some(string) = strings.last_mut() {
                    string.push_str(&unescaped(text));
                }
            }
            Piece::Text(_) => {}
        }
    }
    strings
}

/// The rows of a sheet with their numbers; cells without a value are left out.
fn rows_of(xml: &str, strings: &[String]) -> Vec<(usize, Vec<Cell>)> {
    let mut rows: Vec<(usize, Vec<Cell>)> = Vec::new();
    let (mut column, mut kind, mut text, mut is_text) = (0, "", String::new(), false);
    for piece in Pieces(xml) {
        match piece {
            Piece::Open("row", attributes) => {
                let next = rows.last().map_or(1, |(number, _)| number + 1);
                let number = attribute(attributes, "r").and_then(|number| number.parse().ok()).unwrap_or(next);
                rows.push((number, Vec::new()));
                column = 0;
            }
            Piece::Open("c", attributes) => {
                column = attribute(attributes, "r").map_or(column, column_of);
                kind = attribute(attributes, "t").unwrap_or_default();
                text.clear();
            }
            Piece::Open(name, _) => is_text = matches!(name, "v" | "t"),
            Piece::Text(written) if is_text => text.push_str(&unescaped(written)),
            Piece::Close("c") => {
                if let Some((_, cells)) = rows.last_mut().filter(|_| !text.is_empty()) {
                    cells.push((column, value(kind, &text, strings)));
                }
                column += 1;
            }
            Piece::Close(_) => is_text = false,
            Piece::Text(_) => {}
        }
    }
    rows
}

/// The column that letters and a row's number name, such as `AB12`; the first is 0.
fn column_of(reference: &str) -> usize {
    let letters = reference.bytes().take_while(u8::is_ascii_alphabetic).take(3);
    let number = letters.fold(0, |column, letter| column * 26 + usize::from(letter.to_ascii_uppercase() - b'A') + 1);
    number.saturating_sub(1)
}

/// What a cell of a kind holds.
///
/// Errors: what is wrong with the cell.
fn value(kind: &str, text: &str, strings: &[String]) -> Result<Value, String> {
    match kind {
        "s" => {
            let string = text.parse().ok().and_then(|index: usize| strings.get(index));
            string.map(|string| string.as_str().into()).ok_or_else(|| "the cell refers to no text".to_owned())
        }
        "str" | "inlineStr" => Ok(text.into()),
        "b" => Ok(if text == "1" { "True" } else { "False" }.into()),
        "e" => Err(format!("the cell holds the error {text}")),
        _ => {
            let number: f64 = text.parse().map_err(|_| format!("expected a number, got {text}"))?;
            let is_whole = number.fract() == 0.0 && number.abs() < 1e15;
            Ok(if is_whole { Value::from(number as i64) } else { Value::from(number) })
        }
    }
}
