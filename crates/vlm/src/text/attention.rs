//! Self-attention with grouped queries (Ainslie et al., arXiv 2305.13245): causal in the language model, and of all
//! with all in vision towers.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData, activation::softmax};

use crate::config::TextConfig;
use crate::error::Error;
use crate::kernels::{self, Sees, Segment, Span};
use crate::linear::Linear;
use crate::parameter::{AnyParameter, Parameters};
use crate::rope::Rotary;
use crate::text::{Placement, QkvLayout, TextLayout};
use crate::weights::WeightReader;

/// Rows of at least this many tokens attend strip by strip. Shorter ones are faster with all scores at once.
pub(crate) const STRIPS_FROM: usize = 512;

/// What all layers share in one pass: the turns of queries and keys, the shape `[b, t]` of the tokens, and who sees
/// whom.
///
/// Right padding stands after every real token, so that causality alone hides it.
pub(crate) struct AttentionContext {
    rotary: Rotary,
    shape: [usize; 2],
    segments: Arc<[Segment]>,
    by_strips: bool,
}

impl AttentionContext {
    /// A pass to score or train; `at_once` takes all scores at once whatever the length.
    pub(crate) fn for_training(tokens: Placement, config: &TextConfig, at_once: bool) -> Self {
        let [n_rows, t] = tokens.shape;
        let by_strips = tokens.lengths.len() > n_rows || t >= STRIPS_FROM;
        Self::new(tokens, config, by_strips && !at_once)
    }

    /// A pass over prompts in rows of their own, which must all reach [`STRIPS_FROM`] to attend by strips: a prompt's
    /// bits must not depend on the length of those beside it, so that long ones are to be read apart from short ones.
    pub(super) fn for_sampling(tokens: Placement, config: &TextConfig) -> Self {
        let by_strips = tokens.lengths.iter().all(|length| *length >= STRIPS_FROM);
        Self::new(tokens, config, by_strips)
    }

    fn new(tokens: Placement, config: &TextConfig, by_strips: bool) -> Self {
        let [_, t] = tokens.shape;
        let segment = |((prefix, start), length): ((&Span, &usize), &usize)| Segment {
            row: start / t,
            prefix: Span {
                start: prefix.start % t,
                length: prefix.length,
            },
            own: Span {
                start: start % t,
                length: *length,
            },
        };
        let sequences = tokens.prefixes.iter().zip(tokens.starts).zip(tokens.lengths);
        Self {
            rotary: Rotary::of_sequences(tokens, config),
            shape: tokens.shape,
            segments: sequences.map(segment).collect(),
            by_strips,
        }
    }

