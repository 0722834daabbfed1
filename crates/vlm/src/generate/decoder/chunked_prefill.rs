//! A prompt prefilled chunk by chunk, each over the keys and values of those before it: others take their steps between
//! chunks, and no more attention scores are in memory at once than those of a query block by all tokens so far.
//!
//! Equal to prefilling it at once up to rounding. Differs: the last layer's attention is computed too, though only its
//! keys and values are needed.

use burn::tensor::Tensor;

use super::decode_batch::DecodeBatch;
use super::prompts::prompt_batch;
use crate::attention::KeyValues;
use crate::batch::{Batch, TokenSequence};
use crate::error::Error;
use crate::kernels::{Qkv, additive_mask, softmax};
use crate::model::Vlm;
use crate::rope::Rotary;

/// Queries of each head that are compared with all keys at once.
const QUERY_BLOCK: usize = 64;

/// A prompt on its way.
pub(in crate::generate) struct ChunkedPrefill {
    /// The prompt but for its last token, padded to `t` tokens.
    pub batch: Batch,
    // `[t, d]`.
    embedded: Tensor<2>,
    // One a layer, `[1, kv, t, head_dim]`, filled up to what is computed.
    layers: Vec<KeyValues>,
    n_computed: usize,
}

impl ChunkedPrefill {
    /// A prompt of which nothing is computed yet.
    ///
    /// Errors: as [`Batch::new`], and `Input` when image tokens and rows of `images` disagree.
    pub fn new(model: &Vlm, prompt: TokenSequence, images: Option<Tensor<2>>) -> Result<Self, Error> {
        let batch = prompt_batch(&[prompt], model.config())?;
        let embedded = model.embed(&batch, images)?;
        let text = &model.config().text;
        let shape = [1, text.num_key_value_heads, batch.dims()[1], text.head_dim()];
        let layers = (0..model.text.layers.len())
            .map(|_| KeyValues {
                keys: Tensor::zeros(shape, &model.device()),
                values: Tensor::zeros(shape, &model.device()),
            })
            .collect();
        Ok(Self { embedded, layers, batch, n_computed: 0 })
    }

    /// Whether nothing is left to be computed.
    pub fn is_complete(&self) -> bool {
        self.n_computed == self.batch.dims()[1]
    }

    /// Computes at most `n_tokens` further tokens; returns how many.
    pub fn compute(&mut self, model: &Vlm, n_tokens: usize) -> usize {
        let first = self.n_computed;
        let count = n_tokens.min(self.batch.dims()[1] - first);
        if count == 0 {
            return 0;
        }
        let axes = self.batch.positions().each_ref();
        let axes = axes.map(|axis| axis[first..first + count].to_vec());
        let rotary = Rotary::new(&axes, [1, count], &model.config().text);
        let chunk = self.embedded.clone().narrow(0, first, count);
        let layers = &mut self.layers;
        model.text.forward_with(chunk, |layer, attention, x| {
            let Qkv { queries, keys, values } = attention.project(x, &rotary, [1, count]);
            let cache = &mut layers[layer];
            write(&mut cache.keys, keys, first);
            write(&mut cache.values, values, first);
            attention.output(attend(&queries, cache, first))
        });
        self.n_computed += count;
        count
    }

    /// Rows that continue the prompt.
    pub(super) fn into_batch(self, model: &Vlm, n_rows: usize) -> DecodeBatch {
        DecodeBatch::of(self.layers, model, &self.batch, &vec![0; n_rows])
    }
}

/// Writes `new` `[1, kv, c, head_dim]` from token `first` on, in place: nobody else refers to the buffer meanwhile.
fn write(stored: &mut Tensor<4>, new: Tensor<4>, first: usize) {
    let [_, kv_heads, count, head_dim] = new.dims();
    let range = [0..1, 0..kv_heads, first..first + count, 0..head_dim];
    stored.inplace(|stored| stored.slice_assign(range, new));
}

/// Causal attention of the queries `[1, h, c, head_dim]` of the tokens from `first` on, over these and those before
/// them. Shapes: → `[c, d]`.
fn attend(queries: &Tensor<4>, cache: &KeyValues, first: usize) -> Tensor<2> {
    let [_, n_heads, count, head_dim] = queries.dims();
    let kv_heads = cache.keys.dims()[1];
    let group = n_heads / kv_heads;
    let mut by_key_head = Vec::with_capacity(kv_heads);
    for head in 0..kv_heads {
        let queries = queries.clone().narrow(1, head * group, group);
        // One head's keys are contiguous, so that the product reads them where they are.
        let [keys, values] = [&cache.keys, &cache.values].map(|stored| stored.clone().narrow(1, head, 1));
        let mut blocks = Vec::with_capacity(count.div_ceil(QUERY_BLOCK));
        for start in (0..count).step_by(QUERY_BLOCK) {
            let rows = QUERY_BLOCK.min(count - start);
            let seen = first + start + rows;
            let queries = queries.clone().narrow(2, start, rows).reshape([1, 1, group * rows, head_dim]);
            let mut scores = queries.matmul(keys.clone().narrow(2, 0, seen).swap_dims(2, 3)); // [1, 1, group·rows, seen]
            mask_later(&mut scores, rows);
            let attended = softmax(scores, None).matmul(values.clone().narrow(2, 0, seen));
            blocks.push(attended.reshape([1, group, rows, head_dim]));
        }
        by_key_head.push(Tensor::cat(blocks, 2)); // [1, group, c, head_dim]
    }
    let attended = Tensor::cat(by_key_head, 1); // [1, h, c, head_dim]
    attended.swap_dims(1, 2).reshape([count, n_heads * head_dim])
}

/// Masks the keys after each query's own token in scores `[1, 1, group·rows, seen]`, whose last `rows` columns are the
/// block's own tokens.
fn mask_later(scores: &mut Tensor<4>, rows: usize) {
    let [_, _, height, seen] = scores.dims();
    let mask = additive_mask([1, 1, height, rows], &scores.device(), |row, column| column <= row % rows);
    let range = [0..1, 0..1, 0..height, seen - rows..seen];
    scores.inplace(|scores| {
        let own = scores.clone().slice(range.clone()) + mask;
        scores.slice_assign(range, own)
    });
}
