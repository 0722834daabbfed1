//! Rows of the batch beside the prompts they continue: which rows attend to which prompt's keys.
//!
//! Every prompt has as many slots as the prompt with most rows; rows fill them in order, and empty slots repeat some
//! row, whose result there is not read. So all rows of a prompt are rows of one matrix product with its keys.

use burn::tensor::{Device, Int, Tensor};

use crate::linear::indexes;

/// The assignment of rows to slots.
pub(super) struct Slots {
    /// Which prompt each row continues.
    pub prompt_of_row: Vec<usize>,
    /// Prompts.
    pub n_prompts: usize,
    per_prompt: usize,
    // None when row and slot are the same.
    moves: Option<Moves>,
}

struct Moves {
    row_of_slot: Tensor<1, Int>,
    slot_of_row: Tensor<1, Int>,
}

impl Slots {
    /// Assigns rows, of which `prompt_of_row` gives the prompt, to at least `minimum` slots for each of `n_prompts`.
    pub fn new(prompt_of_row: &[usize], n_prompts: usize, minimum: usize, device: &Device) -> Self {
        let (per_prompt, slot_of_row) = assign(prompt_of_row, n_prompts, minimum);
        let n_slots = n_prompts * per_prompt;
        let is_identity =
            slot_of_row.len() == n_slots && slot_of_row.iter().enumerate().all(|(row, &slot)| row == slot);
        let moves = (!is_identity).then(|| {
            let mut row_of_slot = vec![0; n_slots];
            for (row, &slot) in slot_of_row.iter().enumerate() {
                row_of_slot[slot] = row;
            }
            Moves {
                row_of_slot: indexes(row_of_slot.iter().copied(), device),
                slot_of_row: indexes(slot_of_row.iter().copied(), device),
            }
        });
        Self { prompt_of_row: prompt_of_row.to_vec(), n_prompts, per_prompt, moves }
    }

    /// Rows of the batch.
    pub fn n_rows(&self) -> usize {
        self.prompt_of_row.len()
    }

    /// From rows to prompts. Shapes: `[b, kv, group, w]` → `[n, kv, slot · group, w]`.
    pub fn by_prompt(&self, x: Tensor<4>) -> Tensor<4> {
        let [b, kv_heads, group, width] = x.dims();
        let mut x = x.reshape([b, kv_heads * group * width]);
        if let Some(moves) = &self.moves {
            x = x.select(0, moves.row_of_slot.clone());
        }
        let x = x.reshape([self.n_prompts, self.per_prompt, kv_heads, group, width]).swap_dims(1, 2);
        x.reshape([self.n_prompts, kv_heads, self.per_prompt * group, width])
    }

    /// From prompts back to rows. Shapes: `[n, kv, slot · group, w]` → `[b, kv, group, w]`.
    pub fn by_row(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, kv_heads, rows, width] = x.dims();
        let group = rows / self.per_prompt;
        let x = x.reshape([self.n_prompts, kv_heads, self.per_prompt, group, width]).swap_dims(1, 2);
        let mut x = x.reshape([self.n_prompts * self.per_prompt, kv_heads * group * width]);
        if let Some(moves) = &self.moves {
            x = x.select(0, moves.slot_of_row.clone());
        }
        x.reshape([self.n_rows(), kv_heads, group, width])
    }
}

/// Slots for each prompt, and the slot of each row.
fn assign(prompt_of_row: &[usize], n_prompts: usize, minimum: usize) -> (usize, Vec<usize>) {
    let mut filled = vec![0; n_prompts];
    for &prompt in prompt_of_row {
        filled[prompt] += 1;
    }
    let per_prompt = filled.iter().copied().max().unwrap_or(0).max(minimum);
    let mut next_slot: Vec<usize> = (0..n_prompts).map(|prompt| prompt * per_prompt).collect();
    let mut slots = Vec::with_capacity(prompt_of_row.len());
    for &prompt in prompt_of_row {
        slots.push(next_slot[prompt]);
        next_slot[prompt] += 1;
    }
    (per_prompt, slots)
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    fn round_trip(prompt_of_row: &[usize], n_prompts: usize) -> (Vec<f32>, [usize; 4]) {
        let device = Device::flex();
        let slots = Slots::new(prompt_of_row, n_prompts, 1, &device);
        let shape = [prompt_of_row.len(), 2, 3, 5];
        let values: Vec<f32> = (0..shape.iter().product::<usize>()).map(|value| value as f32).collect();
        let there = slots.by_prompt(Tensor::from_data(TensorData::new(values, shape), &device));
        let dims = there.dims();
        (slots.by_row(there).into_data().iter::<f32>().collect(), dims)
    }

    #[test]
    fn rows_come_back_as_they_went_for_groups_of_any_size() {
        for (prompt_of_row, n_prompts, slots) in
            [(vec![0, 0, 1, 1], 2, 2), (vec![0, 1, 2], 3, 1), (vec![2, 0, 0, 2, 2], 3, 3)]
        {
            let (values, dims) = round_trip(&prompt_of_row, n_prompts);
            assert_eq!(dims, [n_prompts, 2, slots * 3, 5]);
            assert!(values.iter().enumerate().all(|(index, &value)| value == index as f32), "{prompt_of_row:?}");
        }
    }

    #[test]
    fn a_row_is_beside_its_prompt() {
        assert_eq!(assign(&[2, 0, 0, 2, 2], 3, 1), (3, vec![6, 0, 1, 7, 8]));
        assert_eq!(assign(&[1, 0], 2, 2), (2, vec![2, 0]));
    }
}
