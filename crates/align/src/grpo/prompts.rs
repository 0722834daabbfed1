//! Which prompts come next: all items in a new order each epoch, by a counter and a seed alone.

use crate::rollout::GroupRequest;
use crate::seeds::{derive_seed, shuffled};
use crate::training::TrainingError;
use crate::types::Item;

/// The items in the order in which groups are sampled for them.
#[derive(Clone, Copy, Debug)]
pub struct PromptOrder<'a> {
    /// The items, each once an epoch.
    pub items: &'a [Item],
    seed: u64,
}

impl<'a> PromptOrder<'a> {
    /// Errors: `NoItems`.
    pub fn new(items: &'a [Item], seed: u64) -> Result<Self, TrainingError> {
        if items.is_empty() { Err(TrainingError::NoItems) } else { Ok(Self { items, seed }) }
    }

    /// The `count` prompts after the first `n_before`, with seeds for this step.
    pub fn next(&self, n_before: u64, count: usize, step: usize) -> Vec<GroupRequest<'a>> {
        let n_items = self.items.len() as u64;
        let (mut epoch, mut order) = (u64::MAX, Vec::new());
        let mut requests = Vec::with_capacity(count);
        for place in n_before..n_before + count as u64 {
            if place / n_items != epoch {
                epoch = place / n_items;
                order = shuffled(self.items.len(), derive_seed(self.seed, "epoch", &[epoch]));
            }
            requests.push(GroupRequest {
                item: &self.items[order[(place % n_items) as usize]],
                seed: derive_seed(self.seed, "prompt", &[step as u64, place]),
            });
        }
        requests
    }
}
