//! `PuzzleVQA`: the authors' files and one list of them are the same puzzles.

use align::chat::ChatRequest;
use benchmarks::suites::puzzlevqa::SUITE;

use crate::support::{evaluate, figures, fixture, load};

fn answers(request: &ChatRequest) -> Result<String, String> {
    match request.id.as_str() {
        "puzzlevqa-circle_size_number_0000" => Ok("The answer is (C).".into()),
        "puzzlevqa-circle_size_number_0001" => Ok("5 or 2".into()),
        _ => Err("500".into()),
    }
}

#[test]
fn both_layouts_are_the_same_puzzles() {
    for layout in ["puzzlevqa/repository", "puzzlevqa/repository/PuzzleVQA", "puzzlevqa/pack"] {
        let outcome = evaluate(&SUITE, &fixture(layout), answers, None);
        assert_eq!(
            figures(&outcome),
            [
                "all: 3 items, 2 unscored; accuracy 100.0 of 1 [33.3 to 100.0]",
                "puzzlevqa/circle_size_number: 2 items, 1 unscored; accuracy 100.0 of 1 [50.0 to 100.0]",
                "puzzlevqa/color_grid: 1 items, 1 unscored; accuracy - of 0 [0.0 to 100.0]",
            ]
        );
    }
    let item = &load(&SUITE, &fixture("puzzlevqa/repository")).items[2];
    let expected = "What is the missing color?\nOptions:\n(A) red\n(B) dark red\n(C) blue\n\
                    Answer with the letter and the text of the one right option.";
    assert_eq!((item.id.as_str(), item.messages[0].plain_text().as_str()), ("puzzlevqa-color_grid_0000", expected));
}
