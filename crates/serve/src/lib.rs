//! HTTP servers: OpenAI's chat completions over a model on this machine (`chat`), and the local page on which people
//! review items (`review`).
//!
//! Whoever runs a server hands in when it should stop and where to report that it listens: nothing here knows terminals
//! or signals.

mod error;

pub mod chat;
pub mod review;

pub use error::ServeError;
