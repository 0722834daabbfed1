//! Token sequences side by side, padded to one length, or end to end in one row; each token with its place, each image
//! token with its row.

use crate::config::Config;
use crate::error::Error;
use crate::kernels::mixed;
use crate::text::Placement;

/// One sequence of a batch: its tokens, image placeholders expanded, and its pictures' grids.
#[derive(Clone, Copy, Debug)]
pub struct TokenSequence<'a> {
    /// Token ids.
    pub ids: &'a [u32],
    /// Time, height and width of each picture, in patches, in order of appearance.
    pub grids: &'a [[usize; 3]],
}

/// Sequences padded on the right to the longest of them, or packed into one row.
///
/// With padding on the right, a causal model needs no mask to hide it, and rows keep the places of their tokens. Packed
/// sequences see themselves alone, and each counts its places from zero: what a packed batch gives is what a padded one
/// gives, up to rounding.
#[derive(Clone, Debug)]
pub struct Batch {
    // Row after row; padding holds token 0.
    ids: Vec<u32>,
    axes: [Vec<u32>; 3],
    // Of each sequence, its first token's place in `ids`.
    starts: Vec<usize>,
    lengths: Vec<usize>,
    next_positions: Vec<u32>,
    rope_bases: Vec<f64>,
    shape: [usize; 2],
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
        let mut batch = Self::empty([sequences.len(), t], config);
        for sequence in sequences {
            batch.push(sequence, config)?;
            batch.pad_to(batch.lengths.len() * t);
        }
        batch.check_filled()
    }

    /// Puts sequences end to end in one row, `[1, t]`, without padding.
    ///
    /// Errors: as [`Self::new`].
    pub fn packed(sequences: &[TokenSequence], config: &Config) -> Result<Self, Error> {
        let t = sequences.iter().map(|sequence| sequence.ids.len()).sum();
        let mut batch = Self::empty([1, t], config);
        for sequence in sequences {
            batch.push(sequence, config)?;
        }
        batch.check_filled()
    }

    fn empty(shape: [usize; 2], config: &Config) -> Self {
        Self {
            ids: Vec::new(),
            axes: Default::default(),
            starts: Vec::new(),
            lengths: Vec::new(),
            next_positions: Vec::new(),
            rope_bases: Vec::new(),
            shape,
            image_token: config.tokens.image,
        }
    }

    fn push(&mut self, sequence: &TokenSequence, config: &Config) -> Result<(), Error> {
        let TokenSequence { ids, grids } = *sequence;
        check_vocabulary(ids, config)?;
        let positions = config.family.positions(config, ids, grids)?;
        self.starts.push(self.ids.len());
        self.lengths.push(ids.len());
        self.ids.extend_from_slice(ids);
        self.next_positions.push(positions.next);
        self.rope_bases.push(config.rope_base(ids.len()));
        for (all, axis) in self.axes.iter_mut().zip(positions.axes) {
            all.extend(axis);
        }
        Ok(())
    }

    fn pad_to(&mut self, n_rows: usize) {
        self.ids.resize(n_rows, 0);
        self.axes.iter_mut().for_each(|axis| axis.resize(n_rows, 0));
    }

    fn check_filled(self) -> Result<Self, Error> {
        if self.lengths.is_empty() || self.lengths.contains(&0) {
            return Err(Error::Input(
                "expected at least one token in every sequence, got none".to_owned(),
            ));
        }
        Ok(self)
    }

    /// The batch's shape, `[b, t]`.
    pub fn dims(&self) -> [usize; 2] {
        self.shape
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
        self.starts[sequence] + token_idx
    }

    /// For every row a number that belongs to its sequence's key and its place there alone, however the batch is laid
    /// out; rows of padding have 0. Source: SplitMix64 (Steele et al., OOPSLA 2014), whose mixing this is.
    pub fn row_keys(&self, sequence_keys: &[u64]) -> Vec<u64> {
        let mut keys = vec![0; self.ids.len()];
        for ((start, length), key) in self.starts.iter().zip(&self.lengths).zip(sequence_keys) {
            for (token_idx, row_key) in keys[*start..start + length].iter_mut().enumerate() {
                *row_key = mixed(key.wrapping_add(mixed(token_idx as u64)));
            }
        }
        keys
    }

    pub(crate) fn placement(&self) -> Placement<'_> {
        Placement {
            starts: &self.starts,
            lengths: &self.lengths,
            shape: self.shape,
            axes: &self.axes,
            rope_bases: &self.rope_bases,
        }
    }

    /// All ids, row after row.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Whether each of all rows is an image token.
    pub(crate) fn is_image(&self) -> impl Iterator<Item = bool> + use<> {
        let mut is_image = vec![false; self.ids.len()];
        for (start, length) in self.starts.iter().zip(&self.lengths) {
            let places = *start..start + length;
            for (is_image, id) in is_image[places.clone()].iter_mut().zip(&self.ids[places]) {
                *is_image = *id == self.image_token;
            }
        }
        is_image.into_iter()
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
