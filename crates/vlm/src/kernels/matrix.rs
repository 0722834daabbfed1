//! Matrices of the CPU back end: what linear layers of all types need beside the product.

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::autodiff::{tensor, values, values_mut};
use super::numeric::{BLOCK_ROWS, add, sum_blocks};

pub(super) fn transposed(matrix: &FlexTensor) -> FlexTensor {
    matrix.transpose(0, 1)
}

pub(super) fn add_to_rows(output: &mut FlexTensor, bias: &[f32]) {
    values_mut(output).par_chunks_mut(BLOCK_ROWS * bias.len()).for_each(|rows| {
        rows.chunks_mut(bias.len()).for_each(|row| add(row, bias));
    });
}

pub(super) fn sum_of_rows(matrix: &FlexTensor) -> FlexTensor {
    let [_, width]: [usize; 2] = matrix.layout().shape().dims();
    let blocks = values(matrix).par_chunks(BLOCK_ROWS * width);
    let parts: Vec<f32> = blocks.flat_map_iter(|block| sum_blocks(block, width)).collect();
    tensor(sum_blocks(&parts, width), [width])
}
