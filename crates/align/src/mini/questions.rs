//! How the miniature world asks: neutral words that name no object.

use rand::RngExt;

use super::rules::Action;
use super::scenario::Scenario;

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
    let names: Vec<String> = scenario
        .roles
        .iter()
        .map(|&image| format!("the object in the {} image", ordinal(image)))
        .collect();
    format!("{before}{}{after}", phrase(wording, &names))
}

/// The action in words with the objects named, in its first wording: "put the kettle into the sink".
pub fn act(scenario: &Scenario) -> String {
    let names: Vec<String> = (0..scenario.roles.len())
        .map(|role| format!("the {}", scenario.part(role).name()))
        .collect();
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
