//! Self-attention with grouped queries (Ainslie et al., arXiv 2305.13245): causal in the language model, bidirectional
//! in vision towers.

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::config::text::TextConfig;
use crate::error::Error;
use crate::kernels::{self, AttentionMask, Qkv, Segment, Span};
use crate::linear::Linear;
use crate::parameter::{AnyParameter, Parameters, parameters};
use crate::rope::{Placement, Rotary};
use crate::weights::WeightReader;

/// Rows of at least this many tokens attend blockwise. Shorter ones are faster with all scores at once.
pub(crate) const BLOCKWISE_FROM: usize = 512;

/// What all layers share in one pass: the rotation of queries and keys, the shape `[b, t]` of the tokens, and which
/// tokens attend to which.
///
/// Right padding comes after every real token, so that causality alone masks it.
pub(crate) struct AttentionContext {
    rotary: Rotary,
    shape: [usize; 2],
    segments: Arc<[Segment]>,
    eager: bool,
}

impl AttentionContext {
    /// A pass that scores or trains; `eager` computes all scores at once whatever the length.
    pub(crate) fn for_training(tokens: Placement, config: &TextConfig, eager: bool) -> Self {
        let [n_rows, t] = tokens.shape;
        let blockwise = tokens.lengths.len() > n_rows || t >= BLOCKWISE_FROM;
        Self::new(tokens, config, eager || !blockwise)
    }

    /// A pass over prompts in rows of their own, which must all reach [`BLOCKWISE_FROM`] to attend blockwise: a
    /// prompt's bits must not depend on the length of those beside it, so that long ones are to be computed apart from
    /// short ones.
    pub(crate) fn for_sampling(tokens: Placement, config: &TextConfig) -> Self {
        let blockwise = tokens.lengths.iter().all(|length| *length >= BLOCKWISE_FROM);
        Self::new(tokens, config, !blockwise)
    }

    fn new(tokens: Placement, config: &TextConfig, eager: bool) -> Self {
        let [_, t] = tokens.shape;
        let mut segments = Vec::with_capacity(tokens.lengths.len());
        for ((prefix, start), length) in tokens.prefixes.iter().zip(tokens.starts).zip(tokens.lengths) {
            segments.push(Segment {
                row: start / t,
                prefix: Span { start: prefix.start % t, length: prefix.length },
                own: Span { start: start % t, length: *length },
            });
        }
        Self { rotary: Rotary::of_sequences(tokens, config), shape: tokens.shape, segments: segments.into(), eager }
    }
}

/// Causal attention within each sequence. Shapes: → `[b·t, d]`.
fn causal_attention(qkv: Qkv, context: &AttentionContext) -> Tensor<2> {
    let [b, n_heads, t, head_dim] = qkv.queries.dims();
    let attended = kernels::attention(qkv, &context.segments, AttentionMask::Causal, context.eager);
    attended.swap_dims(1, 2).reshape([b * t, n_heads * head_dim])
}

/// Bidirectional attention among all tokens of each row; queries are scaled already. Shapes: → `[b, h, t, head_dim]`.
pub(crate) fn full_attention(qkv: Qkv) -> Tensor<4> {
    let [b, _, t, _] = qkv.queries.dims();
    let segments = (0..b).map(|row| Segment { row, prefix: Span::default(), own: Span { start: 0, length: t } });
    kernels::attention(qkv, &segments.collect(), AttentionMask::Full, t < BLOCKWISE_FROM)
}

/// What a KV cache keeps of the tokens of one layer, `[b, kv, t, head_dim]` each.
pub(crate) struct KeyValues {
    /// Compared with queries.
    pub keys: Tensor<4>,
    /// Averaged by attention weight.
    pub values: Tensor<4>,
}

