//! `scruple data` from the outside: reports on standard output, failures on standard error, exit codes for scripts.

use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

/// A PNG of one gray pixel.
const PIXEL: &[u8] =
    b"\x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\x00\x01\x00\x00\x00\x01\
                       \x08\x00\x00\x00\x00\x3a\x7e\x9b\x55\x00\x00\x00\x0a\x49\x44\x41\x54\x78\x9c\x63\x60\x00\x00\x00\
                       \x02\x00\x01\x48\xaf\xa4\x71\x00\x00\x00\x00\x49\x45\x4e\x44\xae\x42\x60\x82";

/// Runs `scruple` in a folder, without its progress; returns the exit code, standard output and standard error.
fn scruple(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("scruple").unwrap();
    let output = command.current_dir(folder).args(arguments).arg("--quiet").output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code().unwrap(), stdout, stderr)
}

fn row(id: &str, image: &str) -> Value {
    let question = json!([{ "type": "image", "image": image }, { "type": "text", "text": format!("What is {id}?") }]);
    json!({
        "id": id, "kind": "benign", "category": "Objects", "note": { "seen": 1 },
        "messages": [{ "role": "user", "content": question }, { "role": "assistant", "content": "A pixel." }],
    })
}

/// A folder with a file of our own format and its image.
fn folder_with(rows: &[Value]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("a.png"), PIXEL).unwrap();
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    fs_err::write(folder.path().join("d.jsonl"), text).unwrap();
    folder
}

#[test]
fn a_valid_file_is_described() {
    let folder = folder_with(&[row("one", "a.png"), row("two", "a.png")]);
    let (code, stdout, stderr) = scruple(folder.path(), &["data", "check", "d.jsonl"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!(stdout, @r#"
    d.jsonl: openai

    rows        2
    items       2, 2 labeled
    images      2
    turns       4: assistant 2, user 2
    kinds       1: benign 2
    categories  1: Objects 2
    errors      0
    warnings    0
    "#);
}

#[test]
fn errors_end_with_3_and_each_is_named_by_row() {
    let mut silent = row("two", "b.png");
    silent["messages"][1]["content"] = "".into();
    let folder = folder_with(&[row("one", "a.png"), silent, row("one", "a.png"), json!([])]);
    let (code, stdout, stderr) = scruple(folder.path(), &["data", "check", "d.jsonl"]);
    assert_eq!((code, stderr.as_str()), (3, "error: d.jsonl: 4 errors in 4 rows\n"));
    insta::assert_snapshot!(stdout, @r#"
    d.jsonl: openai

    rows        4
    items       3, 3 labeled
    images      3
    turns       6: assistant 3, user 3
    kinds       1: benign 3
    categories  1: Objects 3
    errors      4
    warnings    1

    warning: duplicate_content (1)
      row 3 `one`: row 1 has the same text and images already

    error: duplicate_id (1)
      row 3 `one`: row 1 has the id `one` already: expected unique ids

    error: empty_message (1)
      row 2 `two`: message 2, the assistant's, is empty

    error: missing_image (1)
      row 2 `two`: b.png: no such file

    error: wrong_type (1)
      row 4: expected a JSON object, got []
    "#);
    let (code, stdout, _) = scruple(folder.path(), &["data", "check", "d.jsonl", "--json"]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &report["rows"], &report["errors"]), (3, &json!(4), &json!(4)));
    assert_eq!(report["problem_counts"]["missing_image"], 1);
    let mut problems = report["problems"].as_array().unwrap().iter();
    let missing = problems.find(|problem| problem["kind"] == "missing_image").unwrap();
    assert_eq!(missing["message"], "b.png: no such file");
    assert_eq!((&missing["row"], &missing["id"], &missing["image"]), (&json!(2), &json!("two"), &json!("b.png")));

    let convert = ["data", "convert", "d.jsonl", "--to", "swift", "--out", "o.jsonl"];
    let (code, stdout, stderr) = scruple(folder.path(), &convert);
    assert_eq!((code, stdout.as_str()), (3, ""));
    let expected = "error: d.jsonl: row 4: expected a JSON object, got []\n\n\
                    hint: `scruple data check d.jsonl` lists all problems\n";
    assert_eq!(stderr, expected);
    assert!(!folder.path().join("o.jsonl").exists());
}

#[test]
fn films_and_settings_of_images_are_never_lost_in_silence() {
    let mut film = row("two", "a.png");
    film["messages"][0]["content"][0] = json!({ "type": "video_url", "video_url": { "url": "a.mp4" } });
    let mut sized = row("one", "a.png");
    sized["messages"][0]["content"][0]["max_pixels"] = 50_176.into();
    let folder = folder_with(&[sized, film]);
    let (code, stdout, _) = scruple(folder.path(), &["data", "check", "d.jsonl"]);
    assert_eq!(code, 3);
    for line in [
        "warning: image_options (1)\n  row 1 `one`: the size of an image is given",
        "error: video_or_audio (1)\n  row 2 `two`: `messages[0].content[0]` holds a video or audio",
    ] {
        assert!(stdout.contains(line), "{stdout}");
    }
    let (code, stdout, _) =
        scruple(folder.path(), &["data", "convert", "d.jsonl", "--to", "swift", "--out", "o.jsonl"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!(stdout, @r#"
    1 of 2 items, openai to swift: o.jsonl

    not kept, or not as it was:
      messages[].content[].max_pixels        1 row   from row 1: the format has no place for it
      row                                    1 row   from row 2: `messages[0].content[0]` holds a video or audio: expected text and images only
    "#);
}

#[test]
fn a_conversion_reports_what_it_could_not_keep() {
    let folder = folder_with(&[row("one", "a.png"), row("two", "a.png")]);
    let table = ["data", "convert", "d.jsonl", "--to", "vlmevalkit", "--out", "t/d.tsv"];
    let (code, stdout, stderr) = scruple(folder.path(), &table);
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!(stdout, @r#"
    2 of 2 items, openai to vlmevalkit: t/d.tsv

    not kept, or not as it was:
      note        2 rows  from row 1: read back as "{\"seen\":1}" instead of {"seen":1}
    "#);
    let back =
        ["data", "convert", "t/d.tsv", "--to", "openai", "--out", "back/d.jsonl", "--images", "back/p", "--json"];
    let (code, stdout, _) = scruple(folder.path(), &back);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &report["items_written"], &report["losses"]), (0, &json!(2), &json!([])));
    assert_eq!(report["images_written"], 1);
    let (code, ..) = scruple(folder.path(), &["data", "check", "back/d.jsonl"]);
    assert_eq!(code, 0);
}

#[test]
fn wrong_names_and_extensions_are_wrong_usage() {
    let folder = folder_with(&[row("one", "a.png")]);
    for (arguments, expected) in [
        (
            &["data", "convert", "d.jsonl", "--to", "parquet", "--out", "o.parquet"][..],
            "unknown format `parquet`: expected alpaca, beavertailsv, easyr1,",
        ),
        (
            &["data", "convert", "d.jsonl", "--to", "trl", "--out", "o.jsonl"],
            "error: o.jsonl: trl is written as .parquet, got another extension",
        ),
        (
            &["data", "convert", "d.jsonl", "--to", "siuo", "--out", "o.json"],
            "error: nothing is written in siuo, which is only read",
        ),
        (&["data", "check", "d.jsonl", "--format", "csv"], "unknown format `csv`"),
    ] {
        let (code, stdout, stderr) = scruple(folder.path(), arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
    let (code, _, stderr) = scruple(folder.path(), &["data", "check", "none.jsonl"]);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("none.jsonl"), "{stderr}");
}
