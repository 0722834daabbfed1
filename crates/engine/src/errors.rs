//! Errors of `vlm` as errors of the engine trait.

use align::engine::EngineError;
use vlm::error::Error;

/// An error in one item's data, with the item's id.
pub fn item_error(id: &str, error: EngineError) -> EngineError {
    match error {
        EngineError::Data(problem) => EngineError::Item { id: id.to_owned(), problem },
        other => other,
    }
}

/// A model's error as the engine trait has it.
pub fn engine_error(error: Error) -> EngineError {
    match error {
        Error::Io(error) => EngineError::Io(error),
        Error::Image { .. } | Error::Prompt { .. } | Error::Variable { .. } | Error::Input(_) => {
            EngineError::Data(error.to_string())
        }
        Error::Numerics(problem) => EngineError::Numerics(problem),
        Error::File { .. } | Error::Tensor { .. } | Error::Constraint(_) => EngineError::Model(error.to_string()),
    }
}

/// As [`engine_error`], where a model's folder is read: an unreadable file is a problem of the model.
pub fn folder_error(error: Error) -> EngineError {
    match error {
        Error::Io(error) => EngineError::Model(error.to_string()),
        other => engine_error(other),
    }
}
