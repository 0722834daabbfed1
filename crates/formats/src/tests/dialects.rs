//! The ways in which other tools write the same format: forms of image parts, columns under other names, pictures that
//! stand elsewhere.

use align::types::{ItemKind, Part, Role};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::ImageFormat;
use serde_json::{Value, json};

use super::samples::{convert, folder, picture, records, write_lines};
use crate::check;
use crate::fault::FaultKind;
use crate::format::Format;
use crate::record::Record;
use crate::rows::{Columns, Container, Row, RowWriter};
use crate::source::Source;
use align::progress::Silent;

/// The shades of the pictures that a record shows, by which they are told apart.
fn shades(record: &Record) -> Vec<u8> {
    let bytes = record.pictures.iter().map(|picture| match picture {
        crate::Picture::Bytes { bytes, .. } => bytes.clone(),
        other => panic!("expected bytes, got {other:?}"),
    });
    bytes
        .map(|bytes| image::load_from_memory(&bytes).unwrap().to_rgb8().get_pixel(0, 0)[0])
        .collect()
}

fn png(shade: u8) -> Vec<u8> {
    picture(ImageFormat::Png, 6, shade)
}

/// A folder with pictures `1.png`, `2.png`, `3.png` of shades 10, 20, 30.
fn with_pictures() -> tempfile::TempDir {
    let folder = folder();
    for number in 1..=3_u8 {
        fs_err::write(folder.path().join(format!("{number}.png")), png(number * 10)).unwrap();
    }
    folder
}

