//! Prompts side by side, padded.

use crate::batch::{Batch, TokenSequence};
use crate::config::Config;
use crate::error::Error;

/// Prompts are padded to a multiple of this many tokens, so that rows of scores fill vector registers.
const PROMPT_STEP: usize = 8;
/// Prompts are padded to at least this many tokens: products of very few rows and columns are summed in another order,
/// so that a short prompt alone would not equal itself beside a longer one.
const MINIMUM_PROMPT: usize = 24;

/// Prompts but for their last token, side by side, as a prefill takes them: a sequence's first step takes in
/// the last token of its prompt.
///
/// Errors: as [`Batch::new`].
pub(in crate::generate) fn prompt_batch(prompts: &[TokenSequence], config: &Config) -> Result<Batch, Error> {
    let sequences: Vec<TokenSequence> = prompts
        .iter()
        .map(|prompt| TokenSequence { ids: prompt.ids.split_last().map_or(&[], |(_, rest)| rest), grids: prompt.grids })
        .collect();
    let longest = sequences.iter().map(|sequence| sequence.ids.len()).max().unwrap_or(0);
    Batch::padded_to(padded(longest), &sequences, config)
}

/// The length to which prompts are padded of which the longest has `longest` tokens to be prefilled.
pub(in crate::generate) fn padded(longest: usize) -> usize {
    longest.max(MINIMUM_PROMPT).next_multiple_of(PROMPT_STEP)
}