    /// What is added to the scores of packed rows, `[b, 1, rows, t]`; `rows` is a multiple of `t`, a head's rows after
    /// another's.
    fn mask(&self, rows: usize, device: &Device) -> Tensor<4> {
        let [b, t] = self.shape;
        // Each token's prefix, and the first it sees of its own sequence; padding sees from the row's beginning.
        let mut seen_from = vec![(Span::default(), 0); b * t];
        for Segment { row, prefix, own } in self.segments.iter() {
            seen_from[row * t + own.start..][..own.length].fill((*prefix, own.start));
        }
        let hidden = (0..b * rows).flat_map(|index| {
            let (row, place) = (index / rows, index % rows % t);
            let (prefix, first) = seen_from[row * t + place];
            let is_seen = move |column| prefix.range().contains(&column) || (first..=place).contains(&column);
            (0..t).map(move |column| if is_seen(column) { 0.0 } else { f32::NEG_INFINITY })
        });
        Tensor::from_data(TensorData::new(hidden.collect::<Vec<f32>>(), [b, 1, rows, t]), device)
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

/// Every token's mixture of what it and those of its sequence before it hold. Shapes: → `[b·t, d]`.
fn mix(projected: Projected, context: &AttentionContext) -> Tensor<2> {
    let [b, n_heads, t, head_dim] = projected.queries.dims();
    let mixed = if context.by_strips && kernels::supported(&projected.queries) {
        let Projected { queries, keys, values } = projected;
        kernels::attention(queries, keys, values, &context.segments, Sees::Earlier)
    } else {
        mix_at_once(projected, context)
    };
    mixed.swap_dims(1, 2).reshape([b * t, n_heads * head_dim])
}

/// The same with the scores of all queries by all keys. Shapes: → `[b, h, t, head_dim]`.
fn mix_at_once(Projected { queries, keys, values }: Projected, context: &AttentionContext) -> Tensor<4> {
    let [b, n_heads, t, head_dim] = queries.dims();
    // The query heads that share a key head are rows of one product, so that keys are never repeated.
    let kv_heads = keys.dims()[1];
    let rows = n_heads / kv_heads * t;
    let queries = queries.reshape([b, kv_heads, rows, head_dim]);
    let scores = queries.matmul(keys.swap_dims(2, 3)); // [b, kv, rows, columns]
    let weights = if context.segments.len() > b {
        let mask = context.mask(rows, &scores.device().without_autodiff());
        softmax(scores + mask, 3)
    } else {
        softmax_columns(scores, Some(t))
    };
    weights.matmul(values).reshape([b, n_heads, t, head_dim])
}

/// Every token's mixture of what all tokens of its row hold; queries are scaled already. Shapes: → `[b, h, t,
/// head_dim]`.
pub(crate) fn mix_all(Projected { queries, keys, values }: Projected) -> Tensor<4> {
    let [b, _, t, _] = queries.dims();
    if t < STRIPS_FROM || !kernels::supported(&queries) {
        return softmax_columns(queries.matmul(keys.swap_dims(2, 3)), None).matmul(values);
    }
    let whole = |row| Segment {
        row,
        prefix: Span::default(),
        own: Span { start: 0, length: t },
    };
    kernels::attention(queries, keys, values, &(0..b).map(whole).collect(), Sees::All)
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
    qkv: QkvProjection,
    o_proj: Linear,
    head_dim: usize,
    // Query heads of one key head.
    group: usize,
}

/// The projections to queries, keys and values, as [`QkvLayout`] says.
#[derive(Clone, Debug)]
enum QkvProjection {
    Separate(Box<[Linear; 3]>),
    Fused(Linear),
}

impl Attention {
    pub(super) fn load(
        reader: &mut WeightReader,
        key: &str,
        config: &TextConfig,
        layout: &TextLayout,
        device: &Device,
    ) -> Result<Self, Error> {
        let (d, head_dim) = (config.hidden_size, config.head_dim());
        let kv_width = config.num_key_value_heads * head_dim;
        let has_bias = config.attention_bias;
        let mut projection =
            |name: &str, shape, has_bias| Linear::load(reader, &format!("{key}.{name}"), shape, has_bias, device);
        let qkv = match layout.qkv {
            QkvLayout::Separate([q, k, v]) => QkvProjection::Separate(Box::new([
                projection(q, [d, d], has_bias)?,
                projection(k, [kv_width, d], has_bias)?,
                projection(v, [kv_width, d], has_bias)?,
            ])),
            QkvLayout::Fused(wqkv) => QkvProjection::Fused(projection(wqkv, [d + 2 * kv_width, d], has_bias)?),
        };
        Ok(Self {
            qkv,
            o_proj: projection(layout.o_proj, [d, d], false)?,
            head_dim,
            group: config.num_attention_heads / config.num_key_value_heads,
        })
    }

    /// Shapes: `[b·t, d]` → `[b·t, d]`.
    pub(super) fn forward(&self, x: Tensor<2>, context: &AttentionContext) -> Tensor<2> {
        let projected = self.project(x, &context.rotary, context.shape);
        self.output(mix(projected, context))
    }

    /// The same, with the tokens' keys and values, `[b, kv, t, head_dim]`.
    pub(super) fn forward_and_remember(&self, x: Tensor<2>, context: &AttentionContext) -> (Tensor<2>, Memory) {
        let projected = self.project(x, &context.rotary, context.shape);
        let memory = Memory {
            keys: projected.keys.clone(),
            values: projected.values.clone(),
        };
        (self.output(mix(projected, context)), memory)
    }

    /// Queries, keys and values of `[b·t, d]` rows, queries and keys turned.
    pub(crate) fn project(&self, x: Tensor<2>, rotary: &Rotary, shape: [usize; 2]) -> Projected {
        // The usual 1/√head_dim is in the queries, where it costs nothing.
        let factor = 1.0 / (self.head_dim as f64).sqrt();
        let (queries, keys, values) = match &self.qkv {
            QkvProjection::Separate(layers) => {
                let [q_proj, k_proj, v_proj] = &**layers;
                (q_proj.forward(x.clone()), k_proj.forward(x.clone()), v_proj.forward(x))
            }
            QkvProjection::Fused(wqkv) => self.split(wqkv.forward(x)),
        };
        let Memory { keys, values } = self.memory(keys, values, rotary, shape);
        Projected {
            queries: rotary.turn_heads(queries, factor),
            keys,
            values,
        }
    }

    /// Shapes: `[n, kv · (group + 2) · head_dim]` → `[n, h · head_dim]` and twice `[n, kv · head_dim]`.
    fn split(&self, fused: Tensor<2>) -> (Tensor<2>, Tensor<2>, Tensor<2>) {
        let [n, width] = fused.dims();
        let (group, head_dim) = (self.group, self.head_dim);
        let kv_heads = width / ((group + 2) * head_dim);
        let heads = fused.reshape([n, kv_heads, group + 2, head_dim]);
        let part = |first, count| {
            let part = heads.clone().narrow(2, first, count);
            part.reshape([n, kv_heads * count * head_dim])
        };
        (part(0, group), part(group, 1), part(group + 1, 1))
    }

    fn memory(&self, keys: Tensor<2>, values: Tensor<2>, rotary: &Rotary, [b, t]: [usize; 2]) -> Memory {
        let kv_heads = values.dims()[1] / self.head_dim;
        Memory {
            keys: rotary.turn_heads(keys, 1.0),
            values: values.reshape([b, t, kv_heads, self.head_dim]).swap_dims(1, 2),
        }
    }

    /// Keys and values of `[b·t, d]` rows alone: what later tokens look for.
    pub(super) fn remember(&self, x: Tensor<2>, context: &AttentionContext) -> Memory {
        let (keys, values) = match &self.qkv {
            QkvProjection::Separate(layers) => (layers[1].forward(x.clone()), layers[2].forward(x)),
            QkvProjection::Fused(wqkv) => {
                let (_, keys, values) = self.split(wqkv.forward(x));
                (keys, values)
            }
        };
        self.memory(keys, values, &context.rotary, context.shape)
    }

    /// The projection of the heads, put end to end, back to the residual stream. Shapes: `[n, d]` → `[n, d]`.
    pub(crate) fn output(&self, mixed: Tensor<2>) -> Tensor<2> {
        self.o_proj.forward(mixed)
    }

    pub(super) fn linears(&mut self) -> Vec<&mut Linear> {
        let mut linears: Vec<&mut Linear> = match &mut self.qkv {
            QkvProjection::Separate(layers) => layers.iter_mut().collect(),
            QkvProjection::Fused(wqkv) => vec![wqkv],
        };
        linears.push(&mut self.o_proj);
        linears
    }
}

impl Parameters for Attention {
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter)) {
        self.linears()
            .into_iter()
            .for_each(|linear| linear.visit_parameters(visit));
    }
}
