//! One block of the vision tower: attention within groups of patches, then a feed-forward layer.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use super::super::config::{FeedForwardKind, VisionConfig};
use super::arrangement::Run;
use crate::attention::full_attention;
use crate::error::Error;
use crate::kernels::{Qkv, swiglu};
use crate::linear::Linear;
use crate::norm::Norm;
use crate::parameter::{AnyParameter, Parameters, parameters};
use crate::rope::Rotary;
use crate::weights::WeightReader;

/// Added to the mean square by every norm of the tower; the published code has it fixed.
pub(super) const NORM_EPSILON: f64 = 1e-6;

/// The groups of patches that attend to each other.
pub(super) struct Attended {
    /// Runs of groups of equal size, in merge units.
    pub runs: Vec<Run>,
    /// Patches in a merge unit.
    pub patches_per_unit: usize,
    /// The rotations of all patches in that order, as one sequence.
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
    Gated { gate_proj: Linear, up_proj: Linear, down_proj: Linear },
    Plain { fc1: Linear, fc2: Linear },
}

impl VisionBlock {
    /// Reads the weights under `key`.
    pub fn load(reader: &mut WeightReader, key: &str, config: &VisionConfig) -> Result<Self, Error> {
        let (d, inner) = (config.hidden_size, config.intermediate_size);
        let attention = VisionAttention {
            qkv: Linear::load(reader, &format!("{key}.attn.qkv"), [3 * d, d], true)?,
            proj: Linear::load(reader, &format!("{key}.attn.proj"), [d, d], true)?,
            n_heads: config.num_heads,
        };
        let mlp = match config.feed_forward {
            FeedForwardKind::Gated => VisionMlp::Gated {
                gate_proj: Linear::load(reader, &format!("{key}.mlp.gate_proj"), [inner, d], true)?,
                up_proj: Linear::load(reader, &format!("{key}.mlp.up_proj"), [inner, d], true)?,
                down_proj: Linear::load(reader, &format!("{key}.mlp.down_proj"), [d, inner], true)?,
            },
            FeedForwardKind::Plain => VisionMlp::Plain {
                fc1: Linear::load(reader, &format!("{key}.mlp.fc1"), [inner, d], true)?,
                fc2: Linear::load(reader, &format!("{key}.mlp.fc2"), [d, inner], true)?,
            },
        };
        let kind = (config.norm, NORM_EPSILON);
        Ok(Self {
            norm1: Norm::load(reader, &format!("{key}.norm1"), d, kind)?,
            attention,
            norm2: Norm::load(reader, &format!("{key}.norm2"), d, kind)?,
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
        let queries_and_keys = projected.clone().narrow(1, 0, 2 * width);
        let queries_and_keys = attended.rotary.apply(queries_and_keys, factor);
        let queries_and_keys = queries_and_keys.reshape([2 * n_heads, n_patches, head_dim]);
        let values = projected.narrow(1, 2 * width, width);
        let values = values.reshape([n_patches, n_heads, head_dim]).swap_dims(0, 1); // [h, p, head_dim]
        let queries = queries_and_keys.clone().narrow(0, 0, n_heads);
        let keys = queries_and_keys.narrow(0, n_heads, n_heads);

        let mut outputs = Vec::with_capacity(attended.runs.len());
        let mut first = 0;
        for run in &attended.runs {
            let length = run.units * attended.patches_per_unit;
            let patches = run.groups * length;
            let [queries, keys, values] = [&queries, &keys, &values].map(|all| {
                let part = all.clone().narrow(1, first, patches);
                part.reshape([n_heads, run.groups, length, head_dim])
            });
            let output = full_attention(Qkv { queries, keys, values });
            outputs.push(output.reshape([n_heads, patches, head_dim]));
            first += patches;
        }
        let output = Tensor::cat(outputs, 1).swap_dims(0, 1).reshape([n_patches, width]);
        self.proj.forward(output)
    }
}

impl VisionMlp {
    fn forward(&self, hidden: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Gated { gate_proj, up_proj, down_proj } => {
                down_proj.forward(swiglu(gate_proj.forward(hidden.clone()), up_proj.forward(hidden)))
            }
            Self::Plain { fc1, fc2 } => {
                let inner = fc1.forward(hidden);
                // quick_gelu (Hendrycks and Gimpel, arXiv 1606.08415).
                fc2.forward(inner.clone() * sigmoid(inner * 1.702))
            }
        }
    }
}

impl Parameters for VisionMlp {
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter)) {
        let linears = match self {
            Self::Gated { gate_proj, up_proj, down_proj } => vec![gate_proj, up_proj, down_proj],
            Self::Plain { fc1, fc2 } => vec![fc1, fc2],
        };
        linears.into_iter().for_each(|linear| linear.visit_parameters(visit));
    }
}

parameters!(VisionAttention: qkv, proj);
parameters!(VisionBlock: norm1, attention, norm2, mlp);
