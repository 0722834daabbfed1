//! The crate from the outside: files in, files and reports out.

mod damaged;
mod dialects;
mod images;
mod interchange;
mod malformed;
mod round_trips;
mod samples;
