//! General questions, for ability: naming, counting, colour, comparing two images, and what an object is like.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::gallery::Shot;
use super::labels::{attribute_list, capitalised, indefinite, shows};
use super::picture::{ObjectKind, Style};
use super::questions::ordinal;

/// What a general question asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// What an image shows.
    Name,
    /// How many objects an image shows.
    Count,
    /// The colour of an object.
    Colour,
    /// Whether two images show the same object.
    Same,
    /// Which of two images shows more objects.
    More,
    /// What an object is like: its attributes.
    Property,
    /// What one image shows, how many and in what colour.
    Caption,
    /// The same of several images.
    Describe,
}

/// A general question with its pictures and its one right answer.
#[derive(Clone, Debug)]
pub struct GeneralQuestion {
    /// What is asked about.
    pub topic: Topic,
    /// The pictures, in order.
    pub shots: Vec<Shot>,
    /// The question.
    pub question: String,
    /// The right answer.
    pub answer: String,
}

/// Draws a question on the topic, with pictures in the style.
pub fn draw(rng: &mut impl RngExt, topic: Topic, style: Style) -> GeneralQuestion {
    let n_images = match topic {
        Topic::Same | Topic::More => 2,
        Topic::Describe => 2 + rng.random_range(0..2_usize),
        Topic::Caption => 1,
        _ => 1 + rng.random_range(0..2_usize),
    };
    let mut shots: Vec<Shot> = (0..n_images)
        .map(|_| {
            let object = ObjectKind::ALL[rng.random_range(0..ObjectKind::ALL.len())];
            Shot::random(rng, object, style)
        })
        .collect();
    let asked = rng.random_range(0..n_images);
    let place = if n_images == 1 {
        "the image".to_owned()
    } else {
        format!("the {} image", ordinal(asked))
    };
    let (question, answer) = match topic {
        Topic::Name => (
            format!("What is in {place}?"),
            sentence(&indefinite(shots[asked].object)),
        ),
        Topic::Property => (
            format!("What is the object in {place} like?"),
            sentence(&format!(
                "{}, which is {}",
                indefinite(shots[asked].object),
                attribute_list(shots[asked].object)
            )),
        ),
        Topic::Colour => (
            format!("What colour is the object in {place}?"),
            sentence(shots[asked].color.name()),
        ),
        Topic::Count => {
            shots[asked].count = rng.random_range(1..=4);
            (
                format!("How many objects are in {place}?"),
                sentence(number(shots[asked].count)),
            )
        }
        Topic::Same => {
            if rng.random_bool(0.5) {
                shots[1].object = shots[0].object;
            }
            let same = shots[0].object == shots[1].object;
            (
                "Do both images show the same object?".to_owned(),
                sentence(if same { "yes" } else { "no" }),
            )
        }
        Topic::More => {
            shots[0].count = rng.random_range(1..=4);
            shots[1].count = 1 + (shots[0].count - 1 + rng.random_range(1..4_usize)) % 4;
            let more = usize::from(shots[1].count > shots[0].count);
            (
                "Which image shows more objects?".to_owned(),
                format!("The {} image.", ordinal(more)),
            )
        }
        Topic::Caption | Topic::Describe => {
            for shot in &mut shots {
                // Half of them alone.
                shot.count = 1 + rng.random_range(0..6_usize).saturating_sub(2);
            }
            describe(&shots)
        }
    };
    GeneralQuestion {
        topic,
        shots,
        question,
        answer,
    }
}

/// One image: "A kettle: one, red." Several: "The first image shows a kettle: one, red." for each.
fn describe(shots: &[Shot]) -> (String, String) {
    let seen = |shot: &Shot| format!(": {}, {}.", number(shot.count), shot.color.name());
    if let [shot] = shots {
        let answer = capitalised(&indefinite(shot.object)) + &seen(shot);
        return ("What does the image show?".to_owned(), answer);
    }
    let sentences: Vec<String> = shots
        .iter()
        .enumerate()
        .map(|(image, shot)| shows(image, shot.object) + &seen(shot))
        .collect();
    ("What does each image show?".to_owned(), sentences.join(" "))
}

fn number(count: usize) -> &'static str {
    ["none", "one", "two", "three", "four"][count]
}

/// The words with a capital letter and a full stop.
fn sentence(words: &str) -> String {
    capitalised(words) + "."
}
