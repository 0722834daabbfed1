//! Seeds and orders that are hashes of what they are for, so that no random generator lives between steps.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// A seed for one purpose, derived by hashing (SHA-256), so that no generator's state need be kept between steps.
pub fn derive_seed(seed: u64, purpose: &str, numbers: &[u64]) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(purpose.as_bytes());
    for number in numbers {
        hash.update(number.to_le_bytes());
    }
    number_of(&hash.finalize())
}

/// The number that a hash begins with.
pub(crate) fn number_of(digest: &[u8]) -> u64 {
    let first = digest.iter().take(8);
    first.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The numbers from zero to `n` (left out) in an order that the seed decides.
pub fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_depend_on_every_part() {
        let seeds = [
            derive_seed(1, "member", &[2, 3]),
            derive_seed(0, "member", &[2, 3]),
            derive_seed(1, "order", &[2, 3]),
            derive_seed(1, "member", &[3, 2]),
        ];
        let distinct: std::collections::BTreeSet<_> = seeds.iter().collect();
        assert_eq!(distinct.len(), seeds.len());
        assert_eq!(derive_seed(1, "member", &[2, 3]), seeds[0]);
    }

    #[test]
    fn a_shuffled_order_holds_every_number_once() {
        let order = shuffled(50, 7);
        assert_eq!(order, shuffled(50, 7));
        assert_ne!(order, shuffled(50, 8));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
    }
}
