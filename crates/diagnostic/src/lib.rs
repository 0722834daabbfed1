//! What an error is to whoever runs the program: its kind, which decides the exit code, and a hint on what to do; and
//! how messages show what is foreign.
//!
//! Each library implements [`Diagnostic`] beside the definition of its errors, by a `match` without a wildcard, so that
//! a new variant cannot be forgotten. An error that passes another one on passes its diagnosis on too.

mod excerpt;
mod json;
pub mod reason;
pub mod suggest;

use std::error::Error;
use std::io::{self, ErrorKind};

pub use excerpt::{excerpt, printable};
pub use json::{JsonProblem, exact_whole, from_json_value, json_problem, read_json, whole_number};

/// The line of a text that holds byte `offset`, counted from one.
pub fn line_at(text: impl AsRef<[u8]>, offset: usize) -> usize {
    1 + text.as_ref().iter().take(offset).filter(|byte| **byte == b'\n').count()
}

/// What kind of failure an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something that no other kind fits.
    Unexpected,
    /// An argument or a setting is wrong.
    Settings,
    /// Data cannot be used.
    Data,
    /// A model cannot be used.
    Model,
    /// The engine failed while it ran, or a number is not finite.
    Engine,
    /// The work was stopped: by the user, or because a budget is spent.
    Interrupted,
    /// Results cannot be written: a full disk, no permission.
    Output,
    /// The reader of the output hung up, which is no failure.
    ClosedPipe,
}

impl Kind {
    /// A diagnosis of this kind with a hint on what to do.
    pub fn hint(self, hint: impl Into<String>) -> Diagnosis {
        Diagnosis { hint: Some(hint.into()), ..self.into() }
    }

    /// A diagnosis of this kind that concerns one item of the data.
    pub fn item(self, id: impl Into<String>) -> Diagnosis {
        Diagnosis { item: Some(id.into()), ..self.into() }
    }
}

/// What is known of an error beyond its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// What kind of failure it is.
    pub kind: Kind,
    /// What to do about it.
    pub hint: Option<String>,
    /// The id of the item of the data that it concerns, where it is one.
    pub item: Option<String>,
}

impl From<Kind> for Diagnosis {
    fn from(kind: Kind) -> Self {
        Self { kind, hint: None, item: None }
    }
}

/// An error that says what it is.
pub trait Diagnostic: Error {
    /// The kind, a hint, and the item that it concerns.
    fn diagnosis(&self) -> Diagnosis;

    /// What kind of failure it is.
    fn kind(&self) -> Kind {
        self.diagnosis().kind
    }

    /// What to do about it.
    fn hint(&self) -> Option<String> {
        self.diagnosis().hint
    }
}

/// A file that is missing is missing data; one that cannot be written is a failure of output.
impl Diagnostic for io::Error {
    fn diagnosis(&self) -> Diagnosis {
        match self.kind() {
            ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory | ErrorKind::InvalidData => {
                Kind::Data.into()
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                Kind::Output.hint("free some space and repeat the command: what was written before is kept")
            }
            ErrorKind::PermissionDenied => Kind::Output.hint("check the permissions of the file and of its folder"),
            ErrorKind::FileTooLarge | ErrorKind::ReadOnlyFilesystem => Kind::Output.into(),
            ErrorKind::BrokenPipe => Kind::ClosedPipe.into(),
            _ => Kind::Unexpected.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_files_are_told_apart_by_what_to_do() {
        for (error, kind, word) in [
            (ErrorKind::NotFound, Kind::Data, None),
            (ErrorKind::StorageFull, Kind::Output, Some("free some space")),
            (ErrorKind::PermissionDenied, Kind::Output, Some("permissions")),
            (ErrorKind::BrokenPipe, Kind::ClosedPipe, None),
            (ErrorKind::TimedOut, Kind::Unexpected, None),
        ] {
            let diagnosis = io::Error::from(error).diagnosis();
            assert_eq!(diagnosis.kind, kind, "{error}");
            let hint = diagnosis.hint.unwrap_or_default();
            assert!(word.map_or(hint.is_empty(), |word| hint.contains(word)), "{error}: {hint}");
        }
    }
}
