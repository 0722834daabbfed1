//! Safety alignment of vision-language models: the methods, and nothing of tensors, HTTP or terminals.
//!
//! The modules stand in the order in which data flow through them; read them in that order. Every module opens with
//! what enters, what leaves and why. Models are reached through two traits: [`engine::Engine`] where they are trained,
//! [`chat::ChatModel`] where they only answer; [`paint::PaintModel`] is the trait of those that paint images.

pub mod files;
pub mod progress;
pub mod types;

pub mod engine;
pub mod seeds;
pub mod settings;
pub mod tagged;

pub mod chat;
pub mod paint;

pub mod json_lines;
pub mod run_dir;
pub mod tensorboard;

pub mod verdict;

pub mod judge;
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
