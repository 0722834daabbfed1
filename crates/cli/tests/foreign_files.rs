//! Every command that reads lines of JSON meets files of another kind, and JSON that is none: each is told as what it is.

use std::path::{Path, PathBuf};

use assert_cmd::Command;

const OK: &str = r#"{"id": "1", "messages": [{"role": "user", "content": "Why?"}], "truth": {}}"#;

/// Words of parsers and of the program's own types, which mean nothing to whoever wrote the file.
const FOREIGN: [&str; 12] = [
    "line 1 column",
    "EOF",
    "trailing characters",
    "expected value",
    "expected ident",
    "untagged",
    "enum",
    "struct",
    "invalid type",
    "missing field",
    "unknown variant",
    "did not match",
];

/// What each file holds, and what is said of it.
fn files() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let with = |text: &str| format!("{OK}\n{text}\n").into_bytes();
    let object = format!("{{\"0\": {OK}, \"1\": {OK}}}");
    let utf16: Vec<u8> = OK.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let deep = format!("{{\"id\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    vec![
        ("list.jsonl", format!("[{OK}]").into(), "got one JSON list"),
        ("object.jsonl", object.clone().into(), "got one JSON object of rows by id"),
        ("pretty.json", object.replace("{\"", "{\n\"").into(), "got one JSON object of rows by id"),
        ("wrapped.json", format!("{{\"data\": [{OK}]}}").into(), "a list of rows under `data`"),
        ("parquet.jsonl", b"PAR1\x15\x04".to_vec(), "got a parquet file"),
        ("arrow.jsonl", b"ARROW1\0\0".to_vec(), "got an Arrow file"),
        ("gzip.jsonl", b"\x1f\x8b\x08\0".to_vec(), "got a gzip archive"),
        ("zip.jsonl", b"PK\x03\x04".to_vec(), "got a zip archive"),
        ("image.jsonl", b"\x89PNG\r\n\x1a\n".to_vec(), "got an image"),
        ("utf16.jsonl", utf16, "got text in UTF-16"),
        ("table.csv", b"id,question\n1,Why?\n".to_vec(), "got a table"),
        ("folder", Vec::new(), "folder"),
        ("nan.jsonl", b"\n{\"id\": NaN}\n".to_vec(), "nan.jsonl:2: column 8: NaN is not JSON"),
        (
            "python.jsonl",
            b"{'id': 'a'}\n".to_vec(),
            "python.jsonl:1: column 2: expected text in double quotes, got `'`",
        ),
        (
            "comma.jsonl",
            format!("{OK},\n{OK}\n").into(),
            "comma.jsonl:1: column 76: expected nothing after the value, got a comma",
        ),
        ("two.jsonl", format!("{OK} {OK}\n").into(), "two.jsonl:1: column 77: expected one value, got another"),
        ("carriage.jsonl", format!("{OK}\r{OK}\r").into(), "carriage returns alone"),
        ("latin.jsonl", b"{\"id\": \"\xe4\"}\n".to_vec(), "latin.jsonl:1: column 9: expected UTF-8, got the byte 0xe4"),
        ("deep.jsonl", deep.into(), "nested at most 127 deep"),
        ("number.jsonl", b"3\n".to_vec(), "got `3`"),
        (
            "long.jsonl",
            format!("{{\"id\": [\"{}\"]}}\n", "x".repeat(100_000)).into(),
            "`id`: expected a string or a whole number",
        ),
        (
            "torn.jsonl",
            with("{\"id\": \"a")[..OK.len() + 10].to_vec(),
            "torn.jsonl:2: column 9: the text ends within a string",
        ),
    ]
}

/// Every command that reads lines of JSON, `FILE` in the place of the file.
fn commands(base: &Path) -> Vec<Vec<String>> {
    let forge = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/forge_mini.toml");
    let lines = [
        "sft --model BASE --data FILE --out out",
        "rl --model BASE --data FILE --out out",
        "curate --model BASE --data FILE --out out",
        "curate --model BASE --data ok.jsonl --against set=FILE --out out",
        "eval --model BASE --data FILE --out out",
        "generate --model BASE --data FILE --out out.jsonl",
        "score --model BASE --data FILE --out out.jsonl",
        "judge --responses FILE --rubric mis --judge-url http://127.0.0.1:9/v1 --judge-model m --out out.jsonl",
        "review --data FILE --out decisions.jsonl --agreement",
        "review --data ok.jsonl --verdicts FILE --out decisions.jsonl --agreement",
        "forge --config FORGE --out out data.seeds=FILE",
        "forge --config FORGE --out out data.decisions=FILE",
    ];
    let words = |line: &str| -> Vec<String> {
        let line = line.replace("BASE", base.to_str().unwrap()).replace("FORGE", forge.to_str().unwrap());
        line.split(' ').map(str::to_owned).collect()
    };
    lines.iter().map(|line| words(line)).collect()
}

#[test]
fn what_is_no_file_of_json_lines_is_told_as_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("ok.jsonl"), OK).unwrap();
    let base = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/base");
    for (name, content, expected) in files() {
        let path = folder.path().join(name);
        match name {
            "folder" => fs_err::create_dir(&path).unwrap(),
            _ => fs_err::write(&path, content).unwrap(),
        }
        for arguments in commands(&base) {
            // Its first line is an item without an answer.
            if name == "torn.jsonl" && !["rl", "eval", "generate"].contains(&arguments[0].as_str()) {
                continue;
            }
            let arguments = arguments.iter().map(|word| word.replace("FILE", name));
            let mut command = Command::cargo_bin("scruple").unwrap();
            let output = command.current_dir(folder.path()).args(arguments.clone()).output().unwrap();
            let message = String::from_utf8(output.stderr).unwrap();
            let call = arguments.collect::<Vec<_>>().join(" ");
            assert!(matches!(output.status.code(), Some(2 | 3)), "{call}: {:?}\n{message}", output.status);
            let problem = message.split_once("error: ").map_or("", |(_, problem)| problem);
            assert!(problem.contains(expected), "{call}\nexpected: {expected}\n{message}");
            assert!(!FOREIGN.iter().any(|foreign| problem.contains(foreign)), "{call}\n{message}");
            assert!(problem.chars().count() < 1000, "{call}\n{message}");
        }
    }
}
