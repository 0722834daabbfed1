//! What every command is given.

use crate::arguments::Global;
use crate::progress::ConsoleProgress;

/// What every command is given.
pub struct Context {
    /// The arguments common to all commands.
    pub global: Global,
    /// Shows progress on standard error.
    pub progress: ConsoleProgress,
}
