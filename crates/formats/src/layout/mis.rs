//! MIS as released (DripNowhy/MIS): a JSON list, in one layout for tests and another for training.
//!
//! ```text
//! test:  {"id", "question", "category", "sub_category", "image_path1": path, "image_path2": path}
//! train: {"conversations": [{"from": "human", "value": "<image>…"}, {"from": "gpt", "value"}], "image": [path, …],
//!         "category", "sub_category"}
//! ```
//!
//! Labelled items are written in the layout for training, others in that for tests, with `image_path3` and on where
//! there are more pictures. The pictures of a question come first. All of MIS is hazardous; items of another kind say
//! so in `kind`, and so do samples for training without a sub-category, which would pass for LLaVA's otherwise. The
//! category of an item is its sub-category where there is one, as `scruple forge` has it; the category above stands
//! beside it in `main_category`. A file called `mis_easy`, `mis_hard` or `mis_real` gives its items that split where
//! they name none.

use align::types::{ItemKind, Part, Role};
use serde_json::{Map, Value};

use super::Layout;
use super::sharegpt::{conversations, references};
use crate::fault::FaultKind;
use crate::fields::{Fields, Truth, put_extra, put_own};
use crate::placeholders::{self, Unplaced};
use crate::record::{Picture, Record, question};
use crate::rows::Row;

pub(crate) struct Mis;

/// The field that tells a MIS sample for training from LLaVA's.
const SUB_CATEGORY: &str = "sub_category";
/// Where an item keeps the category above its own.
const MAIN_CATEGORY: &str = "main_category";
/// No more pictures than these are looked for in a row.
const MAX_PICTURES: usize = 64;

impl Layout for Mis {
    fn required(&self) -> &'static [&'static str] {
        &[]
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        let mut item = fields.item(Truth::Json);
        item.kind = item.kind.or(Some(ItemKind::Hazardous));
        if let Some(Value::String(_)) = fields.get(SUB_CATEGORY)
            && let Some(sub_category) = fields.text(SUB_CATEGORY)
            && let Some(category) = item.category.replace(sub_category)
        {
            fields.put(MAIN_CATEGORY, category.into());
        }
        if fields.has("conversations") {
            let pictures = fields.pictures("image");
            let turns = fields.turns("conversations", "from", "value");
            item.messages = placeholders::messages(turns, &pictures, Unplaced::Refused, fields.faults());
            return vec![fields.record(item, pictures)];
        }
        let text = fields.required_text("question").unwrap_or_default();
        let mut pictures: Vec<Picture> = Vec::new();
        for index in 1..=MAX_PICTURES {
            let name = path_name(index);
            match fields.text(&name) {
                Some(path) => pictures.extend(fields.picture(&name, &path.into())),
                // The first two must be there; the first that is missing after them ends the list.
                None if index <= 2 && !fields.has(&name) => {
                    fields.fault(FaultKind::MissingField, format!("expected a field `{name}`, got none"));
                }
                None => break,
            }
        }
        item.messages = vec![question(&pictures, text)];
        vec![fields.record(item, pictures)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let mut fields = Map::new();
        let mut reserved = vec!["question".to_owned(), "conversations".to_owned(), "image".to_owned()];
        reserved.extend((1..=MAX_PICTURES).map(path_name));
        if record.item.label().is_some() {
            fields.insert("conversations".to_owned(), conversations(&record.item.messages)?);
            fields.insert("image".to_owned(), references(&record.pictures));
        } else {
            let question = record.only_question()?;
            if question.role != Role::User || !(2..=MAX_PICTURES).contains(&record.pictures.len()) {
                return Err(format!(
                    "its tests show two pictures or more, not {}",
                    record.pictures.len()
                ));
            }
            let words = question.content.iter().filter(|part| matches!(part, Part::Text { .. }));
            fields.insert("question".to_owned(), words.map(text).collect::<String>().into());
            for (index, reference) in record.pictures.iter().filter_map(Picture::reference).enumerate() {
                fields.insert(path_name(index + 1), reference.into());
            }
        }
        if let (Some(main), Some(category)) = (record.extra_text(MAIN_CATEGORY), &record.item.category) {
            fields.insert("category".to_owned(), main.into());
            fields.insert(SUB_CATEGORY.to_owned(), category.clone().into());
            reserved.push(MAIN_CATEGORY.to_owned());
        }
        put_own(&mut fields, record, Truth::Json);
        let reserved: Vec<&str> = reserved.iter().map(String::as_str).collect();
        put_extra(&mut fields, record, &reserved);
        let is_known_as_mis = fields.contains_key("question") || fields.contains_key(SUB_CATEGORY);
        if is_known_as_mis && fields.get("kind") == Some(&Value::from("hazardous")) {
            fields.shift_remove("kind");
        }
        Ok(Row {
            fields,
            ..Row::default()
        })
    }
}

fn path_name(index: usize) -> String {
    format!("image_path{index}")
}

fn text(part: &Part) -> &str {
    match part {
        Part::Text { text } => text,
        Part::Image { .. } => "",
    }
}
