//! FigStep (Gong et al., arXiv 2311.05608): `questions.csv`, and a PNG file for each row.
//!
//! ```text
//! dataset, category_id, task_id, category_name, question, instruction
//! images/query_{dataset}_{category_id}_{task_id}_6.png
//! ```
//!
//! The text with every image is the benchmark's own, as [`benchmarks`] reads it. The text of an item from elsewhere is
//! written to `question` and not read back.

use std::collections::HashSet;
use std::path::PathBuf;

use align::types::{Item, ItemKind, Message};
use benchmarks::suites::figstep as benchmark;
use serde_json::{Map, Value};

use crate::field_reader::FieldReader;
use crate::format::{Description, Format, ImageStorage, Layout};
use crate::record::{Record, images_of};
use rows::{ColumnType, Container, Row, text_columns};

pub(crate) const FORMAT: Format = Format::new(&Description {
    names: &["figstep"],
    about: "FigStep's questions.csv",
    containers: &[Container::Csv],
    required: &["dataset", "category_id", "task_id", "category_name"],
    images: ImageStorage::Paths,
    recognizes: |header| header.is(Container::Csv) && header.has_all(&TASK),
    layout: || Box::new(FigStep::default()),
});

/// Counts the tasks of each category, for items that come without a task's fields.
#[derive(Default)]
struct FigStep {
    categories: Vec<(String, usize)>,
    paths: HashSet<String>,
}

/// The fields that identify a task, which its image's path is made of.
const TASK: [&str; 3] = ["dataset", "category_id", "task_id"];
/// The value of `dataset` for items from elsewhere.
const ELSEWHERE: &str = "Scruple";

impl Layout for FigStep {
    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        let [dataset, category_id, task_id] = TASK;
        text_columns([dataset, category_id, task_id, "category_name", "question", "instruction"])
    }

    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        let Some(item) = fields.read_by(benchmark::item) else {
            return Vec::new();
        };
        fields.take("category_name");
        let images = fields.decoded("image", images_of(&item)).unwrap_or_default();
        vec![fields.record(item, images)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let mut row = Row::default();
        for name in TASK {
            row.set(name, record.extra.get(name).cloned().unwrap_or_default());
        }
        row.set("category_name", record.item.category.as_deref().unwrap_or_default());
        let question = record.extra_text("question").map(str::to_owned);
        let question = question.or_else(|| text_of_its_own(record, &row.fields));
        row.set("question", question.unwrap_or_default());
        row.set("instruction", record.extra_text("instruction").unwrap_or_default());
        Ok(row)
    }

    fn assign_path(&mut self, record: &mut Record) -> Result<Option<PathBuf>, String> {
        if record.item.kind != Some(ItemKind::Hazardous) {
            return Err("it holds hazardous items only".into());
        }
        record.only_image()?;
        let category = record.item.category.clone().unwrap_or_default();
        if category.is_empty() {
            return Err("its items have a category".into());
        }
        if !TASK.iter().all(|name| record.extra_text(name).is_some_and(is_plain)) {
            let values = self.next_task(category);
            for (name, value) in TASK.into_iter().zip(values) {
                record.extra.insert(name.to_owned(), Value::String(value));
            }
        }
        let [dataset, category_id, task_id] = TASK.map(|name| record.extra_text(name).unwrap_or_default());
        let path = benchmark::image_path(dataset, category_id, task_id);
        if !self.paths.insert(path.clone()) {
            return Err(format!("{path} is another item's image"));
        }
        Ok(Some(path.into()))
    }
}

impl FigStep {
    /// The values of the fields that identify a category's next task.
    fn next_task(&mut self, category: String) -> [String; 3] {
        let known = self.categories.iter().position(|(name, _)| *name == category);
        let index = known.unwrap_or_else(|| {
            self.categories.push((category, 0));
            self.categories.len() - 1
        });
        self.categories[index].1 += 1;
        let n_tasks = self.categories[index].1;
        [ELSEWHERE.to_owned(), (index + 1).to_string(), n_tasks.to_string()]
    }
}

/// An item's text, if it is not the one that the benchmark has with every image.
fn text_of_its_own(record: &Record, task: &Map<String, Value>) -> Option<String> {
    let published = benchmark::item(task).ok();
    first_text(&record.item).filter(|text| published.as_ref().and_then(first_text).as_ref() != Some(text))
}

fn first_text(item: &Item) -> Option<String> {
    item.messages.first().map(Message::plain_text)
}

/// Whether a text may be a part of a file's name.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(char::is_alphanumeric)
}
