//! The ways in which other tools write the same format: forms of image parts, columns under other names, images in
//! other places.

use align::progress::Silent;
use align::types::{ItemKind, Part, Role};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::ImageFormat;
use serde_json::{Value, json};

use super::samples::{convert, file_of, folder, image_file, records, write_lines};
use crate::check;
use crate::format::Format;
use crate::inspect::inspect;
use crate::layouts::{alpaca, hf, mis, openai, sharegpt, swift, verl, vlmevalkit};
use crate::record::Record;
use crate::record_reader::RecordReader;
use rows::{ColumnType, Columns, Container, Image, ProblemKind, Row};

/// The shades of the images that a record shows, by which they are recognized.
fn shades(record: &Record) -> Vec<u8> {
    let bytes = record.images.iter().map(|image| match image {
        Image::Bytes { bytes, .. } => bytes.clone(),
        other => panic!("expected bytes, got {other:?}"),
    });
    bytes.map(|bytes| image::load_from_memory(&bytes).unwrap().to_rgb8().get_pixel(0, 0)[0]).collect()
}

fn png(shade: u8) -> Vec<u8> {
    image_file(ImageFormat::Png, 6, shade)
}

/// A folder with images `1.png`, `2.png`, `3.png` of shades 10, 20, 30.
fn with_images() -> tempfile::TempDir {
    let folder = folder();
    for number in 1..=3_u8 {
        fs_err::write(folder.path().join(format!("{number}.png")), png(number * 10)).unwrap();
    }
    folder
}

/// An object with further fields.
fn with(mut object: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else {
        panic!("expected an object, got {fields}");
    };
    object.as_object_mut().unwrap().extend(fields);
    object
}

fn say(role: &str, content: impl Into<Value>) -> Value {
    json!({ "role": role, "content": content.into() })
}

fn problems(path: &std::path::Path, format: Option<Format>) -> Vec<ProblemKind> {
    let report = check(path, format, &mut Silent).unwrap();
    report.problems.iter().map(|problem| problem.kind).collect()
}

#[test]
fn image_parts_are_read_in_every_form_and_in_their_order() {
    let folder = with_images();
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
    for format in [openai::FORMAT, swift::FORMAT] {
        assert_eq!(shades(&records(&path, format)[0]), [10, 20, 30, 40, 10, 40], "{format:?}");
    }
    assert_eq!(problems(&path, None), []);
}

#[test]
fn base64_may_be_broken_into_lines_and_lack_its_padding() {
    let folder = with_images();
    let bytes = png(40);
    let encoded = BASE64_STANDARD.encode(&bytes);
    let (first, rest) = encoded.split_at(20);
    let escaped: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
    let path = folder.path().join("d.jsonl");
    for url in [
        format!("data:image/png;base64,{first}\n{rest}"),
        format!("data:image/png;base64, {encoded}"),
        format!("data:image/png;base64,{}", encoded.trim_end_matches('=')),
        format!("data:image/png,{escaped}"),
    ] {
        let parts = json!([{ "type": "image_url", "image_url": { "url": url } }, { "type": "text", "text": "Which?" }]);
        write_lines(&path, &[json!({ "id": "1", "messages": [say("user", parts)] })]);
        assert_eq!(problems(&path, None), [], "{url}");
        assert_eq!(shades(&records(&path, openai::FORMAT)[0]), [40], "{url}");
    }
}

#[test]
fn a_column_that_a_dataset_info_names_must_be_there() {
    let folder = folder();
    let info = json!({ "asked": { "file_name": "asked.csv", "columns": { "prompt": "ask" } } });
    fs_err::write(folder.path().join("dataset_info.json"), info.to_string()).unwrap();
    let path = folder.path().join("asked.csv");
    fs_err::write(&path, "ask,output\nWho?,Nobody.\n").unwrap();
    assert_eq!(problems(&path, None), []);
    fs_err::write(&path, "question,output\nWho?,Nobody.\n").unwrap();
    assert_eq!(problems(&path, Some(alpaca::FORMAT)), [ProblemKind::MissingColumn]);
}

#[test]
fn parts_that_leave_their_image_to_the_column_take_it_in_order() {
    let folder = with_images();
    let parts = json!([
        { "type": "image" }, { "type": "image", "image": "3.png" }, { "type": "text", "text": "and <image>?" },
    ]);
    let row = json!({ "messages": [{ "role": "user", "content": parts }], "images": ["1.png", "2.png"] });
    let path = folder.path().join("d.jsonl");
    write_lines(&path, &[row]);
    assert_eq!(RecordReader::open(&path, None).unwrap().format, swift::FORMAT);
    let read = records(&path, swift::FORMAT).remove(0);
    assert_eq!(shades(&read), [10, 30, 20]);
    assert_eq!(read.item.messages[0].content.len(), 5);
}

