//! What the user sees when a command fails: one message, its causes, a hint, and an exit code that means something.

use std::error::Error;
use std::fmt;
use std::io::{IsTerminal, Write};

use diagnostic::{Diagnosis, Diagnostic, Kind, printable};

/// The exit code after Ctrl-C.
pub const INTERRUPTED: u8 = exit_code(Kind::Interrupted);
/// The exit code of an error of the program itself.
pub const BUG: u8 = 70;

/// What commands return.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// Why a command failed: any library's error, or one that the command line finds itself.
#[derive(Clone, Debug)]
pub struct Failure {
    message: String,
    causes: Vec<String>,
    /// Its kind, what to do, and the item of the data that it concerns, where it is one.
    pub diagnosis: Diagnosis,
}

impl Failure {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), diagnosis: kind.into() }
    }

    /// Arguments or settings are wrong.
    pub fn settings(message: impl Into<String>) -> Self {
        Self::new(Kind::Settings, message)
    }

    /// Data cannot be used.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Kind::Data, message)
    }

    /// A model cannot be used.
    pub fn model(message: impl Into<String>) -> Self {
        Self::new(Kind::Model, message)
    }

    /// Results cannot be written.
    pub fn output(message: impl Into<String>) -> Self {
        Self::new(Kind::Output, message)
    }

    /// The user stopped the command.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Kind::Interrupted, message)
    }

    /// The same with a hint on what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.diagnosis.hint = Some(hint.into());
        self
    }

    /// The same with what lies behind it. That a reader hung up stays no failure, whatever was prevented by it.
    #[must_use]
    pub fn because(mut self, cause: &impl Diagnostic) -> Self {
        if cause.kind() == Kind::ClosedPipe {
            self.diagnosis.kind = Kind::ClosedPipe;
        }
        self.causes = chain(cause);
        self
    }

    /// The same with the place in a file before the message.
    #[must_use]
    pub fn at(mut self, place: &str) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> Kind {
        self.diagnosis.kind
    }
}

impl<E: Diagnostic> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            message: error.to_string(),
            causes: error.source().map(chain).unwrap_or_default(),
            diagnosis: error.diagnosis(),
        }
    }
}

impl Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

/// The messages of an error and of those that caused it.
fn chain(error: &(dyn Error + '_)) -> Vec<String> {
    let mut messages = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        messages.push(error.to_string());
        cause = error.source();
    }
    messages
}

/// The exit code of a kind of failure; the help text of `scruple` lists them.
pub const fn exit_code(kind: Kind) -> u8 {
    match kind {
        Kind::ClosedPipe => 0,
        Kind::Unexpected => 1,
        Kind::Settings => 2,
        Kind::Data => 3,
        Kind::Model => 4,
        Kind::Engine => 5,
        Kind::Interrupted => 6,
        Kind::Output => 7,
    }
}

/// Prints a failure to standard error and returns the exit code to end with.
///
/// A reader that hangs up (`scruple … | head`) is no failure and prints nothing.
pub fn report(failure: &Failure, color: bool) -> u8 {
    if failure.kind() != Kind::ClosedPipe {
        let text = render(failure, color && std::io::stderr().is_terminal());
        // Nothing is left to be done when even standard error cannot be written.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
    exit_code(failure.kind())
}

/// The message as it is printed: `error:`, the chain of causes, and the hint after a blank line.
pub fn render(failure: &Failure, color: bool) -> String {
    let (red, cyan, off) = if color { ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m") } else { ("", "", "") };
    let mut text = format!("{red}error{off}: {}\n", printable(&failure.message));
    let mut shown = &failure.message;
    for cause in &failure.causes {
        // Libraries often repeat the cause within their own message.
        if !shown.contains(cause.as_str()) {
            text.push_str(&format!("  caused by: {}\n", printable(cause)));
        }
        shown = cause;
    }
    if let Some(hint) = &failure.diagnosis.hint {
        text.push_str(&format!("\n{cyan}hint{off}: {}\n", printable(hint)));
    }
    text
}

#[cfg(test)]
mod tests;
