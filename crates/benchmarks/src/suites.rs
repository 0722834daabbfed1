//! Every benchmark, one file each.

pub mod figstep;
pub mod mossbench;
pub mod msts;
pub mod puzzlevqa;
pub mod xstest;

use diagnostic::{Diagnosis, Diagnostic, Kind};

use crate::suite::Suite;

/// Every benchmark, in the order of help.
pub const SUITES: [&Suite; 5] = [&figstep::SUITE, &xstest::SUITE, &puzzlevqa::SUITE, &mossbench::SUITE, &msts::SUITE];

/// A name that no benchmark has.
#[derive(Debug, thiserror::Error)]
#[error("unknown benchmark `{name}`: expected {}", SUITES.map(|suite| suite.name).join(", "))]
pub struct UnknownSuite {
    name: String,
}

impl Diagnostic for UnknownSuite {
    fn diagnosis(&self) -> Diagnosis {
        Kind::Settings.into()
    }
}

/// The benchmark of this name.
///
/// Errors: [`UnknownSuite`] listing the names.
pub fn suite(name: &str) -> Result<&'static Suite, UnknownSuite> {
    let found = SUITES.into_iter().find(|suite| suite.name == name);
    found.ok_or_else(|| UnknownSuite { name: name.to_owned() })
}
