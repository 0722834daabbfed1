//! Nothing of a row is lost in silence: whatever stands in it besides what its layout knows is in the output, or among
//! the losses, or the row is refused.

use std::path::Path;
use std::sync::OnceLock;

use image::ImageFormat;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::published::published_rows;
use super::samples::{config, container_of, convert_from, file_of, folder, image_file, write_lines, written_formats};
use crate::format::Format;
use crate::layouts::{openai, swift};
use crate::losses::Loss;
use rows::{ColumnType, Columns, Container, Image, Row};

/// What is added to a row, and looked for afterwards.
const MARK: &str = "zq7mark";

/// An item that every format can hold one way or another.
fn sources() -> Vec<Value> {
    let show = |n_images: usize, kind: &str, label: Option<&str>| {
        let mut content = vec![json!({ "type": "image", "image": "a.png" }); n_images];
        content.push(json!({ "type": "text", "text": "How many?" }));
        let mut messages = vec![json!({ "role": "user", "content": content })];
        messages.extend(label.map(|label| json!({ "role": "assistant", "content": label })));
        let truth = json!({ "options": ["1", "2"], "answer": "2" });
        json!({ "id": "i1", "messages": messages, "kind": kind, "category": "C", "truth": truth })
    };
    vec![
        show(1, "hazardous", Some("Two.")),
        show(0, "hazardous", Some("Two.")),
        show(1, "general", None),
        show(2, "hazardous", None),
    ]
}

/// A row of every format, in its usual container; of some in several shapes.
fn rows_of_formats(folder: &Path) -> Vec<(Format, Container, Row)> {
    fs_err::write(folder.join("a.png"), image_file(ImageFormat::Png, 8, 1)).unwrap();
    let mut found = Vec::new();
    for (index, source) in sources().into_iter().enumerate() {
        let path = folder.join("source.jsonl");
        write_lines(&path, &[source]);
        for format in written_formats() {
            let file = file_of(folder, &format!("{}{index}", format.name()), format);
            if convert_from(Some(openai::FORMAT), &path, &file, format).is_ok() {
                let container = Container::of(&file).unwrap();
                found.push((format, container, rows::open(&file, container).unwrap().rows.next().unwrap().unwrap()));
            }
        }
    }
    for (format, name, column, fields, _) in published_rows() {
        let mut row = Row { fields: fields.as_object().unwrap().clone(), ..Row::default() };
        let container = container_of(Path::new(name));
        if container == Container::Parquet {
            row.set_images(column, &[Image::unnamed(image_file(ImageFormat::Png, 8, 1))]);
        }
        found.push((format, container, row));
    }
    // The forms of image parts.
    let parts = [
        json!({ "type": "image_url", "image_url": { "url": "a.png" } }),
        json!({ "type": "image", "source": { "type": "url", "url": "a.png" } }),
        json!({ "type": "image", "image": { "path": "a.png" } }),
    ];
    for format in [openai::FORMAT, swift::FORMAT] {
        let fields = json!({ "id": "i1", "messages": [{ "role": "user", "content": parts }] });
        let row = Row { fields: fields.as_object().unwrap().clone(), ..Row::default() };
        found.push((format, Container::JsonLines, row));
    }
    found
}

/// The pointers of all objects and lists within a value.
fn containers(value: &Value, at: &str, found: &mut Vec<String>) {
    if value.is_object() || value.is_array() {
        found.push(at.to_owned());
    }
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(name, value)| containers(value, &format!("{at}/{name}"), found));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, value)| containers(value, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

/// Names that something or other knows, and names that nothing knows.
const NAMES: [&str; 35] = [
    "zq7name",
    "note",
    "max_pixels",
    "min_pixels",
    "resized_height",
    "detail",
    "text",
    "path",
    "url",
    "image",
    "images",
    "video",
    "videos",
    "audio",
    "system",
    "history",
    "input",
    "output",
    "index",
    "label",
    "split",
    "category",
    "twin_of",
    "id",
    "kind",
    "truth",
    "response",
    "answer",
    "hint",
    "A",
    "model",
    "extra_info",
    "reward_model",
    "loss",
    "cache_control",
];

/// Those of them that are a part of the dialogue in one layout or another, and are told under its names.
const DIALOGUE: [&str; 11] =
    ["text", "image", "images", "system", "history", "input", "output", "response", "answer", "hint", "A"];

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => Just(json!(MARK)),
        1 => Just(json!([MARK])),
        1 => Just(json!({ "deep": MARK })),
        1 => Just(json!([{ "deep": [MARK] }])),
        1 => Just(json!({ "type": "text", "text": MARK })),
        1 => Just(json!({ "type": "text", "text": "And?", "note": MARK })),
        1 => Just(json!({ "type": "image", "image": "a.png", "max_pixels": MARK })),
        1 => Just(json!({ "type": "video", "video": MARK })),
        1 => Just(json!({ "type": "file", "file": MARK })),
        1 => Just(json!({ "path": "a.png", "detail": MARK })),
        1 => Just(json!({ "role": "user", "content": "And?", "name": MARK })),
        1 => Just(json!({ "from": "human", "value": "And?", "weight": MARK })),
    ]
}

