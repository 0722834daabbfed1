//! Files that were to be JSON lines and are something else: told by their content, with what makes JSON lines of them.

use std::path::Path;

use diagnostic::excerpt;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// What a file is, and what makes JSON lines of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherContainer {
    /// What it is, with its article.
    pub what: String,
    /// What to do.
    pub hint: String,
    /// Whether `scruple data` reads it.
    pub is_readable: bool,
}

impl OtherContainer {
    fn readable(what: &str, path: &Path) -> Self {
        Self { what: what.to_owned(), hint: conversion(path), is_readable: true }
    }

    fn foreign(what: impl Into<String>, hint: &str, path: &Path) -> Self {
        Self { what: what.into(), hint: hint.replace("FILE", &path.display().to_string()), is_readable: false }
    }
}

/// How files of this kind begin, what they are called, and what makes a text of them; none for what is no data.
const BEGINNINGS: [(&[u8], &str, Option<&str>); 16] = [
    (b"ARROW1", "an Arrow file", Some("save it as parquet first, as with pandas.read_feather(…).to_parquet(…)")),
    (
        b"\xff\xff\xff\xff",
        "an Arrow stream",
        Some("save it as parquet first, as with `to_parquet` of the library datasets"),
    ),
    (b"\x1f\x8b", "a gzip archive", Some("unpack it first: `gunzip FILE`")),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", Some("unpack it first: `unzstd FILE`")),
    (b"BZh", "a bzip2 archive", Some("unpack it first: `bunzip2 FILE`")),
    (b"\xfd7zXZ\0", "an xz archive", Some("unpack it first: `unxz FILE`")),
    (b"PK\x03\x04", "a zip archive, or a workbook of Excel", Some("unpack it, or save the workbook as CSV, first")),
    (b"\xd0\xcf\x11\xe0", "a document of Office", Some("save it as CSV first")),
    (b"SQLite format 3\0", "an SQLite database", Some("export its rows as JSON or CSV first")),
    (b"\x80\x04", "a pickle of Python", Some("write its rows with json.dumps first")),
    (b"\xff\xfe", "text in UTF-16", Some("save it as UTF-8 first, as with `iconv -f UTF-16 -t UTF-8`")),
    (b"\xfe\xff", "text in UTF-16", Some("save it as UTF-8 first, as with `iconv -f UTF-16 -t UTF-8`")),
    (b"%PDF", "a PDF", None),
    (b"<!", "a web page", Some("download the file itself, not the page that shows it")),
    (b"<html", "a web page", Some("download the file itself, not the page that shows it")),
    (b"version https://git-lfs", "a pointer of Git LFS", Some("fetch the file itself: `git lfs pull`")),
];

/// What a file is by its first bytes, where that is neither JSON lines nor empty. Four thousand bytes are enough.
pub fn other_container(path: &Path, first: &[u8]) -> Option<OtherContainer> {
    if first.starts_with(b"PAR1") {
        return Some(OtherContainer::readable("a parquet file", path));
    }
    for (beginning, what, hint) in BEGINNINGS {
        if first.starts_with(beginning) {
            return Some(OtherContainer::foreign(what, hint.unwrap_or(WANTED), path));
        }
    }
    if image::guess_format(first).is_ok() {
        return Some(OtherContainer::foreign("an image", WANTED, path));
    }
    let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first).trim_ascii_start();
    if first.iter().take(2).any(|byte| *byte == 0) {
        return other_container(path, b"\xff\xfe");
    }
    let mut lines = text.splitn(2, |byte| *byte == b'\n');
    let line = lines.next()?.trim_ascii_end();
    let rest = lines.next().unwrap_or_default().trim_ascii_start();
    match text.first()? {
        b'[' if begins_list(text) => Some(OtherContainer::readable("one JSON list", path)),
        b'{' if begins_object(line, rest) => Some(whole_object(path)),
        b'{' => None,
        _ if is_table(path) => Some(OtherContainer::readable("a table", path)),
        _ => None,
    }
}

/// Larger objects are not read to see what they hold.
const MOST_BYTES_LOOKED_AT: u64 = 64 << 20;

/// What a folder is, where a file is wanted.
pub fn folder(path: &Path) -> Option<OtherContainer> {
    path.is_dir().then(|| OtherContainer::foreign("a folder", "name one of the files in FILE", path))
}

const WANTED: &str = "the data file itself is wanted";

/// The command that makes JSON lines of a file.
pub fn conversion(path: &Path) -> String {
    format!("`scruple data convert {} --to openai --out NEW.jsonl` makes such lines of it", path.display())
}

/// A list of rows, and not the header of a table or of tables in TOML.
fn begins_list(text: &[u8]) -> bool {
    let inner = text[1..].trim_ascii_start();
    inner.first().is_none_or(|next| b"{]\"-0123456789".contains(next))
}