#[test]
fn a_part_without_its_image_is_an_error() {
    let folder = with_images();
    let path = folder.path().join("d.jsonl");
    let message = json!([{ "role": "user", "content": [{ "type": "image" }, { "type": "text", "text": "Who?" }] }]);
    write_lines(&path, &[json!({ "id": "1", "messages": message })]);
    assert_eq!(problems(&path, None), [ProblemKind::TooFewImages]);
    write_lines(&path, &[json!({ "messages": message, "images": [] })]);
    assert_eq!(problems(&path, None), [ProblemKind::TooFewImages]);
    write_lines(&path, &[json!({ "messages": message, "images": ["1.png", "2.png"] })]);
    assert_eq!(problems(&path, None), [ProblemKind::TooManyImages]);
}

#[test]
fn messages_in_parts_beside_a_column_of_images_are_read_from_parquet() {
    let folder = with_images();
    let path = folder.path().join("trl.parquet");
    let content = json!([{ "type": "image", "text": null }, { "type": "text", "text": "What?" }]);
    let mut row = Row {
        fields: json!({ "messages": [{ "role": "user", "content": content }] }).as_object().unwrap().clone(),
        ..Row::default()
    };
    row.set_images("images", &[Image::unnamed(png(20))]);
    let mut columns = Columns::fixed(vec![("images", ColumnType::Images)]);
    columns.add(&row);
    let mut writer = rows::create(&path, Container::Parquet, &columns).unwrap();
    writer.write(&row).unwrap();
    writer.finish().unwrap();
    assert_eq!(problems(&path, None), []);
    let read = records(&path, hf::FORMAT).remove(0);
    assert_eq!((shades(&read), read.item.messages[0].plain_text()), (vec![20], "What?".to_owned()));
}

#[test]
fn vlmevalkit_rows_show_other_rows_images_and_files() {
    let folder = with_images();
    let (one, two) = (BASE64_STANDARD.encode(png(70)), BASE64_STANDARD.encode(png(80)));
    let path = folder.path().join("d.tsv");
    let table = format!(
        "index\timage\timage_path\tquestion\n1\t3\t\tearlier?\n2\t{one}\tkept.png\ttwo?\n3\t{two}\t\tthree?\n4\t2\t\tlater?\n\
         5\t\t1.png\tfile?\n6\t\t['1.png', '2.png']\tfiles?\n7\t\t\tnone?\n"
    );
    fs_err::write(&path, table).unwrap();
    let shown: Vec<Vec<u8>> = records(&path, vlmevalkit::FORMAT).iter().map(shades).collect();
    assert_eq!(shown, [vec![80], vec![70], vec![80], vec![70], vec![10], vec![10, 20], vec![]]);
    let report = convert(&path, &folder.path().join("out.tsv"), vlmevalkit::FORMAT).unwrap();
    assert_eq!((report.items_written, report.losses), (7, vec![]));
}

#[test]
fn a_dataset_info_says_what_columns_and_speakers_are_called() {
    let folder = with_images();
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
    assert_eq!(problems(&path, None), []);
    let read = records(&path, sharegpt::FORMAT).remove(0);
    assert_eq!((shades(&read), read.item.label()), (vec![20], Some("A cup.".to_owned())));
    assert_eq!(read.item.messages[0].role, Role::System);
    let report = convert(&path, &folder.path().join("out.jsonl"), openai::FORMAT).unwrap();
    assert_eq!((report.from, report.losses), ("sharegpt", vec![]));

    let path = folder.path().join("asked.json");
    let asked = json!([{ "ask": "<image>Who?", "input": "Say it.", "reply": "Nobody.", "photos": ["1.png"] }]);
    fs_err::write(&path, asked.to_string()).unwrap();
    let source = RecordReader::open(&path, None).unwrap();
    assert_eq!(source.format, alpaca::FORMAT);
    let read = records(&path, alpaca::FORMAT).remove(0);
    assert_eq!(read.item.messages[0].plain_text(), "Who?\nSay it.");
    assert_eq!((shades(&read), read.item.label()), (vec![10], Some("Nobody.".to_owned())));
    // An entry that was left behind by another file of the name says nothing.
    fs_err::write(&path, json!([{ "conversations": [] }]).to_string()).unwrap();
    assert_eq!(RecordReader::open(&path, None).unwrap().format, sharegpt::FORMAT);
}

