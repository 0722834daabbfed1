//! Published sets, in rows of our own of the shape in which they are released.

use std::path::{Path, PathBuf};

use align::progress::Silent;
use align::types::ItemKind::{General, Hazardous};
use image::ImageFormat;
use serde_json::{Value, json};

use super::samples::{container_of, convert, convert_from, folder, image_file, records, write_lines};
use crate::check;
use crate::error::FormatError;
use crate::format::Format;
use crate::layouts::{openai, published, sharegpt, swift};
use crate::record_reader::RecordReader;
use rows::{ColumnType, Columns, Container, Image, Row};

fn png() -> Vec<u8> {
    image_file(ImageFormat::Png, 6, 40)
}

/// Writes a file of one row; images are bytes in `column` where it is parquet, otherwise the files of these names.
pub(super) fn write_row(path: &Path, fields: &Value, column: &str) {
    let Value::Object(fields) = fields.clone() else { panic!("expected an object, got {fields}") };
    let container = container_of(path);
    let mut row = Row { fields, ..Row::default() };
    let mut columns = Columns::default();
    if container == Container::Parquet {
        columns = Columns::fixed(vec![("image", ColumnType::Images), ("images", ColumnType::Images)]);
        row.set_images(column, &[Image::unnamed(png())]);
    }
    columns.add(&row);
    let mut writer = rows::create(path, container, &columns).unwrap();
    writer.write(&row).unwrap();
    writer.finish().unwrap();
}

/// Files of published sets: what each is, its name, the column of its images, its row, and the image's file.
pub(super) fn published_rows() -> Vec<(Format, &'static str, &'static str, Value, &'static str)> {
    vec![
        (
            published::SPA_VL,
            "train.parquet",
            "image",
            json!({ "question": "<image>\nWhat?", "chosen": "A cup.", "rejected": "No.", "image_name": "a.png" }),
            "",
        ),
        (
            published::SPA_VL,
            "harm.parquet",
            "image",
            json!({ "question": "What?", "class1": "One", "class2": "Two", "class3": "Three" }),
            "",
        ),
        (
            published::BEAVERTAILS_V,
            "evaluation.parquet",
            "image",
            json!({ "question": "What?", "category": "c", "image_severity": 1, "response": "A cup.", "is_response_safe": "yes" }),
            "",
        ),
        (
            published::BEAVERTAILS_V,
            "pairs.parquet",
            "image",
            json!({ "question": "What?", "category": "c", "image_severity": 1, "response_1": "No.", "response_2": "A cup.",
                    "more_helpful_response_id": 1, "safer_response_id": 2 }),
            "",
        ),
        (
            published::VLSBENCH,
            "data.json",
            "",
            json!({ "instruction_id": 7, "instruction": "What?", "image_path": "imgs/0.png", "category": "c",
                    "sub_category": "s", "source": "o", "image_description": "d", "safety_reason": "r" }),
            "imgs/0.png",
        ),
        (
            published::SIUO,
            "siuo_gen.json",
            "",
            json!({ "question_id": 7, "image": "S-01.png", "question": "What?", "category": "c", "safety_warning": "w",
                    "reference_answer": "A cup." }),
            "images/S-01.png",
        ),
        (
            published::JAILBREAK_V,
            "JailBreakV_28K.csv",
            "",
            json!({ "id": "7", "jailbreak_query": "What?", "redteam_query": "q", "format": "f", "policy": "c",
                    "image_path": "llm_transfer_attack/a.png", "from": "o", "selected_mini": "True", "transfer_from_llm": "False" }),
            "llm_transfer_attack/a.png",
        ),
        (
            published::FINE_VISION,
            "ai2d.parquet",
            "images",
            json!({ "texts": [{ "user": "What?", "assistant": "A cup." }, { "user": "Why?", "assistant": "So." }],
                    "source": "o", "relevance_ratings": [4, 5], "relevance_min": 4 }),
            "",
        ),
        (
            sharegpt::FORMAT,
            "onevision.parquet",
            "image",
            json!({ "id": "7", "data_source": "o", "conversations": [{ "from": "human", "value": "<image>\nWhat?" },
                    { "from": "gpt", "value": "A cup." }] }),
            "",
        ),
    ]
}

