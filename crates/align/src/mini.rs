//! mini
