//! Ctrl-C: the first asks the running room to save and stop, the second ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};

use align::curate::CurateError;
use align::types::DataError;

use crate::errors::{Category, Failure};

static ASKED_TO_STOP: AtomicBool = AtomicBool::new(false);

/// Starts to listen for Ctrl-C (and for the signals that ask a process to end).
///
/// Errors: when the operating system refuses the handler.
pub fn listen() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if ASKED_TO_STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(Category::Interrupted.exit_code().into());
        }
        eprintln!("\nstopping as soon as what is under way is done; press Ctrl-C again to stop at once");
    })?;
    Ok(())
}

/// Whether the user asked to stop.
pub fn requested() -> bool {
    ASKED_TO_STOP.load(Ordering::SeqCst)
}

/// The failure that ends an interrupted command, which says how to go on: the same command with `--resume`.
pub fn stopped() -> Failure {
    let command = resume_command(std::env::args());
    Failure::interrupted("stopped on request; everything done so far is saved").hint(format!("go on with: {command}"))
}

/// A room's own word that it was interrupted becomes [`stopped`]; any other error is what it is.
pub fn stopped_or(error: impl Into<anyhow::Error>) -> anyhow::Error {
    let error = error.into();
    let while_curating = matches!(error.downcast_ref(), Some(CurateError::Interrupted { .. }));
    let while_drawing = matches!(error.downcast_ref(), Some(DataError::Interrupted));
    if while_curating || while_drawing {
        stopped().into()
    } else {
        error
    }
}

fn resume_command(arguments: impl Iterator<Item = String>) -> String {
    let mut words: Vec<String> = arguments.map(|word| quoted(&word)).collect();
    if !words.iter().any(|word| word == "--resume") {
        words.push("--resume".into());
    }
    words.join(" ")
}

/// The word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::resume_command;

    fn check(arguments: &[&str], expected: &str) {
        assert_eq!(resume_command(arguments.iter().map(ToString::to_string)), expected);
    }

    #[test]
    fn resume_command_repeats_the_call() {
        check(
            &["/usr/bin/scruple", "sft", "--out", "a b"],
            "/usr/bin/scruple sft --out 'a b' --resume",
        );
        check(&["scruple", "rl", "--resume", "seed=1"], "scruple rl --resume seed=1");
    }
}
