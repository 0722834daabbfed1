//! Matrices of the CPU back end: what linear layers of all types need beside the product.

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::autodiff::values_mut;
use super::numeric::{BLOCK_ROWS, add, sum_blocks};

pub(super) fn transposed(matrix: &FlexTensor) -> FlexTensor {
    matrix.transpose(0, 1)
}

pub(super) fn add_to_rows(output: &mut FlexTensor, bias: &[f32]) {
    values_mut(output).par_chunks_mut(BLOCK_ROWS * bias.len()).for_each(|rows| {
        rows.chunks_mut(bias.len()).for_each(|row| add(row, bias));
    });
}

pub(super) fn sum_of_rows(rows: &[f32], width: usize) -> Vec<f32> {
    let parts: Vec<f32> = rows.par_chunks(BLOCK_ROWS * width).flat_map_iter(|block| sum_blocks(block, width)).collect();
    sum_blocks(&parts, width)
}
