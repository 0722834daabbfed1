//! Markdown's parts: tables, quotes, escaped text.

use align::tagged;

use crate::tables::{Cell, Table, TableRow};

/// A table with its caption.
pub fn table(table: &Table) -> String {
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
            TableRow::Published { name, cells } => {
                line(std::iter::once(format!("*{}*", escaped(name))).chain(cells.iter().map(cell)))
            }
        };
    }
    text
}

/// A row of cells.
pub fn line(cells: impl Iterator<Item = String>) -> String {
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

/// A response: its thinking, where there is some, and its answer.
pub fn response(text: &mut String, prefix: &str, response: &str) {
    let parts = tagged::parts(response);
    if let Some(think) = parts.think {
        quote(text, &format!("{prefix}thinking"), think);
    }
    quote(text, &format!("{prefix}answer"), parts.answer);
}

/// Text as it is, in a fence longer than any it holds.
pub fn quote(text: &mut String, label: &str, words: &str) {
    let longest = words.split(|sign| sign != '~').map(str::len).max().unwrap_or(0);
    let fence = "~".repeat(longest.max(2) + 1);
    let mut label = label.to_owned();
    label[..1].make_ascii_uppercase();
    *text += &format!("{label}:\n\n{fence}text\n{words}\n{fence}\n\n");
}

/// Text with what Markdown would take for markup escaped; line breaks become spaces.
pub fn escaped(text: &str) -> String {
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
