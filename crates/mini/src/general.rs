//! General questions, for ability: naming, counting, colour, comparing two images, and what an object is like.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::gallery::Shot;
use crate::labels::{attribute_list, capitalised, indefinite, shows};
use crate::pictogram::{ObjectKind, Style};
use crate::questions::ordinal;
use crate::scenario::Pairs;

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

/// Draws a question on the topic, with pictures in the style. Pictures show pairs of objects that are admitted.
pub fn draw(rng: &mut impl RngExt, topic: Topic, style: Style, admitted: Pairs) -> GeneralQuestion {
    let mut shots = shots(rng, topic, style, admitted);
    let asked = rng.random_range(0..shots.len());
    let place = if shots.len() == 1 {
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
        Topic::Same => same(rng, &mut shots),
        Topic::More => more(rng, &mut shots),
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

/// As many pictures as the topic needs.
fn shots(rng: &mut impl RngExt, topic: Topic, style: Style, admitted: Pairs) -> Vec<Shot> {
    let n_images = match topic {
        Topic::Same | Topic::More => 2,
        Topic::Describe => 2 + rng.random_range(0..2_usize),
        Topic::Caption => 1,
        _ => 1 + rng.random_range(0..2_usize),
    };
    let mut shots: Vec<Shot> = Vec::with_capacity(n_images);
    for _ in 0..n_images {
        let drawn = ObjectKind::ALL[rng.random_range(0..ObjectKind::ALL.len())];
        let before: Vec<ObjectKind> = shots.iter().map(|shot| shot.object).collect();
        shots.push(Shot::random(rng, beside(&before, drawn, admitted), style));
    }
    shots
}

/// The object drawn, or where it may not stand beside those before it, the next in line that may: nothing more is
/// drawn, so that whatever comes after stays as it is.
fn beside(before: &[ObjectKind], drawn: ObjectKind, admitted: Pairs) -> ObjectKind {
    let from_drawn = ObjectKind::ALL
        .into_iter()
        .cycle()
        .skip_while(|object| *object != drawn);
    let may_stand = |object: &ObjectKind| admitted.admits(&[before, &[*object]].concat());
    from_drawn.take(ObjectKind::ALL.len()).find(may_stand).unwrap_or(drawn)
}

/// Whether both images show the same object, as half of them do.
fn same(rng: &mut impl RngExt, shots: &mut [Shot]) -> (String, String) {
    if rng.random_bool(0.5) {
        shots[1].object = shots[0].object;
    }
    let same = shots[0].object == shots[1].object;
    (
        "Do both images show the same object?".to_owned(),
        sentence(if same { "yes" } else { "no" }),
    )
}

/// Which image shows more objects.
fn more(rng: &mut impl RngExt, shots: &mut [Shot]) -> (String, String) {
    shots[0].count = rng.random_range(1..=4);
    shots[1].count = 1 + (shots[0].count - 1 + rng.random_range(1..4_usize)) % 4;
    let more = usize::from(shots[1].count > shots[0].count);
    (
        "Which image shows more objects?".to_owned(),
        format!("The {} image.", ordinal(more)),
    )
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

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::rules::pairs;
    use crate::scenario::is_held_out;

    #[test]
    fn questions_to_train_on_show_no_pair_that_is_held_out_and_leave_what_is_drawn_after_as_it_is() {
        let [mut any, mut seen] = [5, 5].map(ChaCha8Rng::seed_from_u64);
        let mut n_replaced = 0;
        for topic in [Topic::Name, Topic::Count, Topic::Same, Topic::More, Topic::Describe]
            .into_iter()
            .cycle()
            .take(4000)
        {
            let before = draw(&mut any, topic, Style::Plain, Pairs::Any);
            let after = draw(&mut seen, topic, Style::Plain, Pairs::Seen);
            let objects = |asked: &GeneralQuestion| asked.shots.iter().map(|shot| shot.object).collect::<Vec<_>>();
            let is_held = |objects: &[ObjectKind]| pairs(objects).any(|(one, other)| is_held_out(one, other));
            assert!(!is_held(&objects(&after)), "{after:?}");
            if is_held(&objects(&before)) {
                n_replaced += 1;
            } else {
                assert_eq!(format!("{before:?}"), format!("{after:?}"));
            }
        }
        assert!(n_replaced > 50, "{n_replaced}");
        assert_eq!(any.random::<u64>(), seen.random::<u64>());
    }
}
