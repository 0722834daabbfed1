//! The size that a dialogue gives to one of its images, before the model's own processor sees it.

use super::decode::MAX_PIXELS;
use super::{rounded_sides, within_limits};
use crate::error::Error;

/// Least and most image tokens where nothing is said (qwen-vl-utils' `IMAGE_MIN_TOKEN_NUM` and `IMAGE_MAX_TOKEN_NUM`).
const DEFAULT_TOKENS: [usize; 2] = [4, 16_384];

/// The size of one image, as qwen-vl-utils' `fetch_image` takes it (names as there). With nothing given the image
/// stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageSize {
    /// An image with fewer pixels is enlarged.
    pub min_pixels: Option<u32>,
    /// An image with more pixels is shrunk.
    pub max_pixels: Option<u32>,
    /// The height, in pixels. With a width beside it the limits say nothing.
    pub resized_height: Option<u32>,
    /// The width, in pixels.
    pub resized_width: Option<u32>,
}

impl ImageSize {
    /// What is given, by name.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let settings = [
            ("min_pixels", self.min_pixels),
            ("max_pixels", self.max_pixels),
            ("resized_height", self.resized_height),
            ("resized_width", self.resized_width),
        ];
        settings.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }

    /// Whether nothing is given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Height and width that an image of this height and width is resized to, multiples of `factor`; the model's own
    /// processor may resize it once more.
    ///
    /// Source: `fetch_image` of qwen-vl-utils 0.0.14.
    ///
    /// Errors: `Input` for a height without a width or a width without a height, which the library ignores; for limits
    /// that exclude each other, those by default included; for sides that differ too much, or would vanish.
    pub(super) fn resized(&self, height: usize, width: usize, factor: usize) -> Result<(usize, usize), Error> {
        let [least, most] = DEFAULT_TOKENS.map(|n_tokens| n_tokens * factor * factor);
        let (sides, limits) = match (self.resized_height, self.resized_width) {
            (Some(height), Some(width)) => ((height as usize, width as usize), (least, most)),
            (None, None) => ((height, width), (pixels(self.min_pixels, least), pixels(self.max_pixels, most))),
            (Some(_), None) => return Err(Error::Input(alone("resized_height", "resized_width"))),
            (None, Some(_)) => return Err(Error::Input(alone("resized_width", "resized_height"))),
        };
        check_limits(limits)?;
        // Differs from transformers' function of the same name: a side is at least one block before the area counts,
        // and may be none after it.
        let rounded = rounded_sides(sides, factor)?.map(|side| side.max(factor));
        let [height, width] = within_limits(sides, rounded, factor, limits);
        if height == 0 || width == 0 {
            let (height, width) = sides;
            return Err(Error::Input(format!(
                "`max_pixels` of one image: expected enough for sides of {factor} pixels in an image of {width} x {height}, \
                 got {}",
                limits.1
            )));
        }
        Ok((height, width))
    }

    /// Refuses what is given, for a family whose library knows none of it.
    ///
    /// Errors: `Input` naming the first setting.
    pub(crate) fn refuse(&self) -> Result<(), Error> {
        match self.given().next() {
            None => Ok(()),
            Some((name, _)) => Err(Error::Input(format!(
                "`{name}` of one image is not for this model: expected none, since only the processors of Qwen's models \
                 know it (`max_dynamic_patch` limits all images)"
            ))),
        }
    }
}

fn pixels(given: Option<u32>, default: usize) -> usize {
    given.map_or(default, |given| given as usize)
}

fn alone(name: &str, other: &str) -> String {
    format!("`{name}` of one image: expected `{other}` beside it, got none")
}

fn check_limits((min_pixels, max_pixels): (usize, usize)) -> Result<(), Error> {
    let problem = if min_pixels > max_pixels {
        let expected = format!("at least its `min_pixels` ({min_pixels}, by default 4 image tokens)");
        format!("`max_pixels` of one image: expected {expected}, got {max_pixels}")
    } else if min_pixels as u64 > MAX_PIXELS {
        format!("`min_pixels` of one image: expected at most {MAX_PIXELS}, got {min_pixels}")
    } else {
        return Ok(());
    };
    Err(Error::Input(problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(settings: [u32; 4]) -> ImageSize {
        let [min_pixels, max_pixels, resized_height, resized_width] = settings.map(|n| (n > 0).then_some(n));
        ImageSize { min_pixels, max_pixels, resized_height, resized_width }
    }

    #[test]
    fn what_the_library_ignores_or_cannot_do_is_refused() {
        for (settings, sides, expected) in [
            ([0, 0, 56, 0], (90, 90), "`resized_height` of one image: expected `resized_width` beside it"),
            ([0, 900, 0, 56], (90, 90), "`resized_width` of one image: expected `resized_height` beside it"),
            (
                [0, 3135, 0, 0],
                (90, 90),
                "expected at least its `min_pixels` (3136, by default 4 image tokens), got 3135",
            ),
            ([9000, 8999, 0, 0], (90, 90), "`min_pixels` (9000, "),
            ([178_956_971, u32::MAX, 0, 0], (90, 90), "`min_pixels` of one image: expected at most 178956970"),
            ([0, 0, 10_000, 20], (90, 90), "an image of 20 x 10000 pixels: expected sides that differ by a factor"),
            ([0, 3136, 0, 0], (28, 5600), "expected enough for sides of 28 pixels in an image of 5600 x 28, got 3136"),
        ] {
            let problem = of(settings).resized(sides.0, sides.1, 28).unwrap_err().to_string();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
