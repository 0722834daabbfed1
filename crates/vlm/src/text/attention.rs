//! Causal self-attention with grouped queries (Ainslie et al., arXiv 2305.13245).

use burn::tensor::{Device, Tensor, TensorData, activation::softmax};

use super::kv_cache::KvCache;
use crate::config::TextConfig;
use crate::error::Error;
use crate::kernels;
use crate::linear::Linear;
use crate::parameter::{AnyParameter, Parameters};
use crate::rope::Rotary;
use crate::weights::WeightReader;

/// What all layers share in one pass: the turns of queries and keys, and who may look at whom.
pub(super) struct AttentionContext {
    rotary: Rotary,
    visibility: Visibility,
    shape: [usize; 2],
}

/// Which columns (tokens looked at) a row (a token looking) sees. The rows of a key head are those of all its query
/// heads, one head below the other.
enum Visibility {
    All,
    /// Its own column and those before, where rows and columns are the same tokens.
    Causal,
    /// Those where this is 0 and not minus infinity, `[b, 1, rows, columns]`.
    Masked(Tensor<4>),
}

impl AttentionContext {
    /// A pass over `[b, t]` tokens at `axes`, after what `cache` holds already (the new columns announced).
    pub(super) fn new(
        axes: &[Vec<u32>; 3],
        shape: [usize; 2],
        config: &TextConfig,
        cache: Option<&KvCache>,
        device: &Device,
    ) -> Self {
        let queries_per_key = config.num_attention_heads / config.num_key_value_heads;
        let visibility = match cache {
            Some(cache) => Visibility::with_cache(cache.occupied(), shape[1], queries_per_key, device),
            // Right padding stands after every real token, so that causality alone hides it.
            None => Visibility::Causal,
        };
        Self {
            rotary: Rotary::new(axes, shape, config),
            visibility,
            shape,
        }
    }
}

impl Visibility {
    // Padding of earlier passes stands between real tokens and has to be hidden row by row.
    fn with_cache(occupied: &[Vec<bool>], t: usize, queries_per_key: usize, device: &Device) -> Self {
        let len = occupied.first().map_or(0, Vec::len);
        if t == len {
            return Self::Causal;
        }
        if t == 1 && occupied.iter().flatten().all(|real| *real) {
            return Self::All;
        }
        let rows = move || (0..queries_per_key * t).map(move |row| len - t + row % t);
        let visible = |columns: &[bool], row: usize, column: usize| column <= row && (columns[column] || column == row);
        let row_of =
            |columns: &'_ [bool], row| (0..len).map(|c| additive(visible(columns, row, c))).collect::<Vec<_>>();
        let mask: Vec<f32> = occupied
            .iter()
            .flat_map(|columns| rows().flat_map(|row| row_of(columns, row)))
            .collect();
        let shape = [occupied.len(), 1, queries_per_key * t, len];
        Self::Masked(Tensor::from_data(TensorData::new(mask, shape), device))
    }

    /// Weights of the columns, from scores `[b, kv, rows, columns]` of `t` tokens looking.
    fn softmax(&self, scores: Tensor<4>, t: usize) -> Tensor<4> {
        match self {
            Self::All => softmax_columns(scores, None),
            Self::Masked(mask) => softmax_columns(scores + mask.clone(), None),
            Self::Causal => softmax_columns(scores, Some(t)),
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
        .flat_map(|row| (0..t).map(move |column| additive(column <= row % t)))
        .collect();
    Tensor::from_data(TensorData::new(mask, [1, 1, rows, t]), device)
}

fn additive(visible: bool) -> f32 {
    if visible { 0.0 } else { f32::NEG_INFINITY }
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

    /// Shapes: `[b·t, d]` → `[b·t, d]`. With a cache, stores this layer's keys and values in it.
    pub(super) fn forward(
        &self,
        x: Tensor<2>,
        context: &AttentionContext,
        cache: Option<(&mut KvCache, usize)>,
    ) -> Tensor<2> {
        let [b, t] = context.shape;
        let [n, d] = x.dims();
        let Projected { queries, keys, values } = self.project(x, &context.rotary, [b, t]);
        let (keys, values) = match cache {
            Some((cache, layer)) => cache.update(layer, keys, values),
            None => (keys, values),
        };
        // The query heads that share a key head are rows of one product, so that keys are never repeated.
        let (n_heads, kv_heads) = (d / self.head_dim, keys.dims()[1]);
        let queries = queries.reshape([b, kv_heads, n_heads / kv_heads * t, self.head_dim]);
        let scores = queries.matmul(keys.swap_dims(2, 3)); // [b, kv, rows, columns]
        let mixed = context.visibility.softmax(scores, t).matmul(values); // [b, kv, rows, head_dim]
        let mixed = mixed
            .reshape([b, n_heads, t, self.head_dim])
            .swap_dims(1, 2)
            .reshape([n, d]);
        self.output(mixed)
    }

    /// Queries, keys and values of `[b·t, d]` rows, queries and keys turned.
    pub(crate) fn project(&self, x: Tensor<2>, rotary: &Rotary, shape: [usize; 2]) -> Projected {
        // The usual 1/√head_dim is in the queries, where it costs nothing.
        let factor = 1.0 / (self.head_dim as f64).sqrt();
        let queries = rotary.turn_heads(self.q_proj.forward(x.clone()), factor);
        let (keys, values) = self.project_remembered(x, rotary, shape);
        Projected { queries, keys, values }
    }

    // Keys and values alone: what later tokens look for.
    fn project_remembered(&self, x: Tensor<2>, rotary: &Rotary, [b, t]: [usize; 2]) -> (Tensor<4>, Tensor<4>) {
        let keys = rotary.turn_heads(self.k_proj.forward(x.clone()), 1.0);
        let values = self.v_proj.forward(x);
        let kv_heads = values.dims()[1] / self.head_dim;
        (keys, values.reshape([b, t, kv_heads, self.head_dim]).swap_dims(1, 2))
    }

    /// Stores the keys and values of `[b·t, d]` rows as [`Self::forward`] does, and computes nothing else.
    pub(super) fn remember(&self, x: Tensor<2>, context: &AttentionContext, cache: &mut KvCache, layer: usize) {
        let (keys, values) = self.project_remembered(x, &context.rotary, context.shape);
        cache.update(layer, keys, values);
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
