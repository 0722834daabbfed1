//! The methods of [`align::engine::Engine`], carried out by the models of `vlm` on this machine.
//!
//! Dialogues come in. They become tokens and images (`prepared`), micro-batches (`micro_batches`), and forward and
//! backward passes (`passes`) on the machine's cores (`job_queue`, `local`). What a loss means is not known here.

mod errors;
mod feature_cache;
mod feature_store;
mod image_features;
mod inspector;
mod job_queue;
mod local;
mod micro_batches;
mod options;
mod passes;
mod prepared;
mod prompt_groups;
mod scored_dialogue;
mod storage;

pub mod estimate;
pub mod random_init;

pub use burn::tensor::Device as ComputeDevice;
pub use inspector::{Inspector, SampleSize};
pub use job_queue::concurrent_micro_batches;
pub use local::LocalEngine;
pub use options::{EngineOptions, FeatureFolder, Trainable};
pub use scored_dialogue::ScoredDialogue;
pub use vlm::device::{DEVICES, open_device};
