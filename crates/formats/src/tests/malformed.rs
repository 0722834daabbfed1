//! Malformed inputs of every kind, each named by kind and row.

use std::collections::BTreeSet;
use std::path::Path;

use align::progress::Silent;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::ImageFormat;
use serde_json::{Value, json};

use super::samples::{cmyk_jpeg, convert, folder, gray_png, image_file, item, moving, turned_jpeg, write_lines};
use crate::check::{MAX_LISTED, check};
use crate::format::Format;
use crate::layouts::{easyr1, hf, openai, vlmevalkit};
use rows::{Columns, Container, ProblemKind, Row};

/// Rows of a file, of which one is malformed.
const N_ROWS: usize = 8;

/// Checks that a file has a problem of this kind in this row, or as a whole, and none of another kind.
#[track_caller]
fn finds(path: &Path, format: Option<Format>, kind: ProblemKind, row: Option<usize>) {
    let report = check(path, format, &mut Silent).unwrap();
    let found: Vec<_> = report.problems.iter().map(|problem| (problem.kind, problem.row)).collect();
    assert!(found.contains(&(kind, row)), "expected {kind:?} in {row:?}, got {:?}", report.problems);
    assert!(found.iter().all(|(found, _)| *found == kind), "{kind:?}: {:?}", report.problems);
    assert_eq!(report.errors + report.warnings, report.problem_counts.values().sum::<usize>());
}

/// Valid rows, each different from the others.
fn valid_rows(folder: &Path) -> Vec<Value> {
    (1..=N_ROWS)
        .map(|index| {
            let name = format!("{index}.png");
            fs_err::write(folder.join(&name), image_file(ImageFormat::Png, 6, index as u8)).unwrap();
            item(&format!("i{index}"), &name, &format!("question {index}?"))
        })
        .collect()
}

/// What is done to the malformed row.
type Spoil = Box<dyn Fn(&mut Value)>;

/// Sets the value at a pointer.
fn set(pointer: &'static str, value: Value) -> Spoil {
    Box::new(move |row: &mut Value| *row.pointer_mut(pointer).unwrap() = value.clone())
}

/// Sets the messages.
fn say(messages: Value) -> Spoil {
    set("/messages", messages)
}

/// Removes a field.
fn drop_field(name: &'static str) -> Spoil {
    Box::new(move |row| drop(row.as_object_mut().unwrap().remove(name)))
}

/// The ways to spoil a row of our own format that leave it JSON.
fn spoiled_rows(variant: usize) -> Vec<(ProblemKind, Spoil)> {
    let pick = move |options: &[Value]| options[variant % options.len()].clone();
    let user = json!({ "role": "user", "content": "Well?" });
    let assistant = json!({ "role": "assistant", "content": "Well." });
    let system = json!({ "role": "system", "content": "Be brief." });
    vec![
        (ProblemKind::MissingField, drop_field(["id", "messages"][variant % 2])),
        (
            ProblemKind::MissingField,
            say(pick(&[
                json!([{ "role": "user" }]),
                json!([{ "role": "user", "content": "a" }, { "role": "assistant" }]),
            ])),
        ),
        (ProblemKind::WrongType, say(pick(&[json!("text"), json!(3), json!({}), json!(true)]))),
        (ProblemKind::WrongType, set("/id", pick(&[json!(5.5), json!([]), json!(false)]))),
        (
            ProblemKind::WrongType,
            set(
                "/messages/0/content",
                pick(&[json!(1), json!([1]), json!([{ "type": "file" }]), json!([{ "type": "text" }])]),
            ),
        ),
        (
            ProblemKind::Media,
            set(
                "/messages/0/content",
                pick(&[
                    json!([{ "type": "video", "video": "a.mp4" }, { "type": "text", "text": "Well?" }]),
                    json!([{ "type": "input_audio", "input_audio": { "data": "", "format": "wav" } }]),
                    json!([{ "video": "a.mp4" }, { "text": "Well?" }]),
                ]),
            ),
        ),
        (ProblemKind::Media, Box::new(move |row| row[["videos", "audio"][variant % 2]] = json!(["a.mp4"]))),
        (
            ProblemKind::MediaWords,
            set(
                "/messages/0/content",
                pick(&[json!("<video>Well?"), json!([{ "type": "text", "text": "a <audio>" }])]),
            ),
        ),
        (
            ProblemKind::UnknownRole,
            set("/messages/0/role", pick(&[json!("tool"), json!("bot"), json!(""), json!("User")])),
        ),
        (ProblemKind::NoMessages, say(json!([]))),
        (ProblemKind::EmptyMessage, set("/messages/1/content", pick(&[json!(""), json!(" \n"), json!([])]))),
        (
            ProblemKind::RepeatedRole,
            say(pick(&[
                json!([user, assistant, assistant]),
                json!([user, user, assistant]),
                json!([user, assistant, user, user, assistant]),
            ])),
        ),
        (
            ProblemKind::LateSystem,
            say(pick(&[json!([user, system, assistant]), json!([user, assistant, system, user, assistant])])),
        ),
        (ProblemKind::MissingLabel, say(pick(&[json!([user]), json!([system, user])]))),
        (
            ProblemKind::WrongValue,
            Box::new(move |row| row["kind"] = pick(&[json!("harmful"), json!(""), json!("Benign")])),
        ),
        (
            ProblemKind::NotKept,
            Box::new(move |row| row["messages"][0][["loss", "name", "tool_calls"][variant % 3]] = json!(1)),
        ),
    ]
}

