//! What pictures promise: they show something, differ, repeat, and keep apart.
