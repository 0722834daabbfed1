//! Cells of a table that other rows refer to, found again in the file: memory holds their positions, not their values.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use csv::{ByteRecord, Position, Reader, ReaderBuilder};

use super::container::Container;

/// The positions of the rows whose cells are referred to.
pub struct CellIndex {
    reader: Reader<fs_err::File>,
    column: usize,
    positions: HashMap<Vec<u8>, Position>,
}

impl CellIndex {
    /// Reads a table once: a cell of `column` for which `is_reference` holds is a value of `key`, and means that row's
    /// cell. None where the file is no table, lacks a column or holds no reference.
    ///
    /// Errors: the operating system's, naming the file. What is wrong with rows is reported when they are read.
    pub fn build(
        path: &Path,
        container: Container,
        key: &str,
        column: &str,
        is_reference: fn(&[u8]) -> bool,
    ) -> std::io::Result<Option<Self>> {
        let Some(delimiter) = container.delimiter() else {
            return Ok(None);
        };
        let mut reader =
            ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(fs_err::File::open(path)?);
        let Ok(header) = reader.byte_headers().cloned() else {
            return Ok(None);
        };
        let [key, column] = [key, column].map(|name| header.iter().position(|cell| cell == name.as_bytes()));
        let (Some(key), Some(column)) = (key, column) else {
            return Ok(None);
        };
        let (mut positions, mut references) = (HashMap::new(), HashSet::new());
        let mut record = ByteRecord::new();
        while reader.read_byte_record(&mut record).unwrap_or(false) {
            let (Some(name), Some(cell), Some(position)) = (record.get(key), record.get(column), record.position())
            else {
                continue;
            };
            if is_reference(cell) {
                references.insert(cell.trim_ascii().to_vec());
            } else {
                positions.insert(name.to_vec(), position.clone());
            }
        }
        positions.retain(|name, _| references.contains(name));
        Ok((!positions.is_empty()).then_some(Self { reader, column, positions }))
    }

    /// The cell that a reference means; none where no row has such a key, or the file has changed since.
    pub fn cell(&mut self, reference: &str) -> Option<String> {
        let position = self.positions.get(reference.trim().as_bytes())?.clone();
        self.reader.seek(position).ok()?;
        let mut record = ByteRecord::new();
        self.reader.read_byte_record(&mut record).ok()?;
        String::from_utf8(record.get(self.column)?.to_vec()).ok()
    }
}