/// The files that an image may be, and what is wrong with each.
fn spoiled_images(variant: usize) -> Vec<(ProblemKind, &'static str, Vec<u8>)> {
    let formats = [
        (ImageFormat::Png, "x.png"),
        (ImageFormat::Jpeg, "x.jpg"),
        (ImageFormat::WebP, "x.webp"),
        (ImageFormat::Bmp, "x.bmp"),
        (ImageFormat::Gif, "x.gif"),
    ];
    let (format, name) = formats[variant % formats.len()];
    let whole = image_file(format, 40, 77);
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
        ("x.png", gray_png(9, png::BitDepth::Eight, 1 + variant as u32))
    };
    vec![
        (ProblemKind::EmptyImage, name, Vec::new()),
        (ProblemKind::TruncatedImage, name, whole[..whole.len() * (3 + variant) / 10].to_vec()),
        (ProblemKind::WrongExtension, other_name, whole),
        (ProblemKind::BrokenImage, name, format!("no image {variant}").into_bytes()),
        (ProblemKind::UnsupportedImage, unsupported_name, unsupported.to_vec()),
        (ProblemKind::OversizedImage, "x.png", gray_png(20_000 + variant as u32, png::BitDepth::Eight, 1)),
        (ProblemKind::Orientation, "x.jpg", turned_jpeg(2 + variant as u8)),
        (ProblemKind::Cmyk, "x.jpg", cmyk_jpeg()),
        (ProblemKind::Animated, moving.0, moving.1),
        (ProblemKind::OneBit, "x.png", gray_png(9 + variant as u32, png::BitDepth::One, 1)),
    ]
}

/// The file with another line in a row's place.
fn with(lines: &[String], row: usize, line: Vec<u8>) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = lines.iter().map(|line| line.clone().into_bytes()).collect();
    lines[row - 1] = line;
    lines.into_iter().flat_map(|line| [line, b"\n".to_vec()].concat()).collect()
}

/// The ways to spoil a file of lines as bytes, after which the malformed row cannot be read.
fn spoiled_lines(lines: &[String], row: usize) -> Vec<(ProblemKind, Option<usize>, Vec<u8>)> {
    let line = &lines[row - 1];
    let whole = lines.join("\n");
    let mut not_utf8 = line.clone().into_bytes();
    not_utf8[10 + row] = 0xff;
    vec![
        (ProblemKind::InvalidJson, Some(row), with(lines, row, line[..line.len() - row].into())),
        (ProblemKind::InvalidJson, Some(row), with(lines, row, line.replacen(':', "=", row).into())),
        (ProblemKind::InvalidUtf8, Some(row), with(lines, row, not_utf8)),
        (ProblemKind::WrongType, Some(row), with(lines, row, ["[1]", "3", "null", "\"text\""][row % 4].into())),
        (ProblemKind::TornRow, Some(N_ROWS), whole[..whole.len() - row].into()),
        (ProblemKind::ByteOrderMark, Some(1), ["\u{feff}", &whole].concat().into()),
    ]
}

