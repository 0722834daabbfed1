//! How many tokens' keys and values a prompt and its completions hold, so that a server lets in no more than there is
//! memory for.

use super::decoder::{FIRST_ROOM, padded, room_for};
use crate::config::TextConfig;

/// Tokens held at most for a prompt of `n_prompt` tokens, padding included, and its completions. A prompt that joins
/// with longer ones is padded as the longest of them.
pub fn tokens(n_prompt: usize, n_completions: usize, max_new_tokens: usize) -> usize {
    let of_completions = n_completions.saturating_mul(room_for(max_new_tokens));
    padded(n_prompt.saturating_sub(1)).saturating_add(of_completions)
}

/// Bytes of a token's keys and values.
pub fn bytes_per_token(config: &TextConfig) -> usize {
    2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim() * size_of::<f32>()
}

/// Tokens that a prompt and one completion may have together, however they share them, so that at most `held` are held.
pub fn longest(held: usize) -> usize {
    let padding = padded(0);
    new_tokens(held.saturating_sub(padding))
}

/// Tokens that each of `n_completions` may have after a prompt of `n_prompt` so that at most `held` are held.
pub fn longest_completion(n_prompt: usize, n_completions: usize, held: usize) -> usize {
    let of_prompt = padded(n_prompt.saturating_sub(1));
    new_tokens(held.saturating_sub(of_prompt) / n_completions.max(1))
}

/// How many tokens surely fit into room for `room`, which grows by quarters.
fn new_tokens(room: usize) -> usize {
    room.saturating_sub(FIRST_ROOM) / 5 * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_fit_fits_however_it_is_shared() {
        for held in [100, 256, 1000, 4096, 70_000] {
            let longest = longest(held);
            assert!(longest >= held * 3 / 4 - 50, "{longest} of {held}");
            for n_prompt in (2..longest).step_by(longest.div_ceil(300)) {
                let taken = tokens(n_prompt, 1, longest - n_prompt);
                assert!(taken <= held, "{n_prompt} of {longest}: {taken} of {held}");
                for n in [1, 2, 7] {
                    let new = longest_completion(n_prompt, n, held);
                    assert!(new == 0 || tokens(n_prompt, n, new) <= held, "{n} of {new}");
                }
                // Fives are rounded down.
                assert!(longest_completion(n_prompt, 1, held) + n_prompt + 4 >= longest);
            }
        }
        assert_eq!((longest(10), longest_completion(5000, 1, 300)), (0, 0));
    }

    #[test]
    fn a_prompt_is_held_once_for_all_its_completions() {
        assert_eq!(tokens(2, 1, 1), 24 + 32);
        assert_eq!(tokens(100, 8, 40), 104 + 8 * 64);
        assert_eq!(tokens(2, usize::MAX, 1), usize::MAX);
    }
}
