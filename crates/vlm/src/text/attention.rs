//! Causal self-attention with grouped queries (Ainslie et al., arXiv 2305.13245).

use burn::tensor::{Device, Tensor, TensorData, activation::softmax};

use super::kv_cache::KvCache;
use crate::config::TextConfig;
use crate::error::Error;
use crate::linear::Linear;
use crate::parameter::{AnyParameter, Parameters};
use crate::rope::Rotary;
use crate::weights::WeightReader;

/// What all layers share in one pass: the turns of queries and keys, and who may look at whom.
pub(super) struct AttentionContext {
    queries: Rotary,
    keys: Rotary,
    mask: Option<Tensor<4>>,
    shape: [usize; 2],
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
        let keys = Rotary::new(axes, shape, config, device);
        let queries = keys.scaled(1.0 / (config.head_dim() as f64).sqrt());
        let queries_per_key = config.num_attention_heads / config.num_key_value_heads;
        let mask = match cache {
            Some(cache) => cached_mask(cache.occupied(), shape[1], queries_per_key, device),
            None => causal_mask(shape[1], queries_per_key, device),
        };
        Self { queries, keys, mask, shape }
    }
}

// Right padding stands after every real token, so that causality alone hides it and one mask serves the whole batch.
fn causal_mask(t: usize, queries_per_key: usize, device: &Device) -> Option<Tensor<4>> {
    if t == 1 {
        return None;
    }
    let rows = (0..queries_per_key * t).map(|row| row % t);
    let mask: Vec<f32> = rows.flat_map(|row| (0..t).map(move |column| additive(column <= row))).collect();
    Some(Tensor::from_data(TensorData::new(mask, [1, 1, queries_per_key * t, t]), device))
}

// With a cache, padding of earlier passes stands between real tokens and has to be hidden row by row.
fn cached_mask(occupied: &[Vec<bool>], t: usize, queries_per_key: usize, device: &Device) -> Option<Tensor<4>> {
    let len = occupied.first().map_or(0, Vec::len);
    if t == 1 && occupied.iter().flatten().all(|real| *real) {
        return None;
    }
    if t == len {
        return causal_mask(t, queries_per_key, device);
    }
    let rows = |t: usize| (0..queries_per_key * t).map(move |row| len - t + row % t);
    let visible = |columns: &[bool], row: usize, column: usize| column <= row && (columns[column] || column == row);
    let mask: Vec<f32> = occupied
        .iter()
        .flat_map(|columns| rows(t).flat_map(move |row| (0..len).map(move |c| additive(visible(columns, row, c)))))
        .collect();
    Some(Tensor::from_data(TensorData::new(mask, [occupied.len(), 1, queries_per_key * t, len]), device))
}

fn additive(visible: bool) -> f32 {
    if visible { 0.0 } else { f32::NEG_INFINITY }
}

/// What attention compares and mixes.
pub(crate) struct Projected {
    /// `[b, t, h, head_dim]`.
    pub queries: Tensor<4>,
    /// `[b, t, kv, head_dim]`.
    pub keys: Tensor<4>,
    /// `[b, t, kv, head_dim]`.
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
        let mut projection = |name, shape, has_bias| Linear::load(reader, &format!("{key}.{name}"), shape, has_bias, device);
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
        let Projected { queries, keys, values } = self.project(x, &context.queries, &context.keys, [b, t]);
        let (keys, values) = (keys.swap_dims(1, 2), values.swap_dims(1, 2)); // [b, kv, t, head_dim]
        let (keys, values) = match cache {
            Some((cache, layer)) => cache.update(layer, keys, values),
            None => (keys, values),
        };
        // The query heads that share a key head are rows of one product, so that keys are never repeated.
        let kv_heads = keys.dims()[1];
        let group = d / (kv_heads * self.head_dim);
        let queries = queries.swap_dims(1, 2).reshape([b, kv_heads, group * t, self.head_dim]);
        let mut scores = queries.matmul(keys.swap_dims(2, 3)); // [b, kv, group·t, s]
        if let Some(mask) = &context.mask {
            scores = scores + mask.clone();
        }
        let mixed = softmax(scores, 3).matmul(values); // [b, kv, group·t, head_dim]
        let mixed = mixed.reshape([b, kv_heads * group, t, self.head_dim]).swap_dims(1, 2).reshape([n, d]);
        self.output(mixed)
    }

    /// Queries, keys and values of each token, queries and keys turned. Shapes: `[b·t, d]` → as in [`Projected`].
    pub(crate) fn project(&self, x: Tensor<2>, queries: &Rotary, keys: &Rotary, shape: [usize; 2]) -> Projected {
        Projected {
            queries: queries.apply(self.heads(self.q_proj.forward(x.clone()), shape)),
            keys: keys.apply(self.heads(self.k_proj.forward(x.clone()), shape)),
            values: self.heads(self.v_proj.forward(x), shape),
        }
    }

    /// The projection of the heads, put end to end, back to the residual stream. Shapes: `[n, d]` → `[n, d]`.
    pub(crate) fn output(&self, mixed: Tensor<2>) -> Tensor<2> {
        self.o_proj.forward(mixed)
    }

    fn heads(&self, x: Tensor<2>, [b, t]: [usize; 2]) -> Tensor<4> {
        let width = x.dims()[1];
        x.reshape([b, t, width / self.head_dim, self.head_dim])
    }

    pub(super) fn linears(&mut self) -> [&mut Linear; 4] {
        [&mut self.q_proj, &mut self.k_proj, &mut self.v_proj, &mut self.o_proj]
    }
}

impl Parameters for Attention {
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter)) {
        self.linears().into_iter().for_each(|linear| linear.visit_parameters(visit));
    }
}
