//! How rows are held in a file, and how that is found out.

use std::io::Read;
use std::path::Path;

use align::types::{folder, other_container};

use super::parquet;
use crate::error::RowsError;

/// The mark that some editors put before a text.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How rows are held in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// One JSON object per line.
    JsonLines,
    /// One JSON list of objects.
    JsonList,
    /// Comma-separated values under a header.
    Csv,
    /// Tab-separated values under a header.
    Tsv,
    /// Apache Parquet.
    Parquet,
}

impl Container {
    /// The container of a file: by its first bytes, then by its name.
    ///
    /// Errors: `Io` naming the file; `Foreign` where it is another kind of file; `Unrecognized` where neither says.
    pub fn of(path: &Path) -> Result<Self, RowsError> {
        if let Some(other) = folder(path) {
            return Err(RowsError::Foreign { path: path.to_owned(), other });
        }
        let mut first = Vec::new();
        fs_err::File::open(path)?.take(4096).read_to_end(&mut first)?;
        if let Some(other) = other_container(path, &first).filter(|other| !other.is_readable) {
            return Err(RowsError::Foreign { path: path.to_owned(), other });
        }
        let extension = extension_of(path);
        if first.starts_with(parquet::MAGIC) || extension == "parquet" {
            return Ok(Self::Parquet);
        }
        match extension.as_str() {
            "csv" => return Ok(Self::Csv),
            "tsv" => return Ok(Self::Tsv),
            _ => {}
        }
        let text = first.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&first);
        match (text.trim_ascii_start().first(), extension.as_str()) {
            (Some(b'['), _) => Ok(Self::JsonList),
            (Some(b'{'), _) | (_, "jsonl" | "json" | "ndjson") => Ok(Self::JsonLines),
            _ => Err(RowsError::Unrecognized {
                path: path.to_owned(),
                looked_at: format!(
                    "its name ends in `{extension}`, expected jsonl, json, csv, tsv or parquet; its first bytes are \
                     neither JSON nor parquet"
                ),
            }),
        }
    }

    /// The file extension.
    pub fn extension(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            Self::JsonList => "json",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Parquet => "parquet",
        }
    }

    /// The delimiter of a table in text.
    pub fn delimiter(self) -> Option<u8> {
        match self {
            Self::Csv => Some(b','),
            Self::Tsv => Some(b'\t'),
            Self::JsonLines | Self::JsonList | Self::Parquet => None,
        }
    }

    /// Whether columns must be known before the first row is written.
    pub fn has_columns(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv | Self::Parquet)
    }
}

/// A file's extension in lower case, without its dot.
pub fn extension_of(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    extension.to_lowercase()
}
