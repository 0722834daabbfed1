//! The review of items by people: a page on this machine, a journal of decisions, agreement with the judge.

mod agreement;
mod cases;
mod decisions;
mod server;

pub use agreement::agreement;
pub use cases::Cases;
pub use decisions::{Decisions, labels};
pub use server::serve;
