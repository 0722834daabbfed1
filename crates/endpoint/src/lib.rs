//! Models behind OpenAI-compatible endpoints: requests out, answers into a journal, and from there to the caller.
//!
//! Every answer is written down under a hash of all that determines it before anyone uses it (`journal`, `key`), so that
//! a repeat is free and a killed run loses at most the calls in flight (`caller`); images are kept as files beside it
//! (`images`). Calls keep to limits of concurrency, rate and budget (`pace`, `budget`); one that fails is tried again
//! while that makes sense (`call`), and then recorded as failed, never as an answer; whose failure it is one table says
//! (`fault`). An endpoint that answers nobody, or no longer this account, ends the work instead, and nothing is held
//! against a request. Keys are hidden in whatever comes back (`secrets`).
//! Models on this machine have the same journal before them (`journalled`). What a run would take is counted before
//! anything is paid (`forecast`, `estimate`).

mod address;
mod body;
mod body_error;
mod budget;
mod call;
mod caller;
mod client;
mod completion;
mod estimate;
mod event_stream;
mod fault;
mod forecast;
mod image_chunks;
mod images;
mod journal;
mod journalled;
mod key;
mod pace;
mod secrets;
pub mod settings;
mod tried;
mod verb;

pub use budget::Spending;
pub use client::Endpoint;
pub use forecast::{Forecast, Forecaster, Measure};
pub use journal::Journal;
pub use journalled::Journalled;
pub use settings::RoleSettings;