#[test]
fn columns_that_a_dataset_info_calls_null_are_not_there() {
    let folder = with_images();
    let unused = json!({ "messages": null, "prompt": null, "query": null, "response": null, "history": null,
                         "system": null, "tools": null, "images": null });
    let info = json!({
        "talks": {
            "file_name": "talks.json", "formatting": "sharegpt", "subset": null, "num_samples": null,
            "columns": with(unused.clone(), json!({ "messages": "dialog", "images": "photos" })),
            "tags": { "role_tag": "who", "content_tag": "says", "user_tag": "person", "assistant_tag": "bot",
                      "observation_tag": null, "system_tag": null },
        },
        "asked": {
            "file_name": "asked.json", "formatting": "alpaca", "columns": with(unused, json!({ "prompt": "ask" })), "tags": null,
        },
    });
    fs_err::write(folder.path().join("dataset_info.json"), info.to_string()).unwrap();
    let talk = json!([{
        "dialog": [{ "who": "person", "says": "<image>What?" }, { "who": "bot", "says": "A cup." }],
        "photos": ["2.png"], "null": "no column", "system": "not to be read",
    }]);
    let path = folder.path().join("talks.json");
    fs_err::write(&path, talk.to_string()).unwrap();
    assert_eq!(problems(&path, None), []);
    assert_eq!(RecordReader::open(&path, None).unwrap().format, sharegpt::FORMAT);
    let read = records(&path, sharegpt::FORMAT).remove(0);
    assert_eq!(shades(&read), [20]);
    assert_eq!(read.item.messages.len(), 2, "{:?}", read.item.messages);
    assert_eq!(read.extra["system"], "not to be read");

    let path = folder.path().join("asked.json");
    let asked = json!([{ "ask": "Who?", "input": "no", "output": "no", "history": "no", "system": "no", "images": 7 }]);
    fs_err::write(&path, asked.to_string()).unwrap();
    assert_eq!(problems(&path, None), []);
    let read = records(&path, alpaca::FORMAT).remove(0);
    assert_eq!((read.item.messages.len(), read.item.messages[0].plain_text().as_str()), (1, "Who?"));
}

#[test]
fn alpaca_holds_turns_before_the_question_and_is_described() {
    let folder = with_images();
    let path = folder.path().join("d.jsonl");
    let messages = json!([
        say("system", "Be brief."),
        say("user", json!([{ "type": "image", "image": "1.png" }, { "type": "text", "text": "What?" }])),
        say("assistant", "A cup."),
        say("user", "Sure?"),
        say("assistant", "Yes."),
    ]);
    write_lines(&path, &[json!({ "id": "1", "messages": messages })]);
    let out = folder.path().join("out.json");
    assert_eq!(convert(&path, &out, alpaca::FORMAT).unwrap().losses, []);
    let rows: Value = serde_json::from_str(&fs_err::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(
        rows[0],
        json!({ "instruction": "Sure?", "output": "Yes.", "history": [["<image>What?", "A cup."]], "system": "Be brief.",
                "images": ["1.png"], "id": "1" })
    );
    let info = fs_err::read_to_string(folder.path().join("dataset_info.json")).unwrap();
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["out"]["columns"]["prompt"], "instruction");
    assert_eq!(problems(&out, None), []);
}

#[test]
fn mis_keeps_kind_category_and_sub_category_there_and_back() {
    let folder = with_images();
    let path = folder.path().join("d.jsonl");
    let content = json!([
        { "type": "image", "image": "1.png" }, { "type": "image", "image": "2.png" }, { "type": "text", "text": "May I?" },
    ]);
    for (label, more) in [
        (None, json!({ "main_category": "Household" })),
        (Some("No."), json!({ "main_category": "Household" })),
        (Some("No."), json!({})),
    ] {
        let mut messages = vec![say("user", content.clone())];
        messages.extend(label.map(|label| say("assistant", label)));
        let row = json!({ "id": "1", "kind": "hazardous", "category": "Fire", "messages": messages });
        write_lines(&path, &[with(row, more.clone())]);
        let out = folder.path().join("mis.json");
        assert_eq!(convert(&path, &out, mis::FORMAT).unwrap().losses, [], "{label:?} {more}");
        let rows: Value = serde_json::from_str(&fs_err::read_to_string(&out).unwrap()).unwrap();
        if more.get("main_category").is_some() {
            assert_eq!((&rows[0]["category"], &rows[0]["sub_category"]), (&"Household".into(), &"Fire".into()));
        }
        let back = folder.path().join("back.jsonl");
        let report = convert(&out, &back, openai::FORMAT).unwrap();
        assert_eq!((report.from, report.losses), ("mis", vec![]));
        let back = records(&back, openai::FORMAT).remove(0);
        assert_eq!((back.item.kind, back.item.category.as_deref()), (Some(ItemKind::Hazardous), Some("Fire")));
        assert_eq!(back.extra.get("main_category"), more.get("main_category"));
        assert!(matches!(back.item.messages[0].content[0], Part::Image { .. }));
    }
}

