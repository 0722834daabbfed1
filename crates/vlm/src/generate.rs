//! Sampling: prompts with images in, completions with the log-probability of every token out.
//!
//! Prompts enter a batch (`continuous`): each is prefilled once and its keys and values are shared by all its members
//! (`decoder`); each step then adds one token to every sequence, and sequences that have ended leave. [`generate`]
//! takes its prompts in chunks of at most `batch_size` sequences, shared out between worker threads (`offline`); a
//! server adds requests to a [`ContinuousBatch`] as they come, long prompts chunk by chunk.
//!
//! A sequence depends on the weights, its prompt and its seed alone: not on its batch, the batch size or the number of
//! workers. On the CPU this holds bit for bit, in tokens and log-probabilities, while no inner dimension of a product
//! (hidden and feed-forward width, prompt length) exceeds 512; beyond, matrix products may split their sums by the size
//! of the batch, and scores are equal up to rounding.

mod adjustments;
mod chunk;
mod completion;
mod continuous;
mod decoder;
pub mod kv_cache;
mod offline;
mod options;
mod probabilities;
mod request;
mod sampler;
mod sequence;

pub use adjustments::Adjustments;
pub use chunk::Prompt;
pub use completion::{FinishReason, Generated, ModelLogprobs, Token};
pub use continuous::ContinuousBatch;
pub use offline::generate;
pub use options::GenerateOptions;
pub use request::{Constraint, Event, Member, Request};
