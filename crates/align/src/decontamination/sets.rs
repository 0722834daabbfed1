//! Evaluation sets: our own files of items, and published sets from the files they come in.

use std::path::Path;

use serde::Deserialize;

use super::DecontaminationError;
use crate::eval::{Suite, read_csv};
use crate::types::{DataError, Item, Message, Role, read_items};

const MSTS: &str = "msts";
const MSTS_FILES: [&str; 2] = ["prompts_english_multimodal.csv", "prompts_english_textonly.csv"];

/// Reads a set: a file of items, or a published set's folder or the folder above.
pub(super) fn read(name: &str, path: &Path) -> Result<Vec<Item>, DecontaminationError> {
    if !path.is_dir() {
        return Ok(read_items(path)?);
    }
    if name == MSTS {
        return Ok(msts(path)?);
    }
    let suite: Suite = name.parse().map_err(|_| DecontaminationError::UnknownSet {
        name: name.to_owned(),
        path: path.to_owned(),
        known: Suite::ALL
            .map(Suite::name)
            .into_iter()
            .chain([MSTS])
            .collect::<Vec<_>>()
            .join(", "),
    })?;
    Ok(suite.load(path)?)
}

#[derive(Deserialize)]
struct MstsRow {
    prompt_id: String,
    prompt_text: String,
}

/// MSTS's prompts. Its pictures stand on other people's servers, so that its texts alone can be compared.
fn msts(path: &Path) -> Result<Vec<Item>, DataError> {
    let below = path.join(MSTS);
    let folder = if below.is_dir() { below } else { path.to_owned() };
    let mut items = Vec::new();
    for file in MSTS_FILES {
        let rows: Vec<(usize, MstsRow)> = read_csv(&folder.join(file))?;
        items.extend(rows.into_iter().map(|(_, row)| Item {
            id: row.prompt_id,
            messages: vec![Message::text(Role::User, row.prompt_text)],
            split: None,
            kind: None,
            category: None,
            twin_of: None,
            truth: None,
        }));
    }
    Ok(items)
}
