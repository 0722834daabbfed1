//! Malformed inputs of every kind, each named by kind and row.

use std::collections::BTreeSet;
use std::path::Path;

use align::progress::Silent;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::ImageFormat;
use serde_json::{Value, json};

use super::samples::{cmyk_jpeg, convert, folder, grey_png, item, moving, picture, turned_jpeg, write_lines};
use crate::check::check;
use crate::fault::FaultKind;
use crate::format::Format;
use crate::rows::{Columns, Container, Row, RowWriter};

/// Rows of a file, of which one is at fault.
const N_ROWS: usize = 8;

/// Checks that a file has a fault of this kind in this row, or as a whole, and none of another kind.
#[track_caller]
fn finds(path: &Path, format: Option<Format>, kind: FaultKind, row: Option<usize>) {
    let report = check(path, format, &mut Silent).unwrap();
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|finding| (finding.kind, finding.row))
        .collect();
    assert!(
        found.contains(&(kind, row)),
        "expected {kind:?} in {row:?}, got {:?}",
        report.findings
    );
    assert!(
        found.iter().all(|(found, _)| *found == kind),
        "{kind:?}: {:?}",
        report.findings
    );
    assert_eq!(report.errors + report.warnings, report.faults.values().sum::<usize>());
}

/// Sound rows, each unlike the others.
fn sound(folder: &Path) -> Vec<Value> {
    (1..=N_ROWS)
        .map(|index| {
            let name = format!("{index}.png");
            fs_err::write(folder.join(&name), picture(ImageFormat::Png, 6, index as u8)).unwrap();
            item(&format!("i{index}"), &name, &format!("question {index}?"))
        })
        .collect()
}

/// What is done to the row at fault.
type Spoil = Box<dyn Fn(&mut Value)>;

/// The ways to spoil a row of our own format that leave it JSON.
fn spoilt_rows(variant: usize) -> Vec<(FaultKind, Spoil)> {
    let set = |pointer: &'static str, value: Value| -> Spoil {
        Box::new(move |row: &mut Value| *row.pointer_mut(pointer).unwrap() = value.clone())
    };
    let drop_field =
        |name: &'static str| -> Spoil { Box::new(move |row| drop(row.as_object_mut().unwrap().remove(name))) };
    let pick = move |options: &[Value]| options[variant % options.len()].clone();
    let say = |messages: Value| set("/messages", messages);
    let user = json!({ "role": "user", "content": "Well?" });
    let assistant = json!({ "role": "assistant", "content": "Well." });
    let system = json!({ "role": "system", "content": "Be brief." });
    vec![
        (FaultKind::MissingField, drop_field(["id", "messages"][variant % 2])),
        (
            FaultKind::MissingField,
            say(pick(&[
                json!([{ "role": "user" }]),
                json!([{ "role": "user", "content": "a" }, { "role": "assistant" }]),
            ])),
        ),
        (
            FaultKind::WrongType,
            say(pick(&[json!("text"), json!(3), json!({}), json!(true)])),
        ),
        (
            FaultKind::WrongType,
            set("/id", pick(&[json!(5.5), json!([]), json!(false)])),
        ),
        (
            FaultKind::WrongType,
            set(
                "/messages/0/content",
                pick(&[
                    json!(1),
                    json!([1]),
                    json!([{ "type": "video" }]),
                    json!([{ "type": "text" }]),
                ]),
            ),
        ),
        (
            FaultKind::UnknownRole,
            set(
                "/messages/0/role",
                pick(&[json!("tool"), json!("bot"), json!(""), json!("User")]),
            ),
        ),
        (FaultKind::NoMessages, say(json!([]))),
        (
            FaultKind::EmptyMessage,
            set("/messages/1/content", pick(&[json!(""), json!(" \n"), json!([])])),
        ),
        (
            FaultKind::RepeatedRole,
            say(pick(&[
                json!([user, assistant, assistant]),
                json!([user, user, assistant]),
                json!([user, assistant, user, user, assistant]),
            ])),
        ),
        (
            FaultKind::LateSystem,
            say(pick(&[
                json!([user, system, assistant]),
                json!([user, assistant, system, user, assistant]),
            ])),
        ),
        (
            FaultKind::MissingLabel,
            say(pick(&[json!([user]), json!([system, user])])),
        ),
        (
            FaultKind::WrongValue,
            Box::new(move |row| row["kind"] = pick(&[json!("harmful"), json!(""), json!("Benign")])),
        ),
        (
            FaultKind::NotKept,
            Box::new(move |row| row["messages"][0][["loss", "name", "tool_calls"][variant % 3]] = json!(1)),
        ),
    ]
}

