//! The layouts, one file each: what a format is, and what the fields of its rows mean.
//!
//! A new format is a file here, which is declared and listed below.

pub(crate) mod alpaca;
pub(crate) mod easyr1;
pub(crate) mod figstep;
pub(crate) mod hf;
pub(crate) mod llama_factory;
pub(crate) mod mis;
pub(crate) mod msts;
pub(crate) mod openai;
mod parts;
pub(crate) mod published;
pub(crate) mod puzzlevqa;
pub(crate) mod sharegpt;
pub(crate) mod swift;
pub(crate) mod trl;
pub(crate) mod verl;
pub(crate) mod vlguard;
pub(crate) mod vlmevalkit;
pub(crate) mod xstest;

use std::str::FromStr;

use crate::format::Format;

impl Format {
    /// Every format, those with more telling names of fields before others: a file is of the first that recognizes it.
    pub const ALL: &[Self] = &[
        vlguard::FORMAT,
        mis::FORMAT,
        puzzlevqa::FORMAT,
        figstep::FORMAT,
        xstest::FORMAT,
        msts::FORMAT,
        vlmevalkit::FORMAT,
        published::SPA_VL,
        published::BEAVERTAILS_V,
        published::VLSBENCH,
        published::SIUO,
        published::JAILBREAK_V,
        published::FINE_VISION,
        sharegpt::FORMAT,
        swift::FORMAT,
        openai::FORMAT,
        easyr1::FORMAT,
        hf::FORMAT,
        verl::FORMAT,
        trl::FORMAT,
        alpaca::FORMAT,
    ];

    /// Every format in the order of names.
    pub fn by_name() -> Vec<Self> {
        let mut formats = Self::ALL.to_vec();
        formats.sort_by_key(|format| format.name());
        formats
    }
}

/// A name that no format has.
#[derive(Debug, thiserror::Error)]
#[error("unknown format `{0}`: expected {known}", known = known_names())]
pub struct UnknownFormat(String);

fn known_names() -> String {
    let names: Vec<&str> = Format::by_name().into_iter().map(Format::name).collect();
    names.join(", ")
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let found = Self::ALL.iter().find(|format| format.description().names.contains(&name));
        found.copied().ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}
