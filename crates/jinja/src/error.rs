//! What is wrong with a template, or with what it was given, and in which line.

use std::fmt;

/// A template that does not parse, that refuses its input, or that asks for what is not supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The line of the template, from 1; zero where none is known.
    pub line: u32,
    /// What is wrong.
    pub message: String,
}

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error whose line is not known yet.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { line: 0, message: message.into() }
    }

    /// What Jinja2 has and this crate has not.
    pub(crate) fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(format!("{what} is not supported"))
    }

    /// The error in a line, unless it names one already.
    pub(crate) fn at(self, line: u32) -> Self {
        Self { line: if self.line == 0 { line } else { self.line }, ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => formatter.write_str(&self.message),
            line => write!(formatter, "line {line}: {}", self.message),
        }
    }
}

impl std::error::Error for Error {}
