//! Batches of token sequences: padded to one length, or packed end to end in one row; each token with its position,
//! each image token with its row. A prefix that several sequences share is in the batch once.

use std::ops::Range;

use crate::config::Config;
use crate::error::Error;
use crate::kernels::{Span, splitmix64};
use crate::rope::Placement;

/// One sequence of a batch: its tokens, image placeholders expanded, and its images' grids.
#[derive(Clone, Copy, Debug)]
pub struct TokenSequence<'a> {
    /// Token ids.
    pub ids: &'a [u32],
    /// Time, height and width of each image, in patches, in order of appearance.
    pub grids: &'a [[usize; 3]],
}

/// Sequences that share a prefix, such as the replies to one prompt.
#[derive(Clone, Debug)]
pub struct SequenceGroup<'a> {
    /// The sequences, each whole.
    pub members: Vec<TokenSequence<'a>>,
    /// How many of their first tokens are the same, images included; may be 0.
    pub n_shared: usize,
}

/// Sequences padded on the right to the longest of them, or packed into one row.
///
/// With padding on the right, a causal model needs no mask for it, and rows keep the positions of their tokens. Packed
/// sequences attend to themselves alone, and each counts its positions from zero: what a packed batch gives is what a
/// padded one gives, up to rounding. So it is with sequences that share a prefix: it is in the first of them, and the
/// others branch off it.
#[derive(Clone, Debug)]
pub struct Batch {
    /// All ids, row after row; padding holds token 0.
    pub(crate) ids: Vec<u32>,
    axes: [Vec<u32>; 3],
    // Of each sequence, what it shares with an earlier one, and where the tokens of its own begin in `ids`.
    prefixes: Vec<Span>,
    starts: Vec<usize>,
    /// Real tokens of each sequence, but for those it shares with an earlier one.
    pub lengths: Vec<usize>,
    /// For each sequence, the position of the token that would follow.
    pub(crate) next_positions: Vec<u32>,
    rope_bases: Vec<f64>,
    shape: [usize; 2],
    image_token: u32,
}

impl SequenceGroup<'_> {
    /// Tokens that the group takes in a batch.
    pub fn n_tokens(&self) -> usize {
        let own = self.members.iter().map(|member| member.ids.len().saturating_sub(self.n_shared));
        self.n_shared + own.sum::<usize>()
    }
}

