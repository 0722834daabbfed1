//! FigStep (Gong et al., arXiv 2311.05608): `questions.csv`, and for each row a PNG picture beside it.
//!
//! ```text
//! dataset, category_id, task_id, category_name, question, instruction
//! images/query_{dataset}_{category_id}_{task_id}_6.png
//! ```
//!
//! The text beside every picture is the benchmark's own, as [`benchmarks`] reads it, so that another item's
//! text stands in `question` and is not read back.

use std::collections::HashSet;
use std::path::PathBuf;

use align::types::{Item, ItemKind, Message};
use benchmarks::suites::figstep::{image_path, item};
use serde_json::{Map, Value};

use super::Layout;
use crate::fault::FaultKind;
use crate::fields::Fields;
use crate::record::{Picture, Record};
use crate::rows::{ColumnType, Row};

/// Counts the tasks of each category, for items that have no place yet.
#[derive(Default)]
pub(crate) struct FigStep {
    categories: Vec<(String, usize)>,
    taken: HashSet<String>,
}

const PLACE: [&str; 3] = ["dataset", "category_id", "task_id"];
/// The data set's name in pictures that come from elsewhere.
const ELSEWHERE: &str = "Scruple";

impl Layout for FigStep {
    fn required(&self) -> &'static [&'static str] {
        &["dataset", "category_id", "task_id", "category_name"]
    }

    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        [
            "dataset",
            "category_id",
            "task_id",
            "category_name",
            "question",
            "instruction",
        ]
        .map(|name| (name, ColumnType::Text))
        .into()
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        let item = match item(fields.all()) {
            Ok(item) => item,
            Err(problem) => {
                fields.fault(FaultKind::WrongValue, problem);
                return Vec::new();
            }
        };
        fields.take("category_name");
        let pictures = align::types::image_paths(&item.messages)
            .map(|path| Picture::File(path.to_owned()))
            .collect();
        vec![fields.record(item, pictures)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let mut fields = Map::new();
        for name in PLACE {
            fields.insert(name.to_owned(), record.extra.get(name).cloned().unwrap_or_default());
        }
        let category = record.item.category.clone().unwrap_or_default();
        fields.insert("category_name".to_owned(), category.into());
        let asked = record.extra_text("question").map(str::to_owned);
        let asked = asked.or_else(|| text_of_its_own(record, &fields)).unwrap_or_default();
        fields.insert("question".to_owned(), asked.into());
        let instruction = record.extra_text("instruction").unwrap_or_default();
        fields.insert("instruction".to_owned(), instruction.into());
        Ok(Row {
            fields,
            ..Row::default()
        })
    }

    fn place(&mut self, record: &mut Record) -> Result<Option<PathBuf>, String> {
        if record.item.kind != Some(ItemKind::Hazardous) {
            return Err("it holds hazardous items alone".into());
        }
        if record.pictures.len() != 1 {
            return Err(format!("it shows one picture, not {}", record.pictures.len()));
        }
        let category = record.item.category.clone().unwrap_or_default();
        if category.is_empty() {
            return Err("its items have a category".into());
        }
        let is_placed = |name: &&str| record.extra_text(name).is_some_and(is_plain);
        if !PLACE.iter().all(is_placed) {
            let known = self.categories.iter().position(|(name, _)| *name == category);
            let index = known.unwrap_or_else(|| {
                self.categories.push((category, 0));
                self.categories.len() - 1
            });
            self.categories[index].1 += 1;
            let place = [
                ELSEWHERE.to_owned(),
                (index + 1).to_string(),
                self.categories[index].1.to_string(),
            ];
            for (name, value) in PLACE.into_iter().zip(place) {
                record.extra.insert(name.to_owned(), Value::String(value));
            }
        }
        let [dataset, category_id, task_id] = PLACE.map(|name| record.extra_text(name).unwrap_or_default());
        let path = image_path(dataset, category_id, task_id);
        if !self.taken.insert(path.clone()) {
            return Err(format!("{path} is another item's picture"));
        }
        Ok(Some(path.into()))
    }
}

/// What an item says, where it is not what the benchmark says beside every picture.
fn text_of_its_own(record: &Record, place: &Map<String, Value>) -> Option<String> {
    let text = |item: &Item| item.messages.first().map(Message::plain_text);
    let published = item(place).ok();
    text(&record.item).filter(|own| published.as_ref().and_then(text).as_ref() != Some(own))
}

/// Whether a text may be a part of a file's name.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(char::is_alphanumeric)
}
