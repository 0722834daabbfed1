//! The miniature world's images: objects go in by kind and color, RGB pixels come out, the same for the same seed.
//!
//! An object is a list of shapes on a 100 x 100 grid (`objects`), a scene says where objects stand and before what
//! (`scene`), and two painters put the same shapes on pixels: [`Style::Plain`] flat and clean, [`Style::Sketch`] as a
//! hatched drawing on paper.

mod backdrop;
mod brush;
mod color;
mod kind;
mod objects;
mod paint;
mod rgb_image;
mod scene;
mod shape;
mod sketch;
mod style;

pub use backdrop::{Background, Clutter, ClutterKind, Pattern};
pub use color::{Color, Rgb};
pub use kind::ObjectKind;
pub use paint::render;
pub use rgb_image::{RgbImage, TITLE, black};
pub use scene::{Corner, Placed, Scene, portrait, scene};
pub use style::Style;

#[cfg(test)]
mod tests;
