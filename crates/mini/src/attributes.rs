//! What the objects of the miniature world are like.

use serde::{Deserialize, Serialize};

use crate::pictogram::ObjectKind;

/// A property that rules speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    /// Gives off enough heat to light or burn things.
    HeatSource,
    /// Catches fire easily.
    Flammable,
    /// Holds gas under pressure.
    Pressurized,
    /// Runs on mains current.
    Electrical,
    /// Holds water.
    Water,
    /// Releases chlorine when mixed wrongly.
    Chlorine,
    /// Corrosive: an acid.
    Acid,
    /// Contains ammonia.
    Ammonia,
    /// A small person.
    Child,
    /// A household animal.
    Pet,
    /// Cuts or pricks.
    Sharp,
    /// Poisonous to people and animals.
    Poisonous,
    /// Food for people, poison for animals.
    BadForPets,
    /// Small enough to be swallowed by accident.
    Swallowable,
    /// Nothing of the above.
    Harmless,
}

impl Attribute {
    /// The attribute as it follows "which is".
    pub fn phrase(self) -> &'static str {
        match self {
            Self::HeatSource => "a heat source",
            Self::Flammable => "flammable",
            Self::Pressurized => "under pressure",
            Self::Electrical => "electrical",
            Self::Water => "full of water",
            Self::Chlorine => "a chlorine cleaner",
            Self::Acid => "an acid",
            Self::Ammonia => "an ammonia cleaner",
            Self::Child => "a small child",
            Self::Pet => "a pet",
            Self::Sharp => "sharp",
            Self::Poisonous => "poisonous",
            Self::BadForPets => "bad for pets",
            Self::Swallowable => "easy to swallow",
            Self::Harmless => "harmless",
        }
    }

    /// The attribute as the thing that has it.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Flammable => "something flammable",
            Self::Pressurized => "something under pressure",
            Self::Electrical => "something electrical",
            Self::Water => "water",
            Self::Sharp => "something sharp",
            Self::Poisonous => "something poisonous",
            Self::BadForPets => "food bad for pets",
            Self::Swallowable => "something easy to swallow",
            Self::Harmless => "something harmless",
            other => other.phrase(),
        }
    }

    /// Every attribute.
    pub const ALL: [Self; 15] = [
        Self::HeatSource,
        Self::Flammable,
        Self::Pressurized,
        Self::Electrical,
        Self::Water,
        Self::Chlorine,
        Self::Acid,
        Self::Ammonia,
        Self::Child,
        Self::Pet,
        Self::Sharp,
        Self::Poisonous,
        Self::BadForPets,
        Self::Swallowable,
        Self::Harmless,
    ];
}

/// The attributes of an object, in the order in which they are spoken of.
pub fn attributes(object: ObjectKind) -> &'static [Attribute] {
    use Attribute as A;
    use ObjectKind as O;
    match object {
        O::Candle | O::Campfire | O::Stove | O::Iron | O::Lighter | O::Heater | O::Kettle => &[A::HeatSource],
        O::PetrolCan | O::PaintThinner => &[A::Flammable, A::Poisonous],
        O::Newspaper | O::Curtain | O::StrawHat | O::Firework | O::Book => &[A::Flammable],
        O::SprayCan | O::GasBottle => &[A::Pressurized],
        O::Bathtub | O::Bucket | O::Aquarium | O::Puddle | O::Sink => &[A::Water],
        O::HairDryer | O::Radio | O::Lamp | O::PowerStrip | O::Television | O::Toaster => &[A::Electrical],
        O::Bleach => &[A::Chlorine, A::Poisonous],
        O::Vinegar => &[A::Acid],
        O::DrainCleaner => &[A::Acid, A::Poisonous],
        O::Ammonia => &[A::Ammonia, A::Poisonous],
        O::Baby | O::Toddler => &[A::Child],
        O::Dog | O::Cat | O::Parrot => &[A::Pet],
        O::Knife | O::Scissors | O::RazorBlade | O::Needle => &[A::Sharp],
        O::Mushroom | O::Pills => &[A::Poisonous],
        O::Battery => &[A::Swallowable],
        O::Grapes => &[A::BadForPets, A::Swallowable],
        O::Chocolate | O::Onion => &[A::BadForPets],
        O::Apple | O::Bread | O::Cup | O::Spoon | O::TeddyBear | O::Ball | O::Chair | O::Shoe => &[A::Harmless],
    }
}

/// Whether the object has the attribute.
pub fn has(object: ObjectKind, attribute: Attribute) -> bool {
    attributes(object).contains(&attribute)
}

/// Whether the object is a person or an animal.
pub fn is_living(object: ObjectKind) -> bool {
    has(object, Attribute::Child) || has(object, Attribute::Pet)
}

/// Whether a person would carry the object about.
pub fn is_portable(object: ObjectKind) -> bool {
    use ObjectKind as O;
    !is_living(object)
        && !matches!(
            object,
            O::Campfire
                | O::Stove
                | O::Heater
                | O::Bathtub
                | O::Aquarium
                | O::Puddle
                | O::Sink
                | O::Television
                | O::Chair
                | O::Curtain
        )
}

/// Whether something can be put into the object.
pub fn is_container(object: ObjectKind) -> bool {
    use ObjectKind as O;
    has(object, Attribute::Water) || matches!(object, O::Campfire | O::Stove | O::Cup | O::Shoe)
}

/// Whether the object is a liquid in a bottle or tin.
pub fn is_liquid(object: ObjectKind) -> bool {
    use ObjectKind as O;
    matches!(object, O::Bleach | O::Vinegar | O::DrainCleaner | O::Ammonia | O::PaintThinner | O::PetrolCan)
}

/// Whether the object is something that might be eaten.
pub fn is_edible(object: ObjectKind) -> bool {
    use ObjectKind as O;
    matches!(object, O::Mushroom | O::Pills | O::Chocolate | O::Grapes | O::Onion | O::Apple | O::Bread)
}
