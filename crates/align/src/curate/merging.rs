//! Reads samples beside the pool: of one folder, or of shards as if one run had sampled it all.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::curation::{Curation, ShardSummary};
use super::error::CurateError;
use super::ledger::Ledger;
use super::pool::{Shard, index_of};
use super::samples::{Cursor, SAMPLES, Sample};
use super::sampling::{SETTINGS, SHARD, settings};
use crate::decontamination::{CONTAMINATED, Contamination};
use crate::files::{write_line, write_streamed};
use crate::json_lines::JsonLinesReader;
use crate::progress::Progress;
use crate::reward::RewardConfig;
use crate::run_dir::{RunError, check_settings, keep_settings, read_json};

/// A folder of samples, open for reading.
struct Part {
    folder: PathBuf,
    samples: Cursor<Sample>,
    contaminated: Cursor<Contamination>,
}

impl Part {
    fn open(folder: &Path) -> Result<Self, CurateError> {
        Ok(Self {
            folder: folder.to_owned(),
            samples: Cursor::open(&folder.join(SAMPLES))?,
            contaminated: Cursor::open(&folder.join(CONTAMINATED))?,
        })
    }
}

/// What the ledger keeps of each prompt whose samples are in the folder.
pub(super) fn read<'a>(n_policies: usize, curation: &Curation<'a>, folder: &Path) -> Result<Ledger<'a>, CurateError> {
    let mut ledger = Ledger::new(curation, folder)?;
    let parts = [Part::open(folder)?];
    let mut sink = std::io::sink();
    join(curation, parts, n_policies, &mut ledger, (&mut sink, &mut std::io::sink()), &mut || ())?;
    Ok(ledger)
}

/// What a shard's folder holds.
pub(super) fn summary_of_shard(reward: &RewardConfig, folder: &Path) -> Result<ShardSummary, CurateError> {
    let mut summary = ShardSummary { n_prompts: 0, n_samples: 0, n_unscored: 0 };
    for sample in JsonLinesReader::<Sample>::open(&folder.join(SAMPLES))? {
        let sample = sample?;
        summary.n_samples += 1;
        summary.n_prompts += usize::from(sample.number == 0);
        summary.n_unscored += usize::from(reward.reward(&sample.judgement, None).is_err());
    }
    for contamination in JsonLinesReader::<Contamination>::open(&folder.join(CONTAMINATED))? {
        contamination?;
        summary.n_prompts += 1;
    }
    Ok(summary)
}

/// Joins the samples of shards in the folder, and returns what the ledger keeps of each prompt.
pub(super) fn merge<'a>(
    shards: &[PathBuf],
    n_policies: usize,
    curation: &Curation<'a>,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<Ledger<'a>, CurateError> {
    let (expected, n_prompts) = settings(curation, None, folder)?;
    let parts = open(shards, &expected)?;
    keep_settings(&folder.join(SETTINGS), &expected)?;
    let mut ledger = Ledger::new(curation, folder)?;
    progress.begin("merge", n_prompts);
    write_streamed(&folder.join(SAMPLES), |samples| match curation.decontaminator {
        None => {
            let files: Files = (samples, &mut std::io::sink());
            join(curation, parts, n_policies, &mut ledger, files, &mut || progress.advance(1))
        }
        Some(_) => write_streamed(&folder.join(CONTAMINATED), |contaminated| {
            join(curation, parts, n_policies, &mut ledger, (samples, contaminated), &mut || progress.advance(1))
        }),
    })?;
    progress.end();
    Ok(ledger)
}

/// Where joined samples go, and contaminated prompts.
type Files<'f> = (&'f mut dyn Write, &'f mut dyn Write);

/// Goes through the pool with the parts that its prompts are dealt out to.
fn join(
    curation: &Curation,
    mut parts: impl AsMut<[Part]>,
    n_policies: usize,
    ledger: &mut Ledger,
    (samples, contaminated): Files,
    on_prompt: &mut dyn FnMut(),
) -> Result<(), CurateError> {
    let parts = parts.as_mut();
    let of = parts.len() as u64;
    let n_samples = curation.config.num_samples * n_policies;
    for item in curation.pool.items()? {
        let item = item?;
        let part = &mut parts[index_of(&item.id, of) as usize - 1];
        if curation.decontaminator.is_some()
            && let Some(contamination) = part.contaminated.next_of(&item.id)?
        {
            write_line(contaminated, &contamination)?;
            ledger.enter_contaminated(&item, &contamination)?;
        } else {
            let found = part.samples.all_of(&item.id)?;
            if found.len() != n_samples {
                let problem = format!(
                    "{SAMPLES}: expected {n_samples} samples of prompt `{}` next, got {}",
                    item.id,
                    found.len()
                );
                return Err(shard_error(&part.folder, problem));
            }
            for sample in &found {
                write_line(samples, sample)?;
            }
            ledger.enter(&item, &found)?;
        }
        on_prompt();
    }
    Ok(())
}

/// Opens the shards in their order, once each is known to be there once and to be sampled with the same settings.
fn open(shards: &[PathBuf], expected: &Value) -> Result<Vec<Part>, CurateError> {
    let mut of = None;
    let mut by_index: BTreeMap<u64, &PathBuf> = BTreeMap::new();
    for folder in shards {
        let shard = check(folder, expected)?;
        let of = *of.get_or_insert(shard.of);
        if of != shard.of {
            let problem = format!("expected a shard of {of} like the others, got {shard}");
            return Err(shard_error(folder, problem));
        }
        if let Some(other) = by_index.insert(shard.index, folder) {
            let problem = format!("expected each shard once, but {} is shard {shard} too", other.display());
            return Err(shard_error(folder, problem));
        }
    }
    let of = of.unwrap_or(1);
    if let Some(index) = (1..=of).find(|index| !by_index.contains_key(index)) {
        return Err(CurateError::MissingShard(Shard { index, of }));
    }
    by_index.into_values().map(|folder| Part::open(folder)).collect()
}

/// The shard that a folder holds, once its settings are known to be as expected.
fn check(folder: &Path, expected: &Value) -> Result<Shard, CurateError> {
    #[derive(Deserialize)]
    struct Settings {
        shard: Option<Shard>,
    }
    let file = folder.join(SETTINGS);
    let mut found: Value = read_json(&file).map_err(|error| match error {
        RunError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
            shard_error(folder, format!("no shard is there: expected {SETTINGS} in it"))
        }
        error => error.into(),
    })?;
    let shard = serde_json::from_value::<Settings>(found.clone()).ok().and_then(|it| it.shard);
    let shard = shard
        .filter(|shard| (1..=shard.of).contains(&shard.index))
        .ok_or_else(|| shard_error(folder, "expected a shard, got a whole curation".to_owned()))?;
    if let Some(found) = found.as_object_mut() {
        found.remove(SHARD);
    }
    check_settings(&file, &found, expected)?;
    if !folder.join(SAMPLES).exists() {
        let problem = format!("shard {shard} is not complete: expected {SAMPLES} in it");
        return Err(shard_error(folder, problem));
    }
    Ok(shard)
}

fn shard_error(folder: &Path, problem: String) -> CurateError {
    CurateError::Shard { folder: folder.to_owned(), problem }
}
