//! Single files: what a layout reads as, what is written, and what is refused.

use align::types::ItemKind::{Benign, Hazardous};
use image::ImageFormat;
use serde_json::{Value, json};

use super::samples::{convert, folder, image_file, item, records, write_lines};
use crate::error::FormatError;
use crate::format::Format;
use crate::layouts::{
    alpaca, easyr1, figstep, hf, mis, msts, openai, puzzlevqa, sharegpt, swift, trl, verl, vlguard, vlmevalkit, xstest,
};
use crate::record_reader::RecordReader;
use rows::RowsError;

fn json_of(path: &std::path::Path) -> Value {
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn formats_go_by_name() {
    for &format in Format::ALL {
        assert_eq!(format.name().parse::<Format>().unwrap(), format);
        assert!(!format.about().is_empty(), "{format:?}");
    }
    assert_eq!("ours".parse::<Format>().unwrap(), openai::FORMAT);
    assert_eq!("puzzleqa".parse::<Format>().unwrap(), puzzlevqa::FORMAT);
    let unknown = "vicuna".parse::<Format>().unwrap_err().to_string();
    assert!(unknown.starts_with("unknown format `vicuna`: expected alpaca, beavertailsv, easyr1, "), "{unknown}");
}

#[test]
fn sharegpt_is_described_for_llama_factory_beside_what_was_there() {
    let folder = folder();
    fs_err::write(folder.path().join("a.png"), image_file(ImageFormat::Png, 4, 0)).unwrap();
    let source = folder.path().join("source.jsonl");
    write_lines(&source, &[item("1", "a.png", "What?")]);
    let info = folder.path().join("dataset_info.json");
    fs_err::write(&info, r#"{"older": {"file_name": "older.json"}}"#).unwrap();
    let report = convert(&source, &folder.path().join("train.json"), sharegpt::FORMAT).unwrap();
    assert_eq!((report.losses.len(), report.images_written), (0, 0));
    assert_eq!(
        json_of(&folder.path().join("train.json"))[0],
        json!({
            "conversations": [
                { "from": "human", "value": "<image>What?" },
                { "from": "gpt", "value": "An answer to What?" },
            ],
            "images": ["a.png"],
            "id": "1",
        })
    );
    let entry = &json_of(&info)["train"];
    assert_eq!((&entry["file_name"], &entry["formatting"]), (&"train.json".into(), &"sharegpt".into()));
    assert_eq!(json_of(&info)["older"]["file_name"], "older.json");
}

#[test]
fn embedded_images_become_files_named_by_their_content() {
    let folder = folder();
    let bytes = image_file(ImageFormat::Png, 4, 9);
    let url = format!("data:image/png;base64,{}", base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &bytes));
    let part = json!({ "type": "image_url", "image_url": { "url": url } });
    let messages = json!([{ "role": "user", "content": [part, part, { "type": "text", "text": "Which?" }] }]);
    let source = folder.path().join("source.jsonl");
    write_lines(&source, &[json!({ "id": "1", "messages": messages })]);
    let output = folder.path().join("deep/out.jsonl");
    let report = convert(&source, &output, swift::FORMAT).unwrap();
    assert_eq!(report.images_written, 1);
    let row = json_of(&output);
    let path = row["images"][0].as_str().unwrap();
    assert_eq!(row["images"][1], path);
    assert!(path.starts_with("out_images/") && path.ends_with(".png"), "{path}");
    assert_eq!(fs_err::read(folder.path().join("deep").join(path)).unwrap(), bytes);
}

#[test]
fn a_malformed_source_leaves_no_output_and_no_images() {
    let folder = folder();
    let source = folder.path().join("source.jsonl");
    let bytes = image_file(ImageFormat::Png, 4, 9);
    let data = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &bytes);
    let image = format!("data:image/png;base64,{data}");
    write_lines(&source, &[item("1", &image, "What?"), json!({ "id": "2", "messages": 3 })]);
    let error = convert(&source, &folder.path().join("out.jsonl"), swift::FORMAT).unwrap_err();
    assert!(matches!(error, FormatError::Rows(RowsError::Malformed { row: Some(2), .. })), "{error}");
    let left: Vec<_> = fs_err::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["source.jsonl"]);
}

#[test]
fn an_extension_that_the_format_is_not_written_to_is_refused() {
    let folder = folder();
    let source = folder.path().join("source.jsonl");
    write_lines(&source, &[item("1", "a.png", "What?")]);
    let error = convert(&source, &folder.path().join("out.jsonl"), hf::FORMAT).unwrap_err();
    assert!(error.to_string().ends_with("hf is written as .parquet, got another extension"), "{error}");
}

