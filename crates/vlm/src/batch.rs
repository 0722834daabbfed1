//! Token sequences side by side: padded to one length, each token with its place, each image token with its row.

use crate::config::Config;
use crate::error::Error;
use crate::rope::Positions;
use crate::text::Padded;

/// One sequence of a batch: its tokens, image placeholders expanded, and its pictures' grids.
#[derive(Clone, Copy, Debug)]
pub struct TokenSequence<'a> {
    /// Token ids.
    pub ids: &'a [u32],
    /// Time, height and width of each picture, in patches, in order of appearance.
    pub grids: &'a [[usize; 3]],
}

/// Sequences padded on the right to the longest of them.
///
/// With padding on the right, a causal model needs no mask to hide it, and rows keep the places of their tokens.
#[derive(Clone, Debug)]
pub struct Batch {
    // Row after row; padding holds token 0.
    ids: Vec<u32>,
    axes: [Vec<u32>; 3],
    lengths: Vec<usize>,
    next_positions: Vec<u32>,
    t: usize,
    image_token: u32,
}

impl Batch {
    /// Puts sequences side by side.
    ///
    /// Errors: `Input` when there is no sequence, one is empty, a token is outside the vocabulary, or image tokens and
    /// grids disagree.
    pub fn new(sequences: &[TokenSequence], config: &Config) -> Result<Self, Error> {
        Self::padded_to(0, sequences, config)
    }

    /// The same, padded to `t` tokens if the longest sequence has fewer.
    ///
    /// Errors: as [`Self::new`].
    pub fn padded_to(t: usize, sequences: &[TokenSequence], config: &Config) -> Result<Self, Error> {
        let t = sequences.iter().map(|sequence| sequence.ids.len()).fold(t, usize::max);
        if sequences.iter().any(|sequence| sequence.ids.is_empty()) || t == 0 {
            return Err(Error::Input(
                "expected at least one token in every sequence, got none".to_owned(),
            ));
        }
        let mut batch = Self::empty(t, config);
        for sequence in sequences {
            check_vocabulary(sequence.ids, config)?;
            let positions = config.family.positions(config, sequence.ids, sequence.grids)?;
            batch.push(sequence.ids, positions);
        }
        Ok(batch)
    }

    fn empty(t: usize, config: &Config) -> Self {
        let image_token = config.tokens.image;
        let (ids, axes, lengths, next_positions) = (Vec::new(), Default::default(), Vec::new(), Vec::new());
        Self {
            ids,
            axes,
            lengths,
            next_positions,
            t,
            image_token,
        }
    }

    fn push(&mut self, ids: &[u32], positions: Positions) {
        let padding = self.t - ids.len();
        self.ids.extend_from_slice(ids);
        self.ids.extend(std::iter::repeat_n(0, padding));
        for (all, axis) in self.axes.iter_mut().zip(positions.axes) {
            all.extend(axis);
            all.extend(std::iter::repeat_n(0, padding));
        }
        self.lengths.push(ids.len());
        self.next_positions.push(positions.next);
    }

    /// The batch's shape, `[b, t]`.
    pub fn dims(&self) -> [usize; 2] {
        [self.lengths.len(), self.t]
    }

    /// Real tokens of each sequence.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// For each sequence, the place of the token that would follow.
    pub fn next_positions(&self) -> &[u32] {
        &self.next_positions
    }

    /// Places of all tokens in time, height and width, row after row.
    pub fn positions(&self) -> &[Vec<u32>; 3] {
        &self.axes
    }

    /// The row of a sequence's token among all `b · t` rows.
    pub fn row(&self, sequence: usize, token_idx: usize) -> usize {
        sequence * self.t + token_idx
    }

    pub(crate) fn padded(&self) -> Padded<'_> {
        Padded {
            lengths: &self.lengths,
            t: self.t,
            axes: &self.axes,
        }
    }

    /// All ids, row after row.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Whether each of all rows is an image token.
    pub(crate) fn is_image(&self) -> impl Iterator<Item = bool> + '_ {
        let real = self
            .lengths
            .iter()
            .flat_map(|length| (0..self.t).map(move |token_idx| token_idx < *length));
        self.ids
            .iter()
            .zip(real)
            .map(|(id, real)| real && *id == self.image_token)
    }
}

fn check_vocabulary(ids: &[u32], config: &Config) -> Result<(), Error> {
    let vocab_size = config.text.vocab_size;
    match ids.iter().position(|id| *id as usize >= vocab_size) {
        Some(token_idx) => Err(Error::Input(format!(
            "token {token_idx}: expected an id below the vocabulary's size {vocab_size}, got {}",
            ids[token_idx]
        ))),
        None => Ok(()),
    }
}
