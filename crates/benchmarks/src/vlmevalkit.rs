//! `VLMEvalKit`'s tables of questions, TSV: `index`, `question`, perhaps `hint`, options in the columns from A on, `answer`, and `image`: base64, a
//! list of such as a Python literal, or the index of the row that holds the image.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use align::types::{DataError, base64_bytes};

use crate::python_list::texts_of;
use crate::reader::{FileRow, Reader, rows_of};

/// Cells up to this many characters are the index of another row.
const LONGEST_INDEX: usize = 64;

/// The rows of a table with their images. Rows without an image are left out, as there.
///
/// Errors: those of [`rows_of`]; `Line` for an image that is none, and for one that is in no row.
pub(crate) fn table(reader: &mut Reader, file: &Path) -> Result<Vec<(FileRow, Vec<PathBuf>)>, DataError> {
    let (mut rows, mut images) = (Vec::new(), HashMap::new());
    for row in rows_of(file)? {
        let mut row = row?;
        let (index, Some(cell)) = (row.text("index")?, row.fields.remove("image")) else { continue };
        let cell = cell.as_str().unwrap_or_default().trim().to_owned();
        let holds = if cell.chars().nth(LONGEST_INDEX).is_none() {
            cell
        } else {
            let mut paths = Vec::new();
            for text in list_or_one(&cell) {
                let bytes = base64_bytes(&text).map_err(|problem| row.error(format!("`image`: {problem}")))?;
                paths.push(reader.embedded(&bytes)?);
            }
            images.insert(index.clone(), paths);
            index
        };
        rows.push((row, holds));
    }
    let mut found = Vec::with_capacity(rows.len());
    for (row, holds) in rows {
        let problem = || row.error(format!("`image`: expected an image or the index of a row with one, got `{holds}`"));
        let paths = images.get(&holds).ok_or_else(problem)?.clone();
        found.push((row, paths));
    }
    Ok(found)
}

/// The members of a list as Python writes it, or the text itself.
fn list_or_one(cell: &str) -> Vec<String> {
    texts_of(cell).unwrap_or_else(|| vec![cell.to_owned()])
}
