//! From the vision tower's width to the language model's: pixel shuffle, then a norm and two layers.

use burn::tensor::{Tensor, activation};

use super::config::VisionConfig;
use crate::error::Error;
use crate::linear::Linear;
use crate::norm::{Norm, NormKind};
use crate::parameter::parameters;
use crate::weights::WeightReader;

/// Norm of four neighboring patches put end to end, then two layers with a GELU between.
#[derive(Clone, Debug)]
pub(super) struct Projector {
    norm: Norm,
    expand: Linear,
    project: Linear,
}

impl Projector {
    /// Reads the norm and the two layers of these names.
    pub fn load(
        reader: &mut WeightReader,
        [norm, expand, project]: [&str; 3],
        config: &VisionConfig,
        d: usize,
    ) -> Result<Self, Error> {
        // The published code leaves the epsilon of this norm at PyTorch's default.
        const NORM_EPSILON: f64 = 1e-5;
        let merged = 4 * config.hidden_size;
        Ok(Self {
            norm: Norm::load(reader, norm, merged, (NormKind::Layer, NORM_EPSILON))?,
            expand: Linear::load(reader, expand, [d, merged], true)?,
            project: Linear::load(reader, project, [d, d], true)?,
        })
    }

    /// `[tiles, side², d_vision]` → `[tiles · side² / 4, d]`.
    pub fn forward(&self, patches: Tensor<3>, side: usize) -> Tensor<2> {
        let shuffled = self.norm.forward(pixel_shuffle(patches, side));
        self.project.forward(activation::gelu(self.expand.forward(shuffled)))
    }
}

/// Upstream's `pixel_shuffle` at scale 0.5, `ps_version` v2. Shapes: `[n, side², c]` → `[n · side² / 4, 4 c]`.
fn pixel_shuffle(patches: Tensor<3>, side: usize) -> Tensor<2> {
    let [n, _, c] = patches.dims();
    let half = side / 2;
    let paired = patches.reshape([n, side, half, 2 * c]).swap_dims(1, 2); // [n, half, side, 2 c]
    let squares = paired.reshape([n, half, half, 4 * c]).swap_dims(1, 2);
    squares.reshape([n * half * half, 4 * c])
}

parameters!(Projector: norm, expand, project);
