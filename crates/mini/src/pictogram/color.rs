//! The eight colors an object can have, and the arithmetic of mixing.

use serde::{Deserialize, Serialize};

/// Red, green and blue, 8 bits each.
pub type Rgb = [u8; 3];

macro_rules! colors {
    ($($variant:ident $name:literal $rgb:expr;)*) => {
        /// An object's main color.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        #[expect(missing_docs, reason = "the names say it")]
        pub enum Color {
            $($variant,)*
        }

        impl Color {
            /// Every color.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The color's English name, in lower case.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The color as the plain style paints it.
            pub(super) fn rgb(self) -> Rgb {
                match self { $(Self::$variant => $rgb,)* }
            }
        }
    };
}

colors! {
    Red "red" [214, 36, 44];
    Orange "orange" [248, 136, 22];
    Yellow "yellow" [246, 212, 32];
    Green "green" [48, 158, 70];
    Blue "blue" [40, 98, 212];
    Purple "purple" [142, 62, 178];
    Brown "brown" [124, 76, 40];
    Grey "grey" [132, 134, 138];
}

/// `from` moved towards `to` by `share` (0 to 1), channel by channel.
pub(super) fn mix(from: Rgb, to: Rgb, share: f32) -> Rgb {
    std::array::from_fn(|channel| {
        let (from, to) = (f32::from(from[channel]), f32::from(to[channel]));
        (from + (to - from) * share).round() as u8
    })
}