#[test]
fn two_hundred_malformed_inputs_are_each_named_by_kind_and_row() {
    let folder = folder();
    let rows = valid_rows(folder.path());
    let path = folder.path().join("data.jsonl");
    write_lines(&path, &rows);
    let report = check(&path, None, &mut Silent).unwrap();
    assert_eq!((report.errors, report.warnings, report.items), (0, 0, N_ROWS), "{:?}", report.problems);

    let (mut kinds, mut count) = (BTreeSet::new(), 0);
    let mut find = |path: &Path, format: Option<Format>, kind: ProblemKind, row: Option<usize>| {
        finds(path, format, kind, row);
        kinds.insert(kind);
        count += 1;
    };
    for variant in 0..6 {
        let row = variant + 2;
        for (kind, spoil) in spoiled_rows(variant) {
            let mut rows = rows.clone();
            spoil(&mut rows[row - 1]);
            write_lines(&path, &rows);
            find(&path, Some(openai::FORMAT), kind, Some(row));
        }
        for (kind, name, bytes) in spoiled_images(variant) {
            fs_err::write(folder.path().join(name), bytes).unwrap();
            let mut rows = rows.clone();
            rows[row - 1] = item("malformed", name, "What is it?");
            write_lines(&path, &rows);
            find(&path, None, kind, Some(row));
        }
        let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
        for (kind, row, bytes) in spoiled_lines(&lines, row) {
            fs_err::write(&path, bytes).unwrap();
            find(&path, None, kind, row);
        }
        for (kind, reference) in [
            (ProblemKind::MissingImage, format!("gone{variant}.png")),
            (ProblemKind::RemoteImage, format!("https://example.org/{variant}.png")),
            (ProblemKind::BrokenImage, format!("data:image/png;base64,{}!", "A".repeat(variant))),
            (ProblemKind::PathEscapes, folder.path().join("1.png").display().to_string()),
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
        find(&path, None, ProblemKind::DuplicateId, Some(row + 1));
        let mut repeated = rows.clone();
        repeated[row]["messages"] = rows[variant]["messages"].clone();
        write_lines(&path, &repeated);
        find(&path, None, ProblemKind::DuplicateContent, Some(row + 1));
    }
    assert!(count >= 200, "{count}");
    assert!(kinds.len() >= 20, "{kinds:?}");
}

#[test]
fn placeholders_and_images_that_disagree_are_named() {
    let folder = folder();
    valid_rows(folder.path());
    let row = |text: &str, images: &[&str]| {
        let turns = json!([{ "from": "human", "value": text }, { "from": "gpt", "value": format!("Answer: {}", text.replace("<image>", "")) }]);
        json!({ "conversations": turns, "images": images })
    };
    let path = folder.path().join("data.json");
    for (text, images, kind) in [
        ("<image><image>a", &["1.png"][..], ProblemKind::TooFewImages),
        ("<image>", &[], ProblemKind::TooFewImages),
        ("<image>a", &["1.png", "2.png"], ProblemKind::TooManyImages),
        ("a", &["1.png"], ProblemKind::TooManyImages),
    ] {
        let rows = json!([row("<image>first", &["3.png"]), row(text, images), row("last", &[])]);
        fs_err::write(&path, rows.to_string()).unwrap();
        finds(&path, None, kind, Some(2));
    }
    let rows = json!([row("first", &[]), row("last", &[])]).to_string();
    fs_err::write(&path, &rows[..rows.len() - 1]).unwrap();
    finds(&path, None, ProblemKind::TornRow, Some(2));
    fs_err::write(&path, format!("{rows} more")).unwrap();
    finds(&path, None, ProblemKind::InvalidJson, Some(3));
}

#[test]
fn malformed_tables_are_named() {
    let folder = folder();
    let path = folder.path().join("data.tsv");
    let encoded = BASE64_STANDARD.encode(image_file(ImageFormat::Png, 6, 1));
    let file = |second: &str| {
        format!("index\timage\tquestion\tanswer\n1\t{encoded}\tone?\tyes\n{second}\n3\t{encoded}\tthree?\tno\n")
    };
    let shorter = &encoded[..encoded.len() - 3];
    for (second, kind, row) in [
        (format!("2\t{encoded}\ttwo?"), ProblemKind::FieldCount, Some(2)),
        (format!("2\t{encoded}\ttwo?\tyes\tmore"), ProblemKind::FieldCount, Some(2)),
        (format!("2\t{encoded}\t\"two?\tyes"), ProblemKind::StrayQuote, Some(2)),
        (format!("2\t{encoded}\t\tyes"), ProblemKind::MissingField, Some(2)),
        (format!("2\t{shorter}\ttwo?\tyes"), ProblemKind::BrokenImage, Some(2)),
        ("2\t7\ttwo?\tyes".to_owned(), ProblemKind::MissingImage, Some(2)),
        ("2\t2\ttwo?\tyes".to_owned(), ProblemKind::MissingImage, Some(2)),
        (format!("2\t[{encoded}\ttwo?\tyes"), ProblemKind::WrongType, Some(2)),
        (format!("1\t{encoded}\ttwo?\tyes"), ProblemKind::DuplicateId, Some(2)),
        (format!("2\t{encoded}\ttwo?\t"), ProblemKind::MissingLabel, Some(2)),
    ] {
        fs_err::write(&path, file(&second)).unwrap();
        finds(&path, None, kind, row);
    }
    let mut bytes = file(&format!("2\t{encoded}\ttw_?\tyes")).into_bytes();
    let at = bytes.iter().position(|&byte| byte == b'_').unwrap();
    bytes[at] = 0xff;
    fs_err::write(&path, bytes).unwrap();
    finds(&path, None, ProblemKind::InvalidUtf8, Some(2));
    fs_err::write(&path, file("").replace("question", "query")).unwrap();
    finds(&path, Some(vlmevalkit::FORMAT), ProblemKind::MissingColumn, None);
    finds(&path, None, ProblemKind::Unrecognized, None);
    fs_err::write(&path, "").unwrap();
    finds(&path, None, ProblemKind::EmptyFile, None);
    fs_err::write(&path, "index\timage\tquestion\tanswer\n").unwrap();
    finds(&path, None, ProblemKind::EmptyFile, None);
    fs_err::write(&path, "index\tquestion\tindex\n").unwrap();
    finds(&path, Some(vlmevalkit::FORMAT), ProblemKind::WrongValue, None);
}

#[test]
fn malformed_parquet_is_named() {
    let folder = folder();
    let source = folder.path().join("data.jsonl");
    write_lines(&source, &valid_rows(folder.path()));
    let path = folder.path().join("data.parquet");
    convert(&source, &path, hf::FORMAT).unwrap();
    let whole = fs_err::read(&path).unwrap();
    for end in [5, whole.len() / 2, whole.len() - 1] {
        fs_err::write(&path, &whole[..end]).unwrap();
        finds(&path, None, ProblemKind::BrokenParquet, None);
    }
    fs_err::write(&path, [b"PQR1", &whole[4..]].concat()).unwrap();
    finds(&path, None, ProblemKind::BrokenParquet, None);
    fs_err::write(&path, &whole).unwrap();
    finds(&path, Some(easyr1::FORMAT), ProblemKind::MissingColumn, None);

    for (messages, kind) in [
        (json!("text"), ProblemKind::WrongType),
        (json!(4), ProblemKind::WrongType),
        (json!([{ "role": "bot", "content": "a" }]), ProblemKind::UnknownRole),
        (json!([{ "role": "user" }]), ProblemKind::MissingField),
    ] {
        let row =
            Row { fields: json!({ "id": "1", "messages": messages }).as_object().unwrap().clone(), ..Row::default() };
        let mut columns = Columns::default();
        columns.add(&row);
        let mut writer = rows::create(&path, Container::Parquet, &columns).unwrap();
        writer.write(&row).unwrap();
        writer.finish().unwrap();
        finds(&path, None, kind, Some(1));
    }
}

#[test]
fn many_problems_are_all_counted_and_the_first_are_listed() {
    let folder = folder();
    let path = folder.path().join("data.jsonl");
    fs_err::write(&path, "{\n".repeat(5000)).unwrap();
    let report = check(&path, None, &mut Silent).unwrap();
    assert_eq!((report.rows, report.errors), (5000, 5000));
    assert_eq!(report.problems.len(), MAX_LISTED);
    assert_eq!(report.problem_counts["invalid_json"], 5000);
}
