//! Which items are in which batch: all safety items once an epoch, with general ones mixed in, in a new order each
//! epoch. Everything follows from seed and step, so that a resumed run keeps the order.

use super::config::SftConfig;
use crate::seeds::{derive_seed, shuffled};
use crate::training::TrainingError;
use crate::types::Item;

/// The training data and its order.
#[derive(Debug)]
pub struct Mixture<'a> {
    items: &'a [Item],
    general: &'a [Item],
    n_general: usize,
    batch_size: usize,
    seed: u64,
}

impl<'a> Mixture<'a> {
    /// Mixes so that general items have the share `general_ratio` of each epoch.
    ///
    /// Errors: `NoItems`; `NoLabel` naming an item without a label; `Setting` where general items are wanted and there
    /// are none.
    pub fn new(items: &'a [Item], general: &'a [Item], config: &SftConfig) -> Result<Self, TrainingError> {
        if items.is_empty() {
            return Err(TrainingError::NoItems);
        }
        config.check_general("sft", items.len(), general.len())?;
        let n_general = config.general_items(items.len());
        let used_general = if n_general > 0 { general } else { &[] };
        if let Some(item) = items.iter().chain(used_general).find(|item| item.label().is_none()) {
            return Err(TrainingError::NoLabel { item: item.id.clone() });
        }
        Ok(Self { items, general, n_general, batch_size: config.train_batch_size, seed: config.seed })
    }

    /// Items per epoch, general ones included.
    pub fn items_per_epoch(&self) -> usize {
        self.items.len() + self.n_general
    }

    /// Batches per epoch; the last one may be smaller.
    pub fn steps_per_epoch(&self) -> usize {
        self.items_per_epoch().div_ceil(self.batch_size)
    }

    /// The items of an optimizer step, counted from one.
    pub fn batch(&self, step: usize) -> Vec<&'a Item> {
        let (epoch, batch) = ((step - 1) / self.steps_per_epoch(), (step - 1) % self.steps_per_epoch());
        let order = self.epoch_order(epoch as u64).into_iter();
        order.skip(batch * self.batch_size).take(self.batch_size).collect()
    }

    /// All items of an epoch in order. Where there are too few general items, they repeat.
    fn epoch_order(&self, epoch: u64) -> Vec<&'a Item> {
        let chosen = shuffled(self.general.len(), derive_seed(self.seed, "general", &[epoch]));
        let general = chosen.iter().cycle().map(|index| &self.general[*index]).take(self.n_general);
        let all: Vec<&Item> = self.items.iter().chain(general).collect();
        let order = shuffled(all.len(), derive_seed(self.seed, "epoch", &[epoch]));
        order.into_iter().map(|index| all[index]).collect()
    }
}
