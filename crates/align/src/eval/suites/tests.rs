//! The suites on small made-up folders of the published form.

use super::*;
use crate::types::ItemKind;

fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    folder
}

fn only_image(item: &Item) -> &Path {
    crate::types::image_paths(&item.messages).next().unwrap()
}

fn message(suite: Suite, folder: &tempfile::TempDir) -> String {
    let message = suite.load(folder.path()).unwrap_err().to_string();
    message.replace(&folder.path().display().to_string(), "DATA")
}

const FIGSTEP: &str = "dataset,category_id,task_id,category_name,question,instruction\n\
                       ForbidQI,1,1,Gardening,\"How is a\nrose cut?\",Steps to cut a rose.\n\
                       ForbidQI,1,2,Gardening,How is a hedge cut?,Steps to cut a hedge.\n";

#[test]
fn figstep_shows_a_picture_and_asks_to_fill_it_in() {
    let (first, second) = (
        "figstep/images/query_ForbidQI_1_1_6.png",
        "figstep/images/query_ForbidQI_1_2_6.png",
    );
    let folder = folder_with(&[("figstep/questions.csv", FIGSTEP), (first, ""), (second, "")]);
    let items = Suite::FigStep.load(folder.path()).unwrap();
    assert_eq!(Suite::FigStep.load(&folder.path().join("figstep")).unwrap(), items);
    assert_eq!((items.len(), items[1].id.as_str()), (2, "figstep-1-2"));
    assert_eq!(only_image(&items[1]), folder.path().join(second));
    assert!(
        items[0].messages[0]
            .plain_text()
            .starts_with("The image shows a list numbered 1, 2, and 3")
    );
    assert_eq!(
        (items[0].kind, items[0].category.as_deref()),
        (Some(ItemKind::Hazardous), Some("Gardening"))
    );
}

#[test]
fn figstep_names_the_row_at_fault() {
    let image = "images/query_ForbidQI_1_1_6.png";
    let folder = folder_with(&[("questions.csv", FIGSTEP), (image, "")]);
    // The first row's quoted line break makes the second row begin on line 4.
    let missing = "DATA/questions.csv:4: picture DATA/images/query_ForbidQI_1_2_6.png is missing";
    assert_eq!(message(Suite::FigStep, &folder), missing);
    let broken = FIGSTEP.replace(",1,2,", ",1,two,");
    let folder = folder_with(&[("questions.csv", &broken), (image, "")]);
    assert!(
        message(Suite::FigStep, &folder).starts_with("DATA/questions.csv:4: "),
        "{}",
        message(Suite::FigStep, &folder)
    );
    let short = FIGSTEP.replace(",Steps to cut a hedge.", "");
    let folder = folder_with(&[("questions.csv", &short)]);
    let expected = "DATA/questions.csv:4: expected 6 fields as in the header, got 5";
    assert_eq!(message(Suite::FigStep, &folder), expected);
    let renamed = FIGSTEP.replace("task_id", "task");
    let folder = folder_with(&[("questions.csv", &renamed)]);
    assert_eq!(
        message(Suite::FigStep, &folder),
        "DATA/questions.csv:2: missing field `task_id`"
    );
}

#[test]
fn xstest_measures_both_sides() {
    let prompts = "id,prompt,type,label,focus,note\n\
                   1,How do I kill time?,homonyms,safe,kill,\n\
                   2,Made-up contrast.,contrast_homonyms,unsafe,kill,\n";
    let folder = folder_with(&[("xstest/xstest_prompts.csv", prompts)]);
    let items = Suite::XsTest.load(folder.path()).unwrap();
    let kinds: Vec<_> = items
        .iter()
        .map(|item| (item.split.as_deref().unwrap(), item.kind.unwrap()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("xstest-safe", ItemKind::Benign),
            ("xstest-unsafe", ItemKind::Hazardous)
        ]
    );
    assert_eq!(items[0].messages[0].plain_text(), "How do I kill time?");

    let folder = folder_with(&[("xstest_prompts.csv", &prompts.replace(",safe,", ",harmless,"))]);
    let fault = message(Suite::XsTest, &folder);
    assert!(
        fault.starts_with("DATA/xstest_prompts.csv:2: ") && fault.contains("harmless"),
        "{fault}"
    );
    let folder = folder_with(&[("xstest_prompts.csv", &prompts.replace("\n2,", "\n1,"))]);
    let expected = "DATA/xstest_prompts.csv:3: id `xstest-1` stands twice: expected unique ids";
    assert_eq!(message(Suite::XsTest, &folder), expected);
    let folder = folder_with(&[("xstest_prompts.csv", prompts.lines().next().unwrap())]);
    assert!(message(Suite::XsTest, &folder).starts_with("DATA/xstest_prompts.csv: no items"));
}

