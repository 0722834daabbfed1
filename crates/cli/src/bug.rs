//! A panic anywhere becomes a message that asks for a report, with its own exit code.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Runs the work and catches a panic, on whichever thread it began.
///
/// Errors: what is to be printed of a panic: what it said and where, and what to do.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
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
        format!(
            "error: a bug in scruple: {}\n\nhint: please report it with the command that led here; RUST_BACKTRACE=1 adds \
             where it happened.\n      What a run saved before is kept, and the same command resumes from it",
            message.as_deref().unwrap_or("no message")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_with_its_message_and_place() {
        let bug = catch(|| -> () { panic!("the sum of {} parts", 3) }).expect_err("the panic was caught");
        assert!(bug.starts_with("error: a bug in scruple: the sum of 3 parts ("), "{bug}");
        assert!(bug.contains("bug.rs:"), "{bug}");
    }
}
