//! `scruple serve` as its clients meet it: the binary on the miniature model, spoken to over HTTP.

mod answers;
mod client;
mod dry_run;
mod evaluation;
mod formats;
mod limits;
mod malformed;
mod stopping;
mod templates;
