//! The projector: each square of neighbouring patches becomes one row of the language model's width.

use burn::tensor::{Device, Tensor, activation};

use super::block::NORM_EPSILON;
use crate::error::Error;
use crate::families::qwen2_5_vl::VisionConfig;
use crate::linear::Linear;
use crate::norm::Norm;
use crate::parameter::{AnyParameter, Parameters};
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
    pub fn load(reader: &mut WeightReader, config: &VisionConfig, device: &Device) -> Result<Self, Error> {
        let merged = config.hidden_size * config.spatial_merge_size.pow(2);
        Ok(Self {
            ln_q: Norm::load(
                reader,
                "visual.merger.ln_q",
                config.hidden_size,
                (config.norm, NORM_EPSILON),
                device,
            )?,
            expand: Linear::load(reader, "visual.merger.mlp.0", [merged, merged], true, device)?,
            project: Linear::load(
                reader,
                "visual.merger.mlp.2",
                [config.out_hidden_size, merged],
                true,
                device,
            )?,
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

impl Parameters for PatchMerger {
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter)) {
        self.ln_q.visit_parameters(visit);
        self.expand.visit_parameters(visit);
        self.project.visit_parameters(visit);
    }
}
