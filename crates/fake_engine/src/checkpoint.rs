//! The table as a file. Numbers are stored by their bits, so that they come back exactly.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::policy::{Learned, Table};
use align::engine::EngineError;

const FILE: &str = "fake_engine.json";

#[derive(Serialize, Deserialize)]
struct StoredTable {
    steps: u32,
    rows: Vec<StoredRow>,
}

#[derive(Serialize, Deserialize)]
struct StoredRow {
    context: String,
    beginning: Vec<u32>,
    logits: Vec<u32>,
    first_moment: Vec<u32>,
    second_moment: Vec<u32>,
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

fn numbers(bits: &[u32]) -> Vec<f32> {
    bits.iter().map(|bits| f32::from_bits(*bits)).collect()
}

pub fn to_bytes(table: &Table) -> Vec<u8> {
    let rows = table.rows.iter().map(|((context, beginning), row)| StoredRow {
        context: context.clone(),
        beginning: beginning.clone(),
        logits: bits(&row.logits),
        first_moment: bits(&row.first_moment),
        second_moment: bits(&row.second_moment),
    });
    let stored = StoredTable { steps: table.steps, rows: rows.collect() };
    // Strings and whole numbers are all that is in there, and those always have a JSON form.
    serde_json::to_vec(&stored).unwrap_or_default()
}

/// Writes the table so that the folder appears whole or not at all.
pub fn save(folder: &Path, table: &Table) -> Result<(), EngineError> {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = folder.with_file_name(name);
    for stale in [partial.as_path(), folder] {
        if stale.exists() {
            fs_err::remove_dir_all(stale)?;
        }
    }
    fs_err::create_dir_all(&partial)?;
    fs_err::write(partial.join(FILE), to_bytes(table))?;
    Ok(fs_err::rename(partial, folder)?)
}

pub fn load(folder: &Path, n_words: usize) -> Result<Table, EngineError> {
    let file = folder.join(FILE);
    let bytes = fs_err::read(&file)?;
    let stored: StoredTable = serde_json::from_slice(&bytes).map_err(|error| corrupt(&file, &error.to_string()))?;
    let mut table = Table { steps: stored.steps, ..Table::default() };
    for row in stored.rows {
        for column in [&row.logits, &row.first_moment, &row.second_moment] {
            if column.len() != n_words {
                let problem = format!("expected {n_words} words, got {}", column.len());
                return Err(corrupt(&file, &problem));
            }
        }
        let learned = Learned {
            logits: numbers(&row.logits),
            first_moment: numbers(&row.first_moment),
            second_moment: numbers(&row.second_moment),
        };
        table.rows.insert((row.context, row.beginning), learned);
    }
    Ok(table)
}

fn corrupt(file: &Path, problem: &str) -> EngineError {
    EngineError::Model(format!("{}: {problem}", file.display()))
}
