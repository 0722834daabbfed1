//! Safety alignment of vision-language models: the methods, and nothing of tensors, HTTP or terminals.
//!
//! The modules stand in the order in which data flows through them; read them in that order. Every room opens with
//! what enters, what leaves and why. Models are reached through two doors: [`engine::Engine`] where they are
//! trained, [`chat::ChatModel`] where they only answer; [`paint::PaintModel`] is the door to those that paint.

pub mod chat;
pub mod engine;
pub mod paint;
pub mod progress;
pub mod tagged;
pub mod types;

pub mod run_dir;
pub mod tensorboard;

pub mod judge;
pub mod verdict;

pub mod reward;

pub mod training;

pub mod decontamination;

pub mod curate;
pub mod forge;
pub mod rollout;
pub mod sft;

pub mod grpo;

pub mod eval;
pub mod statistics;
