//! The verbs of [`align::engine::Engine`], carried out by the models of `vlm` on this machine.
//!
//! Dialogues come in; here they become tokens and pictures (`inputs`), micro-batches (`schedule`), and forward and
//! backward passes (`passes`) on the machine's cores (`local`). What a loss means is not known here.

mod admission;
mod feature_store;
mod features;
mod inputs;
mod local;
mod options;
mod passes;
mod prompt_groups;
mod schedule;
mod scored_dialogue;
mod storage;
mod turns;

pub mod estimate;
pub mod newborn;

pub use admission::{Inspector, SampleSize};
pub use burn::tensor::Device as ComputeDevice;
pub use local::LocalEngine;
pub use options::{EngineOptions, FeatureFolder, Trainable};
pub use schedule::parts_at_once;
pub use scored_dialogue::ScoredDialogue;
pub use vlm::device::{DEVICES, open_device};

use align::engine::EngineError;

/// The fault of one item's data, named.
pub(crate) fn of_item(id: &str, error: EngineError) -> EngineError {
    match error {
        EngineError::Data(problem) => EngineError::Item {
            id: id.to_owned(),
            problem,
        },
        other => other,
    }
}

/// A model's fault in the words of the engine trait.
pub(crate) fn engine_error(error: vlm::error::Error) -> EngineError {
    use vlm::error::Error;
    match error {
        Error::Io(error) => EngineError::Io(error),
        Error::Image { .. } | Error::Prompt { .. } | Error::Variable { .. } | Error::Input(_) => {
            EngineError::Data(error.to_string())
        }
        Error::Numerics(problem) => EngineError::Numerics(problem),
        Error::File { .. } | Error::Tensor { .. } | Error::Constraint(_) => EngineError::Model(error.to_string()),
    }
}

/// As [`engine_error`], where a model's folder is read: a file that cannot be is the folder's fault.
pub(crate) fn folder_error(error: vlm::error::Error) -> EngineError {
    match error {
        vlm::error::Error::Io(error) => EngineError::Model(error.to_string()),
        other => engine_error(other),
    }
}