/// Adds a value to one of a row's objects or lists; none where an object has such a field.
fn with_extra(row: &Row, place: prop::sample::Index, name: &str, value: &Value) -> Option<(Row, String)> {
    let mut fields = Value::from(row.fields.clone());
    let mut pointers = Vec::new();
    containers(&fields, "", &mut pointers);
    let pointer = place.get(&pointers);
    let taken = pointer.is_empty() && row.images.contains_key(name);
    match fields.pointer_mut(pointer)? {
        Value::Object(object) if !object.contains_key(name) && !taken => {
            drop(object.insert(name.to_owned(), value.clone()));
        }
        Value::Array(list) => list.push(value.clone()),
        _ => return None,
    }
    let fields = fields.as_object()?.clone();
    Some((Row { fields, ..row.clone() }, format!("{pointer}/{name}")))
}

fn write(path: &Path, container: Container, row: &Row) {
    let images = ["image", "images"].into_iter().filter(|name| row.images.contains_key(*name));
    let mut columns = Columns::fixed(images.map(|name| (name, ColumnType::Images)).collect());
    columns.add(row);
    let mut writer = rows::create(path, container, &columns).unwrap();
    writer.write(row).unwrap();
    writer.finish().unwrap();
}

/// Whether the mark stands in the rows of a file.
fn is_marked(path: &Path, container: Container) -> bool {
    let rows = rows::open(path, container).unwrap().rows.map(Result::unwrap);
    rows.map(|row| Value::from(row.fields).to_string()).any(|text| text.contains(MARK))
}

/// The rows of all formats, made once.
fn all_rows() -> &'static [(Format, Container, Row)] {
    static ROWS: OnceLock<Vec<(Format, Container, Row)>> = OnceLock::new();
    ROWS.get_or_init(|| rows_of_formats(folder().path()))
}

proptest! {
    #![proptest_config(config(160))]

    #[test]
    fn what_a_row_has_besides_is_in_the_output_or_among_the_losses(
        source in prop::sample::select(all_rows()),
        place in any::<prop::sample::Index>(),
        name in prop::sample::select(&NAMES[..]),
        value in values(),
        to in prop::sample::select(written_formats().collect::<Vec<_>>()),
    ) {
        let (from, container, row) = source;
        let Some((row, place)) = with_extra(&row, place, name, &value) else { return Ok(()) };
        let folder = folder();
        fs_err::write(folder.path().join("a.png"), image_file(ImageFormat::Png, 8, 1)).unwrap();
        let input = folder.path().join(format!("in.{}", container.extension()));
        write(&input, container, &row);
        let output = file_of(folder.path(), "out", to);
        // A row that is refused is not lost in silence.
        let Ok(report) = convert_from(Some(from), &input, &output, to) else { return Ok(()) };
        let column = place.split('/').nth(1).unwrap_or_default();
        let is_told = report.losses.iter().any(|loss| {
            let Loss { field, why, .. } = loss;
            // Keys that are known to be lost stand in the value that was added.
            let inner = ["note", "max_pixels", "video", "detail", "name", "weight", "deep"].into_iter().any(|key| field.ends_with(key));
            let is_dialogue =
                DIALOGUE.contains(&name) && ["label", "prompt", "system", "images"].contains(&field.as_str());
            field == "row" || is_dialogue || field == column || field.contains(name) || inner || why.contains(MARK)
        });
        prop_assert!(
            is_told || is_marked(&output, Container::of(&output).unwrap()),
            "{from:?} to {to:?}: {value} at {place}: losses {:?}",
            report.losses
        );
    }
}
