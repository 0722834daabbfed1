//! What attention takes: queries, keys and values, and which of them attend to which.

use std::ops::Range;

use burn::tensor::Tensor;

/// Projected tokens: queries, keys and values, head by head.
pub(crate) struct Qkv {
    /// `[b, h, t, head_dim]`.
    pub queries: Tensor<4>,
    /// `[b, kv, t, head_dim]`.
    pub keys: Tensor<4>,
    /// `[b, kv, t, head_dim]`.
    pub values: Tensor<4>,
}

/// Consecutive tokens of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// The index of the first one.
    pub start: usize,
    /// How many.
    pub length: usize,
}

impl Span {
    /// Their indexes.
    pub fn range(self) -> Range<usize> {
        self.start..self.start + self.length
    }
}

/// Tokens that attend to each other, such as one sequence of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The row of the batch that holds it.
    pub row: usize,
    /// Tokens of another segment of that row to which all of its own attend; empty for a sequence that shares nothing.
    pub prefix: Span,
    /// Its own tokens, in that row.
    pub own: Span,
}

/// To which tokens of its segment a token attends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttentionMask {
    /// Itself and those before it.
    Causal,
    /// All of them: bidirectional attention.
    Full,
}