fn faults(path: &std::path::Path, format: Option<Format>) -> Vec<FaultKind> {
    let report = check(path, format, &mut Silent).unwrap();
    report.findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn image_parts_are_read_in_every_form_and_in_their_order() {
    let folder = with_pictures();
    let data = BASE64_STANDARD.encode(png(40));
    let parts = json!([
        { "type": "image_url", "image_url": { "url": "1.png" } },
        { "type": "image_url", "image_url": "2.png" },
        { "type": "image", "path": "3.png" },
        { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": data } },
        { "type": "image", "source": { "type": "url", "url": "1.png" } },
        { "type": "image", "base64": data },
        { "type": "text", "text": "Which?" },
    ]);
    let row = json!({ "id": "1", "messages": [{ "role": "user", "content": parts }] });
    let path = folder.path().join("d.jsonl");
    write_lines(&path, &[row]);
    for format in [Format::OpenAi, Format::Swift] {
        assert_eq!(
            shades(&records(&path, format)[0]),
            [10, 20, 30, 40, 10, 40],
            "{format:?}"
        );
    }
    assert_eq!(faults(&path, None), []);
}

#[test]
fn parts_that_leave_their_picture_to_the_column_take_it_in_order() {
    let folder = with_pictures();
    let parts = json!([
        { "type": "image" }, { "type": "image", "image": "3.png" }, { "type": "text", "text": "and <image>?" },
    ]);
    let row = json!({ "messages": [{ "role": "user", "content": parts }], "images": ["1.png", "2.png"] });
    let path = folder.path().join("d.jsonl");
    write_lines(&path, &[row]);
    assert_eq!(Source::open(&path, None).unwrap().format, Format::Swift);
    let read = records(&path, Format::Swift).remove(0);
    assert_eq!(shades(&read), [10, 30, 20]);
    assert_eq!(read.item.messages[0].content.len(), 5);
}

#[test]
fn a_part_without_its_picture_is_an_error() {
    let folder = with_pictures();
    let path = folder.path().join("d.jsonl");
    let message = json!([{ "role": "user", "content": [{ "type": "image" }, { "type": "text", "text": "Who?" }] }]);
    write_lines(&path, &[json!({ "id": "1", "messages": message })]);
    assert_eq!(faults(&path, None), [FaultKind::TooFewImages]);
    write_lines(&path, &[json!({ "messages": message, "images": [] })]);
    assert_eq!(faults(&path, None), [FaultKind::TooFewImages]);
    write_lines(&path, &[json!({ "messages": message, "images": ["1.png", "2.png"] })]);
    assert_eq!(faults(&path, None), [FaultKind::TooManyImages]);
}

#[test]
fn messages_in_parts_beside_a_column_of_pictures_are_read_from_parquet() {
    let folder = with_pictures();
    let path = folder.path().join("trl.parquet");
    let content = json!([{ "type": "image", "text": null }, { "type": "text", "text": "What?" }]);
    let mut row = Row {
        fields: json!({ "messages": [{ "role": "user", "content": content }] })
            .as_object()
            .unwrap()
            .clone(),
        ..Row::default()
    };
    let shown = crate::Picture::Bytes {
        bytes: png(20).into(),
        name: None,
    };
    row.pictures.insert("images".to_owned(), vec![shown]);
    let mut columns = Columns::fixed(vec![("images", crate::rows::ColumnType::Pictures)]);
    columns.add(&row);
    let mut writer = RowWriter::create(&path, Container::Parquet, &columns).unwrap();
    writer.write(&row).unwrap();
    writer.finish().unwrap();
    assert_eq!(faults(&path, None), []);
    let read = records(&path, Format::Hf).remove(0);
    assert_eq!(
        (shades(&read), read.item.messages[0].plain_text()),
        (vec![20], "What?".to_owned())
    );
}

#[test]
fn vlmevalkit_rows_show_other_rows_pictures_and_files() {
    let folder = with_pictures();
    let (one, two) = (BASE64_STANDARD.encode(png(70)), BASE64_STANDARD.encode(png(80)));
    let path = folder.path().join("d.tsv");
    let table = format!(
        "index\timage\timage_path\tquestion\n1\t3\t\tearlier?\n2\t{one}\tkept.png\ttwo?\n3\t{two}\t\tthree?\n4\t2\t\tlater?\n\
         5\t\t1.png\tfile?\n6\t\t['1.png', '2.png']\tfiles?\n7\t\t\tnone?\n"
    );
    fs_err::write(&path, table).unwrap();
    let shown: Vec<Vec<u8>> = records(&path, Format::VlmEvalKit).iter().map(shades).collect();
    assert_eq!(
        shown,
        [vec![80], vec![70], vec![80], vec![70], vec![10], vec![10, 20], vec![]]
    );
    let report = convert(&path, &folder.path().join("out.tsv"), Format::VlmEvalKit).unwrap();
    assert_eq!((report.items_written, report.losses), (7, vec![]));
}

#[test]
fn a_dataset_info_says_what_columns_and_speakers_are_called() {
    let folder = with_pictures();
    let info = json!({
        "talks": {
            "file_name": "talks.json", "formatting": "sharegpt",
            "columns": { "messages": "dialog", "images": "photos", "system": "rules" },
            "tags": { "role_tag": "who", "content_tag": "says", "user_tag": "person", "assistant_tag": "bot" },
        },
        "asked": { "file_name": "asked.json", "columns": { "prompt": "ask", "response": "reply", "images": "photos" } },
        "elsewhere": { "hf_hub_url": "a/b" },
    });
    fs_err::write(folder.path().join("dataset_info.json"), info.to_string()).unwrap();
    let talk = json!([{
        "dialog": [{ "who": "person", "says": "<image>What?" }, { "who": "bot", "says": "A cup." }],
        "photos": ["2.png"], "rules": "Be brief.",
    }]);
    let path = folder.path().join("talks.json");
    fs_err::write(&path, talk.to_string()).unwrap();
    assert_eq!(faults(&path, None), []);
    let read = records(&path, Format::ShareGpt).remove(0);
    assert_eq!(
        (shades(&read), read.item.label()),
        (vec![20], Some("A cup.".to_owned()))
    );
    assert_eq!(read.item.messages[0].role, Role::System);
    let report = convert(&path, &folder.path().join("out.jsonl"), Format::OpenAi).unwrap();
    assert_eq!((report.from, report.losses), ("sharegpt", vec![]));

    let path = folder.path().join("asked.json");
    let asked = json!([{ "ask": "<image>Who?", "input": "Say it.", "reply": "Nobody.", "photos": ["1.png"] }]);
    fs_err::write(&path, asked.to_string()).unwrap();
    let source = Source::open(&path, None).unwrap();
    assert_eq!(source.format, Format::Alpaca);
    let read = records(&path, Format::Alpaca).remove(0);
    assert_eq!(read.item.messages[0].plain_text(), "Who?\nSay it.");
    assert_eq!(
        (shades(&read), read.item.label()),
        (vec![10], Some("Nobody.".to_owned()))
    );
    // An entry that was left behind by another file of the name says nothing.
    fs_err::write(&path, json!([{ "conversations": [] }]).to_string()).unwrap();
    assert_eq!(Source::open(&path, None).unwrap().format, Format::ShareGpt);
}

#[test]
fn columns_that_a_dataset_info_calls_null_are_not_there() {
    let folder = with_pictures();
    let unused = |columns: Value| {
        let mut all = json!({ "messages": null, "prompt": null, "query": null, "response": null, "history": null,
                              "system": null, "tools": null, "images": null });
        all.as_object_mut()
            .unwrap()
            .extend(columns.as_object().unwrap().clone());
        all
    };
    let info = json!({
        "talks": {
            "file_name": "talks.json", "formatting": "sharegpt", "subset": null, "num_samples": null,
            "columns": unused(json!({ "messages": "dialog", "images": "photos" })),
            "tags": { "role_tag": "who", "content_tag": "says", "user_tag": "person", "assistant_tag": "bot",
                      "observation_tag": null, "system_tag": null },
        },
        "asked": {
            "file_name": "asked.json", "formatting": "alpaca", "columns": unused(json!({ "prompt": "ask" })), "tags": null,
        },
    });
    fs_err::write(folder.path().join("dataset_info.json"), info.to_string()).unwrap();
    let talk = json!([{
        "dialog": [{ "who": "person", "says": "<image>What?" }, { "who": "bot", "says": "A cup." }],
        "photos": ["2.png"], "null": "no column", "system": "not to be read",
    }]);
    let path = folder.path().join("talks.json");
    fs_err::write(&path, talk.to_string()).unwrap();
    assert_eq!(faults(&path, None), []);
    assert_eq!(Source::open(&path, None).unwrap().format, Format::ShareGpt);
    let read = records(&path, Format::ShareGpt).remove(0);
    assert_eq!(shades(&read), [20]);
    assert_eq!(read.item.messages.len(), 2, "{:?}", read.item.messages);
    assert_eq!(read.extra["system"], "not to be read");

    let path = folder.path().join("asked.json");
    let asked = json!([{ "ask": "Who?", "input": "no", "output": "no", "history": "no", "system": "no", "images": 7 }]);
    fs_err::write(&path, asked.to_string()).unwrap();
    assert_eq!(faults(&path, None), []);
    let read = records(&path, Format::Alpaca).remove(0);
    assert_eq!(
        (read.item.messages.len(), read.item.messages[0].plain_text().as_str()),
        (1, "Who?")
    );
}

#[test]
fn alpaca_holds_turns_before_the_question_and_is_described() {
    let folder = with_pictures();
    let path = folder.path().join("d.jsonl");
    let say = |role: &str, content: Value| json!({ "role": role, "content": content });
    let messages = json!([
        say("system", "Be brief.".into()),
        say(
            "user",
            json!([{ "type": "image", "image": "1.png" }, { "type": "text", "text": "What?" }])
        ),
        say("assistant", "A cup.".into()),
        say("user", "Sure?".into()),
        say("assistant", "Yes.".into()),
    ]);
    write_lines(&path, &[json!({ "id": "1", "messages": messages })]);
    let out = folder.path().join("out.json");
    assert_eq!(convert(&path, &out, Format::Alpaca).unwrap().losses, []);
    let rows: Value = serde_json::from_str(&fs_err::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(
        rows[0],
        json!({ "instruction": "Sure?", "output": "Yes.", "history": [["<image>What?", "A cup."]], "system": "Be brief.",
                "images": ["1.png"], "id": "1" })
    );
    let info = fs_err::read_to_string(folder.path().join("dataset_info.json")).unwrap();
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["out"]["columns"]["prompt"], "instruction");
    assert_eq!(faults(&out, None), []);
}

#[test]
fn mis_keeps_kind_category_and_sub_category_there_and_back() {
    let folder = with_pictures();
    let path = folder.path().join("d.jsonl");
    let content = json!([
        { "type": "image", "image": "1.png" }, { "type": "image", "image": "2.png" }, { "type": "text", "text": "May I?" },
    ]);
    let row = |id: &str, label: Option<&str>, more: Value| {
        let answer = label.map(|label| json!({ "role": "assistant", "content": label }));
        let messages: Vec<Value> = [json!({ "role": "user", "content": content })]
            .into_iter()
            .chain(answer)
            .collect();
        let mut row = json!({ "id": id, "kind": "hazardous", "category": "Fire", "messages": messages });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    for (label, more) in [
        (None, json!({ "main_category": "Household" })),
        (Some("No."), json!({ "main_category": "Household" })),
        (Some("No."), json!({})),
    ] {
        write_lines(&path, &[row("1", label, more.clone())]);
        let out = folder.path().join("mis.json");
        assert_eq!(
            convert(&path, &out, Format::Mis).unwrap().losses,
            [],
            "{label:?} {more}"
        );
        let rows: Value = serde_json::from_str(&fs_err::read_to_string(&out).unwrap()).unwrap();
        if more.get("main_category").is_some() {
            assert_eq!(
                (&rows[0]["category"], &rows[0]["sub_category"]),
                (&"Household".into(), &"Fire".into())
            );
        }
        let back = folder.path().join("back.jsonl");
        let report = convert(&out, &back, Format::OpenAi).unwrap();
        assert_eq!((report.from, report.losses), ("mis", vec![]));
        let back = records(&back, Format::OpenAi).remove(0);
        assert_eq!(
            (back.item.kind, back.item.category.as_deref()),
            (Some(ItemKind::Hazardous), Some("Fire"))
        );
        assert_eq!(back.extra.get("main_category"), more.get("main_category"));
        assert!(matches!(back.item.messages[0].content[0], Part::Image { .. }));
    }
}

#[test]
fn bytes_after_a_gifs_end_do_not_make_it_torn() {
    let whole = picture(ImageFormat::Gif, 12, 90);
    assert_eq!(crate::inspect(&whole, Some("gif")), []);
    assert_eq!(
        crate::inspect(&[&whole[..], b"\0\0written by a camera"].concat(), Some("gif")),
        []
    );
    let torn = crate::inspect(&whole[..whole.len() - 1], Some("gif"));
    assert_eq!(
        torn.iter().map(|fault| fault.kind).collect::<Vec<_>>(),
        [FaultKind::TruncatedImage]
    );
}
