//! From an error, whichever room it comes from, to its category and hint.

use std::io::ErrorKind;

use align::engine::EngineError;
use align::types::DataError;

use super::Failure;
use crate::config::ConfigError;

/// What kind of failure ended the command; each kind has its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// All went well.
    Success,
    /// Something that no other code fits.
    Unexpected,
    /// A wrong argument or setting.
    Usage,
    /// Data that cannot be used.
    Data,
    /// A model folder that cannot be used.
    Model,
    /// The engine failed while it ran, or the numbers left the finite.
    Engine,
    /// Stopped by the user; work is saved.
    Interrupted,
    /// Results cannot be written: a full disk, no permission.
    Output,
    /// A fault of the program itself.
    Bug,
}

impl Category {
    /// The exit code; the help text of `scruple` lists them.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::Data => 3,
            Self::Model => 4,
            Self::Engine => 5,
            Self::Interrupted => 6,
            Self::Output => 7,
            Self::Bug => 70,
        }
    }
}

/// The category of the first error in the chain that has one.
pub fn category_of(error: &anyhow::Error) -> Category {
    error.chain().find_map(category).unwrap_or(Category::Unexpected)
}

fn category(error: &(dyn std::error::Error + 'static)) -> Option<Category> {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return Some(failure.category);
    }
    if error.is::<ConfigError>() {
        return Some(Category::Usage);
    }
    if let Some(error) = error.downcast_ref::<DataError>() {
        return Some(match error {
            DataError::Io(error) => of_io(error),
            _ => Category::Data,
        });
    }
    if let Some(error) = error.downcast_ref::<EngineError>() {
        return Some(of_engine(error));
    }
    error.downcast_ref::<std::io::Error>().map(of_io)
}

fn of_engine(error: &EngineError) -> Category {
    match error {
        EngineError::Data(_) => Category::Data,
        EngineError::Model(_) => Category::Model,
        EngineError::Io(error) => of_io(error),
        _ => Category::Engine,
    }
}

fn of_io(error: &std::io::Error) -> Category {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory | ErrorKind::InvalidData => {
            Category::Data
        }
        ErrorKind::StorageFull
        | ErrorKind::QuotaExceeded
        | ErrorKind::FileTooLarge
        | ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem => Category::Output,
        _ => Category::Unexpected,
    }
}

/// The first hint in the chain.
pub fn hint_of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(hint)
}

fn hint(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.hint.clone();
    }
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        return error.hint.clone();
    }
    let io = error
        .downcast_ref::<std::io::Error>()
        .or(match error.downcast_ref::<DataError>() {
            Some(DataError::Io(io)) => Some(io),
            _ => match error.downcast_ref::<EngineError>() {
                Some(EngineError::Io(io)) => Some(io),
                _ => None,
            },
        })?;
    match io.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("free some space, then go on with `--resume`; what was written before is kept".into())
        }
        ErrorKind::PermissionDenied => Some("check the permissions of the file and of its folder".into()),
        _ => None,
    }
}

/// Whether the reader of standard output hung up.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == ErrorKind::BrokenPipe)
}
