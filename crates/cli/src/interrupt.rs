//! Ctrl-C: the first makes the running command save and stop, the second ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};

use diagnostic::Kind;

use crate::errors::{self, Failure, Result};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Starts to listen for Ctrl-C (and for the signals that ask a process to end).
///
/// Errors: when the operating system refuses the handler.
pub fn listen() -> Result {
    let outcome = ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::SeqCst) {
            std::process::exit(errors::INTERRUPTED.into());
        }
        eprintln!("\nstopping as soon as what is under way is done; press Ctrl-C again to stop at once");
    });
    Ok(outcome.map_err(std::io::Error::other)?)
}

/// Whether the user asked to stop.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// The failure that ends an interrupted command.
pub fn stopped() -> Failure {
    Failure::interrupted("stopped on request; everything done so far is saved")
}

/// Adds to an interruption, unless it says so itself, how to resume: by the same command.
pub fn with_command(failure: Failure) -> Failure {
    if failure.kind() != Kind::Interrupted || failure.diagnosis.hint.is_some() {
        return failure;
    }
    failure.hint(format!("to resume, repeat: {}", repeated(std::env::args())))
}

/// The command as it is to be typed again. What was started over must not be started over once more.
fn repeated(arguments: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = arguments.filter(|word| word != "--restart").map(|word| quoted(&word)).collect();
    words.join(" ")
}

/// The word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c));
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::repeated;

    fn check(arguments: &[&str], expected: &str) {
        assert_eq!(repeated(arguments.iter().map(ToString::to_string)), expected);
    }

    #[test]
    fn the_command_is_repeated_but_does_not_start_over() {
        check(&["/usr/bin/scruple", "sft", "--out", "a b"], "/usr/bin/scruple sft --out 'a b'");
        check(&["scruple", "rl", "--restart", "seed=1"], "scruple rl seed=1");
    }
}
