//! How much a rendering may do: a template that loops or doubles its text for ever is an error, not a hang.

use std::cell::Cell;

use crate::error::{Error, Result};

/// Bytes that a rendering may make, all strings and lists on the way together. Prompts take thousands.
const BYTES: usize = 1 << 26;

/// What evaluating one node of a template counts for, in bytes.
const NODE: usize = 32;

/// Calls of macros and recursive loops within one another, and nodes within nodes.
const DEPTH: usize = 150;

/// What is left of a rendering's allowance.
pub(crate) struct Budget {
    bytes: Cell<usize>,
    depth: Cell<usize>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { bytes: Cell::new(BYTES), depth: Cell::new(0) }
    }

    /// Takes what a value of so many bytes costs, before it is made.
    pub(crate) fn take(&self, bytes: usize) -> Result<()> {
        match self.bytes.get().checked_sub(bytes) {
            Some(rest) => {
                self.bytes.set(rest);
                Ok(())
            }
            None => Err(Error::new("template does not end, or makes more than 64 MiB of text on the way")),
        }
    }

    /// Takes what a list of so many items costs.
    pub(crate) fn take_items(&self, items: usize) -> Result<()> {
        self.take(items.saturating_mul(NODE))
    }

    /// Enters one node of the template, within those that run already; [`Self::leave`] leaves it.
    pub(crate) fn enter(&self) -> Result<()> {
        self.take(NODE)?;
        if self.depth.get() == DEPTH {
            return Err(Error::new(format!("template nests more than {DEPTH} calls and blocks")));
        }
        self.depth.set(self.depth.get() + 1);
        Ok(())
    }

    pub(crate) fn leave(&self) {
        self.depth.set(self.depth.get() - 1);
    }
}
