//! Which prompts come next: all items in an order of their own each epoch, by a counter and a seed alone.

use crate::rollout::Prompt;
use crate::training::{TrainingError, derive_seed, shuffled};
use crate::types::Item;

/// The items in the order they are drawn in.
#[derive(Clone, Copy, Debug)]
pub struct PromptOrder<'a> {
    items: &'a [Item],
    seed: u64,
}

impl<'a> PromptOrder<'a> {
    /// Errors: `NoItems`.
    pub fn new(items: &'a [Item], seed: u64) -> Result<Self, TrainingError> {
        if items.is_empty() {
            Err(TrainingError::NoItems)
        } else {
            Ok(Self { items, seed })
        }
    }

    /// How many prompts an epoch has.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// The `count` prompts after the first `drawn`, with seeds for this step.
    pub fn next(&self, drawn: u64, count: usize, step: usize) -> Vec<Prompt<'a>> {
        let n_items = self.items.len() as u64;
        let (mut epoch, mut order) = (u64::MAX, Vec::new());
        let mut prompts = Vec::with_capacity(count);
        for place in drawn..drawn + count as u64 {
            if place / n_items != epoch {
                epoch = place / n_items;
                order = shuffled(self.items.len(), derive_seed(self.seed, "epoch", &[epoch]));
            }
            prompts.push(Prompt {
                item: &self.items[order[(place % n_items) as usize]],
                seed: derive_seed(self.seed, "prompt", &[step as u64, place]),
            });
        }
        prompts
    }
}
