//! Puts shards together: what each has sampled, in the order of the pool, as if one run had sampled it all.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::ledger::Ledger;
use super::pool::index_of;
use super::samples::{Cursor, Sample};
use super::sampling::settings;
use super::{CurateError, Curation, SAMPLES, SETTINGS, SHARD, Shard};
use crate::decontamination::{CONTAMINATED, Contamination};
use crate::files::{write_line, write_streamed};
use crate::progress::Progress;
use crate::run_dir::{AnswerFolder, RunError, check_settings, read_json};

/// A shard's folder, open for reading.
struct Part {
    folder: PathBuf,
    samples: Cursor<Sample>,
    contaminated: Cursor<Contamination>,
}

/// Joins the journals of shards in the output's folder, and returns what the ledger keeps of each prompt.
pub(super) fn merge<'a>(
    shards: &[PathBuf],
    n_policies: usize,
    curation: &Curation<'a>,
    output: AnswerFolder,
    progress: &mut dyn Progress,
) -> Result<Ledger<'a>, CurateError> {
    let (expected, n_prompts) = settings(curation, None, output.path)?;
    let mut parts = open(shards, &expected, output.policy)?;
    output.open(SAMPLES, SETTINGS, expected)?;
    let mut ledger = Ledger::new(curation, output.path)?;
    let n_samples = curation.config.num_samples * n_policies;
    progress.begin("merge", n_prompts);
    let (samples, contaminated) = (output.path.join(SAMPLES), output.path.join(CONTAMINATED));
    write_streamed(&samples, |samples| {
        let mut join = |contaminated: Option<&mut dyn Write>| {
            join(
                curation,
                &mut parts,
                n_samples,
                &mut ledger,
                samples,
                contaminated,
                progress,
            )
        };
        match curation.decontaminator {
            None => join(None),
            Some(_) => write_streamed(&contaminated, |file| join(Some(file))),
        }
    })?;
    progress.end();
    Ok(ledger)
}

fn join(
    curation: &Curation,
    parts: &mut [Part],
    n_samples: usize,
    ledger: &mut Ledger,
    samples: &mut dyn Write,
    mut contaminated: Option<&mut dyn Write>,
    progress: &mut dyn Progress,
) -> Result<(), CurateError> {
    let of = parts.len() as u64;
    for item in curation.pool.items()? {
        let item = item?;
        let index = index_of(&item.id, of);
        let part = &mut parts[index as usize - 1];
        if let Some(file) = &mut contaminated
            && let Some(contamination) = part.contaminated.next_of(&item.id)?
        {
            write_line(*file, &contamination)?;
            ledger.enter_contaminated(&item, &contamination)?;
        } else {
            let found: Vec<Sample> = part.samples.samples_of(&item.id)?.into_values().collect();
            if found.len() != n_samples {
                let problem = format!(
                    "shard {} is not complete: expected {n_samples} samples of prompt `{}`, got {}; go on with it first",
                    Shard { index, of },
                    item.id,
                    found.len()
                );
                return Err(shard_fault(&part.folder, problem));
            }
            for sample in &found {
                write_line(samples, sample)?;
            }
            ledger.enter(&item, &found)?;
        }
        progress.advance(1);
    }
    for part in parts {
        part.samples.check_ended("the last prompt")?;
    }
    Ok(())
}

/// Opens the shards in their order, once each is known to be there once and to have been drawn with the same settings.
fn open(shards: &[PathBuf], expected: &Value, policy: &str) -> Result<Vec<Part>, CurateError> {
    let mut of = None;
    let mut by_index: BTreeMap<u64, &PathBuf> = BTreeMap::new();
    for folder in shards {
        let shard = check(folder, expected, policy)?;
        let of = *of.get_or_insert(shard.of);
        if of != shard.of {
            let problem = format!("expected a shard of {of} like the others, got {shard}");
            return Err(shard_fault(folder, problem));
        }
        if let Some(other) = by_index.insert(shard.index, folder) {
            let problem = format!("expected each shard once, but {} is shard {shard} too", other.display());
            return Err(shard_fault(folder, problem));
        }
    }
    let of = of.unwrap_or(1);
    if let Some(index) = (1..=of).find(|index| !by_index.contains_key(index)) {
        return Err(CurateError::MissingShard(Shard { index, of }));
    }
    let part = |folder: &PathBuf| {
        Ok(Part {
            folder: folder.clone(),
            samples: Cursor::open(&folder.join(SAMPLES))?,
            contaminated: Cursor::open(&folder.join(CONTAMINATED))?,
        })
    };
    by_index.into_values().map(part).collect()
}

/// The shard that a folder holds, once its settings are known to be as expected.
fn check(folder: &Path, expected: &Value, policy: &str) -> Result<Shard, CurateError> {
    #[derive(Deserialize)]
    struct Settings {
        shard: Option<Shard>,
    }
    let file = folder.join(SETTINGS);
    let mut found: Value = read_json(&file).map_err(|error| match error {
        RunError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
            shard_fault(folder, format!("no shard is there: expected {SETTINGS} in it"))
        }
        error => error.into(),
    })?;
    let shard = serde_json::from_value::<Settings>(found.clone())
        .ok()
        .and_then(|it| it.shard);
    let is_shard = |shard: &Shard| (1..=shard.of).contains(&shard.index);
    let shard = shard
        .filter(is_shard)
        .ok_or_else(|| shard_fault(folder, "expected a shard, got a whole curation".to_owned()))?;
    if let Some(found) = found.as_object_mut() {
        found.remove(SHARD);
    }
    let mut expected = expected.clone();
    expected["policy"] = policy.into();
    check_settings(&file, &found, &expected)?;
    Ok(shard)
}

fn shard_fault(folder: &Path, problem: String) -> CurateError {
    CurateError::Shard {
        folder: folder.to_owned(),
        problem,
    }
}
