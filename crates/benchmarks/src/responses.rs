//! Responses that were made elsewhere: files of results, matched with a suite's items by their keys.

use std::collections::HashMap;
use std::path::Path;

use align::chat::{ChatAnswer, ChatError, ChatModel, ChatRequest, Unanswered};
use align::types::{DataError, Item};

use crate::reader::{FileRow, rows_of};
use crate::suite::Suite;

/// The columns that hold a response, in the order of preference.
const RESPONSE: [&str; 3] = ["response", "prediction", "output"];

/// How a text begins that stands in the place of a response where another tool got none.
const FAILED: [&str; 2] = ["Failed to obtain answer", "[INFERENCE_FAILED"];

/// The responses of a file, as a model that answers each item with its own.
#[derive(Debug)]
pub struct Responses {
    name: String,
    /// The responses by their items' ids; none where the file says that there is none.
    by_id: HashMap<String, Vec<Option<String>>>,
    /// Items that the rows themselves hold; empty where the suite's own files hold them.
    pub items: Vec<Item>,
    /// The most responses to an item, where the suite scores several.
    pub samples: usize,
}

impl Responses {
    /// Reads a file of results: JSON lines, a JSON list, CSV, TSV, parquet or a workbook of Excel. `items` are the suite's;
    /// none makes them of the file's own rows.
    ///
    /// Errors: `Io` naming the file; `Line` naming file and line of a row without key or response, of one whose key no
    /// item has or several have, of more responses to an item than are scored, and of one to another question; `Empty`
    /// for a file without responses.
    pub fn read(file: &Path, suite: &Suite, items: Option<&[Item]>) -> Result<Self, DataError> {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut read = Self { name, by_id: HashMap::new(), items: Vec::new(), samples: 0 };
        let keys = items.map(|items| Keys::of(suite, items));
        let mut without_column = None;
        for row in rows_of(file)? {
            let row = row?;
            if !RESPONSE.iter().any(|column| row.has(column)) {
                without_column.get_or_insert_with(|| row.clone());
            }
            let made = match suite.row.map(|make| make(&row.fields)) {
                Some(Ok(None)) => continue,
                Some(Ok(Some(item))) => Ok(item),
                Some(Err(problem)) => Err(problem),
                None => Err(format!("{}'s items are not in such rows", suite.title)),
            };
            let id = match &keys {
                Some(keys) => keys.item(&row, suite, made.ok().as_ref())?.id.clone(),
                None => read.add_item(made.map_err(|problem| row.error(problem))?),
            };
            let responses = read.by_id.entry(id).or_default();
            responses.push(response(&row)?);
            read.samples = read.samples.max(responses.len());
            if responses.len() > suite.protocol.samples {
                let problem =
                    format!("one more response to the same item: expected at most {}", suite.protocol.samples);
                return Err(row.error(problem));
            }
        }
        if read.by_id.is_empty() {
            return Err(DataError::Empty { path: file.to_owned() });
        }
        match without_column.filter(|_| read.by_id.values().flatten().all(Option::is_none)) {
            Some(row) => Err(row.error(format!("expected one of the columns {}", RESPONSE.join(", ")))),
            None => Ok(read),
        }
    }

    /// Adds an item that a row holds, unless an earlier row held it too.
    fn add_item(&mut self, item: Item) -> String {
        let id = item.id.clone();
        if !self.by_id.contains_key(&id) {
            self.items.push(item);
        }
        id
    }
}

/// The response of a row; none where it holds none, as an empty cell does, or says that there is none.
fn response(row: &FileRow) -> Result<Option<String>, DataError> {
    let column = RESPONSE.iter().find(|column| row.fields.get(**column).is_some_and(|value| !value.is_null()));
    let response = column.map(|column| row.text(column)).transpose()?;
    Ok(response.filter(|response| !FAILED.iter().any(|failed| response.starts_with(failed))))
}

/// A suite's items by what tells them in files of results.
struct Keys<'a>(HashMap<&'a str, Vec<&'a Item>>);

impl<'a> Keys<'a> {
    fn of(suite: &Suite, items: &'a [Item]) -> Self {
        let mut by_key: HashMap<&str, Vec<&Item>> = HashMap::new();
        for item in items {
            let key = suite.key_of(item);
            let split = item.split.as_deref().unwrap_or_default();
            let within = key.strip_prefix(split).and_then(|rest| rest.strip_prefix('-'));
            let mut names = vec![item.id.as_str(), key, within.unwrap_or(key)];
            names.dedup();
            for name in names {
                by_key.entry(name).or_default().push(item);
            }
        }
        Self(by_key)
    }

    /// The item that a row responds to. `made` is what the row itself says of it.
    fn item(&self, row: &FileRow, suite: &Suite, made: Option<&Item>) -> Result<&'a Item, DataError> {
        let keys = suite.keys.iter().copied().filter(|key| *key != "id");
        let columns: Vec<&str> = std::iter::once("id").chain(keys).collect();
        let told = made.map(|item| item.id.clone());
        let given = columns.iter().filter_map(|column| row.optional(column));
        let mut names: Vec<String> = told.into_iter().chain(given).collect();
        names.dedup();
        let Some(found) = names.iter().find_map(|name| self.0.get(name.as_str())) else {
            let shown = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            return Err(row.error(if names.is_empty() {
                format!("expected one of the columns {}, which tell the item", columns.join(", "))
            } else {
                format!("{} has no item {shown} among the items that are there", suite.title)
            }));
        };
        let [item] = found[..] else {
            let ids: Vec<&str> = found.iter().map(|item| item.id.as_str()).collect();
            return Err(row.error(format!("several items go by this key, {}: expected one in `id`", ids.join(", "))));
        };
        match (right_answer(item), made.and_then(right_answer)) {
            (Some(expected), Some(got)) if expected != got => {
                let problem =
                    format!("the right answer is {got} here, and {expected} of {}: is it another question?", item.id);
                Err(row.error(problem))
            }
            _ => Ok(item),
        }
    }
}

fn right_answer(item: &Item) -> Option<&serde_json::Value> {
    item.truth.as_ref()?.get("answer")
}

impl ChatModel for Responses {
    fn name(&self) -> &str {
        &self.name
    }

    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        let mut n_given: HashMap<String, usize> = HashMap::new();
        for (index, request) in requests.enumerate() {
            let given = n_given.entry(request.id.clone()).or_default();
            let response = self.by_id.get(&request.id).and_then(|responses| responses.get(*given)?.clone());
            *given += 1;
            on_answer(
                index,
                response.map(ChatAnswer::of).ok_or_else(|| Unanswered::new("the file has no response to it")),
            );
        }
        Ok(())
    }
}
