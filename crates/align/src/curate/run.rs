//! A curation: sample, judge, select, write.

use std::path::{Path, PathBuf};

use diagnostic::excerpt;

use super::curation::{Curation, ShardSummary};
use super::error::CurateError;
use super::ledger::Ledger;
use super::merging;
use super::policies::Policy;
use super::pool::{Pool, Shard};
use super::records::{CurationRecord, DropReason};
use super::samples::{SAMPLES, Sample};
use super::sampling;
use super::selection::{Selection, select};
use super::summary::{CurationSummary, Tally, decided, summarize};
use crate::files::{try_write_lines, write_atomically};
use crate::json_lines::JsonLinesReader;
use crate::progress::Progress;
use crate::types::write_each_item;

/// The file of [`CurationRecord`]s.
pub const RECORDS: &str = "curation.jsonl";

/// Samples, judges and selects, and writes everything to the folder. Samples that are there are kept; selection settings
/// and reward may change between calls, policies, sampling settings, prompts and judge may not. Each policy answers each
/// prompt `num_samples` times; quality and instability are over all of them.
///
/// Errors: `Setting`, `NoItems`; `Run` naming a setting that differs from the samples' in the folder; `Chat`;
/// `NothingKept` and `NothingScored`; `Shard` where the samples are damaged; `Data` and `Io` naming the file.
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
    let summary = merging::summary_of_shard(curation.reward, folder)?;
    check_scored(folder, summary.n_samples, summary.n_unscored)?;
    Ok(summary)
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
    let records = decided(ledger.records()?, reasons);
    let path = folder.join(RECORDS);
    try_write_lines(&path, records.inspect(|record| record.iter().for_each(|record| tally.count(record))))?;
    let summary = summarize(curation, ledger, tally, qi_box);
    check_scored(folder, summary.n_samples, summary.n_unscored)?;
    if summary.n_kept == 0 {
        return Err(nothing_kept(folder, &summary));
    }
    write_kept(curation, &path, &folder.join("curated.jsonl"))?;
    let text = serde_json::to_string_pretty(&summary).map_err(std::io::Error::from)?;
    write_atomically(&folder.join("summary.json"), text.as_bytes())?;
    Ok(summary)
}

/// Makes sure that not all samples are unscored.
fn check_scored(folder: &Path, n_samples: usize, n_unscored: usize) -> Result<(), CurateError> {
    if n_samples == 0 || n_unscored < n_samples {
        return Ok(());
    }
    let file = folder.join(SAMPLES);
    let first: Option<Sample> = JsonLinesReader::open(&file)?.next().transpose()?;
    let reason = first.and_then(|sample| sample.judgement.err()).map_or_else(String::new, |unscored| unscored.reason);
    Err(CurateError::NothingScored { file, n_samples, reason: excerpt(&reason) })
}

/// Writes the prompts that these records say are kept.
fn write_kept(curation: &Curation, records: &Path, path: &Path) -> Result<(), CurateError> {
    let records = JsonLinesReader::<CurationRecord>::open(records)?;
    let kept = curation.pool.items()?.zip(records).filter_map(|(item, record)| match record {
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
            DropReason::LowInstability => format!("{count} were more stable than those kept"),
            DropReason::Contaminated => format!("{count} are in an evaluation set"),
        });
    }
    CurateError::NothingKept { file: folder.join(RECORDS), n_prompts: summary.n_prompts, dropped: dropped.join(", ") }
}
