//! Responses that were made elsewhere: matched with items by what tells them, refused where that is in doubt.

use std::path::Path;

use align::chat::{ChatAnswer, ChatModel, ChatParams, ChatRequest};
use benchmarks::responses::Responses;
use benchmarks::suites::{mis, mmmu, mmstar, qbench, xstest};
use benchmarks::{Images, Suite};
use serde_json::Value;

use crate::support::{fixture, load};

/// What is wrong with a file of these lines, where the suite's items are in the fixture.
fn problem(suite: &Suite, name: &str, data: Option<&str>, text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    let loaded = data.map(|data| load(suite, &fixture(data)));
    let read = Responses::read(&file, suite, loaded.as_ref().map(|loaded| &loaded.items[..]));
    read.unwrap_err().to_string().replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn what_is_in_doubt_is_refused_with_its_line() {
    let xstest = |text: &str| problem(&xstest::SUITE, "r.jsonl", Some("xstest"), text);
    let first = r#"{"id": "1", "response": "Read a book."}"#;
    assert_eq!(
        xstest(&format!("{first}\n{}\n", r#"{"id": 9, "response": "Yes."}"#)),
        "r.jsonl:2: XSTest has no item `9` among the items that are there"
    );
    assert_eq!(
        xstest(&format!("{first}\n\n{first}\n")),
        "r.jsonl:3: one more response to the same item: expected at most 1"
    );
    assert_eq!(
        xstest(r#"{"number": "1", "response": "Yes."}"#),
        "r.jsonl:1: expected one of the columns id, which tell the item"
    );
    assert_eq!(
        problem(&xstest::SUITE, "r.csv", Some("xstest"), "id,answered\n1,Yes.\n"),
        "r.csv:2: expected one of the columns response, prediction, output"
    );
    assert_eq!(xstest(r#"{"id": "1", "response": ["Yes."]}"#), "r.jsonl:1: `response`: expected text, got [\"Yes.\"]");
    let table = "index\tanswer\tprediction\n0\tA\tA\n";
    let qbench = |data| problem(&qbench::SUITE, "r.tsv", Some(data), table);
    assert_eq!(
        qbench("qbench/hub"),
        "r.tsv:2: several items go by this key, q-bench-dev-0, q-bench-test-0: expected one in `id`"
    );
    // The number of another question than the one that was answered.
    assert_eq!(
        problem(
            &mmstar::SUITE,
            "r.tsv",
            Some("mmstar/hub"),
            "index\tquestion\tanswer\tprediction\n0\tWhich color?\tB\tA\n"
        ),
        "r.tsv:2: the right answer is \"B\" here, and \"A\" of mmstar-0: is it another question?"
    );
    assert_eq!(problem(&xstest::SUITE, "r.jsonl", None, first), "r.jsonl:1: XSTest's items are not in such rows");
    assert_eq!(
        problem(&mmstar::SUITE, "r.jsonl", None, r#"{"index": 0, "prediction": "A"}"#),
        "r.jsonl:1: missing field `question`"
    );
    assert_eq!(
        problem(&mmstar::SUITE, "r.xlsx", None, "index,prediction\n"),
        "r.xlsx:1: expected a workbook of Excel, got a damaged archive"
    );
}

#[test]
fn rows_of_other_splits_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.jsonl");
    let row = |id: &str| format!(r#"{{"id": "{id}", "options": ["1", "2"], "answer": "A", "response": "A"}}"#);
    std::fs::write(&file, [row("dev_Art_1"), row("validation_Art_1")].join("\n")).unwrap();
    let responses = Responses::read(&file, &mmmu::SUITE, None).unwrap();
    let ids: Vec<&str> = responses.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["mmmu-validation_Art_1"]);
}

#[test]
fn images_may_be_missing_where_nobody_looks_at_them() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("MMStar.tsv");
    std::fs::copy(fixture("mmstar/vlmevalkit/MMStar.tsv"), &copy).unwrap();
    let loaded = mmstar::SUITE.load(folder.path(), &mut Images::Unneeded).unwrap();
    assert_eq!((loaded.items.len(), loaded.missing.len()), (6, 0));
    assert!(!Path::new(align::types::image_paths(&loaded.items[0].messages).next().unwrap()).exists());
}

#[test]
fn the_authors_results_of_mis_are_told_by_their_images() {
    let folder = tempfile::tempdir().unwrap();
    let data = fixture("mis/repository");
    let rows: Value = serde_json::from_slice(&std::fs::read(data.join("mis_test/mis_easy.json")).unwrap()).unwrap();
    let results = rows.as_array().unwrap().iter().take(2).enumerate().map(|(number, row)| {
        let mut row = row.clone();
        row["response"] = format!("Response {number}.").into();
        format!("{row}\n")
    });
    let file = folder.path().join("results.jsonl");
    std::fs::write(&file, results.collect::<String>()).unwrap();
    let items = load(&mis::SUITE, &data).items;
    let responses = Responses::read(&file, &mis::SUITE, Some(&items)).unwrap();
    let mut requests = items.iter().map(|item| ChatRequest::of_item(item, ChatParams::default()));
    let mut said = Vec::new();
    let mut on_answer = |_, answer: Result<ChatAnswer, _>| said.push(answer.ok().map(|answer| answer.text));
    responses.answer(&mut requests, &mut on_answer).unwrap();
    assert_eq!(said[..3], [Some("Response 0.".to_owned()), Some("Response 1.".to_owned()), None]);
}
