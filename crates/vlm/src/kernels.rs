//! Fused operations for the CPU back end, each with its own gradient.
//!
//! A norm composed of tensor operations passes over memory seven times forward and a dozen times backward; at the sizes
//! of small models those passes cost as much as all matrix products. Each function here makes one pass each way. For
//! tensors on another device, or of another type than f32, it composes the same result from tensor operations, which a
//! GPU back end fuses by itself: callers need not know which of both ran.
//!
//! Sums over rows run in fixed blocks, so that results do not depend on the number of threads.

mod attention;
mod autodiff;
mod chunked_logprobs;
mod dropout;
mod embedding;
mod half_linear;
mod linear;
mod matrix;
mod numeric;
mod rms_norm;
mod rope;
mod softmax;
mod swiglu;
mod token_logprobs;

pub(crate) use attention::attention;
pub(crate) use attention::inputs::{AttentionMask, Qkv, Segment, Span};
pub use chunked_logprobs::CHUNK as VOCABULARY_CHUNK;
pub(crate) use chunked_logprobs::chunked_logprobs;
pub(crate) use dropout::{DropoutMask, dropout, splitmix64};
pub(crate) use embedding::embedding;
pub(crate) use linear::linear;
pub(crate) use rms_norm::rms_norm;
pub(crate) use rope::{RopeTable, apply_rope};
pub(crate) use softmax::{additive_mask, softmax};
pub(crate) use swiglu::swiglu;
pub(crate) use token_logprobs::token_logprobs;

#[cfg(test)]
mod tests;
