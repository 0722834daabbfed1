//! `MMStar` (Chen et al., arXiv 2403.20330): questions that need their image, in six abilities.
//!
//! The hub's `val` as parquet, or `VLMEvalKit`'s `MMStar.tsv`.

use std::path::PathBuf;

use align::eval::suite::{Metric, Original, Protocol};
use align::tagged::answer_of;
use align::types::{DataError, Item, ItemKind, id_of};
use align::verdict::{Judgement, Unscored};
use serde_json::{Map, Value, json};

use crate::lettered::{lettered_columns, stands_alone, text};
use crate::reader::{Reader, question, rows_of, with_question};
use crate::refusal::{ACCURACY, rates};
use crate::scoring::{Rule, Scoring};
use crate::suite::{Figure, Generation, Group, License, Suite};
use crate::vlmevalkit::table;

/// What is known of it.
pub const SUITE: Suite = Suite {
    name: "mmstar",
    title: "MMStar",
    measures: "multiple choice that needs the image: ability",
    paper: "Chen et al., arXiv 2403.20330",
    license: License { name: "none stated", forbids_training: false },
    groups: &[Group::General],
    published_items: 1500,
    folders: &["Lin-Chen/MMStar"],
    layouts: &["mmstar.parquet", "data/val-*.parquet", "MMStar.tsv"],
    read,
    row: Some(row),
    keys: &["index"],
    generation: Generation::greedy(32),
    protocol: PROTOCOL,
    scoring: Scoring::Rule(Rule { name: "mmstar.v1", read: judge }),
    figures: &[
        Figure {
            model: "LLaVA-NeXT-Yi-34B",
            split: "all",
            rate: "accuracy",
            percent: 52.1,
            judge: "the authors' rule",
            source: "MMStar's repository",
        },
        Figure::of_mis("InternVL2.5-8B", "accuracy", 62.87),
        Figure::of_mis("InternVL2.5-8B + MIRage", "accuracy", 63.13),
    ],
    note: "The authors' rule looks at the first letter alone, so that a sentence that begins with the article \"A\" is the \
           choice A, and any other sentence is wrong; here both are unscored.",
    labeled: None,
};

const PROTOCOL: Protocol = rates(&[Metric { original: Some(AUTHORS), ..ACCURACY }]);

const AUTHORS: Original = Original {
    rule: "hits among all items: a response whose first letter is no choice is wrong, and so is none",
    counts: |records| {
        let counts = records.iter().map(|record| {
            let chosen = chosen(record.response()).map(|(letter, _)| letter);
            Some(chosen.is_some_and(|letter| is_right(&record.item, letter)))
        });
        counts.collect()
    },
};

fn read(reader: &mut Reader) -> Result<(), DataError> {
    for file in reader.shards(SUITE.layouts) {
        if file.extension().is_some_and(|extension| extension == "tsv") {
            for (row, images) in table(reader, &file)? {
                let item = asked_item(&row.fields, images).map_err(|problem| row.error(problem))?;
                reader.add(&row, item)?;
            }
            continue;
        }
        for row in rows_of(&file)? {
            let row = row?;
            let images = reader.images_of(&row, "image")?;
            let item = asked_item(&row.fields, images).map_err(|problem| row.error(problem))?;
            reader.add(&row, item)?;
        }
    }
    Ok(())
}

fn row(fields: &Map<String, Value>) -> Result<Option<Item>, String> {
    asked_item(fields, Vec::new()).map(Some)
}

/// What stands between a question and its options.
const OPTIONS: &str = "\nOptions: ";

fn asked_item(fields: &Map<String, Value>, images: Vec<PathBuf>) -> Result<Item, String> {
    let mut asked = text(fields, "question")?;
    // The hub's questions hold their options.
    let bare = asked.split(OPTIONS).next().unwrap_or_default().to_owned();
    let columns = lettered_columns(fields);
    if !columns.is_empty() {
        let options: Vec<String> = columns.iter().map(|(letter, option)| format!("{letter}: {option}")).collect();
        asked = format!("{asked}{OPTIONS}{}", options.join(", "));
    }
    let prompt = format!("{asked}\nAnswer with the option's letter from the given choices directly.");
    let answer = text(fields, "answer")?;
    if !["A", "B", "C", "D"].contains(&answer.as_str()) {
        return Err(format!("`answer`: expected A, B, C or D, got {answer}"));
    }
    let item = Item {
        kind: Some(ItemKind::General),
        category: fields.get("category").and_then(id_of),
        truth: Some(json!({ "answer": answer })),
        ..question(format!("{}-{}", SUITE.name, text(fields, "index")?), images, prompt)
    };
    Ok(with_question(item, &bare))
}

fn judge(item: &Item, response: &str) -> Judgement<Value> {
    let Some((letter, is_alone)) = chosen(answer_of(response)) else {
        return Err(Unscored::new("the response does not begin with an option's letter"));
    };
    if !is_alone {
        return Err(Unscored::new("the response begins with a word, not with an option's letter"));
    }
    Ok(json!({ "correct": is_right(item, letter), "chosen": letter }))
}

fn is_right(item: &Item, letter: char) -> bool {
    item.truth.as_ref().is_some_and(|truth| truth["answer"] == letter.to_string())
}

/// The letter where the authors' rule looks for it, after at most one phrase, and whether it stands alone there.
fn chosen(response: &str) -> Option<(char, bool)> {
    let response = response.trim();
    let lowered = response.to_ascii_lowercase().replace('\n', " ");
    let phrase = ["(", "option ", "the answer is "].into_iter().find(|phrase| lowered.starts_with(phrase));
    let after = &response[phrase.map_or(0, str::len)..];
    let letter = after.chars().next()?.to_ascii_uppercase();
    ('A'..='D').contains(&letter).then(|| (letter, stands_alone(letter, &after[1..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letter_is_where_the_authors_look_for_it() {
        for (response, expected) in [
            ("B", Some(('B', true))),
            (" b.\n", Some(('B', true))),
            ("(c) a dog", Some(('C', true))),
            ("Option D", Some(('D', true))),
            ("The answer is A.", Some(('A', true))),
            ("A: a dog", Some(('A', true))),
            ("A dog", Some(('A', false))),
            ("Dogs", Some(('D', false))),
            ("The answer is a dog", Some(('A', false))),
            ("Answer: B", Some(('A', false))),
            ("It is B", None),
            ("(", None),
            ("", None),
        ] {
            assert_eq!(chosen(response), expected, "{response}");
        }
    }
}
