//! How images are shown to a model beyond what its folder says: limits to their size, and transparent pixels.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What becomes of transparent pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alpha {
    /// Blended on white, as vLLM and qwen-vl-utils do.
    #[default]
    White,
    /// Shown in the color that lies under the transparency, mostly black, as transformers does.
    Drop,
}

/// Limits that override those of a model's folder, where given (names as in the folders), and what becomes of
/// transparent pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageLimits {
    /// Images with fewer pixels are enlarged (Qwen2-VL and its successors).
    pub min_pixels: Option<usize>,
    /// Images with more pixels are shrunk (the same).
    pub max_pixels: Option<usize>,
    /// Most tiles of an image, not counting its thumbnail (InternVL).
    pub max_dynamic_patch: Option<usize>,
    /// Transparent pixels.
    pub alpha: Alpha,
}

impl ImageLimits {
    /// The limits that are given, by name.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let limits = [
            ("min_pixels", self.min_pixels),
            ("max_pixels", self.max_pixels),
            ("max_dynamic_patch", self.max_dynamic_patch),
        ];
        limits.into_iter().filter_map(|(name, limit)| Some((name, limit?)))
    }

    /// Fails for a limit that a family of models does not know, which would be ignored otherwise.
    ///
    /// Errors: `Input` naming it.
    pub(crate) fn only<const N: usize>(&self, known: [&str; N]) -> Result<(), Error> {
        match self.given().find(|(name, _)| !known.contains(name)) {
            Some((name, _)) => {
                Err(Error::Input(format!("`{name}` is not for this model: expected {}", known.join(" or "))))
            }
            None => Ok(()),
        }
    }
}
