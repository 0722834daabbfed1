//! Sequences that began together, with the prompts they continue.
//!
//! Each layer caches the prompts' keys and values once, `[n, kv, ·, ·]`, and for every row those of its own tokens. A
//! query is compared with both, one softmax goes over all, and both give their part of the sum of values. All rows are
//! at the same step, so that their own tokens need no mask.

use burn::tensor::{Int, Tensor};

use super::slots::Slots;
use crate::attention::KeyValues;
use crate::batch::Batch;
use crate::error::Error;
use crate::kernels::{Qkv, additive_mask, softmax};
use crate::linear::indexes;
use crate::model::Vlm;

/// Capacity for own tokens at first, and the least by which it grows.
pub(in crate::generate) const FIRST_CAPACITY: usize = 32;
/// Prompts whose sequences have all ended are dropped once they are one in this many.
const PROMPTS_PER_IDLE_PROMPT: usize = 4;

/// Rows at the same step.
pub(super) struct DecodeBatch {
    layers: Vec<LayerCache>,
    // 0 on the prompts' tokens and -∞ on padding, `[n, 1, 1, t]`; none when there is no padding.
    mask: Option<Tensor<4>>,
    slots: Slots,
    minimum_slots: usize,
    n_own: usize,
}

/// The KV cache of one layer.
struct LayerCache {
    // `[n, kv, head_dim, t]`: laid out as the product with the queries reads them.
    prompt_keys: Tensor<4>,
    // `[n, kv, t, head_dim]`.
    prompt_values: Tensor<4>,
    // `[b, kv, capacity, head_dim]`, filled up to the own tokens.
    keys: Tensor<4>,
    values: Tensor<4>,
}

impl DecodeBatch {
    /// Prefills every prompt of `batch` once, for rows that continue prompt `prompt_of_row[row]`.
    ///
    /// Errors: `Input` when image tokens and rows of `images` disagree.
    pub fn prefill(
        model: &Vlm,
        batch: &Batch,
        images: Option<Tensor<2>>,
        prompt_of_row: &[usize],
    ) -> Result<Self, Error> {
        let embedded = model.embed(batch, images)?; // [n·t, d]
        let prompts = model.text.prefill(embedded, batch.placement(), &model.config().text);
        Ok(Self::of(prompts, model, batch, prompt_of_row))
    }

    /// The same where the prompts' keys and values, layer by layer, are known.
    pub fn of(prompts: Vec<KeyValues>, model: &Vlm, batch: &Batch, prompt_of_row: &[usize]) -> Self {
        let [n, _] = batch.dims();
        let minimum_slots = minimum_slots(model);
        let layers = prompts.into_iter().map(|prompt| LayerCache::new(prompt, prompt_of_row.len())).collect();
        Self {
            layers,
            mask: padding_mask(batch, model),
            slots: Slots::new(prompt_of_row, n, minimum_slots, &model.device()),
            minimum_slots,
            n_own: 0,
        }
    }

    /// Rows.
    pub fn n_rows(&self) -> usize {
        self.slots.n_rows()
    }

    /// Tokens that are cached for a row: its own, and its part of the prompts'.
    pub fn cached_by_row(&self) -> usize {
        let Some(LayerCache { prompt_keys, keys, .. }) = self.layers.first() else {
            return 0;
        };
        let of_prompts = self.slots.n_prompts * prompt_keys.dims()[3];
        keys.dims()[2] + of_prompts / self.n_rows().max(1)
    }

    /// Caches the rows' new keys and values, and attends over all of each row's. Shapes: → `[b, d]`.
    pub fn attend(&mut self, layer: usize, projected: Qkv) -> Tensor<2> {
        self.layers[layer].attend(projected, self.n_own, &self.slots, self.mask.as_ref())
    }

    /// Every layer has cached a further token.
    pub fn advance(&mut self) {
        self.n_own += 1;
    }

    /// Continues with the rows of which `keeps` holds true.
    pub fn keep(&mut self, keeps: &[bool]) {
        let rows: Vec<usize> = (0..keeps.len()).filter(|&row| keeps[row]).collect();
        if rows.len() == keeps.len() {
            return;
        }
        let Some(device) = self.layers.first().map(|layer| layer.keys.device()) else {
            return;
        };
        let mut prompt_of_row: Vec<usize> = rows.iter().map(|&row| self.slots.prompt_of_row[row]).collect();
        let mut prompts = prompt_of_row.clone();
        prompts.sort_unstable();
        prompts.dedup();
        let mut n = self.slots.n_prompts;
        if !rows.is_empty() {
            if (n - prompts.len()) * PROMPTS_PER_IDLE_PROMPT >= n {
                for prompt in &mut prompt_of_row {
                    *prompt = prompts.partition_point(|kept| kept < prompt);
                }
                let kept = indexes(prompts.iter().copied(), &device);
                self.mask = self.mask.take().map(|mask| mask.select(0, kept.clone()));
                self.layers.iter_mut().for_each(|layer| layer.keep_prompts(&kept));
                n = prompts.len();
            }
            let kept = indexes(rows.iter().copied(), &device);
            self.layers.iter_mut().for_each(|layer| layer.keep_rows(&kept));
        }
        self.slots = Slots::new(&prompt_of_row, n, self.minimum_slots, &device);
    }
}

