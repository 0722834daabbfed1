//! What the terminal is to show: color or none, and text on standard output.

use std::io::Write;

use serde::Serialize;

/// Whether color may be used at all: neither `--no-color` nor the environment variable `NO_COLOR` speaks against it.
///
/// Looked up before the arguments are parsed, since parsing may itself print.
pub fn color_wanted() -> bool {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !forbidden && !std::env::args_os().any(|argument| argument == "--no-color")
}

/// Prints a line to standard output, which holds data and nothing else.
///
/// Errors: the operating system's, such as a reader that hung up.
pub fn print_line(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")
}

/// Prints a value as one line of JSON.
///
/// Errors: as [`print_line`].
pub fn print_json(value: &impl Serialize) -> std::io::Result<()> {
    print_line(&serde_json::to_string(value)?)
}
