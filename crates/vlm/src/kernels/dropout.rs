//! Dropout whose mask is a hash of the row's key, so that it is never kept: the backward pass, a recomputed layer and a
//! resumed run all compute the same one.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::autodiff::{Input, record, supported, tensor, values};

/// A mask for rows of any width.
#[derive(Clone, Debug)]
pub(crate) struct DropoutMask {
    /// Share of values set to 0, below 1.
    pub rate: f64,
    /// A number for each row, which is all that its mask depends on beside `layer`.
    pub row_keys: Arc<[u64]>,
    /// Tells layers apart.
    pub layer: u64,
}

/// Drops values of `x` `[n, d]`, a row's by its key; the others are scaled by `1 / (1 - rate)`.
pub(crate) fn dropout(x: Tensor<2>, mask: &DropoutMask) -> Tensor<2> {
    if supported(&x) { fused(x, mask) } else { composed(x, mask) }
}

pub(super) fn composed(x: Tensor<2>, mask: &DropoutMask) -> Tensor<2> {
    let shape = x.dims();
    let factors = TensorData::new(mask.factors(shape[1]), shape);
    let factors = Tensor::from_data(factors, &x.device().without_autodiff());
    x * factors
}

fn fused(x: Tensor<2>, mask: &DropoutMask) -> Tensor<2> {
    let Input { value, node } = Input::new(x);
    let output = mask.applied(&value);
    let mask = mask.clone();
    record([node], output, move |output, [wanted]| [wanted.then(|| mask.applied(&output))])
}

impl DropoutMask {
    /// What rows `[n, width]` are multiplied by.
    pub fn factors(&self, width: usize) -> Vec<f32> {
        let mut factors = vec![1.0; self.row_keys.len() * width];
        self.apply(&mut factors, width);
        factors
    }

    fn applied(&self, x: &FlexTensor) -> FlexTensor {
        let shape: [usize; 2] = x.layout().shape().dims();
        let mut output = values(x).to_vec();
        self.apply(&mut output, shape[1]);
        tensor(output, shape)
    }

    fn apply(&self, values: &mut [f32], width: usize) {
        let rows = values.par_chunks_mut(width).zip(&*self.row_keys);
        rows.for_each(|(row, key)| self.apply_to_row(*key, row));
    }

    fn apply_to_row(&self, row_key: u64, row: &mut [f32]) {
        let key = splitmix64(row_key ^ self.layer);
        let factor = (1.0 / (1.0 - self.rate)) as f32;
        // Of 2³² equally likely numbers, those below the threshold drop the value.
        let threshold = (self.rate * 4_294_967_296.0) as u64;
        for (column, value) in row.iter_mut().enumerate() {
            let random = splitmix64(key.wrapping_add(column as u64)) >> 32;
            *value = if random < threshold { 0.0 } else { *value * factor };
        }
    }
}

/// The mixing of SplitMix64 (Steele et al., OOPSLA 2014): a number without pattern for every other.
pub(crate) fn splitmix64(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
