//! Responses that were made elsewhere: files of results, matched with a suite's items by their keys.

use std::collections::HashMap;
use std::path::Path;

use align::chat::{ChatAnswer, ChatError, ChatModel, ChatRequest, Unanswered};
use align::types::{DataError, Item};

use crate::reader::{FileRow, rows_of};
use crate::suite::Suite;

/// The columns that hold a response, in the order of preference.
const RESPONSE: [&str; 3] = ["response", "prediction", "output"];

/// The responses of a file, as a model that answers each item with its own.
#[derive(Debug)]
pub struct Responses {
    name: String,
    by_id: HashMap<String, String>,
    /// Items that the rows themselves hold; empty where the suite's rows do not hold them.
    pub items: Vec<Item>,
}

impl Responses {
    /// Reads a file of results: JSON lines, a JSON list, CSV, TSV or parquet. `items` are the suite's; none makes them of
    /// the file's own rows.
    ///
    /// Errors: `Io` naming the file; `Line` naming file and line of a row without key or response.
    pub fn read(file: &Path, suite: &Suite, items: Option<&[Item]>) -> Result<Self, DataError> {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut read = Self { name, by_id: HashMap::new(), items: Vec::new() };
        let by_key: HashMap<&str, &str> =
            items.into_iter().flatten().map(|item| (suite.key_of(item), item.id.as_str())).collect();
        for row in rows_of(file)? {
            let row = row?;
            let response = response(&row)?;
            let id = match (items, suite.row) {
                (Some(_), _) => {
                    let key = key(&row, suite)?;
                    by_key.get(key.as_str()).map_or(key, |id| (*id).to_owned())
                }
                (None, Some(make)) => {
                    let item = make(&row.fields).map_err(|problem| row.error(problem))?;
                    let id = item.id.clone();
                    read.items.push(item);
                    id
                }
                (None, None) => {
                    return Err(row.error(format!("{} needs its own files: expected `--data`", suite.title)));
                }
            };
            if read.by_id.insert(id.clone(), response).is_some() {
                return Err(row.error(format!("a second response to `{id}`")));
            }
        }
        Ok(read)
    }
}

fn response(row: &FileRow) -> Result<String, DataError> {
    let column = RESPONSE.iter().find(|column| row.has(column));
    let column = column.ok_or_else(|| row.error(format!("expected one of the columns {}", RESPONSE.join(", "))))?;
    Ok(row.optional(column).unwrap_or_default())
}

fn key(row: &FileRow, suite: &Suite) -> Result<String, DataError> {
    let keys = std::iter::once("id").chain(suite.keys.iter().copied());
    let found = keys.clone().find_map(|name| row.optional(name));
    found.ok_or_else(|| row.error(format!("expected one of the columns {}", keys.collect::<Vec<_>>().join(", "))))
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
        for (index, request) in requests.enumerate() {
            let response = self.by_id.get(&request.id).cloned();
            on_answer(
                index,
                response.map(ChatAnswer::of).ok_or_else(|| Unanswered::new("the file has no response to it")),
            );
        }
        Ok(())
    }
}
