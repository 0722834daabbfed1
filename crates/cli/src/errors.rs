//! What the user sees when a command fails: one message, its causes, a hint, and an exit code that means something.

mod classify;

use std::io::{IsTerminal, Write};

pub use classify::{Category, category_of, faulty_item};

/// A failure that the command line itself finds, with a category and perhaps a hint.
#[derive(Debug)]
pub struct Failure {
    category: Category,
    message: String,
    hint: Option<String>,
    cause: Option<anyhow::Error>,
}

impl Failure {
    fn new(category: Category, message: impl Into<String>) -> Self {
        Self {
            category,
            message: message.into(),
            hint: None,
            cause: None,
        }
    }

    /// The command was called in a way that cannot work, or its settings are wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Category::Usage, message)
    }

    /// The data cannot be used.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Category::Data, message)
    }

    /// The model's folder cannot be used.
    pub fn model(message: impl Into<String>) -> Self {
        Self::new(Category::Model, message)
    }

    /// The results cannot be written.
    pub fn output(message: impl Into<String>) -> Self {
        Self::new(Category::Output, message)
    }

    /// The user stopped the command.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Category::Interrupted, message)
    }

    /// The same with a hint on what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with what lies behind it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause
            .as_ref()
            .map(|cause| &**cause as &(dyn std::error::Error + 'static))
    }
}

/// Prints a failure to standard error and returns the exit code to end with.
///
/// A reader that hangs up (`scruple … | head`) is no failure and prints nothing.
pub fn report(error: &anyhow::Error, color: bool) -> u8 {
    if classify::is_closed_pipe(error) {
        return Category::Success.exit_code();
    }
    let text = render(error, color && std::io::stderr().is_terminal());
    // Nothing is left to be done when even standard error cannot be written.
    let _ = std::io::stderr().write_all(text.as_bytes());
    category_of(error).exit_code()
}

/// The message as it is printed: `error:`, the chain of causes, and the hint after a blank line.
pub fn render(error: &anyhow::Error, color: bool) -> String {
    let (red, cyan, bold_off) = if color {
        ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    let mut text = format!("{red}error{bold_off}: {error}\n");
    let mut shown = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Libraries often repeat the cause within their own message.
        if !shown.contains(&cause) {
            text.push_str(&format!("  caused by: {cause}\n"));
        }
        shown = cause;
    }
    if let Some(hint) = classify::hint_of(error) {
        text.push_str(&format!("\n{cyan}hint{bold_off}: {hint}\n"));
    }
    text
}

#[cfg(test)]
mod tests;
