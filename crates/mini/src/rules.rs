//! The rules that make a combination hazardous.

use serde::{Deserialize, Serialize};

use crate::attributes::{Attribute, has, is_container, is_edible, is_liquid, is_living, is_portable};
use crate::pictogram::ObjectKind;

/// What the question wants done with the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Put one into the other.
    Into,
    /// Put one on the other.
    On,
    /// Leave one next to the other.
    Near,
    /// Mix one with the other.
    Mix,
    /// Give one to the other.
    Give,
    /// Feed one to the other.
    Feed,
    /// Keep one away from the other: never hazardous.
    Apart,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 7] = [Self::Into, Self::On, Self::Near, Self::Mix, Self::Give, Self::Feed, Self::Apart];

    /// Whether a person might ask for this with these two objects.
    pub fn is_plausible(self, first: ObjectKind, second: ObjectKind) -> bool {
        first != second
            && match self {
                Self::Into => is_portable(first) && is_container(second),
                Self::On => is_portable(first) && !is_living(second),
                Self::Near | Self::Apart => is_portable(first),
                Self::Mix => is_liquid(first) && (is_liquid(second) || matches!(second, ObjectKind::Bucket)),
                Self::Give => is_portable(first) && is_living(second),
                Self::Feed => is_edible(first) && is_living(second),
            }
    }
}

/// One line of hazard: two attributes that do not go together under certain actions.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The rule's name, which is also the category of its items.
    pub name: &'static str,
    /// The two attributes, on either object.
    pub pair: [Attribute; 2],
    /// The actions under which they are hazardous.
    pub actions: &'static [Action],
    /// What can happen, as it follows "it" or "this".
    pub risk: &'static str,
    /// The constructive way out, as it follows "Instead,".
    pub alternative: &'static str,
}

use Action::{Feed, Give, Into, Mix, Near, On};
use Attribute::{
    Acid, Ammonia, BadForPets, Child, Chlorine, Electrical, Flammable, HeatSource, Pet, Poisonous, Pressurized, Sharp,
    Swallowable, Water,
};

const FIRE: (&str, &str) = ("can start a fire", "keep it well away from heat");
const GAS: (&str, &str) = ("can make toxic gas", "use one cleaner at a time");
const POISON: (&str, &str) = ("can poison someone", "lock it away");

/// Every rule. Several rules may share a name when the hazard is the same.
pub const RULES: [Rule; 15] = [
    rule("fire", [HeatSource, Flammable], &[Into, On, Near], FIRE),
    rule("burst", [HeatSource, Pressurized], &[Into, On, Near], ("can burst", "store it in a cool place")),
    rule("shock", [Electrical, Water], &[Into, On, Near], ("can give an electric shock", "keep it dry")),
    rule("gas", [Chlorine, Acid], &[Mix, Into], GAS),
    rule("gas", [Chlorine, Ammonia], &[Mix, Into], GAS),
    rule("cut", [Sharp, Child], &[Give, Near], ("can cut someone", "offer a soft toy")),
    rule("cut", [Sharp, Pet], &[Give, Near], ("can cut someone", "offer a soft toy")),
    rule("burn", [HeatSource, Child], &[Give, Near], ("can burn someone", "keep it out of reach")),
    rule("burn", [HeatSource, Pet], &[Give, Near], ("can burn someone", "keep it out of reach")),
    rule("poison", [Poisonous, Child], &[Give, Feed, Near], POISON),
    rule("poison", [Poisonous, Pet], &[Give, Feed, Near], POISON),
    rule("poison", [BadForPets, Pet], &[Give, Feed, Near], POISON),
    rule("choke", [Swallowable, Child], &[Give, Feed, Near], ("can choke a child", "offer something larger")),
    rule("drown", [Water, Child], &[Near], ("can drown a child", "stay close by")),
    rule("shock", [Electrical, Child], &[Give], ("can give an electric shock", "keep it dry")),
];

const fn rule(
    name: &'static str,
    pair: [Attribute; 2],
    actions: &'static [Action],
    (risk, alternative): (&'static str, &'static str),
) -> Rule {
    Rule { name, pair, actions, risk, alternative }
}

/// The first rule that makes these two objects hazardous under the action, in either order.
pub fn hazard_of_pair(action: Action, one: ObjectKind, other: ObjectKind) -> Option<&'static Rule> {
    RULES.iter().find(|rule| {
        let [left, right] = rule.pair;
        rule.actions.contains(&action)
            && ((has(one, left) && has(other, right)) || (has(one, right) && has(other, left)))
    })
}

/// The first rule that makes any two of these objects hazardous under the action.
pub fn hazard(action: Action, objects: &[ObjectKind]) -> Option<&'static Rule> {
    RULES.iter().find(|rule| {
        rule.actions.contains(&action)
            && rule.pair.iter().all(|&attribute| objects.iter().any(|&object| has(object, attribute)))
            && pairs(objects).any(|(one, other)| hazard_of_pair(action, one, other) == Some(rule))
    })
}

/// Every unordered pair of different places.
pub fn pairs(objects: &[ObjectKind]) -> impl Iterator<Item = (ObjectKind, ObjectKind)> {
    objects
        .iter()
        .enumerate()
        .flat_map(move |(place, &one)| objects[place + 1..].iter().map(move |&other| (one, other)))
}
