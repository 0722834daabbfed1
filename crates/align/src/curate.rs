//! Curation by quality and instability (QI-Box): prompts in, those worth training on out.
//!
//! Each prompt is answered several times and every answer is judged. Prompts whose answers are always good or always
//! bad teach a policy nothing; those of middling quality on which it wavers do. Source: P2 (SaFeR-VLM, arXiv
//! 2510.06871), which keeps 10 K of 159 K prompts so; its exact rules are not published, [`selection`] states ours.
//!
//! Prompts are read, answered and judged batch by batch; of each a line of figures goes to a file without a name in the
//! run's folder, and what must be in order is sorted there. So a pool of any size takes the same memory, but for names
//! of strata, and may be dealt out to [`Shard`]s whose samples [`merge`] puts together again.
//!
//! ```text
//! samples.jsonl         every answer and what the judge says of it; once it is there, only the selection is made again
//! sampling.json         the settings that it was made with
//! contaminated.jsonl    prompts dropped because they stand in an evaluation set, and what matched
//! curation.jsonl        every prompt: q, i, flip_rate, n_scored, kept, reason
//! curated.jsonl         the prompts kept, as they were read
//! summary.json          counts and the bounds of the box
//! ```

mod config;
mod ledger;
mod merging;
mod policies;
mod pool;
mod records;
mod samples;
mod sampling;
pub mod selection;
mod sorting;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use diagnostic::{Diagnosis, Diagnostic, Kind};
use serde_json::Value;

use crate::chat::ChatError;
use crate::decontamination::Decontaminator;
use crate::files::{try_write_lines, write_atomically};
use crate::json_lines::JsonLinesReader;
use crate::progress::Progress;
use crate::reward::RewardConfig;
use crate::run_dir::RunError;
use crate::settings::SettingError;
use crate::types::{DataError, write_each_item};
use crate::verdict::Judge;

use ledger::Ledger;
use records::Tally;
use selection::{Selection, select};

pub use config::{CurateConfig, Stratum};
pub use ledger::{ContaminationCounts, PolicyCounts};
pub use policies::Policy;
pub use pool::{Pool, Shard};
pub use records::{CurationRecord, CurationSummary, DropReason};
pub use selection::{QiBox, Spread, spread};

const SAMPLES: &str = "samples.jsonl";
const SETTINGS: &str = "sampling.json";
/// The file of [`CurationRecord`]s.
pub const RECORDS: &str = "curation.jsonl";
/// The setting that tells a shard from a whole curation.
const SHARD: &str = "shard";

/// Why a curation did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum CurateError {
    /// A setting cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// There are no prompts.
    #[error("no prompts to curate: expected at least one item, got none")]
    NoItems,
    /// Not one prompt lies in the box. `curation.jsonl` has been written and tells why.
    #[error("{}: no prompt is left to train on: of {n_prompts} prompts, {dropped}", file.display())]
    NothingKept {
        /// `curation.jsonl`.
        file: PathBuf,
        /// How many prompts there were.
        n_prompts: usize,
        /// How many went, by reason, in words.
        dropped: String,
    },
    /// A policy or the judge stopped early. What they answered is in their journals.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// A folder of samples is not what it should be, or does not belong to the others.
    #[error("{}: {problem}", folder.display())]
    Shard {
        /// The folder.
        folder: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// A shard was not given.
    #[error("shard {0} is missing: expected the folders of all {of} shards", of = .0.of)]
    MissingShard(Shard),
    /// The settings differ from those that the samples were made with, or a file of the folder is damaged.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A data file could not be read or written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file could not be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Diagnostic for CurateError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Setting(error) => error.diagnosis(),
            Self::Chat(error) => error.diagnosis(),
            Self::Run(error) => error.diagnosis(),
            Self::Data(error) => error.diagnosis(),
            Self::Io(error) => error.diagnosis(),
            Self::NoItems | Self::NothingKept { .. } | Self::Shard { .. } => Kind::Data.into(),
            Self::MissingShard(shard) => {
                Kind::Settings.hint(format!("add `--merge DIR` with the folder of shard {shard}"))
            }
        }
    }
}

/// What to curate, and who judges.
#[derive(Clone, Copy)]
pub struct Curation<'a> {
    /// The pool of prompts.
    pub pool: Pool<'a>,
    /// Who judges the answers.
    pub judge: &'a dyn Judge,
    /// Scores thinking and answer.
    pub rubric: &'a RewardConfig,
    /// The settings.
    pub config: &'a CurateConfig,
    /// Drops prompts that stand in evaluation sets before they are sampled; none lets all pass.
    pub decontaminator: Option<&'a Decontaminator<'a>>,
    /// Who answers, told apart by more than names; a part of the settings that are kept.
    pub policy: &'a Value,
    /// Whether samples that are there are made again, by what models answer now.
    pub sample_again: bool,
}

