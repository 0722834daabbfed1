//! A prompt read piece by piece, each piece beside the keys and values of those before it: others take their steps
//! between pieces, and of the scores no more are held at once than those of a strip by all tokens so far.
//!
//! Equal to reading it at once up to rounding. Differs: the last layer's mixture is computed too, though only its keys
//! and values are needed.

use burn::tensor::{Tensor, TensorData};

use super::cohort::Cohort;
use super::prompt_batch;
use crate::attention::KeyValues;
use crate::batch::{Batch, TokenSequence};
use crate::error::Error;
use crate::kernels::{Qkv, softmax};
use crate::model::Vlm;
use crate::rope::Rotary;

/// Queries of each head that are compared with all keys at once.
const STRIP: usize = 64;

/// A prompt on its way.
pub(in crate::generate) struct LongPrompt {
    // The prompt but for its last token, padded to `t` tokens.
    batch: Batch,
    // `[t, d]`.
    embedded: Tensor<2>,
    // One a layer, `[1, kv, t, head_dim]`, filled up to what is read.
    memories: Vec<KeyValues>,
    n_read: usize,
}

impl LongPrompt {
    /// A prompt of which nothing is read yet.
    ///
    /// Errors: as [`Batch::new`], and `Input` when image tokens and rows of `images` disagree.
    pub fn new(model: &Vlm, prompt: TokenSequence, images: Option<Tensor<2>>) -> Result<Self, Error> {
        let batch = prompt_batch(&[prompt], model.config())?;
        let embedded = model.embed(&batch, images)?;
        let text = &model.config().text;
        let shape = [1, text.num_key_value_heads, batch.dims()[1], text.head_dim()];
        let memory = |_| KeyValues {
            keys: Tensor::zeros(shape, &model.device()),
            values: Tensor::zeros(shape, &model.device()),
        };
        Ok(Self {
            embedded,
            memories: (0..model.text().n_layers()).map(memory).collect(),
            batch,
            n_read: 0,
        })
    }

    /// The place of the prompt's last token.
    pub fn next_position(&self) -> u32 {
        self.batch.next_positions()[0]
    }

    /// Whether nothing is left to be read.
    pub fn is_read(&self) -> bool {
        self.n_read == self.batch.dims()[1]
    }

    /// Reads at most `n_tokens` further tokens; tells how many.
    pub fn read(&mut self, model: &Vlm, n_tokens: usize) -> usize {
        let first = self.n_read;
        let count = n_tokens.min(self.batch.dims()[1] - first);
        if count == 0 {
            return 0;
        }
        let axes = self.batch.positions().each_ref();
        let axes = axes.map(|axis| axis[first..first + count].to_vec());
        let rotary = Rotary::new(&axes, [1, count], &model.config().text);
        let piece = self.embedded.clone().narrow(0, first, count);
        let memories = &mut self.memories;
        model.text().forward_with(piece, |layer, attention, x| {
            let Qkv { queries, keys, values } = attention.project(x, &rotary, [1, count]);
            let memory = &mut memories[layer];
            write(&mut memory.keys, keys, first);
            write(&mut memory.values, values, first);
            attention.output(mix(&queries, memory, first))
        });
        self.n_read += count;
        count
    }

    /// Rows that go on from the prompt.
    pub(super) fn into_cohort(self, model: &Vlm, n_rows: usize) -> Cohort {
        Cohort::of(self.memories, model, &self.batch, &vec![0; n_rows])
    }
}

/// Puts `new` `[1, kv, c, head_dim]` in its place, in place: nobody else holds the buffer meanwhile.
fn write(stored: &mut Tensor<4>, new: Tensor<4>, first: usize) {
    let [_, kv_heads, count, head_dim] = new.dims();
    let place = [0..1, 0..kv_heads, first..first + count, 0..head_dim];
    stored.inplace(|stored| stored.slice_assign(place, new));
}

/// What the queries `[1, h, c, head_dim]` of the tokens from `first` on find in these and those before them. Shapes:
/// → `[c, d]`.
fn mix(queries: &Tensor<4>, memory: &KeyValues, first: usize) -> Tensor<2> {
    let [_, n_heads, count, head_dim] = queries.dims();
    let kv_heads = memory.keys.dims()[1];
    let group = n_heads / kv_heads;
    let of_key_head = |head: usize| {
        let queries = queries.clone().narrow(1, head * group, group);
        // One head's keys lie in a row, so that the product reads them where they are.
        let [keys, values] = [&memory.keys, &memory.values].map(|stored| stored.clone().narrow(1, head, 1));
        let strip = |start: usize| {
            let rows = STRIP.min(count - start);
            let seen = first + start + rows;
            let queries = queries
                .clone()
                .narrow(2, start, rows)
                .reshape([1, 1, group * rows, head_dim]);
            let mut scores = queries.matmul(keys.clone().narrow(2, 0, seen).swap_dims(2, 3)); // [1, 1, group·rows, seen]
            hide_later(&mut scores, rows);
            let mixed = softmax(scores, None).matmul(values.clone().narrow(2, 0, seen));
            mixed.reshape([1, group, rows, head_dim])
        };
        Tensor::cat((0..count).step_by(STRIP).map(strip).collect(), 2) // [1, group, c, head_dim]
    };
    let mixed = Tensor::cat((0..kv_heads).map(of_key_head).collect(), 1); // [1, h, c, head_dim]
    mixed.swap_dims(1, 2).reshape([count, n_heads * head_dim])
}

/// Takes the keys after each query's own token out of scores `[1, 1, group·rows, seen]`, whose last `rows` columns are
/// the strip's own tokens.
fn hide_later(scores: &mut Tensor<4>, rows: usize) {
    let [_, _, height, seen] = scores.dims();
    let hidden = (0..height).flat_map(|row| {
        let own = row % rows;
        (0..rows).map(move |column| if column <= own { 0.0 } else { f32::NEG_INFINITY })
    });
    let mask = TensorData::new(hidden.collect::<Vec<f32>>(), [1, 1, height, rows]);
    let mask = Tensor::from_data(mask, &scores.device());
    let place = [0..1, 0..1, 0..height, seen - rows..seen];
    scores.inplace(|scores| {
        let own = scores.clone().slice(place.clone()) + mask;
        scores.slice_assign(place, own)
    });
}
