//! Scenarios: which objects, in which images, and what is to be done with them.

use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use rand::RngExt;
use rand::seq::IndexedRandom;
use serde::{Deserialize, Serialize};

use crate::attributes::has;
use crate::pictogram::ObjectKind;
use crate::rules::{Action, RULES, Rule, hazard, hazard_of_pair, pairs};
use align::seeds::derive_seed;

/// What a question is about. The objects stand in the order of the images; `roles` says which image plays which part
/// in the action, so that the first-named object is not always in the first image.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What is to be done.
    pub action: Action,
    /// The object of each image.
    pub objects: Vec<ObjectKind>,
    /// The image, counted from zero, of each part of the action.
    pub roles: Vec<usize>,
}

impl Scenario {
    /// The object that plays a part of the action.
    pub fn part(&self, role: usize) -> ObjectKind {
        self.objects[self.roles[role]]
    }

    /// The rule that makes the scenario hazardous, if any.
    pub fn hazard(&self) -> Option<&'static Rule> {
        hazard(self.action, &self.objects)
    }

    /// The scenario with another object in an image, where it is plausible, admitted and not hazardous.
    fn benign_with(&self, image: usize, object: ObjectKind, admitted: Pairs) -> Option<Self> {
        let mut twin = self.clone();
        twin.objects[image] = object;
        (twin.is_plausible() && twin.hazard().is_none() && admitted.admits(&twin.objects)).then_some(twin)
    }

    fn is_plausible(&self) -> bool {
        (1..self.roles.len()).all(|role| self.action.is_plausible(self.part(0), self.part(role)))
            && pairs(&self.objects).all(|(one, other)| one != other)
    }
}

/// Which object pairs may be used: those of training, those kept out of it, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// Pairs seen in training.
    Seen,
    /// Pairs never seen in training, whatever the action.
    Unseen,
    /// Either.
    Any,
}

impl Pairs {
    /// Whether every pair of the objects may be used.
    pub(crate) fn admits(self, objects: &[ObjectKind]) -> bool {
        match self {
            Self::Any => true,
            Self::Seen => pairs(objects).all(|(one, other)| !is_held_out(one, other)),
            Self::Unseen => pairs(objects).all(|(one, other)| is_held_out(one, other)),
        }
    }

    /// An unseen hazard is one whose hazardous pair was never seen; a bystander may be anything.
    fn admits_hazard(self, scenario: &Scenario) -> bool {
        match self {
            Self::Unseen => pairs(&scenario.objects)
                .filter(|&(one, other)| hazard_of_pair(scenario.action, one, other).is_some())
                .all(|(one, other)| is_held_out(one, other)),
            _ => self.admits(&scenario.objects),
        }
    }
}

/// Keeps about a quarter of every rule's pairs out of training, and leaves each rule at least one pair to train on.
const SALT: u64 = 39;

/// A rule of fewer pairs keeps them all: from a single example nobody can tell which attributes it goes by.
const FEWEST_PAIRS: usize = 3;

static HELD_OUT: LazyLock<HashSet<[ObjectKind; 2]>> = LazyLock::new(|| {
    RULES
        .iter()
        .map(pairs_under)
        .filter(|pairs| pairs.len() >= FEWEST_PAIRS)
        .flatten()
        .filter(|[one, other]| {
            derive_seed(SALT, &format!("{} and {}", one.name(), other.name()), &[]).is_multiple_of(4)
        })
        .collect()
});

/// Whether an unordered pair of objects is kept out of training: a fixed quarter of the pairs that a rule makes
/// hazardous, by a hash of the names, so that it is the same for every seed.
pub fn is_held_out(one: ObjectKind, other: ObjectKind) -> bool {
    HELD_OUT.contains(&by_name(one, other))
}

/// Every pair of objects that has the rule's attributes.
pub fn pairs_under(rule: &Rule) -> BTreeSet<[ObjectKind; 2]> {
    let [left, right] = rule.pair;
    let mut pairs = BTreeSet::new();
    for one in ObjectKind::ALL {
        for other in ObjectKind::ALL {
            if one != other && has(one, left) && has(other, right) {
                pairs.insert(by_name(one, other));
            }
        }
    }
    pairs
}

fn by_name(one: ObjectKind, other: ObjectKind) -> [ObjectKind; 2] {
    if one.name() < other.name() { [one, other] } else { [other, one] }
}

/// Samples a hazardous scenario: a rule and one of its actions, then objects; where these do not make that rule's
/// hazard, all of it anew. So rules that more pairs of objects fit come more often, and no single pair makes up much of
/// a split.
///
/// `n_images` is 2 or 3; with 3, one object is a bystander.
pub fn hazardous(rng: &mut impl RngExt, admitted: Pairs, n_images: usize) -> Scenario {
    loop {
        let rule = &RULES[rng.random_range(0..RULES.len())];
        let action = *rule.actions.choose(rng).unwrap_or(&Action::Near);
        if let Some(scenario) = sample(rng, action, n_images)
            .filter(|scenario| scenario.hazard() == Some(rule) && admitted.admits_hazard(scenario))
        {
            return scenario;
        }
    }
}

/// Samples a scenario without hazard.
pub fn benign(rng: &mut impl RngExt, admitted: Pairs, n_images: usize) -> Scenario {
    loop {
        let action = Action::ALL[rng.random_range(0..Action::ALL.len())];
        if let Some(scenario) = sample(rng, action, n_images)
            .filter(|scenario| scenario.hazard().is_none() && admitted.admits(&scenario.objects))
        {
            return scenario;
        }
    }
}

/// The benign-image twin of a scenario: one object swapped for another so that no rule holds; the question stays the
/// same. None where no swap will do, as where each of three objects is hazardous beside either of the others.
pub fn benign_twin(rng: &mut impl RngExt, scenario: &Scenario, admitted: Pairs) -> Option<Scenario> {
    let n_images = scenario.objects.len();
    let mut swaps = (0..n_images).flat_map(|image| ObjectKind::ALL.map(|object| (image, object)));
    swaps.find_map(|(image, object)| scenario.benign_with(image, object, admitted))?;
    loop {
        let image = rng.random_range(0..n_images);
        let object = ObjectKind::ALL[rng.random_range(0..ObjectKind::ALL.len())];
        if let Some(twin) = scenario.benign_with(image, object, admitted) {
            return Some(twin);
        }
    }
}

/// The benign-prompt twin of a scenario: the same objects, and another action under which no rule holds; the images
/// stay the same. None for three objects, which are only ever left next to each other.
pub fn benign_prompt_twin(rng: &mut impl RngExt, scenario: &Scenario) -> Option<Scenario> {
    if scenario.objects.len() > 2 {
        return None;
    }
    let mut benign = Vec::new();
    for action in Action::ALL {
        let twin = Scenario { action, ..scenario.clone() };
        if twin.is_plausible() && twin.hazard().is_none() {
            benign.push(twin);
        }
    }
    benign.choose(rng).cloned()
}

fn sample(rng: &mut impl RngExt, action: Action, n_images: usize) -> Option<Scenario> {
    let action = if n_images > 2 { Action::Near } else { action };
    let objects = (0..n_images).map(|_| ObjectKind::ALL[rng.random_range(0..ObjectKind::ALL.len())]).collect();
    let mut roles: Vec<usize> = (0..n_images).collect();
    let swap = rng.random_range(0..n_images);
    roles.swap(0, swap);
    Some(Scenario { action, objects, roles }).filter(Scenario::is_plausible)
}