/// How queries, keys and values are projected, with the checkpoint's names of the layers.
#[derive(Clone, Copy, Debug)]
pub enum QkvLayout {
    /// By one layer each.
    Separate([&'static str; 3]),
    /// By one layer for all. InternLM2's output goes by key heads: the queries that share one, the key, the value;
    /// InternViT's is all queries, all keys, all values.
    Fused(&'static str),
}

/// The projections to queries, keys and values, as [`QkvLayout`] says.
#[derive(Clone, Debug)]
pub(crate) enum QkvProjection {
    Separate(Box<[Linear; 3]>),
    Fused(Linear),
}

impl QkvProjection {
    /// Reads the layers under `key`, from width `d` to `d` for queries and `kv_width` for keys and for values.
    ///
    /// Errors: as [`WeightReader::parameter`].
    pub fn load(
        reader: &mut WeightReader,
        key: &str,
        layout: QkvLayout,
        [d, kv_width]: [usize; 2],
        has_bias: bool,
    ) -> Result<Self, Error> {
        Ok(match layout {
            QkvLayout::Separate([q, k, v]) => Self::Separate(Box::new([
                Linear::load(reader, &format!("{key}.{q}"), [d, d], has_bias)?,
                Linear::load(reader, &format!("{key}.{k}"), [kv_width, d], has_bias)?,
                Linear::load(reader, &format!("{key}.{v}"), [kv_width, d], has_bias)?,
            ])),
            QkvLayout::Fused(qkv) => {
                let shape = [d + 2 * kv_width, d];
                Self::Fused(Linear::load(reader, &format!("{key}.{qkv}"), shape, has_bias)?)
            }
        })
    }

    /// All layers.
    pub fn linears(&mut self) -> &mut [Linear] {
        match self {
            Self::Separate(layers) => &mut **layers,
            Self::Fused(layer) => std::slice::from_mut(layer),
        }
    }
}

impl Parameters for QkvProjection {
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter)) {
        self.linears().iter_mut().for_each(|linear| linear.visit_parameters(visit));
    }
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

impl Attention {
    /// Reads the projections under `key`: those of `qkv`, and the output's, `o_proj`.
    ///
    /// Errors: as [`WeightReader::parameter`].
    pub fn load(
        reader: &mut WeightReader,
        key: &str,
        config: &TextConfig,
        qkv: QkvLayout,
        o_proj: &str,
    ) -> Result<Self, Error> {
        let (d, head_dim) = (config.hidden_size, config.head_dim());
        let widths = [d, config.num_key_value_heads * head_dim];
        Ok(Self {
            qkv: QkvProjection::load(reader, key, qkv, widths, config.attention_bias)?,
            o_proj: Linear::load(reader, &format!("{key}.{o_proj}"), [d, d], false)?,
            head_dim,
            group: config.num_attention_heads / config.num_key_value_heads,
        })
    }

    /// Shapes: `[b·t, d]` → `[b·t, d]`.
    pub fn forward(&self, x: Tensor<2>, context: &AttentionContext) -> Tensor<2> {
        let qkv = self.project(x, &context.rotary, context.shape);
        self.output(causal_attention(qkv, context))
    }

    /// The same, with the tokens' keys and values.
    pub fn prefill(&self, x: Tensor<2>, context: &AttentionContext) -> (Tensor<2>, KeyValues) {
        let qkv = self.project(x, &context.rotary, context.shape);
        let cached = KeyValues { keys: qkv.keys.clone(), values: qkv.values.clone() };
        (self.output(causal_attention(qkv, context)), cached)
    }

    /// Queries, keys and values of `[b·t, d]` rows, RoPE applied.
    pub fn project(&self, x: Tensor<2>, rotary: &Rotary, shape: [usize; 2]) -> Qkv {
        // The usual 1/√head_dim is in the queries, where it costs nothing.
        let factor = 1.0 / (self.head_dim as f64).sqrt();
        let (queries, keys, values) = match &self.qkv {
            QkvProjection::Separate(layers) => {
                let [q_proj, k_proj, v_proj] = &**layers;
                (q_proj.forward(x.clone()), k_proj.forward(x.clone()), v_proj.forward(x))
            }
            QkvProjection::Fused(wqkv) => self.split(wqkv.forward(x)),
        };
        let KeyValues { keys, values } = self.by_heads(keys, values, rotary, shape);
        Qkv { queries: rotary.apply(queries, factor), keys, values }
    }

    /// Shapes: `[n, kv · (group + 2) · head_dim]` → `[n, h · head_dim]` and twice `[n, kv · head_dim]`.
    fn split(&self, fused: Tensor<2>) -> (Tensor<2>, Tensor<2>, Tensor<2>) {
        let [n, width] = fused.dims();
        let (group, head_dim) = (self.group, self.head_dim);
        let kv_heads = width / ((group + 2) * head_dim);
        let heads = fused.reshape([n, kv_heads, group + 2, head_dim]);
        let [queries, keys, values] = [(0, group), (group, 1), (group + 1, 1)].map(|(first, count)| {
            let part = heads.clone().narrow(2, first, count);
            part.reshape([n, kv_heads * count * head_dim])
        });
        (queries, keys, values)
    }

    fn by_heads(&self, keys: Tensor<2>, values: Tensor<2>, rotary: &Rotary, [b, t]: [usize; 2]) -> KeyValues {
        let kv_heads = values.dims()[1] / self.head_dim;
        KeyValues {
            keys: rotary.apply(keys, 1.0),
            values: values.reshape([b, t, kv_heads, self.head_dim]).swap_dims(1, 2),
        }
    }

    /// Keys and values of `[b·t, d]` rows alone.
    pub fn key_values(&self, x: Tensor<2>, context: &AttentionContext) -> KeyValues {
        let (keys, values) = match &self.qkv {
            QkvProjection::Separate(layers) => (layers[1].forward(x.clone()), layers[2].forward(x)),
            QkvProjection::Fused(wqkv) => {
                let (_, keys, values) = self.split(wqkv.forward(x));
                (keys, values)
            }
        };
        self.by_heads(keys, values, &context.rotary, context.shape)
    }

    /// The projection of the heads, put end to end, back to the residual stream. Shapes: `[n, d]` → `[n, d]`.
    pub fn output(&self, attended: Tensor<2>) -> Tensor<2> {
        self.o_proj.forward(attended)
    }

    /// All layers.
    pub fn linears(&mut self) -> impl Iterator<Item = &mut Linear> {
        self.qkv.linears().iter_mut().chain(std::iter::once(&mut self.o_proj))
    }
}

parameters!(Attention: qkv, o_proj);
