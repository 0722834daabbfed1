//! One block of the vision tower: attention within groups of patches, then a feed-forward layer.

use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};

use super::arrangement::Run;
use crate::error::Error;
use crate::families::qwen2_5_vl::{FeedForwardKind, VisionConfig};
use crate::linear::{Linear, swiglu};
use crate::norm::Norm;
use crate::parameter::{AnyParameter, Parameters};
use crate::rope::Rotary;
use crate::text::attention::{Projected, mix_all};
use crate::weights::WeightReader;

/// Added to the mean square by every norm of the tower; the published code has it fixed.
pub(super) const NORM_EPSILON: f64 = 1e-6;

/// What attention needs to know of the order in which patches stand.
pub(super) struct Attended {
    /// Groups of equal size, one after the other, in merge units.
    pub runs: Vec<Run>,
    /// Patches in a merge unit.
    pub patches_per_unit: usize,
    /// The turns of all patches in that order, as one sequence.
    pub rotary: Rotary,
}

/// Norm, attention, norm, feed-forward, with a residual around each pair.
#[derive(Clone, Debug)]
pub(super) struct VisionBlock {
    norm1: Norm,
    attention: VisionAttention,
    norm2: Norm,
    mlp: VisionMlp,
}

/// Multi-head attention with one projection for queries, keys and values.
#[derive(Clone, Debug)]
struct VisionAttention {
    qkv: Linear,
    proj: Linear,
    n_heads: usize,
}

/// Either of [`FeedForwardKind`].
#[derive(Clone, Debug)]
enum VisionMlp {
    Gated {
        gate_proj: Linear,
        up_proj: Linear,
        down_proj: Linear,
    },
    Plain {
        fc1: Linear,
        fc2: Linear,
    },
}

impl VisionBlock {
    /// Reads the weights under `key`.
    pub fn load(reader: &mut WeightReader, key: &str, config: &VisionConfig, device: &Device) -> Result<Self, Error> {
        let (d, inner) = (config.hidden_size, config.intermediate_size);
        let mut linear = |name: &str, shape| Linear::load(reader, &format!("{key}.{name}"), shape, true, device);
        let attention = VisionAttention {
            qkv: linear("attn.qkv", [3 * d, d])?,
            proj: linear("attn.proj", [d, d])?,
            n_heads: config.num_heads,
        };
        let mlp = match config.feed_forward {
            FeedForwardKind::Gated => VisionMlp::Gated {
                gate_proj: linear("mlp.gate_proj", [inner, d])?,
                up_proj: linear("mlp.up_proj", [inner, d])?,
                down_proj: linear("mlp.down_proj", [d, inner])?,
            },
            FeedForwardKind::Plain => VisionMlp::Plain {
                fc1: linear("mlp.fc1", [inner, d])?,
                fc2: linear("mlp.fc2", [d, inner])?,
            },
        };
        let kind = (config.norm, NORM_EPSILON);
        let mut norm = |name: &str| Norm::load(reader, &format!("{key}.{name}"), d, kind, device);
        Ok(Self {
            norm1: norm("norm1")?,
            attention,
            norm2: norm("norm2")?,
            mlp,
        })
    }

    /// `[p, d]` → `[p, d]`.
    pub fn forward(&self, hidden: Tensor<2>, attended: &Attended) -> Tensor<2> {
        let hidden = hidden.clone() + self.attention.forward(self.norm1.forward(hidden), attended);
        hidden.clone() + self.mlp.forward(self.norm2.forward(hidden))
    }
}

impl VisionAttention {
    /// `[p, d]` → `[p, d]`.
    fn forward(&self, hidden: Tensor<2>, attended: &Attended) -> Tensor<2> {
        let [n_patches, width] = hidden.dims();
        let n_heads = self.n_heads;
        let head_dim = width / n_heads;
        let projected = self.qkv.forward(hidden); // [p, 3 d]
        // Half of the usual 1/√head_dim is in the queries and half in the keys, where it costs nothing.
        let factor = (head_dim as f64).powf(-0.25);
        let turned = attended
            .rotary
            .turn_heads(projected.clone().narrow(1, 0, 2 * width), factor);
        let turned = turned.reshape([2 * n_heads, n_patches, head_dim]);
        let values = projected.narrow(1, 2 * width, width);
        let values = values.reshape([n_patches, n_heads, head_dim]).swap_dims(0, 1); // [h, p, head_dim]
        let queries = turned.clone().narrow(0, 0, n_heads);
        let keys = turned.narrow(0, n_heads, n_heads);

        let mut mixed = Vec::with_capacity(attended.runs.len());
        let mut first = 0;
        for run in &attended.runs {
            let length = run.units * attended.patches_per_unit;
            let patches = run.groups * length;
            let part = |tensor: &Tensor<3>| {
                let part = tensor.clone().narrow(1, first, patches);
                part.reshape([n_heads, run.groups, length, head_dim])
            };
            let attention = mix_all(Projected {
                queries: part(&queries),
                keys: part(&keys),
                values: part(&values),
            });
            mixed.push(attention.reshape([n_heads, patches, head_dim]));
            first += patches;
        }
        self.proj
            .forward(Tensor::cat(mixed, 1).swap_dims(0, 1).reshape([n_patches, width]))
    }
}

impl VisionMlp {
    fn forward(&self, hidden: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Gated {
                gate_proj,
                up_proj,
                down_proj,
            } => down_proj.forward(swiglu(gate_proj.forward(hidden.clone()), up_proj.forward(hidden))),
            Self::Plain { fc1, fc2 } => {
                let inner = fc1.forward(hidden);
                // quick_gelu (Hendrycks and Gimpel, arXiv 1606.08415).
                fc2.forward(inner.clone() * sigmoid(inner * 1.702))
            }
        }
    }

    fn linears(&mut self) -> Vec<&mut Linear> {
        match self {
            Self::Gated {
                gate_proj,
                up_proj,
                down_proj,
            } => vec![gate_proj, up_proj, down_proj],
            Self::Plain { fc1, fc2 } => vec![fc1, fc2],
        }
    }
}

impl Parameters for VisionBlock {
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter)) {
        self.norm1.visit_parameters(visit);
        self.attention.qkv.visit_parameters(visit);
        self.attention.proj.visit_parameters(visit);
        self.norm2.visit_parameters(visit);
        self.mlp
            .linears()
            .into_iter()
            .for_each(|linear| linear.visit_parameters(visit));
    }
}