#[test]
fn bytes_after_a_gifs_end_do_not_make_it_truncated() {
    let whole = image_file(ImageFormat::Gif, 12, 90);
    assert_eq!(inspect(&whole, Some("gif")), []);
    assert_eq!(inspect(&[&whole[..], b"\0\0written by a camera"].concat(), Some("gif")), []);
    let truncated = inspect(&whole[..whole.len() - 1], Some("gif"));
    assert_eq!(truncated.iter().map(|problem| problem.kind).collect::<Vec<_>>(), [ProblemKind::TruncatedImage]);
}

#[test]
fn a_dataset_info_is_found_by_absolute_and_relative_paths_and_by_folder() {
    let folder = folder();
    let root = fs_err::canonicalize(folder.path()).unwrap();
    let talk = json!([{ "dialog": [{ "who": "q", "says": "What?" }, { "who": "a", "says": "A cup." }] }]);
    let tags = json!({ "role_tag": "who", "content_tag": "says", "user_tag": "q", "assistant_tag": "a" });
    let entry = |file_name: &str| json!({ "file_name": file_name, "formatting": "sharegpt", "columns": { "messages": "dialog" }, "tags": tags });
    fs_err::create_dir_all(root.join("deep/er")).unwrap();
    for (name, file_name, file) in [
        ("absolute", &*root.join("a.json").display().to_string(), "a.json"),
        ("relative", "a.json", "a.json"),
        ("dotted", "./deep/../a.json", "a.json"),
        ("a folder", "deep/er", "deep/er/a.json"),
        ("below", "deep/er/a.json", "deep/er/a.json"),
    ] {
        let bad = json!({ "file_name": file_name, "formatting": "sharegpt", "columns": "dialog" });
        let entries =
            json!({ "bad": bad, "worse": 3, "none": null, "good": entry(file_name), "other": { "script_url": "x" } });
        fs_err::write(root.join("dataset_info.json"), entries.to_string()).unwrap();
        fs_err::write(root.join(file), talk.to_string()).unwrap();
        for path in [root.join(file), root.join("deep/..").join(file)] {
            assert_eq!(problems(&path, None), [], "{name}");
            assert_eq!(records(&path, sharegpt::FORMAT)[0].item.label().as_deref(), Some("A cup."), "{name}");
        }
    }
}

#[test]
fn images_may_be_where_the_dataset_info_is() {
    let folder = with_images();
    fs_err::create_dir(folder.path().join("sub")).unwrap();
    let entries = json!({ "a": { "file_name": "sub/a.json", "formatting": "sharegpt" } });
    fs_err::write(folder.path().join("dataset_info.json"), entries.to_string()).unwrap();
    let path = folder.path().join("sub/a.json");
    let talk = json!([{ "conversations": [{ "from": "human", "value": "<image>What?" }], "images": ["2.png"] }]);
    fs_err::write(&path, talk.to_string()).unwrap();
    assert_eq!(problems(&path, None), [ProblemKind::PathEscapes]);
    let out = folder.path().join("new/out.jsonl");
    assert_eq!(convert(&path, &out, openai::FORMAT).unwrap().losses, []);
    assert_eq!(shades(&records(&out, openai::FORMAT)[0]), [20]);
}

#[test]
fn openai_formatting_of_llama_factory_is_read_under_its_names() {
    let folder = with_images();
    let talk = json!([{ "talk": [say("system", "Be brief."), say("user", "<image>What?"), say("assistant", "A cup.")], "images": ["1.png"] }]);
    let path = folder.path().join("talk.json");
    fs_err::write(&path, talk.to_string()).unwrap();
    for tags in [json!(null), json!({}), json!({ "role_tag": "role", "content_tag": "content", "user_tag": "user" })] {
        let entry = json!({ "talk": { "file_name": "talk.json", "formatting": "openai", "columns": { "messages": "talk" }, "tags": tags } });
        fs_err::write(folder.path().join("dataset_info.json"), entry.to_string()).unwrap();
        assert_eq!(problems(&path, None), [], "{tags}");
        let record = records(&path, sharegpt::FORMAT).remove(0);
        assert_eq!((shades(&record), record.item.messages.len()), (vec![10], 3), "{tags}");
    }
}

