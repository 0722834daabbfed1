//! Every benchmark, one file each.

pub mod beavertails_v;
pub mod figstep;
pub mod figstep_pro;
pub mod holisafe;
pub mod jailbreakv;
pub mod mir_safetybench;
pub mod mis;
pub mod mm_safetybench;
pub mod mmmu;
pub mod mmstar;
pub mod mmtbench;
pub mod mossbench;
pub mod mssbench;
mod mssbench_items;
pub mod msts;
pub mod muirbench;
pub mod puzzlevqa;
pub mod qbench;
pub mod scaled;
pub mod siuo;
pub mod siuo_mcq;
pub mod spa_vl;
pub mod vlguard;
pub mod vlsbench;
pub mod xstest;

use diagnostic::{Diagnosis, Diagnostic, Kind};

use crate::suite::{Group, Suite};

/// Every benchmark, in the order of help.
pub const SUITES: &[&Suite] = &[
    &mis::SUITE,
    &figstep::SUITE,
    &figstep_pro::SUITE,
    &mm_safetybench::SUITE,
    &mm_safetybench::TINY,
    &jailbreakv::SUITE,
    &jailbreakv::MINI,
    &siuo::SUITE,
    &siuo_mcq::SUITE,
    &mssbench::CHAT,
    &mssbench::CHAT_QC,
    &mssbench::CHAT_IC,
    &mssbench::CHAT_IC_CAP,
    &mssbench::EMBODIED,
    &mssbench::EMBODIED_QC,
    &mssbench::EMBODIED_IC,
    &mssbench::EMBODIED_IC_CAP,
    &mossbench::SUITE,
    &mossbench::CONTRAST,
    &vlsbench::SUITE,
    &beavertails_v::SUITE,
    &spa_vl::SUITE,
    &vlguard::SUITE,
    &scaled::MM_SAFETYBENCH,
    &scaled::SIUO,
    &scaled::MSSBENCH_CHAT,
    &scaled::VLGUARD,
    &qbench::SUITE,
    &qbench::PAIRS,
    &mmstar::SUITE,
    &mmmu::SUITE,
    &muirbench::SUITE,
    &mmtbench::SUITE,
    &mir_safetybench::SUITE,
    &msts::SUITE,
    &msts::TEXT,
    &xstest::SUITE,
    &puzzlevqa::SUITE,
    &holisafe::SUITE,
];

/// A name that no benchmark has.
#[derive(Debug, thiserror::Error)]
#[error("unknown benchmark `{name}`: expected {expected}")]
pub struct UnknownSuite {
    name: String,
    /// The names that there are.
    expected: String,
}

impl UnknownSuite {
    /// The same where groups are known too.
    fn or_group(self) -> Self {
        let groups = Group::ALL.map(Group::name).join(", ");
        Self { expected: format!("{}, or a group: {groups}", self.expected), ..self }
    }
}

impl Diagnostic for UnknownSuite {
    fn diagnosis(&self) -> Diagnosis {
        Kind::Settings.into()
    }
}

fn names() -> Vec<&'static str> {
    SUITES.iter().map(|suite| suite.name).collect()
}

/// The benchmark of this name.
///
/// Errors: [`UnknownSuite`] listing the names.
pub fn suite(name: &str) -> Result<&'static Suite, UnknownSuite> {
    let found = SUITES.iter().find(|suite| suite.name == name);
    found.copied().ok_or_else(|| UnknownSuite { name: name.to_owned(), expected: names().join(", ") })
}

/// The benchmarks that a list of names and groups, with commas between, names; each once, in the order of help within a
/// group.
///
/// Errors: [`UnknownSuite`] naming the first that is neither.
pub fn suites_of(list: &str) -> Result<Vec<&'static Suite>, UnknownSuite> {
    let mut found: Vec<&'static Suite> = Vec::new();
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let members = match Group::ALL.into_iter().find(|group| group.name() == name) {
            Some(group) => SUITES.iter().copied().filter(|suite| suite.groups.contains(&group)).collect(),
            None => vec![suite(name).map_err(UnknownSuite::or_group)?],
        };
        for member in members {
            if !found.iter().any(|known| known.name == member.name) {
                found.push(member);
            }
        }
    }
    Ok(found)
}