impl LayerCache {
    fn new(prompt: KeyValues, n_rows: usize) -> Self {
        let KeyValues { keys, values } = prompt;
        let [_, kv_heads, _, head_dim] = keys.dims();
        let empty = Tensor::zeros([n_rows, kv_heads, FIRST_CAPACITY, head_dim], &keys.device());
        let prompt_keys = transposed(keys);
        Self { prompt_keys, prompt_values: values, keys: empty.clone(), values: empty }
    }

    /// Caches the rows' new keys and values, and attends over all of each row's. Shapes: → `[b, d]`.
    fn attend(&mut self, projected: Qkv, n_own: usize, slots: &Slots, mask: Option<&Tensor<4>>) -> Tensor<2> {
        let [b, n_heads, _, head_dim] = projected.queries.dims();
        let kv_heads = projected.keys.dims()[1];
        let t = self.prompt_keys.dims()[3];
        let queries = projected.queries.reshape([b, kv_heads, n_heads / kv_heads, head_dim]);
        if self.keys.dims()[2] == n_own {
            self.grow();
        }
        let keys = append(&mut self.keys, projected.keys, n_own); // [b, kv, s, head_dim]
        let values = append(&mut self.values, projected.values, n_own);

        let mut of_prompt = slots.by_prompt(queries.clone()).matmul(self.prompt_keys.clone());
        if let Some(mask) = mask {
            of_prompt = of_prompt + mask.clone();
        }
        let of_own = queries.matmul(keys.swap_dims(2, 3)); // [b, kv, group, s]
        let weights = softmax(Tensor::cat(vec![slots.by_row(of_prompt), of_own], 3), None); // [b, kv, group, t + s]

        let from_prompt = slots.by_prompt(weights.clone().narrow(3, 0, t)).matmul(self.prompt_values.clone());
        let from_own = weights.narrow(3, t, n_own + 1).matmul(values);
        (slots.by_row(from_prompt) + from_own).reshape([b, n_heads * head_dim])
    }

    fn grow(&mut self) {
        for stored in [&mut self.keys, &mut self.values] {
            stored.inplace(|stored| {
                let [b, kv_heads, capacity, head_dim] = stored.dims();
                let more = next_capacity(capacity) - capacity;
                let empty = Tensor::zeros([b, kv_heads, more, head_dim], &stored.device());
                Tensor::cat(vec![stored, empty], 2)
            });
        }
    }

    fn keep_prompts(&mut self, prompts: &Tensor<1, Int>) {
        self.prompt_keys.inplace(|keys| keys.select(0, prompts.clone()));
        self.prompt_values.inplace(|values| values.select(0, prompts.clone()));
    }

    fn keep_rows(&mut self, rows: &Tensor<1, Int>) {
        self.keys.inplace(|keys| keys.select(0, rows.clone()));
        self.values.inplace(|values| values.select(0, rows.clone()));
    }
}

/// The capacity that follows when `capacity` own tokens fill it: a quarter more, so that little is reserved in vain.
fn next_capacity(capacity: usize) -> usize {
    capacity + (capacity / 4).max(FIRST_CAPACITY)
}

/// The capacity that a row has when it caches `n_own` tokens of its own.
pub(in crate::generate) fn capacity_for(n_own: usize) -> usize {
    let mut capacity = FIRST_CAPACITY;
    while capacity < n_own {
        capacity = next_capacity(capacity);
    }
    capacity
}

/// Writes `new` `[b, kv, 1, head_dim]` at column `n_own` and returns what is filled now.
fn append(stored: &mut Tensor<4>, new: Tensor<4>, n_own: usize) -> Tensor<4> {
    let [b, kv_heads, _, head_dim] = new.dims();
    let range = [0..b, 0..kv_heads, n_own..n_own + 1, 0..head_dim];
    // In place: nobody else refers to the buffer meanwhile.
    stored.inplace(|stored| stored.slice_assign(range, new));
    stored.clone().narrow(2, 0, n_own + 1)
}

/// The last two dimensions exchanged in memory, not only in name.
fn transposed(x: Tensor<4>) -> Tensor<4> {
    let [a, b, c, d] = x.dims();
    x.swap_dims(2, 3).reshape([a * b * c * d]).reshape([a, b, d, c])
}

fn padding_mask(batch: &Batch, model: &Vlm) -> Option<Tensor<4>> {
    let [n, t] = batch.dims();
    if batch.lengths.iter().all(|&length| length == t) {
        return None;
    }
    Some(additive_mask([n, 1, 1, t], &model.device(), |row, column| column < batch.lengths[row]))
}

/// As many slots for each prompt as give the product with its keys two rows: one would be summed in another order.
fn minimum_slots(model: &Vlm) -> usize {
    let config = &model.config().text;
    if config.num_attention_heads == config.num_key_value_heads { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_never_much_more_than_what_is_cached() {
        assert_eq!([0, 32, 33, 64, 128, 129, 160].map(capacity_for), [32, 32, 64, 64, 128, 160, 160]);
        for n_own in [1, 100, 4096, 128_000] {
            let capacity = capacity_for(n_own);
            assert!(n_own <= capacity && capacity <= n_own + n_own / 4 + FIRST_CAPACITY, "{capacity} for {n_own}");
        }
    }
}
