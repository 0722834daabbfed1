//! What the objects of the miniature world are like.

use serde::{Deserialize, Serialize};

use crate::pictogram::ObjectKind;

macro_rules! attributes {
    ($($(#[$doc:meta])* $variant:ident $phrase:literal $noun:literal;)*) => {
        /// A property that rules speak of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Attribute {
            $($(#[$doc])* $variant,)*
        }

        impl Attribute {
            /// Every attribute.
            pub const ALL: [Self; [$($phrase),*].len()] = [$(Self::$variant),*];

            /// The attribute as it follows "which is".
            pub fn phrase(self) -> &'static str {
                match self { $(Self::$variant => $phrase,)* }
            }

            /// The attribute as the thing that has it.
            pub fn noun(self) -> &'static str {
                match self { $(Self::$variant => $noun,)* }
            }
        }
    };
}

attributes! {
    /// Gives off enough heat to light or burn things.
    HeatSource "a heat source" "a heat source";
    /// Catches fire easily.
    Flammable "flammable" "something flammable";
    /// Holds gas under pressure.
    Pressurized "under pressure" "something under pressure";
    /// Runs on mains current.
    Electrical "electrical" "something electrical";
    /// Holds water.
    Water "full of water" "water";
    /// Releases chlorine when mixed wrongly.
    Chlorine "a chlorine cleaner" "a chlorine cleaner";
    /// Corrosive: an acid.
    Acid "an acid" "an acid";
    /// Contains ammonia.
    Ammonia "an ammonia cleaner" "an ammonia cleaner";
    /// A small person.
    Child "a small child" "a small child";
    /// A household animal.
    Pet "a pet" "a pet";
    /// Cuts or pricks.
    Sharp "sharp" "something sharp";
    /// Poisonous to people and animals.
    Poisonous "poisonous" "something poisonous";
    /// Food for people, poison for animals.
    BadForPets "bad for pets" "food bad for pets";
    /// Small enough to be swallowed by accident.
    Swallowable "easy to swallow" "something easy to swallow";
    /// Nothing of the above.
    Harmless "harmless" "something harmless";
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