/// Whether these are the first line and the rest of an object that is written over several lines, rather than a broken
/// line.
fn begins_object(line: &[u8], rest: &[u8]) -> bool {
    let is_open = serde_json::from_slice::<IgnoredAny>(line).is_err_and(|error| error.is_eof());
    let goes_on = match line.last() {
        Some(b'{') => rest.starts_with(b"\""),
        Some(b'[' | b',') => !rest.is_empty(),
        _ => false,
    };
    is_open && goes_on
}

fn is_table(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    extension == "csv" || extension == "tsv"
}

/// What an object is that holds rows instead of being one: rows by id, or a list of rows under a name.
pub fn rows_within(object: &Map<String, Value>, path: &Path) -> Option<OtherContainer> {
    if !object.is_empty() && object.values().all(Value::is_object) {
        let hint = "`jq 'to_entries | map(.value + {id: .key})' FILE > NEW.json` makes a list of its rows, which `scruple data convert` reads";
        return Some(OtherContainer::foreign("one JSON object of rows by id", hint, path));
    }
    let is_list = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_object));
    let is_row = ["messages", "conversations", "prompt", "id"].iter().any(|name| object.contains_key(*name));
    let (name, _) = object.iter().find(|(_, value)| !is_row && is_list(value))?;
    let (what, hint) = (
        format!("one JSON object with a list of rows under `{}`", excerpt(name)),
        format!(
            "`jq '.\"{}\"' FILE > NEW.json` makes a list of its rows, which `scruple data convert` reads",
            excerpt(name)
        ),
    );
    Some(OtherContainer::foreign(what, &hint, path))
}

/// What a file is whose first object goes on over several lines.
fn whole_object(path: &Path) -> OtherContainer {
    let is_small = fs_err::metadata(path).is_ok_and(|file| file.len() < MOST_BYTES_LOOKED_AT);
    let object = is_small.then(|| fs_err::read(path).ok()).flatten();
    let object = object.and_then(|text| serde_json::from_slice::<Map<String, Value>>(&text).ok());
    object.and_then(|object| rows_within(&object, path)).unwrap_or_else(|| {
        let hint = "`jq -c . FILE > NEW.jsonl` writes each object on one line";
        OtherContainer::foreign("one JSON object over several lines", hint, path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_file_is_told_by_its_content_whatever_its_name() {
        for (first, expected) in [
            (&b"PAR1\x15"[..], "a parquet file"),
            (b"ARROW1\0\0", "an Arrow file"),
            (b"\x1f\x8b\x08", "a gzip archive"),
            (b"PK\x03\x04", "a zip archive"),
            (b"\x89PNG\r\n\x1a\n", "an image"),
            (b"\xff\xfe{\0", "UTF-16"),
            (b"{\0\"\0", "UTF-16"),
            (b"\0{\0\"", "UTF-16"),
            (b"[{\"id\": 1}]", "one JSON list"),
            (b"\xef\xbb\xbf[\n  {", "one JSON list"),
            (b"{\n  \"id\": 1\n}\n", "one JSON object over several lines"),
            (b"{\"0\": {\n  \"id\": 1\n}}\n", "one JSON object over several lines"),
            (b"id,text\n1,a\n", "none"),
            (b"[sft]\nlr = 1\n", "none"),
            (b"{\"id\": 1}\n{\"id\": 2}\n", "none"),
            (b"{\"id\": \"torn\n{\"id\": 2}\n", "none"),
            (b"", "none"),
            (b"\n \n", "none"),
        ] {
            let what = other_container(Path::new("a.jsonl"), first).map_or("none".to_owned(), |other| other.what);
            assert!(what.contains(expected), "{first:?}: {what}");
        }
        assert_eq!(other_container(Path::new("a.CSV"), b"id,text\n").unwrap().what, "a table");
    }

    #[test]
    fn rows_within_an_object_are_found() {
        for (object, expected) in [
            (json!({ "0": { "a": 1 }, "1": { "a": 2 } }), Some("by id")),
            (json!({ "version": 1, "data": [{ "a": 1 }] }), Some("under `data`")),
            (json!({ "id": "a", "messages": [{ "role": "user" }] }), None),
            (json!({ "conversations": [{ "from": "human" }] }), None),
            (json!({ "a": 1 }), None),
            (json!({}), None),
        ] {
            let found = rows_within(object.as_object().unwrap(), Path::new("a.json"));
            assert_eq!(found.is_some(), expected.is_some(), "{object}");
            assert!(found.is_none_or(|found| found.what.contains(expected.unwrap())), "{object}");
        }
    }
}
