//! The projector: each square of neighboring patches becomes one row of the language model's width.

use burn::tensor::{Tensor, activation};

use super::super::config::VisionConfig;
use super::block::NORM_EPSILON;
use crate::error::Error;
use crate::linear::Linear;
use crate::norm::Norm;
use crate::parameter::parameters;
use crate::weights::WeightReader;

/// Norm of each patch; then the patches of a merge unit, put end to end, through two layers with a GELU between.
#[derive(Clone, Debug)]
pub(super) struct PatchMerger {
    ln_q: Norm,
    expand: Linear,
    project: Linear,
}

impl PatchMerger {
    /// Reads `visual.merger.{ln_q,mlp.0,mlp.2}`.
    pub fn load(reader: &mut WeightReader, config: &VisionConfig) -> Result<Self, Error> {
        let (d, d_vision) = (config.out_hidden_size, config.hidden_size);
        let merged = d_vision * config.spatial_merge_size.pow(2);
        let kind = (config.norm, NORM_EPSILON);
        Ok(Self {
            ln_q: Norm::load(reader, "visual.merger.ln_q", d_vision, kind)?,
            expand: Linear::load(reader, "visual.merger.mlp.0", [merged, merged], true)?,
            project: Linear::load(reader, "visual.merger.mlp.2", [d, merged], true)?,
        })
    }

    /// `[p, d_vision]` → `[p / merge², d]`.
    pub fn forward(&self, hidden: Tensor<2>) -> Tensor<2> {
        let [n_patches, width] = hidden.dims();
        let (merged, _) = self.expand.widths();
        let units = self.ln_q.forward(hidden).reshape([n_patches * width / merged, merged]);
        self.project.forward(activation::gelu(self.expand.forward(units)))
    }
}

parameters!(PatchMerger: ln_q, expand, project);