#[test]
fn published_sets_are_recognized_and_lose_nothing() {
    for (format, name, column, fields, image) in published_rows() {
        let folder = folder();
        let path = folder.path().join(name);
        write_row(&path, &fields, column);
        if !image.is_empty() {
            let image = folder.path().join(image);
            fs_err::create_dir_all(image.parent().unwrap()).unwrap();
            fs_err::write(image, png()).unwrap();
        }
        assert_eq!(RecordReader::open(&path, None).unwrap().format, format, "{name}");
        let report = check(&path, None, &mut Silent).unwrap();
        assert_eq!((report.problems, report.items, report.images), (vec![], 1, 1), "{name}");
        let record = records(&path, format).remove(0);
        let item = &record.item;
        assert!(item.messages[0].plain_text().trim_start() == "What?", "{name}: {:?}", item.messages);
        let is_labeled = !["harm.parquet", "data.json", "JailBreakV_28K.csv"].contains(&name);
        assert_eq!(item.messages.iter().any(|message| message.plain_text() == "A cup."), is_labeled, "{name}");
        if image.is_empty() {
            assert_eq!(item.kind, None, "{name}");
        } else {
            assert_eq!((item.id.as_str(), item.category.as_deref(), item.kind), ("7", Some("c"), Some(Hazardous)));
        }
        for to in [openai::FORMAT, swift::FORMAT] {
            let out = folder.path().join("new/out.jsonl");
            let report = convert(&path, &out, to).unwrap();
            assert_eq!((report.items_written, report.losses), (1, vec![]), "{name}");
            let text = fs_err::read_to_string(&out).unwrap();
            for value in fields.as_object().unwrap().values().filter_map(Value::as_str).filter(|text| text.len() > 2) {
                let value = value.trim_start_matches("<image>\n");
                assert!(text.contains(value) || value.ends_with(".png"), "{name}: {value}: {text}");
            }
        }
    }
}

#[test]
fn an_unsafe_response_of_beavertails_v_is_kept_but_is_no_label() {
    let folder = folder();
    let path = folder.path().join("a.parquet");
    let row = json!({ "question": "What?", "category": "c", "image_severity": 1, "response": "A cup.", "is_response_safe": "no" });
    write_row(&path, &row, "image");
    let record = records(&path, published::BEAVERTAILS_V).remove(0);
    assert_eq!((record.item.label(), record.extra_text("response")), (None, Some("A cup.")));
}

#[test]
fn a_format_that_is_only_read_is_refused_as_a_target() {
    let folder = folder();
    let source = folder.path().join("a.jsonl");
    write_lines(&source, &[json!({ "id": "1", "messages": [{ "role": "user", "content": "What?" }] })]);
    let out: PathBuf = folder.path().join("out.json");
    let error = convert_from(None, &source, &out, published::SIUO).unwrap_err();
    assert!(matches!(error, FormatError::ReadOnly { .. }), "{error}");
    assert_eq!(error.to_string(), "nothing is written in siuo, which is only read");
}

#[test]
fn a_choice_of_siuo_is_shown_with_its_options() {
    let folder = folder();
    let path = folder.path().join("siuo_mcqa.json");
    let row = json!({ "question_id": 7, "image": "S-01.png", "question": "Which?\n", "category": "c",
                      "options": { "A": "This.", "B": "That." }, "correct_option": "B" });
    write_row(&path, &row, "");
    fs_err::create_dir(folder.path().join("images")).unwrap();
    fs_err::write(folder.path().join("images/S-01.png"), png()).unwrap();
    assert_eq!(RecordReader::open(&path, None).unwrap().format, published::SIUO);
    let record = records(&path, published::SIUO).remove(0);
    assert_eq!(record.item.messages[0].plain_text(), "Which?\n(A) This.\n(B) That.");
    assert_eq!(
        (record.item.kind, record.item.truth),
        (Some(General), Some(json!({ "options": ["This.", "That."], "answer": "That." })))
    );
    assert!(record.extra.contains_key("options") && record.extra.contains_key("correct_option"));
}

#[test]
fn the_requests_that_jailbreakv_is_made_of_are_read_without_images() {
    let folder = folder();
    let path = folder.path().join("RedTeam_2K.csv");
    write_row(&path, &json!({ "id": "1", "question": "What?", "policy": "c", "from": "o" }), "");
    assert_eq!(RecordReader::open(&path, None).unwrap().format, published::JAILBREAK_V);
    let record = records(&path, published::JAILBREAK_V).remove(0);
    assert_eq!(
        (record.images.len(), record.item.category.as_deref(), record.item.kind),
        (0, Some("c"), Some(Hazardous))
    );
}
