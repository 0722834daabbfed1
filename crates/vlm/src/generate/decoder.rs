//! One further token for many sequences at once, after prompts whose keys and values their members share.
//!
//! Sequences that began together are a [`DecodeBatch`]: they are at the same step. Batches come and go between steps.
//! What belongs to a token alone (projections, feed-forward layers, the head) is computed for the rows of all batches in
//! one product; attention reads the KV cache, and so is computed batch by batch.
//!
//! Shapes: `n` prompts, `t` padded prompt length, `b` rows, `s` own tokens, `kv` key heads, `group` query heads of one
//! key head.

mod chunked_prefill;
mod decode_batch;
mod prompts;
mod slots;

use burn::tensor::Tensor;

use crate::batch::Batch;
use crate::error::Error;
use crate::kernels::Qkv;
use crate::linear::indexes;
use crate::model::Vlm;
use crate::rope::Rotary;
pub(super) use chunked_prefill::ChunkedPrefill;
use decode_batch::DecodeBatch;
pub(super) use decode_batch::{FIRST_CAPACITY, capacity_for};
pub(super) use prompts::{padded, prompt_batch};

/// Rows are never fewer; idle ones make up the number. Matrix products of very few rows are summed in another order
/// (and one row is no faster than these), so that a sequence alone would not equal itself in a larger batch.
const MINIMUM_ROWS: usize = 16;
/// The state of all sequences between two tokens.
pub(super) struct Decoder {
    /// One [`Vlm::for_sampling`].
    pub model: Vlm,
    // Rows are in the batches' order.
    batches: Vec<DecodeBatch>,
}

impl Decoder {
    /// No sequences yet.
    pub fn new(model: Vlm) -> Self {
        Self { model, batches: Vec::new() }
    }

    /// Prefills every prompt of `batch` once and adds rows after those there are: row `i` of them continues prompt
    /// `prompt_of_row[i]`.
    ///
    /// Errors: `Input` when image tokens and rows of `images` disagree.
    pub fn prefill(&mut self, batch: &Batch, images: Option<Tensor<2>>, prompt_of_row: &[usize]) -> Result<(), Error> {
        let batch = DecodeBatch::prefill(&self.model, batch, images, prompt_of_row)?;
        self.batches.push(batch);
        Ok(())
    }

    /// Adds `n_rows` rows that all continue a prompt that was prefilled chunk by chunk.
    pub fn add_prefilled(&mut self, prompt: ChunkedPrefill, n_rows: usize) {
        self.batches.push(prompt.into_batch(&self.model, n_rows));
    }

    /// For each row, the tokens that are cached for it; prompts' are divided among their batch's rows.
    pub fn cached_by_rows(&self) -> Vec<usize> {
        let mut cached = Vec::new();
        for batch in &self.batches {
            cached.extend(std::iter::repeat_n(batch.cached_by_row(), batch.n_rows()));
        }
        cached
    }

    /// Appends a token to every row and returns the scores of the next, `[rows, v]`, row-major.
    ///
    /// Errors: `Input` when scores cannot be read back.
    pub fn step(&mut self, tokens: &[u32], positions: &[u32]) -> Result<Vec<f32>, Error> {
        let n_rows = tokens.len().max(MINIMUM_ROWS);
        let idle = n_rows - tokens.len();
        let [tokens, positions] = [tokens, positions].map(|values| [values, &vec![0; idle]].concat());
        let ids = tokens.into_iter().map(|id| id as usize);
        let embedded = self.model.text.embed(indexes(ids, &self.model.device())); // [b, d]
        let config = &self.model.config().text;
        let rotary = Rotary::new(&[positions.clone(), positions.clone(), positions], [n_rows, 1], config);

        let batches = &mut self.batches;
        let hidden = self.model.text.forward_with(embedded, |layer, attention, x| {
            let projected = attention.project(x, &rotary, [n_rows, 1]);
            attention.output(attend(batches, layer, &projected))
        });
        self.batches.iter_mut().for_each(DecodeBatch::advance);
        read(self.model.logits(hidden).narrow(0, 0, n_rows - idle))
    }

    /// Continues with the rows of which `keeps` holds true.
    pub fn keep(&mut self, keeps: &[bool]) {
        let mut rest = keeps;
        self.batches.retain_mut(|batch| {
            let (own, others) = rest.split_at(batch.n_rows());
            rest = others;
            batch.keep(own);
            batch.n_rows() > 0
        });
    }
}

/// Every row's attention over its batch's KV cache; rows beyond those of the batches get zeros. Shapes: → `[b, d]`.
fn attend(batches: &mut [DecodeBatch], layer: usize, projected: &Qkv) -> Tensor<2> {
    let [n_rows, n_heads, _, head_dim] = projected.queries.dims();
    let mut first = 0;
    let mut attended: Vec<Tensor<2>> = Vec::with_capacity(batches.len() + 1);
    for batch in batches {
        let Qkv { queries, keys, values } = projected;
        let [queries, keys, values] = [queries, keys, values].map(|x| x.clone().narrow(0, first, batch.n_rows()));
        attended.push(batch.attend(layer, Qkv { queries, keys, values }));
        first += batch.n_rows();
    }
    if first < n_rows {
        let shape = [n_rows - first, n_heads * head_dim];
        attended.push(Tensor::zeros(shape, &projected.queries.device()));
    }
    if attended.len() == 1 { attended.remove(0) } else { Tensor::cat(attended, 0) }
}

fn read(scores: Tensor<2>) -> Result<Vec<f32>, Error> {
    scores.try_into_vec_as::<f32>().map_err(|error| Error::Input(format!("reading scores from the device: {error}")))
}
