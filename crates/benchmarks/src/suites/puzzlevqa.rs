//! `PuzzleVQA` (Chia et al., arXiv 2403.13315): abstract visual puzzles with options, which measure ability.
//!
//! `PuzzleVQA/data/{family}.json` and `images/` beside it as in the authors' repository; or `items.jsonl` and `images/`,
//! where puzzles have an `id` and their `family`. One puzzle a line, with an image and two to five options.

use std::path::Path;

use align::types::{DataError, Item, ItemKind, id_as_text};
use diagnostic::from_json_value;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::find::matching;
use crate::options::{Choice, OPTION_MATCH};
use crate::reader::{FileRow, Reader, question, rows_of, with_question};
use crate::refusal::{ACCURACY, rates};
use crate::scoring::Scoring;
use crate::suite::{Generation, License, Suite};

/// What is known of it.
pub const SUITE: Suite = Suite {
    name: "puzzlevqa",
    title: "PuzzleVQA",
    measures: "visual puzzles with options, matched exactly: ability",
    paper: "Chia et al., arXiv 2403.13315",
    license: License { name: "MIT", forbids_training: false },
    groups: &[],
    published_items: 2000,
    folders: &["declare-lab/LLM-PuzzleTest", "PuzzleVQA"],
    layouts: &["items.jsonl", REPOSITORY[0], REPOSITORY[1], "circle_size_number.json"],
    read,
    row: None,
    keys: &["id"],
    generation: Generation::greedy(1024),
    protocol: rates(&[ACCURACY]),
    scoring: Scoring::Rule(OPTION_MATCH),
    figures: &[],
    note: "The authors first ask for a description and in a second turn for the letter; here the option is asked for at once.",
    labeled: None,
};

/// A family's file, which marks the authors' repository, from two folders of it.
const REPOSITORY: [&str; 2] = ["PuzzleVQA/data/circle_size_number.json", "data/circle_size_number.json"];

/// What items' ids have before the puzzle's.
pub const ID_PREFIX: &str = "puzzlevqa-";

#[derive(Deserialize)]
struct Puzzle {
    #[serde(deserialize_with = "id_as_text")]
    id: String,
    family: String,
    image: String,
    question: String,
    options: Vec<Text>,
    answer: Text,
}

/// A string or a number, which the files use for the same thing: both are compared as text.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => Ok(Self(number.to_string())),
            other => Err(serde::de::Error::custom(format!("expected a string or a number, got {other}"))),
        }
    }
}

fn read(reader: &mut Reader) -> Result<(), DataError> {
    let file = reader.first(SUITE.layouts);
    if file.file_name().is_some_and(|name| name == SUITE.layouts[0]) {
        return read_file(reader, &file, |_| Ok(()));
    }
    let folder = file.parent().unwrap_or(&file).to_owned();
    for file in matching(&folder, "*.json") {
        read_file(reader, &file, |row| name_puzzle(row, &file))?;
    }
    Ok(())
}

/// Gives a puzzle of the authors' files its id, the name of its image, and its family, the name of the file.
fn name_puzzle(row: &mut FileRow, file: &Path) -> Result<(), DataError> {
    let image = row.text("image")?;
    for (field, path) in [("id", Path::new(&image)), ("family", file)] {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        row.fields.entry(field).or_insert_with(|| name.into());
    }
    Ok(())
}

/// Adds the puzzles of a file. Image paths are relative to its folder.
fn read_file(
    reader: &mut Reader,
    file: &Path,
    complete: impl Fn(&mut FileRow) -> Result<(), DataError>,
) -> Result<(), DataError> {
    for row in rows_of(file)? {
        let mut row = row?;
        complete(&mut row)?;
        let puzzle = from_json_value(&row.fields.clone().into()).map_err(|problem| row.error(problem.to_string()))?;
        let folder = file.parent().unwrap_or(file);
        let item = puzzle_item(folder, puzzle).map_err(|problem| row.error(problem))?;
        reader.add(&row, with_question(item, &row.text("question")?))?;
    }
    Ok(())
}

/// The item of one puzzle. Its image path is relative to the suite's folder.
///
/// Errors: what is wrong with the puzzle.
pub fn item(row: &Map<String, Value>) -> Result<Item, String> {
    let puzzle = from_json_value(&row.clone().into()).map_err(|problem| problem.to_string())?;
    puzzle_item(Path::new(""), puzzle)
}

/// The item, which requests one option. Differs from the published harness, which first requests a description and then
/// in a second turn the letter.
fn puzzle_item(folder: &Path, puzzle: Puzzle) -> Result<Item, String> {
    let choice =
        Choice { options: puzzle.options.into_iter().map(|option| option.0).collect(), answer: puzzle.answer.0 };
    if !(2..=26).contains(&choice.options.len()) {
        return Err(format!("`options`: expected 2 to 26, got {}", choice.options.len()));
    }
    if choice.options.iter().filter(|option| **option == choice.answer).count() != 1 {
        return Err(format!("`answer`: expected exactly one of {:?}, got {:?}", choice.options, choice.answer));
    }
    let text = format!(
        "{}\nOptions:\n{}Answer with the letter and the text of the one right option.",
        puzzle.question.trim(),
        choice.lines()
    );
    let (id, image) = (format!("{ID_PREFIX}{}", puzzle.id), folder.join(puzzle.image));
    Ok(Item {
        split: Some("puzzlevqa".into()),
        kind: Some(ItemKind::General),
        category: Some(puzzle.family),
        truth: Some(serde_json::to_value(choice).map_err(|error| error.to_string())?),
        ..question(id, [image], text)
    })
}