/// The files that a picture may be, and what is wrong with each.
fn spoilt_pictures(variant: usize) -> Vec<(FaultKind, &'static str, Vec<u8>)> {
    let formats = [
        (ImageFormat::Png, "x.png"),
        (ImageFormat::Jpeg, "x.jpg"),
        (ImageFormat::WebP, "x.webp"),
        (ImageFormat::Bmp, "x.bmp"),
        (ImageFormat::Gif, "x.gif"),
    ];
    let (format, name) = formats[variant % formats.len()];
    let whole = picture(format, 40, 77);
    let (_, other_name) = formats[(variant + 1) % formats.len()];
    let unsupported: [(&str, &[u8]); 3] = [
        ("x.tiff", b"II*\0\x08\0\0\0\0\0\0\0"),
        ("x.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("x.heic", b"\0\0\0\x18ftypheic\0\0\0\0"),
    ];
    let (unsupported_name, unsupported) = unsupported[variant % unsupported.len()];
    let moving = if variant.is_multiple_of(2) {
        ("x.gif", moving(2 + variant as u8))
    } else {
        ("x.png", grey_png(9, png::BitDepth::Eight, 1 + variant as u32))
    };
    vec![
        (FaultKind::EmptyImage, name, Vec::new()),
        (
            FaultKind::TruncatedImage,
            name,
            whole[..whole.len() * (3 + variant) / 10].to_vec(),
        ),
        (FaultKind::WrongExtension, other_name, whole),
        (
            FaultKind::BrokenImage,
            name,
            format!("no picture {variant}").into_bytes(),
        ),
        (FaultKind::UnsupportedImage, unsupported_name, unsupported.to_vec()),
        (
            FaultKind::OversizedImage,
            "x.png",
            grey_png(20_000 + variant as u32, png::BitDepth::Eight, 1),
        ),
        (FaultKind::Orientation, "x.jpg", turned_jpeg(2 + variant as u8)),
        (FaultKind::Cmyk, "x.jpg", cmyk_jpeg()),
        (FaultKind::Animated, moving.0, moving.1),
        (
            FaultKind::OneBit,
            "x.png",
            grey_png(9 + variant as u32, png::BitDepth::One, 1),
        ),
    ]
}

/// The ways to spoil a file of lines as bytes, after which the row at fault cannot be read.
fn spoilt_lines(lines: &[String], row: usize) -> Vec<(FaultKind, Option<usize>, Vec<u8>)> {
    let with = |line: Vec<u8>| {
        let mut lines: Vec<Vec<u8>> = lines.iter().map(|line| line.clone().into_bytes()).collect();
        lines[row - 1] = line;
        lines
            .into_iter()
            .flat_map(|line| [line, b"\n".to_vec()].concat())
            .collect()
    };
    let line = &lines[row - 1];
    let whole = lines.join("\n");
    let mut not_utf8 = line.clone().into_bytes();
    not_utf8[10 + row] = 0xff;
    vec![
        (FaultKind::InvalidJson, Some(row), with(line[..line.len() - row].into())),
        (
            FaultKind::InvalidJson,
            Some(row),
            with(line.replacen(':', "=", row).into()),
        ),
        (FaultKind::InvalidUtf8, Some(row), with(not_utf8)),
        (
            FaultKind::WrongType,
            Some(row),
            with(["[1]", "3", "null", "\"text\""][row % 4].into()),
        ),
        (FaultKind::TornRow, Some(N_ROWS), whole[..whole.len() - row].into()),
        (FaultKind::ByteOrderMark, Some(1), ["\u{feff}", &whole].concat().into()),
    ]
}

#[test]
fn two_hundred_malformed_inputs_are_each_named_by_kind_and_row() {
    let folder = folder();
    let rows = sound(folder.path());
    let path = folder.path().join("data.jsonl");
    write_lines(&path, &rows);
    let report = check(&path, None, &mut Silent).unwrap();
    assert_eq!(
        (report.errors, report.warnings, report.items),
        (0, 0, N_ROWS),
        "{:?}",
        report.findings
    );

    let (mut kinds, mut count) = (BTreeSet::new(), 0);
    let mut find = |path: &Path, format: Option<Format>, kind: FaultKind, row: Option<usize>| {
        finds(path, format, kind, row);
        kinds.insert(kind);
        count += 1;
    };
    for variant in 0..6 {
        let row = variant + 2;
        for (kind, spoil) in spoilt_rows(variant) {
            let mut rows = rows.clone();
            spoil(&mut rows[row - 1]);
            write_lines(&path, &rows);
            find(&path, Some(Format::OpenAi), kind, Some(row));
        }
        for (kind, name, bytes) in spoilt_pictures(variant) {
            fs_err::write(folder.path().join(name), bytes).unwrap();
            let mut rows = rows.clone();
            rows[row - 1] = item("at fault", name, "What is it?");
            write_lines(&path, &rows);
            find(&path, None, kind, Some(row));
        }
        let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
        for (kind, row, bytes) in spoilt_lines(&lines, row) {
            fs_err::write(&path, bytes).unwrap();
            find(&path, None, kind, row);
        }
        for (kind, reference) in [
            (FaultKind::MissingImage, format!("gone{variant}.png")),
            (FaultKind::RemoteImage, format!("https://example.org/{variant}.png")),
            (
                FaultKind::BrokenImage,
                format!("data:image/png;base64,{}!", "A".repeat(variant)),
            ),
            (
                FaultKind::PathEscapes,
                folder.path().join("1.png").display().to_string(),
            ),
        ] {
            let mut rows = rows.clone();
            let part = json!({ "type": "image_url", "image_url": { "url": reference } });
            rows[row - 1]["messages"][0]["content"][0] = part;
            write_lines(&path, &rows);
            find(&path, None, kind, Some(row));
        }
        let mut repeated = rows.clone();
        repeated[row]["id"] = rows[variant]["id"].clone();
        write_lines(&path, &repeated);
        find(&path, None, FaultKind::DuplicateId, Some(row + 1));
        let mut repeated = rows.clone();
        repeated[row]["messages"] = rows[variant]["messages"].clone();
        write_lines(&path, &repeated);
        find(&path, None, FaultKind::DuplicateContent, Some(row + 1));
    }
    assert!(count >= 200, "{count}");
    assert!(kinds.len() >= 20, "{kinds:?}");
}

#[test]
fn placeholders_and_pictures_that_disagree_are_named() {
    let folder = folder();
    sound(folder.path());
    let row = |text: &str, images: &[&str]| {
        let turns = json!([{ "from": "human", "value": text }, { "from": "gpt", "value": format!("Answer: {}", text.replace("<image>", "")) }]);
        json!({ "conversations": turns, "images": images })
    };
    let path = folder.path().join("data.json");
    for (text, images, kind) in [
        ("<image><image>a", &["1.png"][..], FaultKind::TooFewImages),
        ("<image>", &[], FaultKind::TooFewImages),
        ("<image>a", &["1.png", "2.png"], FaultKind::TooManyImages),
        ("a", &["1.png"], FaultKind::TooManyImages),
    ] {
        let rows = json!([row("<image>first", &["3.png"]), row(text, images), row("last", &[])]);
        fs_err::write(&path, rows.to_string()).unwrap();
        finds(&path, None, kind, Some(2));
    }
    let rows = json!([row("first", &[]), row("last", &[])]).to_string();
    fs_err::write(&path, &rows[..rows.len() - 1]).unwrap();
    finds(&path, None, FaultKind::TornRow, Some(2));
    fs_err::write(&path, format!("{rows} more")).unwrap();
    finds(&path, None, FaultKind::InvalidJson, Some(3));
}

#[test]
fn tables_at_fault_are_named() {
    let folder = folder();
    let path = folder.path().join("data.tsv");
    let encoded = BASE64_STANDARD.encode(picture(ImageFormat::Png, 6, 1));
    let file = |second: &str| {
        format!("index\timage\tquestion\tanswer\n1\t{encoded}\tone?\tyes\n{second}\n3\t{encoded}\tthree?\tno\n")
    };
    let shorter = &encoded[..encoded.len() - 3];
    for (second, kind, row) in [
        (format!("2\t{encoded}\ttwo?"), FaultKind::FieldCount, Some(2)),
        (format!("2\t{encoded}\ttwo?\tyes\tmore"), FaultKind::FieldCount, Some(2)),
        (format!("2\t{encoded}\t\"two?\tyes"), FaultKind::StrayQuote, Some(2)),
        (format!("2\t{encoded}\t\tyes"), FaultKind::MissingField, Some(2)),
        (format!("2\t{shorter}\ttwo?\tyes"), FaultKind::BrokenImage, Some(2)),
        ("2\t7\ttwo?\tyes".to_owned(), FaultKind::MissingImage, Some(2)),
        ("2\t2\ttwo?\tyes".to_owned(), FaultKind::MissingImage, Some(2)),
        (format!("2\t[{encoded}\ttwo?\tyes"), FaultKind::WrongType, Some(2)),
        (format!("1\t{encoded}\ttwo?\tyes"), FaultKind::DuplicateId, Some(2)),
        (format!("2\t{encoded}\ttwo?\t"), FaultKind::MissingLabel, Some(2)),
    ] {
        fs_err::write(&path, file(&second)).unwrap();
        finds(&path, None, kind, row);
    }
    let mut bytes = file(&format!("2\t{encoded}\ttw_?\tyes")).into_bytes();
    let at = bytes.iter().position(|&byte| byte == b'_').unwrap();
    bytes[at] = 0xff;
    fs_err::write(&path, bytes).unwrap();
    finds(&path, None, FaultKind::InvalidUtf8, Some(2));
    fs_err::write(&path, file("").replace("question", "query")).unwrap();
    finds(&path, Some(Format::VlmEvalKit), FaultKind::MissingColumn, None);
    finds(&path, None, FaultKind::Unrecognised, None);
    fs_err::write(&path, "").unwrap();
    finds(&path, None, FaultKind::EmptyFile, None);
    fs_err::write(&path, "index\timage\tquestion\tanswer\n").unwrap();
    finds(&path, None, FaultKind::EmptyFile, None);
    fs_err::write(&path, "index\tquestion\tindex\n").unwrap();
    finds(&path, Some(Format::VlmEvalKit), FaultKind::WrongValue, None);
}

#[test]
fn parquet_at_fault_is_named() {
    let folder = folder();
    let source = folder.path().join("data.jsonl");
    write_lines(&source, &sound(folder.path()));
    let path = folder.path().join("data.parquet");
    convert(&source, &path, Format::Hf).unwrap();
    let whole = fs_err::read(&path).unwrap();
    for end in [5, whole.len() / 2, whole.len() - 1] {
        fs_err::write(&path, &whole[..end]).unwrap();
        finds(&path, None, FaultKind::BrokenParquet, None);
    }
    fs_err::write(&path, [b"PQR1", &whole[4..]].concat()).unwrap();
    finds(&path, None, FaultKind::BrokenParquet, None);
    fs_err::write(&path, &whole).unwrap();
    finds(&path, Some(Format::EasyR1), FaultKind::MissingColumn, None);

    for (messages, kind) in [
        (json!("text"), FaultKind::WrongType),
        (json!(4), FaultKind::WrongType),
        (json!([{ "role": "bot", "content": "a" }]), FaultKind::UnknownRole),
        (json!([{ "role": "user" }]), FaultKind::MissingField),
    ] {
        let row = Row {
            fields: json!({ "id": "1", "messages": messages }).as_object().unwrap().clone(),
            ..Row::default()
        };
        let mut columns = Columns::default();
        columns.add(&row);
        let mut writer = RowWriter::create(&path, Container::Parquet, &columns).unwrap();
        writer.write(&row).unwrap();
        writer.finish().unwrap();
        finds(&path, None, kind, Some(1));
    }
}

#[test]
fn many_faults_are_all_counted_and_the_first_are_listed() {
    let folder = folder();
    let path = folder.path().join("data.jsonl");
    fs_err::write(&path, "{\n".repeat(5000)).unwrap();
    let report = check(&path, None, &mut Silent).unwrap();
    assert_eq!((report.rows, report.errors), (5000, 5000));
    assert_eq!(report.findings.len(), super::super::check::SHOWN_OF_A_KIND);
    assert_eq!(report.faults["invalid_json"], 5000);
}
