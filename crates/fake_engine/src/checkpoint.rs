//! The table as a file. Numbers are stored by their bits, so that they come back exactly.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::policy::{Learned, Prefix, Table};
use align::engine::EngineError;

const FILE: &str = "fake_engine.json";

#[derive(Serialize, Deserialize)]
struct StoredTable {
    steps: u32,
    /// Logits, first and second moment.
    rows: Vec<(Prefix, [Vec<u32>; 3])>,
}

pub fn to_bytes(table: &Table) -> Vec<u8> {
    let mut stored = StoredTable { steps: table.steps, rows: Vec::new() };
    for (prefix, Learned { logits, first_moment, second_moment }) in &table.rows {
        let columns = [logits, first_moment, second_moment];
        let bits = columns.map(|column| column.iter().map(|number| number.to_bits()).collect());
        stored.rows.push((prefix.clone(), bits));
    }
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
    for (prefix, bits) in stored.rows {
        if let Some(column) = bits.iter().find(|column| column.len() != n_words) {
            return Err(corrupt(&file, &format!("expected {n_words} words, got {}", column.len())));
        }
        let columns = bits.map(|column| column.into_iter().map(f32::from_bits).collect());
        let [logits, first_moment, second_moment] = columns;
        table.rows.insert(prefix, Learned { logits, first_moment, second_moment });
    }
    Ok(table)
}

fn corrupt(file: &Path, problem: &str) -> EngineError {
    EngineError::Model(format!("{}: {problem}", file.display()))
}
