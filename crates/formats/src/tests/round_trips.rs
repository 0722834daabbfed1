//! There and back: what comes back differs from what went exactly by what was reported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use image::ImageFormat;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::samples::{config, convert_from, file_of, folder, image_file, records, write_lines, written_formats};
use crate::error::FormatError;
use crate::format::Format;
use crate::layouts::openai;
use crate::losses::differences;
use crate::record::Record;

const IMAGES: [&str; 4] = ["images/a.png", "images/b.png", "images/c.jpg", "images/d.gif"];

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z ,.?]{1,20}",
        1 => Just("two lines\nand a \"quote\"\tand a tab".to_owned()),
        1 => Just("ünï¢ödé 画像 \\n {} [] 'x'".to_owned()),
        1 => Just("  space around ".to_owned()),
        1 => Just("it holds <image> itself".to_owned()),
        1 => Just("\"begins with a quote".to_owned()),
    ]
}

fn part() -> impl Strategy<Value = Value> {
    prop_oneof![
        words().prop_map(|text| json!({ "type": "text", "text": text })),
        prop::sample::select(&IMAGES[..]).prop_map(|image| json!({ "type": "image", "image": image })),
        (prop::sample::select(&IMAGES[..]), any::<u16>()).prop_map(
            |(image, max)| json!({ "type": "image", "image": image, "max_pixels": max.max(1), "detail": "low" })
        ),
    ]
}

fn messages() -> impl Strategy<Value = Value> {
    let system = prop::option::weighted(0.2, words());
    let shown_first = prop::collection::vec(prop::sample::select(&IMAGES[..]), 0..3);
    let mixed = prop::collection::vec(part(), 1..5);
    let plain = (shown_first, words()).prop_map(|(images, text)| {
        let images = images.into_iter().map(|image| json!({ "type": "image", "image": image }));
        images.chain([json!({ "type": "text", "text": text })]).collect::<Vec<Value>>()
    });
    let question = prop_oneof![2 => plain, 1 => mixed];
    let more = prop::option::weighted(0.2, (words(), words()));
    let label = prop::option::weighted(0.7, words());
    (system, question, more, label).prop_map(|(system, question, more, label)| {
        let mut messages = Vec::new();
        messages.extend(system.map(|system| json!({ "role": "system", "content": system })));
        messages.push(json!({ "role": "user", "content": question }));
        if let Some((answer, question)) = more {
            messages.push(json!({ "role": "assistant", "content": answer }));
            messages.push(json!({ "role": "user", "content": question }));
        }
        messages.extend(label.map(|label| json!({ "role": "assistant", "content": label })));
        messages.into()
    })
}

/// Fields that items bring along, most of which mean something to one format or another.
const NAMES: [&str; 16] = [
    "note",
    "count",
    "meta",
    "prompt",
    "label",
    "question",
    "answer",
    "A",
    "extra_info",
    "data_source",
    "system",
    "focus",
    "dataset",
    "safe",
    "index",
    "model",
];