#[test]
fn vlguard_holds_an_item_for_each_instruction() {
    let folder = folder();
    let path = folder.path().join("train.json");
    let rows = json!([
        { "id": "a", "image": "x/a.png", "safe": true, "harmful_category": "c", "harmful_subcategory": "s",
          "instr-resp": [{ "safe_instruction": "Q1", "response": "R1" }, { "unsafe_instruction": "Q2", "response": "R2" }] },
        { "id": "b", "image": "x/b.png", "safe": false, "harmful_category": "c", "harmful_subcategory": "s",
          "instr-resp": [{ "instruction": "Q3", "response": "R3" }] },
    ]);
    fs_err::write(&path, rows.to_string()).unwrap();
    for name in ["a", "b"] {
        fs_err::create_dir_all(folder.path().join("x")).unwrap();
        fs_err::write(folder.path().join(format!("x/{name}.png")), image_file(ImageFormat::Png, 4, 9)).unwrap();
    }
    let read = records(&path, vlguard::FORMAT);
    let read: Vec<_> = read
        .iter()
        .map(|record| (record.item.id.as_str(), record.item.kind.unwrap(), record.item.label().unwrap()))
        .collect();
    let expected = [("a-safe", Benign, "R1"), ("a-unsafe", Hazardous, "R2"), ("b", Hazardous, "R3")];
    assert_eq!(read, expected.map(|(id, kind, label)| (id, kind, label.to_owned())));
    let report = convert(&path, &folder.path().join("out.json"), vlguard::FORMAT).unwrap();
    assert_eq!((report.items_written, &report.losses[..]), (3, &[][..]));
}

#[test]
fn mis_as_released_is_read_and_written() {
    let folder = folder();
    let path = folder.path().join("mis_hard.json");
    let row = json!({
        "id": 7, "question": "May I?", "category": "Violent", "sub_category": "Other",
        "image_path1": "hard_image/7/object1.png", "image_path2": "hard_image/7/object2.png",
    });
    fs_err::write(&path, json!([row]).to_string()).unwrap();
    let images = folder.path().join("hard_image/7");
    fs_err::create_dir_all(&images).unwrap();
    for name in ["object1.png", "object2.png"] {
        fs_err::write(images.join(name), image_file(ImageFormat::Png, 4, 9)).unwrap();
    }
    let read = records(&path, mis::FORMAT).remove(0);
    assert_eq!((read.item.id.as_str(), read.item.split.as_deref()), ("7", Some("hard")));
    assert_eq!(read.item.messages[0].content.len(), 3);
    let out = folder.path().join("out.json");
    assert_eq!(convert(&path, &out, mis::FORMAT).unwrap().losses, []);
    let mut expected = row;
    expected["split"] = "hard".into();
    assert_eq!(json_of(&out)[0], expected);
}

/// Names and contents of files, and what each is recognized as, or why not.
const FILES: &[(&str, &str, Result<Format, &str>)] = &[
    ("a.jsonl", r#"{"id": "1", "messages": []}"#, Ok(openai::FORMAT)),
    ("a.jsonl", r#"{"messages": [], "images": []}"#, Ok(swift::FORMAT)),
    ("a.json", r#"[{"conversations": []}]"#, Ok(sharegpt::FORMAT)),
    ("a.json", r#"[{"conversations": [], "image": [], "sub_category": ""}]"#, Ok(mis::FORMAT)),
    ("a.json", r#"[{"conversations": [], "image": [], "kind": "hazardous"}]"#, Ok(mis::FORMAT)),
    ("a.json", r#"[{"conversations": [], "image": ""}]"#, Ok(sharegpt::FORMAT)),
    ("a.json", r#"[{"instruction": "", "output": ""}]"#, Ok(alpaca::FORMAT)),
    ("a.jsonl", r#"{"id": "1", "messages": [], "problem": "", "answer": ""}"#, Ok(openai::FORMAT)),
    ("a.jsonl", r#"{"problem": "", "answer": ""}"#, Ok(easyr1::FORMAT)),
    ("a.jsonl", r#"{"prompt": [], "completion": []}"#, Ok(trl::FORMAT)),
    ("a.jsonl", r#"{"prompt": [], "reward_model": {}}"#, Ok(verl::FORMAT)),
    ("a.json", r#"[{"question": "", "image_path1": ""}]"#, Ok(mis::FORMAT)),
    ("a.json", r#"[{"instr-resp": []}]"#, Ok(vlguard::FORMAT)),
    ("a.jsonl", r#"{"family": "", "options": [], "question": ""}"#, Ok(puzzlevqa::FORMAT)),
    ("a.tsv", "index\tquestion\n1\tWhat?\n", Ok(vlmevalkit::FORMAT)),
    ("a.csv", "id,prompt,type\n", Ok(xstest::FORMAT)),
    ("a.csv", "prompt_text,model\n", Ok(msts::FORMAT)),
    ("a.csv", "dataset,category_id,task_id\n", Ok(figstep::FORMAT)),
    ("a.jsonl", r#"{"one": 1, "two": 2}"#, Err("the fields of the first row are one, two")),
    ("a.csv", "one,two\n", Err("the columns are one, two")),
    ("a.txt", "words", Err("its name ends in `txt`")),
    ("a.json", "{\n", Err("the text ends within an object")),
    ("a.json", "[\n {\"id\": 1,\n  \"score\": NaN}\n]", Err("row 1: line 3, column 12: NaN is not JSON")),
];

#[test]
fn what_a_file_is_shows_by_its_name_and_content() {
    let folder = folder();
    for (name, text, expected) in FILES {
        let path = folder.path().join(name);
        fs_err::write(&path, text).unwrap();
        let found = RecordReader::open(&path, None).map(|reader| reader.format);
        match (found, *expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name}: {text}"),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (found, expected) => panic!("{name}: {text}: {:?}, {expected:?}", found.map_err(|error| error.to_string())),
        }
    }
}
