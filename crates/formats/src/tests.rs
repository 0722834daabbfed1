//! The crate from its outside: files in, files and reports out.

mod damaged;
mod dialects;
mod interchange;
mod malformed;
mod pictures;
mod round_trips;
mod samples;
