//! Causal self-attention with grouped queries (Ainslie et al., arXiv 2305.13245).

use burn::tensor::{Device, Tensor, TensorData, activation::softmax};

use crate::config::TextConfig;
use crate::error::Error;
use crate::kernels;
use crate::linear::Linear;
use crate::parameter::{AnyParameter, Parameters};
use crate::rope::Rotary;
use crate::weights::WeightReader;

/// What all layers share in one pass: the turns of queries and keys, and the shape `[b, t]` of the padded tokens.
///
/// Right padding stands after every real token, so that causality alone hides it.
pub(super) struct AttentionContext {
    rotary: Rotary,
    shape: [usize; 2],
}

impl AttentionContext {
    /// A pass over `[b, t]` tokens at `axes`.
    pub(super) fn new(axes: &[Vec<u32>; 3], shape: [usize; 2], config: &TextConfig) -> Self {
        Self {
            rotary: Rotary::new(axes, shape, config),
            shape,
        }
    }
}

/// Softmax over the last dimension of `[…, rows, columns]`. With `causal_period` `t`, row `r` sees the columns up to
/// `r mod t` only.
pub(crate) fn softmax_columns(scores: Tensor<4>, causal_period: Option<usize>) -> Tensor<4> {
    if kernels::supported(&scores) {
        return kernels::softmax(scores, causal_period);
    }
    match causal_period {
        Some(t) => {
            let mask = causal_mask(t, scores.dims()[2], &scores.device().without_autodiff());
            softmax(scores + mask, 3)
        }
        None => softmax(scores, 3),
    }
}

fn causal_mask(t: usize, rows: usize, device: &Device) -> Tensor<4> {
    let mask: Vec<f32> = (0..rows)
        .flat_map(|row| (0..t).map(move |column| if column <= row % t { 0.0 } else { f32::NEG_INFINITY }))
        .collect();
    Tensor::from_data(TensorData::new(mask, [1, 1, rows, t]), device)
}

/// What attention compares and mixes.
pub(crate) struct Projected {
    /// `[b, h, t, head_dim]`.
    pub queries: Tensor<4>,
    /// `[b, kv, t, head_dim]`.
    pub keys: Tensor<4>,
    /// `[b, kv, t, head_dim]`.
    pub values: Tensor<4>,
}

/// Every token's mixture of what it and those before it hold. Shapes: → `[b·t, d]`.
fn mix(Projected { queries, keys, values }: Projected) -> Tensor<2> {
    let [b, n_heads, t, head_dim] = queries.dims();
    // The query heads that share a key head are rows of one product, so that keys are never repeated.
    let kv_heads = keys.dims()[1];
    let queries = queries.reshape([b, kv_heads, n_heads / kv_heads * t, head_dim]);
    let scores = queries.matmul(keys.swap_dims(2, 3)); // [b, kv, rows, columns]
    let mixed = softmax_columns(scores, Some(t)).matmul(values); // [b, kv, rows, head_dim]
    mixed
        .reshape([b, n_heads, t, head_dim])
        .swap_dims(1, 2)
        .reshape([b * t, n_heads * head_dim])
}

/// What later tokens look for in the tokens of one layer, `[b, kv, t, head_dim]` each.
pub(crate) struct Memory {
    /// Compared with queries.
    pub keys: Tensor<4>,
    /// Mixed.
    pub values: Tensor<4>,
}

/// One layer's attention.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    head_dim: usize,
}

impl Attention {
    pub(super) fn load(
        reader: &mut WeightReader,
        key: &str,
        config: &TextConfig,
        device: &Device,
    ) -> Result<Self, Error> {
        let (d, head_dim) = (config.hidden_size, config.head_dim());
        let kv_width = config.num_key_value_heads * head_dim;
        let mut projection =
            |name, shape, has_bias| Linear::load(reader, &format!("{key}.{name}"), shape, has_bias, device);
        Ok(Self {
            q_proj: projection("q_proj", [d, d], true)?,
            k_proj: projection("k_proj", [kv_width, d], true)?,
            v_proj: projection("v_proj", [kv_width, d], true)?,
            o_proj: projection("o_proj", [d, d], false)?,
            head_dim,
        })
    }

    /// Shapes: `[b·t, d]` → `[b·t, d]`.
    pub(super) fn forward(&self, x: Tensor<2>, context: &AttentionContext) -> Tensor<2> {
        let projected = self.project(x, &context.rotary, context.shape);
        self.output(mix(projected))
    }

    /// The same, with the tokens' keys and values, `[b, kv, t, head_dim]`.
    pub(super) fn forward_and_remember(&self, x: Tensor<2>, context: &AttentionContext) -> (Tensor<2>, Memory) {
        let projected = self.project(x, &context.rotary, context.shape);
        let memory = Memory {
            keys: projected.keys.clone(),
            values: projected.values.clone(),
        };
        (self.output(mix(projected)), memory)
    }

    /// Queries, keys and values of `[b·t, d]` rows, queries and keys turned.
    pub(crate) fn project(&self, x: Tensor<2>, rotary: &Rotary, shape: [usize; 2]) -> Projected {
        // The usual 1/√head_dim is in the queries, where it costs nothing.
        let factor = 1.0 / (self.head_dim as f64).sqrt();
        let queries = rotary.turn_heads(self.q_proj.forward(x.clone()), factor);
        let Memory { keys, values } = self.project_memory(x, rotary, shape);
        Projected { queries, keys, values }
    }

    fn project_memory(&self, x: Tensor<2>, rotary: &Rotary, [b, t]: [usize; 2]) -> Memory {
        let keys = rotary.turn_heads(self.k_proj.forward(x.clone()), 1.0);
        let values = self.v_proj.forward(x);
        let kv_heads = values.dims()[1] / self.head_dim;
        Memory {
            keys,
            values: values.reshape([b, t, kv_heads, self.head_dim]).swap_dims(1, 2),
        }
    }

    /// Keys and values of `[b·t, d]` rows alone: what later tokens look for.
    pub(super) fn remember(&self, x: Tensor<2>, context: &AttentionContext) -> Memory {
        self.project_memory(x, &context.rotary, context.shape)
    }

    /// The projection of the heads, put end to end, back to the residual stream. Shapes: `[n, d]` → `[n, d]`.
    pub(crate) fn output(&self, mixed: Tensor<2>) -> Tensor<2> {
        self.o_proj.forward(mixed)
    }

    pub(super) fn linears(&mut self) -> [&mut Linear; 4] {
        [&mut self.q_proj, &mut self.k_proj, &mut self.v_proj, &mut self.o_proj]
    }
}

impl Parameters for Attention {
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter)) {
        self.linears()
            .into_iter()
            .for_each(|linear| linear.visit_parameters(visit));
    }
}
