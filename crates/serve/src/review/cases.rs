//! What is reviewed: items or responses, with the judge's verdict on each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use align::seeds::derive_seed;
use align::types::{
    Dialogue, ItemKind, Message, Role, id_as_text, image_paths, optional_id_as_text, read_dialogues, read_given_lines,
};
use serde::Deserialize;
use serde_json::Value;

use crate::error::ServeError;

/// A line of the data: an item, or a response.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// Unique in the file.
    #[serde(deserialize_with = "id_as_text")]
    pub id: String,
    messages: Vec<Message>,
    /// The reply to be reviewed; none where the item itself is.
    #[serde(default)]
    pub response: Option<String>,
    #[serde(default)]
    kind: Option<ItemKind>,
    /// The kind of harm.
    #[serde(default, deserialize_with = "optional_id_as_text")]
    pub category: Option<String>,
}

impl Dialogue for Case {
    fn id(&self) -> &str {
        &self.id
    }

    fn messages(&mut self) -> &mut [Message] {
        &mut self.messages
    }
}

impl Case {
    /// What the user says, turn by turn.
    pub fn question(&self) -> String {
        let turns = self.messages.iter().filter(|message| message.role == Role::User);
        turns.map(Message::plain_text).collect::<Vec<_>>().join("\n")
    }

    /// The images' files, in order.
    pub fn images(&self) -> Vec<PathBuf> {
        image_paths(&self.messages).map(Path::to_owned).collect()
    }
}

/// Everything that is reviewed, in the order of review.
#[derive(Debug)]
pub struct Cases {
    /// The cases.
    pub cases: Vec<Case>,
    /// Of those that the judge has a verdict on, whether it calls them unsafe.
    pub is_unsafe: HashMap<String, bool>,
}

/// A line of a judge's verdicts.
#[derive(Deserialize)]
struct VerdictLine {
    #[serde(deserialize_with = "id_as_text")]
    id: String,
    verdict: Option<Value>,
}

impl Cases {
    /// Reads a file, or the items of a forge's folder. Blank-image twins are left out, since there is nothing to see.
    ///
    /// Errors: those of [`read_dialogues`]; `NothingToReview` where nothing is left.
    pub fn read(data: &Path, verdicts: Option<&Path>) -> Result<Self, ServeError> {
        let path = if data.is_dir() { data.join("items.jsonl") } else { data.to_owned() };
        let mut cases: Vec<Case> = read_dialogues(&path)?;
        cases.retain(|case| case.kind != Some(ItemKind::BlankImage));
        if cases.is_empty() {
            return Err(ServeError::NothingToReview { path });
        }
        // In random order, the same each time, so that an item's position says nothing of it: twins would be neighbors.
        cases.sort_by_cached_key(|case| derive_seed(0, &case.id, &[]));
        let is_unsafe = match verdicts {
            Some(path) => read_verdicts(path)?,
            None => cases.iter().filter_map(by_kind).collect(),
        };
        Ok(Self { cases, is_unsafe })
    }
}

/// What the judge accepted an item as. It says nothing of a reply.
fn by_kind(case: &Case) -> Option<(String, bool)> {
    let is_unsafe = match case.kind? {
        ItemKind::Hazardous => true,
        ItemKind::Benign | ItemKind::General => false,
        ItemKind::BlankImage => return None,
    };
    case.response.is_none().then(|| (case.id.clone(), is_unsafe))
}

fn read_verdicts(path: &Path) -> Result<HashMap<String, bool>, ServeError> {
    let mut is_unsafe = HashMap::new();
    for (_, line) in read_given_lines::<VerdictLine>(path, "`id` and `verdict`")? {
        let safe = line.verdict.as_ref().and_then(|verdict| verdict["safe"].as_bool());
        if let Some(safe) = safe {
            is_unsafe.insert(line.id, !safe);
        }
    }
    Ok(is_unsafe)
}
