//! Suites of general ability, by their parsers: `MMStar`, MMMU, `MuirBench`, Q-Bench and MMT-Bench.

use align::chat::ChatRequest;
use align::types::{Item, ItemKind, Part};
use benchmarks::Images;
use benchmarks::suites::{mmmu, mmstar, mmtbench, muirbench, qbench};
use serde_json::json;

use crate::support::{evaluate, evaluate_responses, figures, fixture, load, shown};

/// What a message shows: its text, and `[image]` where an image stands.
fn layout(item: &Item) -> String {
    let parts = item.messages[0].content.iter().map(|part| match part {
        Part::Text { text } => text.clone(),
        Part::Image { .. } => "[image]".to_owned(),
    });
    parts.collect()
}

#[test]
fn mmstar_is_the_same_from_both_sources() {
    let hub = load(&mmstar::SUITE, &fixture("mmstar/hub")).items;
    assert_eq!(hub, load(&mmstar::SUITE, &fixture("mmstar/vlmevalkit")).items);
    assert_eq!(
        layout(&hub[0]),
        "[image]Which color is the square?\nOptions: A: red, B: green, C: blue, D: yellow\nAnswer with the option's \
         letter from the given choices directly."
    );
    assert_eq!((hub[0].id.as_str(), hub[0].kind), ("mmstar-0", Some(ItemKind::General)));
    // The table says of the fourth question that its image is the third's.
    assert_eq!(hub[3].messages[0].content[0], hub[2].messages[0].content[0]);
}

#[test]
fn mmstar_is_read_from_every_shard() {
    let folder = tempfile::tempdir().unwrap();
    fs_err::create_dir(folder.path().join("data")).unwrap();
    for shard in ["00000", "00001"] {
        let path = folder.path().join(format!("data/val-{shard}-of-00002.parquet"));
        fs_err::copy(fixture("mmstar/hub/mmstar.parquet"), path).unwrap();
    }
    let problem = mmstar::SUITE.load(folder.path(), &mut Images::sized()).unwrap_err().to_string();
    assert!(problem.contains("val-00001-of-00002.parquet:1: id `mmstar-0` occurs twice"), "{problem}");
}

#[test]
fn mmstar_counts_first_letters() {
    let outcome = evaluate_responses(&mmstar::SUITE, &fixture("mmstar/results.jsonl"), None);
    let expected = [
        "all: 6 items, 3 unscored; accuracy 66.7 of 3 [33.3 to 83.3] (original 33.3 of 6)",
        "all/coarse perception: 2 items, 0 unscored; accuracy 100.0 of 2",
        "all/math: 2 items, 1 unscored; accuracy 0.0 of 1 [0.0 to 50.0] (original 0.0 of 2)",
        "all/logical reasoning: 2 items, 2 unscored; accuracy - of 0 [0.0 to 100.0] (original 0.0 of 2)",
    ];
    assert_eq!(figures(&outcome), expected);
    // From the suite's own files, and from the workbook that VLMEvalKit leaves.
    for data in [None, Some(fixture("mmstar/hub"))] {
        let outcome = evaluate_responses(&mmstar::SUITE, &fixture("mmstar/results.xlsx"), data.as_deref());
        assert_eq!(figures(&outcome), expected);
    }
}

#[test]
fn mmmu_is_the_same_from_both_sources() {
    let hub = load(&mmmu::SUITE, &fixture("mmmu/hub")).items;
    assert_eq!(hub, load(&mmmu::SUITE, &fixture("mmmu/vlmevalkit")).items);
    assert_eq!(
        layout(&hub[0]),
        "Which leaf in [image] is green?\n(A) left\n(B) right\n(C) both\n\nAnswer with the option's letter from the \
         given choices directly."
    );
    assert_eq!(
        layout(&hub[1]),
        "[image]How tall is the stem in meters?\nAnswer the question using a single word or phrase."
    );
    assert_eq!(
        layout(&hub[2]),
        "Which is warmer, [image] or [image]?\n(A) [image]\n(B) [image]\n\nAnswer with the option's letter from the \
         given choices directly."
    );
    assert_eq!(hub[3].truth, Some(json!({ "answer": ["yellow", "gold"], "question": "Name the color: <image 1>" })));
    assert_eq!((hub[4].id.as_str(), hub[4].category.as_deref()), ("mmmu-validation_Art_3", Some("Art")));
}

#[test]
fn mmmu_leaves_unscored_what_the_authors_leave_to_chance() {
    for data in [None, Some(fixture("mmmu/hub"))] {
        let outcome = evaluate_responses(&mmmu::SUITE, &fixture("mmmu/results.jsonl"), data.as_deref());
        // Python's random, seeded with 42, takes A of A and B, which is right, then A of A to D, which is wrong.
        assert_eq!(
            figures(&outcome),
            [
                "all: 6 items, 2 unscored; accuracy 100.0 of 4 [66.7 to 100.0] (original 83.3 of 6)",
                "all/Agriculture: 2 items, 0 unscored; accuracy 100.0 of 2",
                "all/Art: 3 items, 1 unscored; accuracy 100.0 of 2 [66.7 to 100.0] (original 100.0 of 3)",
                "all/Math: 1 items, 1 unscored; accuracy - of 0 [0.0 to 100.0] (original 0.0 of 1)",
            ]
        );
    }
}