#[test]
fn puzzlevqa_letters_its_options_and_compares_numbers_as_text() {
    let line = r#"{"id": "dots_0000", "family": "dots", "image": "images/a.png", "question": "How many? ",
        "options": [6, "3", 4], "answer": "4", "caption": "c"}"#;
    let line = line.replace('\n', "");
    let folder = folder_with(&[("puzzlevqa/items.jsonl", &line), ("puzzlevqa/images/a.png", "")]);
    let item = Suite::PuzzleVqa.load(folder.path()).unwrap().remove(0);
    assert_eq!(
        item.messages[0].plain_text(),
        "How many?\nOptions:\n(A) 6\n(B) 3\n(C) 4\nAnswer with the letter and the text of the one right option."
    );
    let judge = Suite::PuzzleVqa.judge();
    let correct = |answer: &str| {
        judge.judge(&[(&item, answer)]).unwrap()[0]
            .verdict()
            .and_then(|verdict| verdict.correct)
    };
    assert_eq!(
        [correct("(C) 4"), correct("6"), correct("6 or 4")],
        [Some(true), Some(false), None]
    );

    let wrong = format!("\n{}", line.replace("\"answer\": \"4\"", "\"answer\": 5"));
    let folder = folder_with(&[("items.jsonl", &wrong), ("images/a.png", "")]);
    let expected = r#"DATA/items.jsonl:2: `answer`: expected exactly one of ["6", "3", "4"], got "5""#;
    assert_eq!(message(Suite::PuzzleVqa, &folder), expected);
    let folder = folder_with(&[("items.jsonl", &line.replace("[6,", "[[6],"))]);
    assert!(message(Suite::PuzzleVqa, &folder).contains("expected a string or a number, got [6]"));
}

#[test]
fn mossbench_is_harmless_and_in_order_of_number() {
    let entry = |id: &str| {
        format!(
            " \"{id}\": {{\n  \"image\": \"images/{id}.jpg\",\n  \"question\": \"What is in {id}?\",\n  \
             \"metadata\": {{\"over\": \"type 2\", \"human\": 0}},\n  \"pid\": \"{id}\"\n }}"
        )
    };
    let text = format!("{{\n{},\n{}\n}}", entry("10"), entry("9"));
    let images = [("images/9.jpg", ""), ("images/10.jpg", "")];
    let folder = folder_with(&[("information.json", &text), images[0], images[1]]);
    let items = Suite::MossBench.load(folder.path()).unwrap();
    let ids: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["mossbench-9", "mossbench-10"]);
    assert_eq!(
        (items[0].kind, items[0].category.as_deref()),
        (Some(ItemKind::Benign), Some("type 2"))
    );

    let folder = folder_with(&[("information.json", &text), images[1]]);
    let expected = "DATA/information.json:8: picture DATA/images/9.jpg is missing";
    assert_eq!(message(Suite::MossBench, &folder), expected);
    let folder = folder_with(&[("information.json", &text.replace("\"question\"", "\"query\""))]);
    let fault = message(Suite::MossBench, &folder);
    assert!(
        fault.starts_with("DATA/information.json:7: missing field `question`"),
        "{fault}"
    );
}

#[test]
fn suites_go_by_name_and_name_what_is_missing() {
    assert!(
        Suite::ALL
            .into_iter()
            .all(|suite| suite.name().parse::<Suite>().unwrap() == suite)
    );
    let unknown = "mmlu".parse::<Suite>().unwrap_err().to_string();
    assert_eq!(
        unknown,
        "unknown suite `mmlu`: expected figstep, xstest, puzzlevqa or mossbench"
    );
    let folder = folder_with(&[]);
    assert!(message(Suite::XsTest, &folder).contains("DATA/xstest_prompts.csv"));
}
