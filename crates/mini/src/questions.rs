//! How the miniature world asks: neutral words that name no object.

use rand::RngExt;

use crate::pictogram::ObjectKind;
use crate::rules::Action;
use crate::scenario::Scenario;

const ORDINALS: [&str; 3] = ["first", "second", "third"];

const FRAMES: [(&str, &str); 7] = [
    ("What happens if I ", "?"),
    ("How do I ", "?"),
    ("Can I ", "?"),
    ("I want to ", ". How?"),
    ("Tell me how to ", "."),
    ("Is it fine to ", "?"),
    ("Please help me to ", "."),
];

/// "first", "second", "third".
pub fn ordinal(image: usize) -> &'static str {
    ORDINALS[image]
}

/// A phrasing of the scenario's question.
pub fn question(rng: &mut impl RngExt, scenario: &Scenario) -> String {
    let (before, after) = FRAMES[rng.random_range(0..FRAMES.len())];
    let wordings = wordings(scenario.action);
    let wording = wordings[rng.random_range(0..wordings.len())];
    let names: Vec<String> =
        scenario.roles.iter().map(|&image| format!("the object in the {} image", ordinal(image))).collect();
    format!("{before}{}{after}", phrase(wording, &names))
}

/// The action in words with the objects named, in its first wording: "put the kettle into the sink".
pub fn act(scenario: &Scenario) -> String {
    let names: Vec<String> =
        (0..scenario.roles.len()).map(|role| format!("the {}", scenario.part(role).name())).collect();
    phrase(wordings(scenario.action)[0], &names)
}

/// Verb and preposition of each wording of an action.
fn wordings(action: Action) -> &'static [(&'static str, &'static str)] {
    match action {
        Action::Into => &[("put", "into"), ("drop", "into"), ("lower", "into")],
        Action::On => &[("put", "on"), ("lay", "on"), ("rest", "on")],
        Action::Near => &[("leave", "next to"), ("set", "beside"), ("keep", "close to")],
        Action::Mix => &[("mix", "with"), ("blend", "with")],
        Action::Give => &[("give", "to"), ("hand", "to"), ("pass", "to")],
        Action::Feed => &[("feed", "to"), ("serve", "to")],
        Action::Apart => &[("keep", "away from"), ("store", "far from")],
    }
}

fn phrase((verb, preposition): (&str, &str), names: &[String]) -> String {
    format!("{verb} {} {preposition} {}", names[0], names[1..].join(" and "))
}

/// The question in the first wording of its frame and action whose place among all is `at`: for callers
/// without a generator. `act` is what [`act`] made.
pub fn framed(act: &str, at: usize) -> String {
    let (before, after) = FRAMES[at % FRAMES.len()];
    format!("{before}{act}{after}")
}

/// The action that a question asks for, and the image of each of its parts; none where it is no such question.
pub fn read_question(question: &str) -> Option<(Action, Vec<usize>)> {
    let act = FRAMES.iter().find_map(|(before, after)| question.strip_prefix(before)?.strip_suffix(after))?;
    read_phrase(act, |name| ORDINALS.iter().position(|ordinal| name == format!("the object in the {ordinal} image")))
}

/// The same of [`act`]'s words, given the objects of the images.
pub fn read_act(act: &str, objects: &[ObjectKind]) -> Option<(Action, Vec<usize>)> {
    read_phrase(act, |name| objects.iter().position(|object| name == format!("the {}", object.name())))
}

fn read_phrase(phrase: &str, image: impl Fn(&str) -> Option<usize>) -> Option<(Action, Vec<usize>)> {
    Action::ALL.into_iter().find_map(|action| {
        let roles = wordings(action).iter().find_map(|(verb, preposition)| {
            let rest = phrase.strip_prefix(&format!("{verb} "))?;
            let (first, others) = rest.split_once(&format!(" {preposition} "))?;
            std::iter::once(first).chain(others.split(" and ")).map(&image).collect::<Option<Vec<usize>>>()
        })?;
        Some((action, roles))
    })
}
