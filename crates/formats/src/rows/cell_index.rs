//! Cells of a table that other rows refer to, found again where they stand: memory holds their places, not their
//! values.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use csv::{ByteRecord, Position, Reader, ReaderBuilder};

use super::Container;

/// The places of the cells that are referred to.
pub(crate) struct CellIndex {
    reader: Reader<fs_err::File>,
    column: usize,
    places: HashMap<Vec<u8>, Position>,
}

impl CellIndex {
    /// Reads a table once: a cell of `column` for which `is_reference` holds is a value of `key`, and means that row's
    /// cell. None where the file is no table, lacks a column or holds no reference.
    ///
    /// Errors: the operating system's, naming the file. What is wrong with rows is told of when they are read.
    pub fn build(
        path: &Path,
        container: Container,
        key: &str,
        column: &str,
        is_reference: fn(&[u8]) -> bool,
    ) -> std::io::Result<Option<Self>> {
        let delimiter = match container {
            Container::Comma => b',',
            Container::Tab => b'\t',
            _ => return Ok(None),
        };
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(fs_err::File::open(path)?);
        let Ok(header) = reader.byte_headers().cloned() else {
            return Ok(None);
        };
        let place_of = |name: &str| header.iter().position(|cell| cell == name.as_bytes());
        let (Some(key), Some(column)) = (place_of(key), place_of(column)) else {
            return Ok(None);
        };
        let (mut places, mut referred) = (HashMap::new(), HashSet::new());
        let mut record = ByteRecord::new();
        while reader.read_byte_record(&mut record).unwrap_or(false) {
            let (Some(name), Some(cell), Some(position)) = (record.get(key), record.get(column), record.position())
            else {
                continue;
            };
            if is_reference(cell) {
                referred.insert(cell.trim_ascii().to_vec());
            } else {
                places.insert(name.to_vec(), position.clone());
            }
        }
        places.retain(|name, _| referred.contains(name));
        Ok((!places.is_empty()).then_some(Self { reader, column, places }))
    }

    /// The cell that a reference means; none where no row has such a key, or the file has changed since.
    pub fn cell(&mut self, reference: &str) -> Option<String> {
        let place = self.places.get(reference.trim().as_bytes())?.clone();
        self.reader.seek(place).ok()?;
        let mut record = ByteRecord::new();
        self.reader.read_byte_record(&mut record).ok()?;
        String::from_utf8(record.get(self.column)?.to_vec()).ok()
    }
}
