//! The formats by name, what each is held in, and which of them a file is.

use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::error::FormatError;
use crate::layout::{
    Layout, alpaca, easyr1, figstep, hf, mis, msts, openai, puzzlevqa, sharegpt, swift, trl, verl, vlguard,
};
use crate::layout::{vlmevalkit, xstest};
use crate::rows::{self, Container};

/// A format that files are read from and written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Scruple's own: OpenAI messages, one item a line.
    OpenAi,
    /// LLaMA-Factory's sharegpt.
    ShareGpt,
    /// LLaMA-Factory's alpaca.
    Alpaca,
    /// ms-swift's messages.
    Swift,
    /// verl's parquet.
    Verl,
    /// EasyR1's parquet.
    EasyR1,
    /// TRL's prompts and completions.
    Trl,
    /// Messages and pictures as the `datasets` library keeps them.
    Hf,
    /// VLMEvalKit's table.
    VlmEvalKit,
    /// MIS as released.
    Mis,
    /// VLGuard.
    VlGuard,
    /// FigStep.
    FigStep,
    /// XSTest.
    XsTest,
    /// PuzzleVQA.
    PuzzleVqa,
    /// MSTS.
    Msts,
}

/// A format's name that is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "unknown format `{0}`: expected openai, sharegpt, alpaca, swift, verl, easyr1, trl, hf, vlmevalkit, mis, vlguard, \
     figstep, xstest, puzzlevqa or msts"
)]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let name = match name {
            "ours" => "openai",
            "puzzleqa" => "puzzlevqa",
            other => other,
        };
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// How a format holds pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// As paths.
    Paths,
    /// As bytes.
    Bytes,
    /// Not at all.
    Nothing,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 15] = [
        Self::OpenAi,
        Self::ShareGpt,
        Self::Alpaca,
        Self::Swift,
        Self::Verl,
        Self::EasyR1,
        Self::Trl,
        Self::Hf,
        Self::VlmEvalKit,
        Self::Mis,
        Self::VlGuard,
        Self::FigStep,
        Self::XsTest,
        Self::PuzzleVqa,
        Self::Msts,
    ];

    /// The format's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::ShareGpt => "sharegpt",
            Self::Alpaca => "alpaca",
            Self::Swift => "swift",
            Self::Verl => "verl",
            Self::EasyR1 => "easyr1",
            Self::Trl => "trl",
            Self::Hf => "hf",
            Self::VlmEvalKit => "vlmevalkit",
            Self::Mis => "mis",
            Self::VlGuard => "vlguard",
            Self::FigStep => "figstep",
            Self::XsTest => "xstest",
            Self::PuzzleVqa => "puzzlevqa",
            Self::Msts => "msts",
        }
    }

    pub(crate) fn holds(self) -> Holds {
        match self {
            Self::Verl | Self::EasyR1 | Self::Trl | Self::Hf | Self::VlmEvalKit => Holds::Bytes,
            Self::XsTest | Self::Msts => Holds::Nothing,
            _ => Holds::Paths,
        }
    }

    /// What the format is written to, the usual one first.
    pub(crate) fn containers(self) -> &'static [Container] {
        match self {
            Self::OpenAi | Self::Swift | Self::PuzzleVqa => &[Container::JsonLines],
            Self::ShareGpt | Self::Alpaca | Self::Mis | Self::VlGuard => &[Container::JsonList, Container::JsonLines],
            Self::Verl | Self::EasyR1 | Self::Trl | Self::Hf => &[Container::Parquet],
            Self::VlmEvalKit => &[Container::Tab],
            Self::FigStep | Self::XsTest | Self::Msts => &[Container::Comma],
        }
    }

    /// What a file of this name is written as.
    ///
    /// Errors: `Container` where the name's ending says something that the format is not held in.
    pub(crate) fn container_for(self, path: &Path) -> Result<Container, FormatError> {
        let ending = ending_of(path);
        let found = self.containers().iter().find(|container| container.ending() == ending);
        found.copied().ok_or_else(|| {
            let endings = self
                .containers()
                .iter()
                .map(|container| format!(".{}", container.ending()));
            FormatError::Container {
                path: path.to_owned(),
                format: self.name(),
                expected: endings.collect::<Vec<_>>().join(" or "),
            }
        })
    }

    pub(crate) fn layout(self) -> Box<dyn Layout> {
        match self {
            Self::OpenAi => Box::new(openai::OpenAi),
            Self::ShareGpt => Box::new(sharegpt::ShareGpt::default()),
            Self::Alpaca => Box::new(alpaca::Alpaca::default()),
            Self::Swift => Box::new(swift::Swift),
            Self::Verl => Box::new(verl::Verl),
            Self::EasyR1 => Box::new(easyr1::EasyR1),
            Self::Trl => Box::new(trl::Trl),
            Self::Hf => Box::new(hf::Hf),
            Self::VlmEvalKit => Box::new(vlmevalkit::VlmEvalKit),
            Self::Mis => Box::new(mis::Mis),
            Self::VlGuard => Box::new(vlguard::VlGuard),
            Self::FigStep => Box::new(figstep::FigStep::default()),
            Self::XsTest => Box::new(xstest::XsTest),
            Self::PuzzleVqa => Box::new(puzzlevqa::PuzzleVqa),
            Self::Msts => Box::new(msts::Msts),
        }
    }
}

fn ending_of(path: &Path) -> String {
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    ending.to_lowercase()
}