#[test]
fn muirbench_shows_images_where_they_belong() {
    let hub = load(&muirbench::SUITE, &fixture("muirbench/hub")).items;
    assert_eq!(
        layout(&hub[2]),
        "Question: Which comes first?\nChoices:\n(A) [image]\n(B) [image]\nHint: Please provide the correct option \
         letter, such as A, B, C, D, directly.\nAnswer:"
    );
    let twins: Vec<_> = hub.iter().map(|item| item.twin_of.as_deref()).collect();
    assert_eq!(twins, [None, Some("muirbench-0"), None, None]);
    // The table does not say which questions are twins.
    let table = load(&muirbench::SUITE, &fixture("muirbench/vlmevalkit")).items;
    assert_eq!(table, hub.into_iter().map(|item| Item { twin_of: None, ..item }).collect::<Vec<_>>());

    let answers = |request: &ChatRequest| match shown(request).0 {
        words if words.contains("are red") => Ok("(A)".into()),
        words if words.contains("are pink") => Ok("C.".into()),
        words if words.contains("comes first") => Ok("the second".into()),
        _ => Err("500".into()),
    };
    // The authors leave the third to chance, which takes A of A and B; the fourth was never answered.
    assert_eq!(
        figures(&evaluate(&muirbench::SUITE, &fixture("muirbench/hub"), answers, None)),
        [
            "all: 4 items, 2 unscored; accuracy 100.0 of 2 [50.0 to 100.0] (original 66.7 of 3)",
            "all/Counting: 2 items, 0 unscored; accuracy 100.0 of 2",
            "all/Ordering: 2 items, 2 unscored; accuracy - of 0 [0.0 to 100.0] (original 0.0 of 1)",
        ]
    );
}

#[test]
fn qbench_keeps_its_splits_apart() {
    let hub = load(&qbench::SUITE, &fixture("qbench/hub")).items;
    assert_eq!(
        layout(&hub[1]),
        "[image]Which color leads?\nA. Red\nB. Green\nC. Blue\nAnswer with the option's letter from the given choices \
         directly.\n"
    );
    let ids: Vec<&str> = hub.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["q-bench-dev-0", "q-bench-dev-1", "q-bench-dev-2", "q-bench-test-0"]);
    let table = load(&qbench::SUITE, &fixture("qbench/vlmevalkit")).items;
    assert_eq!(table[..], hub[..3].iter().map(|item| categorized(item, "made up")).collect::<Vec<_>>());
    let pairs = load(&qbench::PAIRS, &fixture("qbench/hub2")).items;
    assert!(layout(&pairs[0]).starts_with("[image][image]Is the picture sharp?\nA. Yes\nB. No\nAnswer"));

    let answers = |request: &ChatRequest| match shown(request).0 {
        words if words.contains("sharp") => Ok("A. Yes".into()),
        words if words.contains("leads") => Ok("The blue one".into()),
        words if words.contains("noisy") => Ok("The answer is bad".into()),
        _ => Err("500".into()),
    };
    // "bad" is B to VLMEvalKit, which is right; nobody answered the third, which is wrong to it.
    assert_eq!(
        figures(&evaluate(&qbench::SUITE, &fixture("qbench/hub"), answers, None)),
        [
            "all: 4 items, 2 unscored; accuracy 100.0 of 2 [50.0 to 100.0] (original 75.0 of 4)",
            "dev: 3 items, 1 unscored; accuracy 100.0 of 2 [66.7 to 100.0] (original 66.7 of 3)",
            "test: 1 items, 1 unscored; accuracy - of 0 [0.0 to 100.0] (original 100.0 of 1)",
            "dev/global distortion: 1 items, 0 unscored; accuracy 100.0 of 1",
            "dev/global other: 2 items, 1 unscored; accuracy 100.0 of 1 [50.0 to 100.0] (original 50.0 of 2)",
        ]
    );
}

fn categorized(item: &Item, category: &str) -> Item {
    Item { category: Some(category.to_owned()), ..item.clone() }
}

#[test]
fn mmtbench_takes_the_mean_of_subtasks() {
    let apart = load(&mmtbench::SUITE, &fixture("mmtbench/val_mi")).items;
    assert_eq!(
        layout(&apart[1]),
        "[image]Hint: Look closely.\nQuestion: Which color is it now?\nOptions:\nA. red\nB. green\nPlease select the \
         correct answer from the options above. \n"
    );
    assert!(layout(&apart[3]).starts_with("[image][image]Question: Which one differs?"));
    assert_eq!(apart[3].id, "mmt-bench-VAL_MI-103");

    let answers = |request: &ChatRequest| match shown(request).0 {
        words if words.contains("left") => Ok("It is red.".into()),
        words if words.contains("now") => Err("500".into()),
        words if words.contains("differs") => Ok("the second".into()),
        _ => Ok("A".into()),
    };
    assert_eq!(
        figures(&evaluate(&mmtbench::SUITE, &fixture("mmtbench/val"), answers, None)),
        [
            "all: 4 items, 1 unscored; accuracy 66.7 of 3 [50.0 to 75.0] (original 50.0 of 4); \
             mean_of_subtasks 75.0 of 3 [66.7 to 83.3] (original 66.7 of 4)",
            "VAL/color_recognition: 3 items, 1 unscored; accuracy 50.0 of 2 [33.3 to 66.7] (original 33.3 of 3); \
             mean_of_subtasks 50.0 of 2 [33.3 to 66.7] (original 33.3 of 3)",
            "VAL/spot_the_difference: 1 items, 0 unscored; accuracy 100.0 of 1; mean_of_subtasks 100.0 of 1",
        ]
    );
}