/// What sampling a shard did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardSummary {
    /// How many prompts are in it.
    pub n_prompts: usize,
    /// How many samples they have.
    pub n_samples: usize,
    /// How many of them have no score.
    pub n_unscored: usize,
}

/// Samples, judges and selects, and writes everything to the folder. Samples that are there are kept; selection settings
/// and rubric may change between calls, policies, sampling settings, prompts and judge may not. Each policy answers each
/// prompt `num_samples` times; quality and instability are over all of them.
///
/// Errors: `Setting`, `NoItems`; `Run` naming a setting that differs from the samples' in the folder; `Chat`;
/// `NothingKept`; `Shard` where the samples are damaged; `Data` and `Io` naming the file.
pub fn run(
    policies: &[Policy],
    curation: &Curation,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<CurationSummary, CurateError> {
    check(curation)?;
    sampling::sample(policies, curation, None, folder, progress)?;
    conclude(merging::read(policies.len(), curation, folder)?, curation, folder)
}

/// Samples and judges one shard of the pool. Nothing is selected, since quality is relative to the whole pool.
///
/// Errors: as [`run`], but for those of the selection.
pub fn run_shard(
    shard: Shard,
    policies: &[Policy],
    curation: &Curation,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<ShardSummary, CurateError> {
    check(curation)?;
    sampling::sample(policies, curation, Some(shard), folder, progress)?;
    merging::summary_of_shard(curation.rubric, folder)
}

/// Puts the shards in these folders together and selects. The folder then holds what [`run`] on the whole pool would
/// have written, byte for byte. `n_policies` is how many policies answered.
///
/// Errors: `Shard` and `MissingShard` where the folders are not each shard once, each complete; `Run` naming a setting
/// in which a shard differs from the settings given; and those of [`run`]'s selection.
pub fn merge(
    shards: &[PathBuf],
    n_policies: usize,
    curation: &Curation,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<CurationSummary, CurateError> {
    check(curation)?;
    let ledger = merging::merge(shards, n_policies, curation, folder, progress)?;
    conclude(ledger, curation, folder)
}

fn check(curation: &Curation) -> Result<(), CurateError> {
    curation.config.validate("curate")?;
    if matches!(curation.pool, Pool::Items([])) {
        return Err(CurateError::NoItems);
    }
    Ok(())
}

/// Selects, and writes what became of each prompt.
fn conclude(mut ledger: Ledger, curation: &Curation, folder: &Path) -> Result<CurationSummary, CurateError> {
    let Selection { decisions, qi_box } = select(ledger.records()?, curation.config, folder)?;
    let reasons = decisions.map(|decision| Ok(decision?.1));
    let mut tally = Tally::default();
    let records = records::decided(ledger.records()?, reasons);
    let path = folder.join(RECORDS);
    try_write_lines(
        &path,
        records.inspect(|record| record.iter().for_each(|record| tally.count(record))),
    )?;
    let summary = records::summarise(curation, ledger, tally, qi_box);
    if summary.n_kept == 0 {
        return Err(nothing_kept(folder, &summary));
    }
    write_kept(curation, &path, &folder.join("curated.jsonl"))?;
    let text = serde_json::to_string_pretty(&summary).map_err(std::io::Error::from)?;
    write_atomically(&folder.join("summary.json"), text.as_bytes())?;
    Ok(summary)
}

/// Writes the prompts that these records say are kept.
fn write_kept(curation: &Curation, records: &Path, path: &Path) -> Result<(), CurateError> {
    let records = JsonLinesReader::<CurationRecord>::open(records)?;
    let kept = curation
        .pool
        .items()?
        .zip(records)
        .filter_map(|(item, record)| match record {
            Ok(record) => (item.is_err() || record.kept).then_some(item),
            Err(error) => Some(Err(error)),
        });
    Ok(write_each_item(path, kept)?)
}

fn nothing_kept(folder: &Path, summary: &CurationSummary) -> CurateError {
    let mut dropped = Vec::new();
    for (reason, count) in &summary.dropped {
        dropped.push(match reason {
            DropReason::TooFewScored => format!("{count} had fewer than 2 scored samples"),
            DropReason::LowQuality => format!("{count} were of the lowest quality"),
            DropReason::HighQuality => format!("{count} were of the highest quality"),
            DropReason::LowInstability => format!("{count} had no place left in the box"),
            DropReason::Contaminated => format!("{count} stand in an evaluation set"),
        });
    }
    CurateError::NothingKept {
        file: folder.join(RECORDS),
        n_prompts: summary.n_prompts,
        dropped: dropped.join(", "),
    }
}
