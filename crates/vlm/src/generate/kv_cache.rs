//! How many tokens of the KV cache a prompt and its completions take, so that a server admits no more than fit.

use super::decoder::{FIRST_CAPACITY, capacity_for, padded};
use crate::config::TextConfig;

/// Tokens that may be cached for a prompt of `n_prompt` tokens, padding included, and its completions. A prompt that is
/// computed with longer ones is padded as the longest of them.
pub fn reserved(n_prompt: usize, n_completions: usize, max_new_tokens: usize) -> usize {
    let of_completions = n_completions.saturating_mul(capacity_for(max_new_tokens));
    padded(n_prompt.saturating_sub(1)).saturating_add(of_completions)
}

/// Bytes of a token's keys and values.
pub fn bytes_per_token(config: &TextConfig) -> usize {
    2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim() * size_of::<f32>()
}

/// Tokens that a prompt and one completion may have together, however they share them, in a cache of `n_tokens`.
pub fn longest_sequence(n_tokens: usize) -> usize {
    let padding = padded(0);
    new_tokens(n_tokens.saturating_sub(padding))
}

/// Tokens that each of `n_completions` may have after a prompt of `n_prompt` in a cache of `n_tokens`.
pub fn longest_completion(n_prompt: usize, n_completions: usize, n_tokens: usize) -> usize {
    let of_prompt = padded(n_prompt.saturating_sub(1));
    new_tokens(n_tokens.saturating_sub(of_prompt) / n_completions.max(1))
}

/// How many tokens surely fit into a capacity, which grows by quarters.
fn new_tokens(capacity: usize) -> usize {
    capacity.saturating_sub(FIRST_CAPACITY) / 5 * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_fit_fits_however_it_is_shared() {
        for n_tokens in [100, 256, 1000, 4096, 70_000] {
            let longest = longest_sequence(n_tokens);
            assert!(longest >= n_tokens * 3 / 4 - 50, "{longest} of {n_tokens}");
            for n_prompt in (2..longest).step_by(longest.div_ceil(300)) {
                let taken = reserved(n_prompt, 1, longest - n_prompt);
                assert!(taken <= n_tokens, "{n_prompt} of {longest}: {taken} of {n_tokens}");
                for n in [1, 2, 7] {
                    let new = longest_completion(n_prompt, n, n_tokens);
                    assert!(new == 0 || reserved(n_prompt, n, new) <= n_tokens, "{n} of {new}");
                }
                // Fives are rounded down.
                assert!(longest_completion(n_prompt, 1, n_tokens) + n_prompt + 4 >= longest);
            }
        }
        assert_eq!((longest_sequence(10), longest_completion(5000, 1, 300)), (0, 0));
    }

    #[test]
    fn a_prompt_is_cached_once_for_all_its_completions() {
        assert_eq!(reserved(2, 1, 1), 24 + 32);
        assert_eq!(reserved(100, 8, 40), 104 + 8 * 64);
        assert_eq!(reserved(2, usize::MAX, 1), usize::MAX);
    }
}