impl Batch {
    /// Sequences in rows of their own, padded to the longest.
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
        for (index, sequence) in sequences.iter().enumerate() {
            batch.push(sequence, Span::default(), config)?;
            batch.pad_to((index + 1) * t);
        }
        batch.check_filled()
    }

    /// Packs sequences end to end in one row, `[1, t]`, without padding.
    ///
    /// Errors: as [`Self::new`].
    pub fn packed(sequences: &[TokenSequence], config: &Config) -> Result<Self, Error> {
        let groups = sequences.iter().map(|sequence| SequenceGroup { members: vec![*sequence], n_shared: 0 });
        Self::grouped(&groups.collect::<Vec<_>>(), true, config)
    }

    /// Groups in rows of their own, padded to the longest; or, with `packed`, end to end in one row. Sequences are
    /// counted group after group; the images of what a group shares are given once.
    ///
    /// Errors: as [`Self::new`]; `Input` when the members of a group do not share the prefix, as those of different
    /// lengths do not where the base of rotary frequencies depends on the length.
    pub fn grouped(groups: &[SequenceGroup], packed: bool, config: &Config) -> Result<Self, Error> {
        let lengths = groups.iter().map(SequenceGroup::n_tokens);
        let shape = if packed { [1, lengths.sum()] } else { [groups.len(), lengths.max().unwrap_or(0)] };
        let mut batch = Self::empty(shape, config);
        for (index, group) in groups.iter().enumerate() {
            batch.push_group(group, config)?;
            if !packed {
                batch.pad_to((index + 1) * shape[1]);
            }
        }
        batch.check_filled()
    }

    fn empty(shape: [usize; 2], config: &Config) -> Self {
        Self {
            ids: Vec::new(),
            axes: Default::default(),
            prefixes: Vec::new(),
            starts: Vec::new(),
            lengths: Vec::new(),
            next_positions: Vec::new(),
            rope_bases: Vec::new(),
            shape,
            image_token: config.tokens.image,
        }
    }

    /// Appends a sequence without the prefix that it shares with tokens already there.
    fn push(&mut self, sequence: &TokenSequence, shared: Span, config: &Config) -> Result<(), Error> {
        let TokenSequence { ids, grids } = *sequence;
        if ids.is_empty() {
            return Err(Error::Input("expected at least one token in every sequence, got none".to_owned()));
        }
        check_vocabulary(ids, config)?;
        let positions = config.positions(ids, grids)?;
        self.prefixes.push(shared);
        self.starts.push(self.ids.len());
        self.lengths.push(ids.len() - shared.length);
        self.ids.extend_from_slice(&ids[shared.length..]);
        self.next_positions.push(positions.next);
        self.rope_bases.push(config.rope_base(ids.len()));
        for (all, axis) in self.axes.iter_mut().zip(positions.axes) {
            all.extend(&axis[shared.length..]);
        }
        Ok(())
    }

    fn push_group(&mut self, group: &SequenceGroup, config: &Config) -> Result<(), Error> {
        let SequenceGroup { members, n_shared } = group;
        let Some(first) = members.first() else {
            return Ok(());
        };
        let base = config.rope_base(first.ids.len());
        if first.ids.len() < *n_shared
            || members.iter().any(|member| {
                !member.ids.starts_with(&first.ids[..*n_shared]) || config.rope_base(member.ids.len()) != base
            })
        {
            let problem = format!("expected sequences whose first {n_shared} tokens are the same, got others");
            return Err(Error::Input(problem));
        }
        let shared = Span { start: self.ids.len(), length: *n_shared };
        self.push(first, Span::default(), config)?;
        members[1..].iter().try_for_each(|member| self.push(member, shared, config))
    }

    fn pad_to(&mut self, n_rows: usize) {
        self.ids.resize(n_rows, 0);
        self.axes.iter_mut().for_each(|axis| axis.resize(n_rows, 0));
    }

    fn check_filled(self) -> Result<Self, Error> {
        if self.starts.is_empty() {
            return Err(Error::Input("expected at least one sequence, got none".to_owned()));
        }
        Ok(self)
    }

    /// The batch's shape, `[b, t]`.
    pub fn dims(&self) -> [usize; 2] {
        self.shape
    }

    /// Positions of all tokens in time, height and width, row after row.
    pub fn positions(&self) -> &[Vec<u32>; 3] {
        &self.axes
    }

    /// The row of a sequence's token among all `b · t` rows.
    pub fn row(&self, sequence: usize, token_idx: usize) -> usize {
        let prefix = self.prefixes[sequence];
        match token_idx.checked_sub(prefix.length) {
            Some(own_idx) => self.starts[sequence] + own_idx,
            None => prefix.start + token_idx,
        }
    }

    /// For every row a number that depends on its sequence's key and its index there alone, however the batch is laid
    /// out; rows of padding have 0, and a shared prefix belongs to the first sequence. Source: the mixing of SplitMix64
    /// (Steele et al., OOPSLA 2014).
    pub fn row_keys(&self, sequence_keys: &[u64]) -> Vec<u64> {
        let mut keys = vec![0; self.ids.len()];
        for ((own, prefix), key) in self.own_rows().zip(&self.prefixes).zip(sequence_keys) {
            for (token_idx, row_key) in (prefix.length..).zip(&mut keys[own]) {
                *row_key = splitmix64(key.wrapping_add(splitmix64(token_idx as u64)));
            }
        }
        keys
    }

    /// The rows of each sequence that are its own.
    fn own_rows(&self) -> impl Iterator<Item = Range<usize>> {
        self.starts.iter().zip(&self.lengths).map(|(start, length)| *start..start + length)
    }

    pub(crate) fn placement(&self) -> Placement<'_> {
        Placement {
            prefixes: &self.prefixes,
            starts: &self.starts,
            lengths: &self.lengths,
            shape: self.shape,
            axes: &self.axes,
            rope_bases: &self.rope_bases,
        }
    }

    /// Whether each of all rows is an image token.
    pub(crate) fn is_image(&self) -> impl Iterator<Item = bool> + use<> {
        let mut is_image = vec![false; self.ids.len()];
        for rows in self.own_rows() {
            for (is_image, id) in is_image[rows.clone()].iter_mut().zip(&self.ids[rows]) {
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
