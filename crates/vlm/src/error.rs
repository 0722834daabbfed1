//! What can go wrong between a folder on disk and a model's answer.

use std::path::{Path, PathBuf};

use diagnostic::{Diagnosis, Diagnostic, Kind};

/// A problem with a model folder, an image or an input. Messages name the file and the key, what was expected and what
/// was found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file of the model's folder is not what it should be.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// A tensor of the checkpoint is missing, unexpected, or of the wrong shape or type.
    #[error("{}: tensor `{key}`: {problem}", path.display())]
    Tensor {
        /// The safetensors file.
        path: PathBuf,
        /// The tensor's key.
        key: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// An image cannot be used.
    #[error("{}: {problem}", path.display())]
    Image {
        /// The image file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// One of several prompts does not fit the model.
    #[error("prompt {index}: {problem}")]
    Prompt {
        /// The prompt, counted from zero.
        index: usize,
        /// What was expected and what was found.
        problem: String,
    },
    /// A variable for the chat template cannot be used.
    #[error("template variable `{name}`: {problem}")]
    Variable {
        /// The variable.
        name: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A sequence's constraint has failed.
    #[error("{0}")]
    Constraint(String),
    /// The model's scores are not finite: its weights are not, or training has diverged.
    #[error("{0}")]
    Numerics(String),
    /// The input does not fit the model: placeholders and images disagree, a prompt is too long …
    #[error("{0}")]
    Input(String),
}

impl Error {
    pub(crate) fn file(path: &Path, problem: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), problem: problem.into() }
    }
}

impl Diagnostic for Error {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Io(error) => error.diagnosis(),
            Self::File { .. } | Self::Tensor { .. } => Kind::Model.into(),
            Self::Image { .. } | Self::Prompt { .. } | Self::Variable { .. } | Self::Input(_) => Kind::Data.into(),
            Self::Constraint(_) | Self::Numerics(_) => Kind::Engine.into(),
        }
    }
}
