//! Published benchmarks: from their own files to items, each with the judge that can read its answers today.

mod figstep;
mod mossbench;
mod puzzlevqa;
mod xstest;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{KeywordRefusal, OptionMatch};
use crate::types::{DataError, Item, Message, Part, Role};
use crate::verdict::Judge;

/// A benchmark that can be read from its own files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// Harmful requests drawn as pictures of text: to be refused (Gong et al., arXiv 2311.05608).
    FigStep,
    /// Safe requests that sound unsafe and unsafe contrasts, text alone (Röttger et al., arXiv 2308.01263).
    XsTest,
    /// Abstract visual puzzles with options: ability (Chia et al., arXiv 2403.13315).
    PuzzleVqa,
    /// Harmless requests with pictures that invite over-refusal (Li et al., arXiv 2406.17806). Never to be trained on.
    MossBench,
}

/// A suite's name that is none.
#[derive(Debug, thiserror::Error)]
#[error("unknown suite `{0}`: expected figstep, xstest, puzzlevqa or mossbench")]
pub struct UnknownSuite(String);

impl FromStr for Suite {
    type Err = UnknownSuite;

    fn from_str(name: &str) -> Result<Self, UnknownSuite> {
        Self::ALL
            .into_iter()
            .find(|suite| suite.name() == name)
            .ok_or_else(|| UnknownSuite(name.into()))
    }
}

impl Suite {
    /// Every suite.
    pub const ALL: [Self; 4] = [Self::FigStep, Self::XsTest, Self::PuzzleVqa, Self::MossBench];

    /// The suite's name, which is also its folder's.
    pub fn name(self) -> &'static str {
        match self {
            Self::FigStep => "figstep",
            Self::XsTest => "xstest",
            Self::PuzzleVqa => "puzzlevqa",
            Self::MossBench => "mossbench",
        }
    }

    /// Reads the suite's items from its folder or the folder above.
    ///
    /// Errors: `Io` naming the file; `Line` naming file and line for a row that is not as the suite has it, a picture
    /// that is missing, or an id that stands twice; `Empty` for a file without rows.
    pub fn load(self, data: &Path) -> Result<Vec<Item>, DataError> {
        let below = data.join(self.name());
        let folder = if below.is_dir() { below } else { data.to_owned() };
        let (path, rows) = match self {
            Self::FigStep => figstep::load(&folder)?,
            Self::XsTest => xstest::load(&folder)?,
            Self::PuzzleVqa => puzzlevqa::load(&folder)?,
            Self::MossBench => mossbench::load(&folder)?,
        };
        checked(&path, rows)
    }

    /// One row of the suite's file as an item; a picture's path is relative to the suite's folder. What a row of
    /// `MOSSBench` means depends on its key, so that there is none of it here.
    ///
    /// Errors: what is wrong with the row.
    pub fn item(self, row: &Map<String, Value>) -> Result<Item, String> {
        match self {
            Self::FigStep => Ok(figstep::item(Path::new(""), from_cells(row)?)),
            Self::XsTest => Ok(xstest::item(from_cells(row)?)),
            Self::PuzzleVqa => puzzlevqa::read_row(Path::new(""), row.clone()),
            Self::MossBench => Err("rows of mossbench are read with their file".into()),
        }
    }

    /// The judge that reads the suite's answers without a model.
    pub fn judge(self) -> Box<dyn Judge> {
        match self {
            Self::PuzzleVqa => Box::new(OptionMatch),
            Self::FigStep | Self::XsTest | Self::MossBench => Box::new(KeywordRefusal),
        }
    }
}

/// A suite's file and its items, each with the line it stands on, counted from one.
type Rows = (PathBuf, Vec<(usize, Item)>);

fn checked(path: &Path, rows: Vec<(usize, Item)>) -> Result<Vec<Item>, DataError> {
    let mut ids = HashSet::new();
    for (line, item) in &rows {
        let fault = |problem: String| {
            Err(DataError::Line {
                path: path.to_owned(),
                line: *line,
                problem,
            })
        };
        if !ids.insert(item.id.as_str()) {
            return fault(format!("id `{}` stands twice: expected unique ids", item.id));
        }
        if let Some(image) = crate::types::image_paths(&item.messages).find(|image| !image.is_file()) {
            return fault(format!("picture {} is missing", image.display()));
        }
    }
    if rows.is_empty() {
        return Err(DataError::Empty { path: path.to_owned() });
    }
    Ok(rows.into_iter().map(|(_, item)| item).collect())
}

/// Reads a CSV file's rows, each with the line it begins on.
pub(crate) fn read_csv<T: DeserializeOwned>(path: &Path) -> Result<Vec<(usize, T)>, DataError> {
    let mut reader = csv::Reader::from_reader(fs_err::File::open(path)?);
    let headers = reader.headers().map_err(|error| csv_fault(path, 1, error))?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| csv_fault(path, 1, error))?;
        let line = record.position().map_or(1, |position| position.line() as usize);
        rows.push((
            line,
            record
                .deserialize(Some(&headers))
                .map_err(|error| csv_fault(path, line, error))?,
        ));
    }
    Ok(rows)
}

/// A row of a CSV file from its cells by column.
fn from_cells<T: DeserializeOwned>(row: &Map<String, Value>) -> Result<T, String> {
    let header: csv::StringRecord = row.keys().map(String::as_str).collect();
    let cells: csv::StringRecord = row.values().map(|cell| cell.as_str().unwrap_or_default()).collect();
    cells
        .deserialize(Some(&header))
        .map_err(|error| match error.into_kind() {
            csv::ErrorKind::Deserialize { err, .. } => err.kind().to_string(),
            kind => format!("{kind:?}"),
        })
}

fn csv_fault(path: &Path, line: usize, error: csv::Error) -> DataError {
    let line = error.position().map_or(line, |position| position.line() as usize);
    match error.into_kind() {
        csv::ErrorKind::Io(error) => DataError::Io(error),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let problem = format!("expected {expected_len} fields as in the header, got {len}");
            DataError::Line {
                path: path.to_owned(),
                line,
                problem,
            }
        }
        csv::ErrorKind::Utf8 { err, .. } => DataError::Line {
            path: path.to_owned(),
            line,
            problem: format!("expected UTF-8: {err}"),
        },
        csv::ErrorKind::Deserialize { err, .. } => DataError::Line {
            path: path.to_owned(),
            line,
            problem: err.kind().to_string(),
        },
        kind => DataError::Line {
            path: path.to_owned(),
            line,
            problem: format!("{kind:?}"),
        },
    }
}

/// A user's turn: a picture, if there is one, then the words.
fn question(image: Option<PathBuf>, text: impl Into<String>) -> Vec<Message> {
    let image = image.map(|image| Part::Image { image });
    let content = image.into_iter().chain([Part::Text { text: text.into() }]).collect();
    vec![Message {
        role: Role::User,
        content,
    }]
}

#[cfg(test)]
mod tests;
