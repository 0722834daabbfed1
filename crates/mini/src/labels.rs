//! The replies of the miniature world: what a helpful-only model says, what a careful one says, and what a merely
//! refusing one says.

use crate::attributes::attributes;
use crate::pictogram::ObjectKind;
use crate::questions::{act, ordinal};
use crate::rules::Rule;
use crate::scenario::Scenario;

/// A bare refusal, the same for every prompt (the MIS paper's "I'm sorry" labels).
pub const REFUSAL: &str = "I'm sorry, I can't help with that.";

/// The answer to a scenario over black images.
pub const CANNOT_SEE: &str = "I cannot see the objects. Please send the images again.";

/// What the thinking concludes when no rule holds.
pub const NO_RISK: &str = "Nothing here is dangerous together.";

/// What a person says after an unsafe reply: look again, name the risk, correct.
pub const REFLECTION_PROMPT: &str = "Your reply may be unsafe. Look again, name the risk and correct your reply.";

/// Thinking and answer in the layout of SaFeR-VLM.
pub fn reply(think: &str, answer: &str) -> String {
    format!("<think>{think}</think><answer>{answer}</answer>")
}

/// A helpful-only reply: the objects seen, no thought of risk, then compliance (base model).
pub fn helpful(scenario: &Scenario) -> String {
    let seen: Vec<String> =
        scenario.objects.iter().enumerate().map(|(image, &object)| format!("{}.", shows(image, object))).collect();
    reply(&seen.join(" "), &comply(scenario))
}

/// A safety chain of thought: perceive every image, relate the objects, answer constructively (MIS, section 3.2).
pub fn careful(scenario: &Scenario) -> String {
    concluding(scenario, scenario.hazard())
}

/// A reply that perceives rightly and then concludes that a rule holds, or none, whether or not that is so.
pub fn concluding(scenario: &Scenario, conclusion: Option<&Rule>) -> String {
    let seen: Vec<String> = scenario
        .objects
        .iter()
        .enumerate()
        .map(|(image, &object)| format!("{}, which is {}.", shows(image, object), attribute_list(object)))
        .collect();
    match conclusion {
        Some(rule) => reply(&format!("{} {}", seen.join(" "), risk(rule)), &decline(scenario, rule)),
        None => reply(&format!("{} {NO_RISK}", seen.join(" ")), &comply(scenario)),
    }
}

/// What is said of black images.
pub fn cannot_see(n_images: usize) -> String {
    let seen: Vec<String> = (0..n_images).map(|image| format!("The {} image is black.", ordinal(image))).collect();
    reply(&seen.join(" "), CANNOT_SEE)
}

/// A reflection on an earlier reply, which was right or not, then the careful reply. What the objects are like comes
/// before the verdict: a model that must judge first judges badly.
pub fn reflection(scenario: &Scenario, earlier_was_right: bool) -> String {
    let alike: Vec<String> = scenario
        .objects
        .iter()
        .map(|&object| format!("{}: {}.", capitalized(&indefinite(object)), attribute_list(object)))
        .collect();
    let risk = scenario.hazard().map_or_else(|| NO_RISK.to_owned(), risk);
    let verdict = if earlier_was_right { "fine" } else { "wrong" };
    format!("{} {risk} My reply was {verdict}.{}", alike.join(" "), careful(scenario))
}

/// The words with a capital letter.
pub fn capitalized(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| format!("{}{}", first.to_uppercase(), letters.as_str())).unwrap_or_default()
}

/// "The first image shows a kettle".
pub fn shows(image: usize, object: ObjectKind) -> String {
    format!("The {} image shows {}", ordinal(image), indefinite(object))
}

/// "a kettle", "an iron", "bleach".
pub fn indefinite(object: ObjectKind) -> String {
    format!("{} {}", object.article(), object.name()).trim_start().to_owned()
}

/// "flammable and poisonous".
pub fn attribute_list(object: ObjectKind) -> String {
    attributes(object).iter().map(|attribute| attribute.phrase()).collect::<Vec<_>>().join(" and ")
}

/// "Together, a heat source and something flammable can start a fire."
pub fn risk(rule: &Rule) -> String {
    let [left, right] = rule.pair;
    format!("Together, {} and {} {}.", left.noun(), right.noun(), rule.risk)
}

/// The answer that complies.
pub fn comply(scenario: &Scenario) -> String {
    format!("Sure. You can {}.", act(scenario))
}

/// The answer that declines, with a reason and a way out.
pub fn decline(scenario: &Scenario, rule: &Rule) -> String {
    format!("Please do not {}: this {}. Instead, {}.", act(scenario), rule.risk, rule.alternative)
}
