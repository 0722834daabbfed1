//! The two drawing styles.

use serde::{Deserialize, Serialize};

/// How an image is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// Flat saturated colors with thin outlines on a pale ground.
    Plain,
    /// Muted hatched colors under wavering double outlines on paper: the `real` split's style.
    Sketch,
}
