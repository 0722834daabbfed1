//! General questions, for ability: naming, counting, color, comparing two images, and what an object is like.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::gallery::Shot;
use crate::labels::{attribute_list, capitalized, indefinite, shows};
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
    /// The color of an object.
    #[serde(rename = "colour")]
    Color,
    /// Whether two images show the same object.
    Same,
    /// Which of two images shows more objects.
    More,
    /// What an object is like: its attributes.
    Property,
    /// What one image shows, how many and in what color.
    Caption,
    /// The same of several images.
    Describe,
}

/// A general question with its images and its one right answer.
#[derive(Clone, Debug)]
pub struct GeneralQuestion {
    /// What is asked about.
    pub topic: Topic,
    /// The images, in order.
    pub shots: Vec<Shot>,
    /// The question.
    pub question: String,
    /// The right answer.
    pub answer: String,
}

/// Samples a question on the topic, with images in the style. Images show pairs of objects that are admitted.
pub fn sample(rng: &mut impl RngExt, topic: Topic, style: Style, admitted: Pairs) -> GeneralQuestion {
    let mut shots = shots(rng, topic, style, admitted);
    let index = rng.random_range(0..shots.len());
    let place = if shots.len() == 1 { "the image".to_owned() } else { format!("the {} image", ordinal(index)) };
    let asked = &mut shots[index];
    let (question, answer) = match topic {
        Topic::Name => (format!("What is in {place}?"), sentence(&indefinite(asked.object))),
        Topic::Property => (
            format!("What is the object in {place} like?"),
            sentence(&format!("{}, which is {}", indefinite(asked.object), attribute_list(asked.object))),
        ),
        Topic::Color => (format!("What colour is the object in {place}?"), sentence(asked.color.name())),
        Topic::Count => {
            asked.count = rng.random_range(1..=4);
            (format!("How many objects are in {place}?"), sentence(number(asked.count)))
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
    GeneralQuestion { topic, shots, question, answer }
}

/// As many images as the topic needs.
fn shots(rng: &mut impl RngExt, topic: Topic, style: Style, admitted: Pairs) -> Vec<Shot> {
    let n_images = match topic {
        Topic::Same | Topic::More => 2,
        Topic::Describe => 2 + rng.random_range(0..2_usize),
        Topic::Caption => 1,
        _ => 1 + rng.random_range(0..2_usize),
    };
    let (mut shots, mut objects) = (Vec::new(), Vec::new());
    for _ in 0..n_images {
        let sampled = rng.random_range(0..ObjectKind::ALL.len());
        let object = beside(&objects, sampled, admitted);
        objects.push(object);
        shots.push(Shot::random(rng, object, style));
    }
    shots
}

/// The object of this index, or where it may not stand beside those before it, the next in line that may: nothing more
/// is sampled, so that whatever comes after stays as it is.
fn beside(before: &[ObjectKind], index: usize, admitted: Pairs) -> ObjectKind {
    let from_index = ObjectKind::ALL.into_iter().cycle().skip(index);
    from_index
        .take(ObjectKind::ALL.len())
        .find(|object| admitted.admits(&[before, &[*object]].concat()))
        .unwrap_or(ObjectKind::ALL[index])
}

/// Whether both images show the same object, as half of them do.
fn same(rng: &mut impl RngExt, shots: &mut [Shot]) -> (String, String) {
    if rng.random_bool(0.5) {
        shots[1].object = shots[0].object;
    }
    let is_same = shots[0].object == shots[1].object;
    ("Do both images show the same object?".to_owned(), sentence(if is_same { "yes" } else { "no" }))
}

/// Which image shows more objects.
fn more(rng: &mut impl RngExt, shots: &mut [Shot]) -> (String, String) {
    shots[0].count = rng.random_range(1..=4);
    shots[1].count = 1 + (shots[0].count - 1 + rng.random_range(1..4_usize)) % 4;
    let more = usize::from(shots[1].count > shots[0].count);
    ("Which image shows more objects?".to_owned(), format!("The {} image.", ordinal(more)))
}

/// One image: "A kettle: one, red." Several: "The first image shows a kettle: one, red." for each.
fn describe(shots: &[Shot]) -> (String, String) {
    let mut sentences = Vec::new();
    for (image, shot) in shots.iter().enumerate() {
        let subject = if shots.len() == 1 { capitalized(&indefinite(shot.object)) } else { shows(image, shot.object) };
        sentences.push(format!("{subject}: {}, {}.", number(shot.count), shot.color.name()));
    }
    let question = if shots.len() == 1 { "What does the image show?" } else { "What does each image show?" };
    (question.to_owned(), sentences.join(" "))
}

fn number(count: usize) -> &'static str {
    ["none", "one", "two", "three", "four"][count]
}

/// The words with a capital letter and a full stop.
fn sentence(words: &str) -> String {
    capitalized(words) + "."
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::rules::pairs;
    use crate::scenario::is_held_out;

    fn shows_held_out_pair(asked: &GeneralQuestion) -> bool {
        let objects: Vec<ObjectKind> = asked.shots.iter().map(|shot| shot.object).collect();
        pairs(&objects).any(|(one, other)| is_held_out(one, other))
    }

    #[test]
    fn questions_to_train_on_show_no_pair_that_is_held_out_and_leave_what_is_sampled_after_as_it_is() {
        let [mut any, mut seen] = [5, 5].map(ChaCha8Rng::seed_from_u64);
        let mut n_replaced = 0;
        for topic in
            [Topic::Name, Topic::Count, Topic::Same, Topic::More, Topic::Describe].into_iter().cycle().take(4000)
        {
            let before = sample(&mut any, topic, Style::Plain, Pairs::Any);
            let after = sample(&mut seen, topic, Style::Plain, Pairs::Seen);
            assert!(!shows_held_out_pair(&after), "{after:?}");
            if shows_held_out_pair(&before) {
                n_replaced += 1;
            } else {
                assert_eq!(format!("{before:?}"), format!("{after:?}"));
            }
        }
        assert!(n_replaced > 50, "{n_replaced}");
        assert_eq!(any.random::<u64>(), seen.random::<u64>());
    }
}
