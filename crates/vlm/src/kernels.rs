//! Fused operations for the CPU back end, each with its own gradient.
//!
//! A norm composed of tensor operations passes over memory seven times forward and a dozen times backward; at the sizes
//! of small models those passes cost as much as all matrix products. Each function here makes one pass each way. They
//! take tensors that are [`supported`] only; for others the caller composes the same result from tensor operations,
//! which a GPU back end fuses by itself.
//!
//! Sums over rows run in fixed blocks, so that results do not depend on the number of threads.

mod attention;
mod autodiff;
mod chunked_logprobs;
mod dropout;
mod half;
mod linear;
mod numeric;
mod rms_norm;
mod rotary;
mod softmax;
mod swiglu;
mod token_logprobs;

pub(crate) use attention::{Sees, Segment, Span, attention};
pub(crate) use autodiff::supported;
pub use chunked_logprobs::CHUNK as VOCABULARY_CHUNK;
pub(crate) use chunked_logprobs::chunked_logprobs;
pub(crate) use dropout::{DropoutMask, dropout, mixed};
pub(crate) use half::{half_embedding, half_linear};
pub(crate) use linear::linear;
pub(crate) use rms_norm::rms_norm;
pub(crate) use rotary::{RotaryTable, rotate_heads};
pub(crate) use softmax::softmax;
pub(crate) use swiglu::swiglu;
pub(crate) use token_logprobs::token_logprobs;

#[cfg(test)]
mod tests;
