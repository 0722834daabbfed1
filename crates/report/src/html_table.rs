//! Tables as HTML.

use maud::{Markup, html};

use crate::tables::{Cell, Table, TableRow};

/// A table with its caption. Figures are right-aligned; details are left-aligned in a column of their own, so that
/// both can be read downwards.
pub fn table(table: &Table) -> Markup {
    let widths: Vec<usize> = (0..table.head.len()).map(|column| column_width(table, column)).collect();
    html! {
        div.scroll {
            table {
                @if !table.caption.is_empty() { caption { (table.caption) } }
                thead { tr { @for (head, width) in table.head.iter().zip(&widths) { (head_cell(head, *width)) } } }
                tbody { @for row in &table.rows { (body_row(row, &widths)) } }
            }
        }
    }
}

/// Two where any figure of a column has a detail beside it, otherwise one. The first column holds the names.
fn column_width(table: &Table, column: usize) -> usize {
    let has_detail = table.rows.iter().any(|row| match row {
        TableRow::Heading(_) => false,
        TableRow::Figures { cells, .. } | TableRow::Published { cells, .. } => {
            column > 0 && cells.get(column - 1).is_some_and(|cell| cell.detail.is_some())
        }
    });
    1 + usize::from(has_detail)
}

fn head_cell(head: &str, width: usize) -> Markup {
    html! {
        @if width == 1 { th scope="col" { (head) } } @else { th.pair scope="colgroup" colspan=(width) { (head) } }
    }
}

fn body_row(row: &TableRow, widths: &[usize]) -> Markup {
    let is_published = matches!(row, TableRow::Published { .. });
    match row {
        TableRow::Heading(heading) => html! {
            tr.group { th colspan=(widths.iter().sum::<usize>()) scope="rowgroup" { (heading) } }
        },
        TableRow::Figures { name, cells } | TableRow::Published { name, cells } => html! {
            tr class=[is_published.then_some("published")] {
                th scope="row" { (name) }
                @for (cell, width) in cells.iter().zip(&widths[1..]) { (body_cell(cell, *width)) }
            }
        },
    }
}

fn body_cell(cell: &Cell, width: usize) -> Markup {
    html! {
        td class=[cell.strong.then_some("strong")] { (cell.figure) }
        @if width == 2 { td.detail { @if let Some(detail) = &cell.detail { (detail) } } }
    }
}