fn extra() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![
        3 => words().prop_map(Value::from),
        1 => any::<i32>().prop_map(Value::from),
        1 => (-1e6..1e6).prop_map(|number: f64| json!(number)),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(json!([])),
        1 => Just(json!({})),
        1 => Just(json!([1, "two", null])),
        1 => Just(json!(["one", "two"])),
        1 => Just(json!({ "one": 1, "list": [{ "two": 2.5 }] })),
        1 => Just(json!({ "one": "other", "more": null })),
        1 => Just(json!("")),
    ];
    prop::collection::btree_map(prop::sample::select(&NAMES[..]), value, 0..4)
        .prop_map(|extra| extra.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn row() -> impl Strategy<Value = Value> {
    let own = (
        prop::option::of(prop::sample::select(&["train", "hard", ""][..])),
        prop::option::weighted(0.8, prop::sample::select(&["hazardous", "benign", "blank_image", "general"][..])),
        prop::option::weighted(0.8, prop::sample::select(&["Gardening", "Self-Harm, other"][..])),
        prop::option::weighted(0.2, Just("another")),
        prop::option::weighted(
            0.4,
            prop_oneof![
                Just(json!({ "options": ["6", "3"], "answer": "3" })),
                Just(json!({ "rule": "burns", "level": 2, "parts": [] })),
                Just(json!("text")),
                Just(json!(4)),
            ],
        ),
    );
    (messages(), own, extra()).prop_map(|(messages, (split, kind, category, twin_of, truth), mut row)| {
        row.insert("messages".to_owned(), messages);
        let fields = [("split", split), ("kind", kind), ("category", category), ("twin_of", twin_of)];
        for (name, value) in fields {
            if let Some(value) = value {
                row.insert(name.to_owned(), value.into());
            }
        }
        if let Some(truth) = truth {
            row.insert("truth".to_owned(), truth);
        }
        row.into()
    })
}

fn write_source(folder: &Path, mut rows: Vec<Value>) -> std::path::PathBuf {
    let images = folder.join("images");
    fs_err::create_dir_all(&images).unwrap();
    for (name, format) in [
        ("a.png", ImageFormat::Png),
        ("b.png", ImageFormat::Png),
        ("c.jpg", ImageFormat::Jpeg),
        ("d.gif", ImageFormat::Gif),
    ] {
        fs_err::write(images.join(name), image_file(format, 8, name.as_bytes()[0])).unwrap();
    }
    for (index, row) in rows.iter_mut().enumerate() {
        let endings = ["", "-safe", "-unsafe", " ü"];
        row["id"] = format!("item-{index}{}", endings[index % 4]).into();
    }
    let path = folder.join("source.jsonl");
    write_lines(&path, &rows);
    path
}

/// The fields that differ, and in how many pairs.
fn counted<'a>(pairs: impl Iterator<Item = (&'a Record, &'a Record)>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (before, after) in pairs {
        // A field beside the item may have the name of one of its own.
        let fields: BTreeSet<String> = differences(before, after).into_iter().map(|(field, _)| field).collect();
        for field in fields {
            *counts.entry(field).or_default() += 1;
        }
    }
    counts
}

fn check_round_trip(rows: &[Value], format: Format) {
    let folder = folder();
    let source = write_source(folder.path(), rows.to_vec());
    let items = records(&source, openai::FORMAT);
    // Which items the format can hold at all shows when each is converted alone.
    let mut kept = Vec::new();
    for (item, line) in items.iter().zip(fs_err::read_to_string(&source).unwrap().lines()) {
        let path = folder.path().join("alone.jsonl");
        fs_err::write(&path, line).unwrap();
        let alone = file_of(&folder.path().join("alone"), "out", format);
        match convert_from(Some(openai::FORMAT), &path, &alone, format) {
            Ok(_) => kept.push(item),
            Err(FormatError::Nothing { .. }) => {}
            Err(error) => panic!("{format:?}: {error}"),
        }
    }
    let there = file_of(&folder.path().join("there"), "out", format);
    let report = match convert_from(Some(openai::FORMAT), &source, &there, format) {
        Ok(report) => report,
        Err(FormatError::Nothing { .. }) => return assert!(kept.is_empty()),
        Err(error) => panic!("{format:?}: {error}"),
    };
    let back = records(&there, format);
    assert_eq!((back.len(), report.items_written), (kept.len(), kept.len()), "{format:?}");
    let mut expected = counted(kept.iter().copied().zip(&back));
    if items.len() > kept.len() {
        expected.insert("row".to_owned(), items.len() - kept.len());
    }
    let reported: BTreeMap<String, usize> = report.losses.iter().map(|loss| (loss.field.clone(), loss.rows)).collect();
    assert_eq!(reported, expected, "{format:?}: {:?}", report.losses);

    // Within the format nothing more is lost, and nothing is gained.
    let again = file_of(&folder.path().join("again"), "out", format);
    let report = convert_from(Some(format), &there, &again, format).unwrap();
    assert_eq!(report.losses, [], "{format:?}");
    let again = records(&again, format);
    assert_eq!(counted(back.iter().zip(&again)), BTreeMap::new(), "{format:?}");
    assert_eq!(counted(again.iter().zip(&back)), BTreeMap::new(), "{format:?}");
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn what_comes_back_differs_by_what_was_reported(rows in prop::collection::vec(row(), 1..5)) {
        for format in written_formats() {
            check_round_trip(&rows, format);
        }
    }
}