/// How a file is held: by its first bytes, then by its name.
///
/// Errors: `Io` naming the file; `Unrecognised` where neither says.
pub(crate) fn container_of(path: &Path) -> Result<Container, FormatError> {
    let mut first = Vec::new();
    fs_err::File::open(path)?.take(4096).read_to_end(&mut first)?;
    let ending = ending_of(path);
    if first.starts_with(rows::PARQUET_MAGIC) || ending == "parquet" {
        return Ok(Container::Parquet);
    }
    match ending.as_str() {
        "csv" => return Ok(Container::Comma),
        "tsv" => return Ok(Container::Tab),
        _ => {}
    }
    let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&first);
    match (text.trim_ascii_start().first(), ending.as_str()) {
        (Some(b'['), _) => Ok(Container::JsonList),
        (Some(b'{'), _) | (_, "jsonl" | "json" | "ndjson") => Ok(Container::JsonLines),
        _ => Err(FormatError::Unrecognised {
            path: path.to_owned(),
            looked_at: format!(
                "its name ends in `{ending}`, expected jsonl, json, csv, tsv or parquet; its first bytes are no JSON and \
                 not parquet's"
            ),
        }),
    }
}

/// How many rows are looked at for the names of fields.
const ROWS_LOOKED_AT: usize = 20;

/// Which format a file is, by its columns or by the fields of its first rows.
///
/// Errors: `Io` naming the file; `Malformed` where it cannot be read; `Unrecognised` naming what was looked at.
pub(crate) fn detect(path: &Path, container: Container) -> Result<Format, FormatError> {
    if container == Container::Parquet {
        let columns = rows::column_names(path)?;
        return by_names(&|name| columns.iter().any(|column| column == name), None, container)
            .ok_or_else(|| unrecognised(path, "the columns are", &columns));
    }
    let opened = rows::open(path, container)?;
    if let Some(columns) = opened.columns {
        return by_names(&|name| columns.iter().any(|column| column == name), None, container)
            .ok_or_else(|| unrecognised(path, "the columns are", &columns));
    }
    let mut seen = None;
    let mut n_rows = 0;
    for row in opened.rows.take(ROWS_LOOKED_AT) {
        n_rows += 1;
        let Ok(row) = row else { continue };
        if let Some(format) = by_names(&|name| row.fields.contains_key(name), Some(&row.fields), container) {
            return Ok(format);
        }
        seen.get_or_insert_with(|| row.fields.keys().cloned().collect::<Vec<_>>());
    }
    match seen {
        Some(names) => Err(unrecognised(path, "the fields of the first rows are", &names)),
        None if container == Container::JsonLines && ending_of(path) == "jsonl" => Ok(Format::OpenAi),
        None => Err(FormatError::Unrecognised {
            path: path.to_owned(),
            looked_at: format!("none of its first {n_rows} rows is a JSON object"),
        }),
    }
}

/// The names of a file's columns, or of the fields of its first row that can be read.
///
/// Errors: `Io` naming the file; `Malformed` where it cannot be read at all.
pub(crate) fn first_names(path: &Path, container: Container) -> Result<Vec<String>, FormatError> {
    if container == Container::Parquet {
        return rows::column_names(path);
    }
    let opened = rows::open(path, container)?;
    let first_row = || opened.rows.take(ROWS_LOOKED_AT).flatten().next();
    let names = || first_row().map(|row| row.fields.keys().cloned().collect());
    Ok(opened.columns.or_else(names).unwrap_or_default())
}

fn unrecognised(path: &Path, what: &str, names: &[String]) -> FormatError {
    FormatError::Unrecognised {
        path: path.to_owned(),
        looked_at: format!("{what} {}", names.join(", ")),
    }
}

/// The format that has such fields; the more telling names come first.
fn by_names(has: &dyn Fn(&str) -> bool, row: Option<&Map<String, Value>>, container: Container) -> Option<Format> {
    let all = |names: &[&str]| names.iter().all(|name| has(name));
    Some(match container {
        Container::Comma if all(&["dataset", "category_id", "task_id"]) => Format::FigStep,
        Container::Comma if all(&["prompt", "type"]) => Format::XsTest,
        Container::Comma if has("prompt_text") => Format::Msts,
        Container::Comma if all(&["instruction", "output"]) => Format::Alpaca,
        Container::Comma => return None,
        Container::Tab if has("question") => Format::VlmEvalKit,
        Container::Tab => return None,
        Container::Parquet if has("problem") => Format::EasyR1,
        Container::Parquet if has("messages") => Format::Hf,
        Container::Parquet if has("prompt") && (has("reward_model") || has("data_source")) => Format::Verl,
        Container::Parquet if has("prompt") => Format::Trl,
        Container::Parquet if all(&["instruction", "output"]) => Format::Alpaca,
        Container::Parquet => return None,
        _ if has("instr-resp") => Format::VlGuard,
        _ if all(&["question", "image_path1"]) => Format::Mis,
        _ if all(&["family", "options", "question"]) => Format::PuzzleVqa,
        _ if all(&["conversations", "image"]) && (has("sub_category") || has("kind")) => Format::Mis,
        _ if has("conversations") => Format::ShareGpt,
        _ if has("messages") && (has("images") || !has("id") || holds_placeholder(row?)) => Format::Swift,
        _ if has("messages") => Format::OpenAi,
        _ if has("problem") && (has("answer") || has("images")) => Format::EasyR1,
        _ if has("prompt") && (has("reward_model") || has("data_source")) => Format::Verl,
        _ if has("prompt") && row.is_some_and(|row| row["prompt"].is_array() || has("completion")) => Format::Trl,
        _ if all(&["instruction", "output"]) => Format::Alpaca,
        _ => return None,
    })
}

fn holds_placeholder(row: &Map<String, Value>) -> bool {
    let messages = row.get("messages").and_then(Value::as_array);
    messages.into_iter().flatten().any(|message| {
        let content = message.get("content").and_then(Value::as_str);
        content.is_some_and(|text| text.contains(crate::placeholders::PLACEHOLDER))
    })
}
