//! Safety alignment of vision-language models: the methods, and nothing of tensors, HTTP or terminals.
//!
//! The modules stand in the order in which data flows through them; read them in that order. Every room opens with
//! what enters, what leaves and why. Models are reached through one door, [`engine::Engine`].

pub mod engine;
pub mod fake_engine;
pub mod progress;
pub mod types;

pub mod run_dir;
pub mod tensorboard;

pub mod mini;

pub mod verdict;

pub mod reward;

pub mod training;

pub mod curate;
pub mod rollout;
pub mod sft;

pub mod grpo;

pub mod eval;
pub mod report;
pub mod statistics;
