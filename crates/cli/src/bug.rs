//! A panic anywhere becomes a message that asks for a report, with its own exit code.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use crate::errors;

static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

/// A panic that was caught.
pub struct Bug {
    /// What the panic said, and where.
    message: String,
}

/// Runs the work and catches a panic, on whichever thread it began.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Bug> {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
        let mut message = format!("{}{place}", panic.payload_as_str().unwrap_or("no message"));
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            message.push_str(&format!("\n{backtrace}"));
        }
        // The first panic is the cause; what follows on other threads is its echo.
        if let Ok(mut last) = LAST_PANIC.lock() {
            last.get_or_insert(message);
        }
    }));
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let message = LAST_PANIC.lock().ok().and_then(|mut last| last.take());
        Bug { message: message.unwrap_or_else(|| "no message".into()) }
    })
}

impl Bug {
    /// Prints the message and returns the exit code to end with.
    pub fn report(&self) -> u8 {
        eprintln!("{self}");
        errors::BUG
    }
}

impl std::fmt::Display for Bug {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        writeln!(formatter, "error: a bug in scruple: {}", self.message)?;
        write!(
            formatter,
            "\nhint: please report it with the command that led here; RUST_BACKTRACE=1 adds where it happened.\n      \
             What a run saved before is kept, and the same command resumes from it"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_with_its_message_and_place() {
        let bug = catch(|| -> () { panic!("the sum of {} parts", 3) }).expect_err("the panic was caught");
        assert!(bug.to_string().starts_with("error: a bug in scruple: the sum of 3 parts ("), "{bug}");
        assert!(bug.to_string().contains("bug.rs:"), "{bug}");
    }
}
