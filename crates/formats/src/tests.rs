//! The crate from the outside: files in, files and reports out.

mod damaged;
mod dialects;
mod image_values;
mod images;
mod interchange;
mod losses;
mod malformed;
mod published;
mod round_trips;
mod samples;
