//! MIS as released (DripNowhy/MIS): a JSON list, in one layout for tests and another for training.
//!
//! ```text
//! test:  {"id", "question", "category", "sub_category", "image_path1": path, "image_path2": path}
//! train: {"conversations": [{"from": "human", "value": "<image>…"}, {"from": "gpt", "value"}], "image": [path, …],
//!         "category", "sub_category"}
//! ```
//!
//! Labeled items are written in the layout for training, others in that for tests, with `image_path3` and on where
//! there are more images. The images of a question come first. All of MIS is hazardous; items of another kind say so in
//! `kind`, and so do samples for training without a sub-category, which would pass for LLaVA's otherwise. An item's
//! category is its sub-category if it has one, as in what `scruple forge` makes; the category above is kept in
//! `main_category`. A file called `mis_easy`, `mis_hard` or `mis_real` gives its items that split where they name none.

use align::types::ItemKind;
use serde_json::Value;

use crate::field_reader::FieldReader;
use crate::format::{Description, Format, ImageStorage, Layout};
use crate::item_fields::{TruthAs, put_extra, put_item};
use crate::placeholders::{self, Unplaced};
use crate::record::{Record, question};
use crate::roles::SHARE_GPT;
use rows::{Container, Image, Row};

pub(crate) const FORMAT: Format = Format::new(&Description {
    names: &["mis"],
    about: "MIS as released: for tests, and for training",
    containers: &[Container::JsonList, Container::JsonLines],
    required: &[],
    images: ImageStorage::Paths,
    recognizes: |header| {
        let is_test = header.has_all(&["question", "image_path1"]);
        let is_training = header.has_all(&["conversations", "image"]) && header.has_any(&[SUB_CATEGORY, "kind"]);
        header.is_json() && (is_test || is_training)
    },
    layout: || Box::new(Mis),
});

struct Mis;

/// The field by which a MIS sample for training differs from LLaVA's.
const SUB_CATEGORY: &str = "sub_category";
/// Where an item keeps the category above its own.
const MAIN_CATEGORY: &str = "main_category";
/// No more images than these are looked for in a row.
const MAX_IMAGES: usize = 64;

impl Layout for Mis {
    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        let mut item = fields.item(TruthAs::Json);
        item.kind = item.kind.or(Some(ItemKind::Hazardous));
        if fields.get_text(SUB_CATEGORY).is_some()
            && let Some(sub_category) = fields.text(SUB_CATEGORY)
            && let Some(category) = item.category.replace(sub_category)
        {
            fields.put(MAIN_CATEGORY, category);
        }
        let images;
        if fields.has("conversations") {
            images = fields.images("image");
            let turns = fields.turns("conversations", SHARE_GPT.role, SHARE_GPT.content);
            item.messages = placeholders::messages(turns, &images, Unplaced::Refused, fields.problems());
        } else {
            let text = fields.required_text("question");
            images = numbered_images(&mut fields);
            item.messages = vec![question(&images, text)];
        }
        vec![fields.record(item, images)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let mut row = Row::default();
        let mut reserved = vec!["question".to_owned(), "conversations".to_owned(), "image".to_owned()];
        reserved.extend((1..=MAX_IMAGES).map(path_name));
        if record.item.label().is_some() {
            row.set("conversations", placeholders::turns(&record.item.messages, &SHARE_GPT)?);
            row.set("image", record.image_references());
        } else {
            let question = record.only_question()?;
            if !(2..=MAX_IMAGES).contains(&record.images.len()) {
                let n_images = record.images.len();
                return Err(format!("its tests show two images or more, not {n_images}"));
            }
            row.set("question", question.plain_text());
            for (index, reference) in record.images.iter().filter_map(Image::reference).enumerate() {
                row.set(&path_name(index + 1), reference);
            }
        }
        if let (Some(main), Some(category)) = (record.extra_text(MAIN_CATEGORY), &record.item.category) {
            row.set("category", main);
            row.set(SUB_CATEGORY, category.as_str());
            reserved.push(MAIN_CATEGORY.to_owned());
        }
        put_item(&mut row.fields, record, TruthAs::Json);
        let reserved: Vec<&str> = reserved.iter().map(String::as_str).collect();
        put_extra(&mut row.fields, record, &reserved);
        let is_known_as_mis = row.fields.contains_key("question") || row.fields.contains_key(SUB_CATEGORY);
        if is_known_as_mis && row.fields.get("kind") == Some(&Value::from("hazardous")) {
            row.fields.shift_remove("kind");
        }
        Ok(row)
    }

    /// MIS is released as one file per split.
    fn split_of(&self, file_stem: &str) -> Option<&'static str> {
        match file_stem {
            "mis_easy" => Some("easy"),
            "mis_hard" => Some("hard"),
            "mis_real" => Some("real"),
            _ => None,
        }
    }
}

/// The images of a test. The first two must be there; the first that is missing after them ends the list.
fn numbered_images(fields: &mut FieldReader) -> Vec<Image> {
    let mut images = Vec::new();
    for index in 1..=MAX_IMAGES {
        let name = path_name(index);
        match fields.text(&name) {
            Some(path) => images.extend(fields.image(&name, path.into())),
            None if index <= 2 && !fields.has(&name) => fields.missing(&name),
            None => break,
        }
    }
    images
}

fn path_name(index: usize) -> String {
    format!("image_path{index}")
}
