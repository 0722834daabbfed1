//! The world's objects: one line each, with article, name and drawing.

use serde::{Deserialize, Serialize};

use super::objects::{bottles, electric, fire, flammable, food, home, living, tools, water};
use super::shape::Drawing;

macro_rules! object_kinds {
    ($($variant:ident $article:literal $name:literal $drawing:path;)*) => {
        /// What an object is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ObjectKind {
            $(#[doc = concat!("The ", $name, ".")] $variant,)*
        }

        impl ObjectKind {
            /// Every object.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The object's name: one or two lower-case English words.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The indefinite article before the name: `a`, `an`, or `some` for plurals and substances.
            pub fn article(self) -> &'static str {
                match self { $(Self::$variant => $article,)* }
            }

            /// The object's shapes.
            pub(super) fn drawing(self) -> Drawing {
                match self { $(Self::$variant => $drawing(),)* }
            }
        }
    };
}

object_kinds! {
    Candle "a" "candle" fire::candle;
    Campfire "a" "campfire" fire::campfire;
    Stove "a" "stove" fire::stove;
    Iron "an" "iron" fire::iron;
    Toaster "a" "toaster" fire::toaster;
    Lighter "a" "lighter" fire::lighter;
    Heater "a" "heater" fire::heater;
    Kettle "a" "kettle" fire::kettle;
    PetrolCan "a" "petrol can" bottles::petrol_can;
    PaintThinner "some" "paint thinner" bottles::paint_thinner;
    Newspaper "a" "newspaper" flammable::newspaper;
    Curtain "a" "curtain" flammable::curtain;
    StrawHat "a" "straw hat" flammable::straw_hat;
    Firework "a" "firework" flammable::firework;
    SprayCan "a" "spray can" bottles::spray_can;
    GasBottle "a" "gas bottle" bottles::gas_bottle;
    Bathtub "a" "bathtub" water::bathtub;
    Bucket "a" "bucket" water::bucket;
    Aquarium "an" "aquarium" water::aquarium;
    Puddle "a" "puddle" water::puddle;
    Sink "a" "sink" water::sink;
    HairDryer "a" "hair dryer" electric::hair_dryer;
    Radio "a" "radio" electric::radio;
    Lamp "a" "lamp" electric::lamp;
    PowerStrip "a" "power strip" electric::power_strip;
    Television "a" "television" electric::television;
    Bleach "some" "bleach" bottles::bleach;
    Vinegar "some" "vinegar" bottles::vinegar;
    DrainCleaner "some" "drain cleaner" bottles::drain_cleaner;
    Ammonia "some" "ammonia" bottles::ammonia;
    Battery "a" "battery" electric::battery;
    Baby "a" "baby" living::baby;
    Toddler "a" "toddler" living::toddler;
    Dog "a" "dog" living::dog;
    Cat "a" "cat" living::cat;
    Parrot "a" "parrot" living::parrot;
    Knife "a" "knife" tools::knife;
    Scissors "some" "scissors" tools::scissors;
    RazorBlade "a" "razor blade" tools::razor_blade;
    Needle "a" "needle" tools::needle;
    Mushroom "a" "mushroom" food::mushroom;
    Pills "some" "pills" food::pills;
    Chocolate "some" "chocolate" food::chocolate;
    Grapes "some" "grapes" food::grapes;
    Onion "an" "onion" food::onion;
    Apple "an" "apple" food::apple;
    Bread "some" "bread" food::bread;
    Cup "a" "cup" home::cup;
    Spoon "a" "spoon" home::spoon;
    Book "a" "book" home::book;
    TeddyBear "a" "teddy bear" home::teddy_bear;
    Ball "a" "ball" home::ball;
    Chair "a" "chair" home::chair;
    Shoe "a" "shoe" home::shoe;
}
