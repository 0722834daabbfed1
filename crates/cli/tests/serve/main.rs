//! `scruple serve` as its clients meet it: the binary on the miniature model, spoken to over HTTP.

mod answers;
mod client;
mod formats;
mod limits;
mod malformed;
mod rooms;
mod stopping;
mod templates;