#[test]
fn an_entry_that_cannot_be_read_is_told_and_films_under_other_names_are_seen() {
    let folder = folder();
    let path = folder.path().join("talk.json");
    let talk = json!([{ "conversations": [{ "from": "human", "value": "What?" }], "clips": ["a.mp4"] }]);
    fs_err::write(&path, talk.to_string()).unwrap();
    for (entry, expected) in [
        (json!({ "formatting": "chatml" }), "`formatting`: expected alpaca, sharegpt or openai, got chatml"),
        (json!({ "formatting": 3 }), "`formatting`: expected alpaca, sharegpt or openai, got 3"),
        (json!({ "columns": [] }), "`columns`: expected an object of names, got []"),
        (json!({ "columns": { "images": 3 } }), "`columns.images`: expected a name, got 3"),
        (json!({ "formatting": "sharegpt", "columns": { "videos": "clips" } }), "`clips` holds a video or audio"),
    ] {
        let entries = json!({ "talk": with(entry, json!({ "file_name": "talk.json" })) });
        fs_err::write(folder.path().join("dataset_info.json"), entries.to_string()).unwrap();
        let report = check(&path, None, &mut Silent).unwrap();
        assert!(report.problems[0].message.contains(expected), "{:?}", report.problems);
    }
}

#[test]
fn a_row_that_shows_a_film_is_left_out_of_a_conversion_and_told() {
    let folder = with_images();
    let row = |text: &str, more: Value| {
        let turns = json!([{ "from": "human", "value": text }, { "from": "gpt", "value": format!("To {text}.") }]);
        with(json!({ "conversations": turns }), more)
    };
    let path = folder.path().join("d.json");
    for (more, is_left_out) in [
        (json!({ "videos": ["a.mp4"] }), true),
        (json!({ "video": "a.mp4", "image": "1.png" }), true),
        (json!({ "audio": { "path": "a.wav" } }), true),
        (json!({ "videos": [], "audios": null, "video": "" }), false),
    ] {
        fs_err::write(&path, json!([row("First", json!({})), row("What?", more.clone())]).to_string()).unwrap();
        let report = convert(&path, &folder.path().join("new/out.jsonl"), openai::FORMAT).unwrap();
        let rows: Vec<_> = report.losses.iter().filter(|loss| loss.field == "row").map(|loss| loss.first_row).collect();
        assert_eq!((report.items_read, rows), (2, if is_left_out { vec![2] } else { vec![] }), "{more}");
        assert_eq!(problems(&path, None).contains(&ProblemKind::Media), is_left_out, "{more}");
    }
    for text in ["<video>What?", "<audio>"] {
        fs_err::write(&path, json!([row("First", json!({})), row(text, json!({}))]).to_string()).unwrap();
        let report = convert(&path, &folder.path().join("new/out.jsonl"), openai::FORMAT).unwrap();
        assert_eq!((report.items_written, report.losses[0].first_row), (1, 2));
    }
}

#[test]
fn whole_numbers_are_ids_however_they_are_written() {
    let folder = folder();
    let turns = json!([{ "from": "human", "value": "What?" }]);
    let path = folder.path().join("d.json");
    let rows = json!([
        { "id": 3.0, "conversations": turns, "split": 1.0, "category": 2, "twin_of": 4.0 },
        { "id": 4, "conversations": [{ "from": "human", "value": "Why?" }], "split": 1, "category": 2.0 },
    ]);
    fs_err::write(&path, rows.to_string()).unwrap();
    for to in [verl::FORMAT, hf::FORMAT, openai::FORMAT, sharegpt::FORMAT] {
        let out = file_of(folder.path(), "out", to);
        assert_eq!(convert(&path, &out, to).unwrap().losses, [], "{to:?}");
        let back = records(&out, to);
        let item = &back[0].item;
        assert_eq!((item.id.as_str(), item.split.as_deref()), ("3", Some("1")), "{to:?}");
        assert_eq!((item.category.as_deref(), item.twin_of.as_deref()), (Some("2"), Some("4")), "{to:?}");
        assert_eq!(back[1].item.id, "4", "{to:?}");
    }
}

#[test]
fn a_column_of_images_that_no_message_shows_is_an_error() {
    let folder = with_images();
    let path = folder.path().join("d.jsonl");
    for column in ["image", "images"] {
        let row = json!({ "id": "1", "messages": [say("user", "What?")], column: "1.png" });
        write_lines(&path, &[row]);
        assert_eq!(problems(&path, Some(openai::FORMAT)), [ProblemKind::TooManyImages], "{column}");
        assert_eq!(problems(&path, None), [ProblemKind::TooManyImages], "{column}");
    }
}
