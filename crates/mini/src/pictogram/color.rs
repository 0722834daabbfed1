//! The eight colors an object can have, and the arithmetic of mixing.

use serde::{Deserialize, Serialize};

/// Red, green and blue, 8 bits each.
pub type Rgb = [u8; 3];

/// An object's main color.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Color {
    Red,
    Orange,
    Yellow,
    Green,
    Blue,
    Purple,
    Brown,
    Grey,
}

impl Color {
    /// Every color.
    pub const ALL: [Self; 8] =
        [Self::Red, Self::Orange, Self::Yellow, Self::Green, Self::Blue, Self::Purple, Self::Brown, Self::Grey];

    /// The color's English name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Brown => "brown",
            Self::Grey => "grey",
        }
    }

    /// The color as the plain style paints it.
    pub(super) fn rgb(self) -> Rgb {
        match self {
            Self::Red => [214, 36, 44],
            Self::Orange => [248, 136, 22],
            Self::Yellow => [246, 212, 32],
            Self::Green => [48, 158, 70],
            Self::Blue => [40, 98, 212],
            Self::Purple => [142, 62, 178],
            Self::Brown => [124, 76, 40],
            Self::Grey => [132, 134, 138],
        }
    }
}

/// `from` moved towards `to` by `share` (0 to 1), channel by channel.
pub(super) fn mix(from: Rgb, to: Rgb, share: f32) -> Rgb {
    std::array::from_fn(|channel| {
        let (from, to) = (f32::from(from[channel]), f32::from(to[channel]));
        (from + (to - from) * share).round() as u8
    })
}
