//! LLaMA-Factory's sharegpt: a JSON list or JSON lines, with an entry in the `dataset_info.json` next to it.
//!
//! ```text
//! {"conversations": [{"from": "human", "value": "<image>…"}, {"from": "gpt", "value": "…"}], "images": [path, …],
//!  "system"?: "…", …}
//! ```
//!
//! Also read: `image`, one or several, instead of `images`, as in LLaVA's files; parquet, as LLaVA-OneVision is published; a
//! first turn from `system`; columns and tags of other names if a `dataset_info.json` says so. An item's own fields are further fields. LLaMA-Factory trains on pairs of turns and
//! skips items without a label, which are written all the same.

use align::types::Role;

use super::llama_factory::names::{ColumnNames, TagNames};
use crate::field_reader::FieldReader;
use crate::format::{Description, Format, ImageStorage, Layout};
use crate::item_fields::{TruthAs, with_rest};
use crate::placeholders::{self, Unplaced, text_of};
use crate::record::Record;
use crate::roles::SHARE_GPT;
use rows::{Container, Row};

pub(crate) const FORMAT: Format = Format::new(&Description {
    names: &["sharegpt"],
    about: "LLaMA-Factory's sharegpt, with a dataset_info.json",
    containers: &[Container::JsonList, Container::JsonLines],
    required: &["conversations"],
    images: ImageStorage::Paths,
    recognizes: |header| (header.is_json() || header.is(Container::Parquet)) && header.has("conversations"),
    layout: || Box::new(ShareGpt::default()),
});

#[derive(Default)]
pub(super) struct ShareGpt {
    /// What the file calls its columns.
    pub columns: ColumnNames,
    /// What its messages call their fields and roles.
    pub tags: TagNames,
}

const RESERVED: &[&str] = &["conversations", "images", "image", "system"];

impl Layout for ShareGpt {
    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        let (columns, tags) = (&self.columns, &self.tags);
        self.rename_roles(&mut fields);
        columns.media().for_each(|name| fields.note_media(name));
        let mut item = fields.item(TruthAs::Json);
        let images = columns.images.as_deref().map(|name| fields.images_or_image(name)).unwrap_or_default();
        let system = fields.filled_text(columns.system.as_deref());
        let mut turns: Vec<(Role, String)> = system.map(|text| (Role::System, text)).into_iter().collect();
        turns.extend(fields.turns(&columns.messages, &tags.role_tag, &tags.content_tag));
        item.messages = placeholders::messages(turns, &images, Unplaced::Refused, fields.problems());
        vec![fields.record(item, images)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let mut row = Row::default();
        let messages = &record.item.messages;
        let (system, turns) = match messages.split_first() {
            Some((first, rest)) if first.role == Role::System => (Some(first), rest),
            _ => (None, &messages[..]),
        };
        row.set("conversations", placeholders::turns(turns, &SHARE_GPT)?);
        row.set("images", record.image_references());
        if let Some(system) = system {
            row.set("system", text_of(system)?);
        }
        Ok(with_rest(row, record, TruthAs::Json, RESERVED))
    }
}

impl ShareGpt {
    /// Gives roles their usual names, where a file has names of its own for them.
    fn rename_roles(&self, fields: &mut FieldReader) {
        if self.tags == TagNames::default() {
            return;
        }
        let Some(mut messages) = fields.get(&self.columns.messages).cloned() else {
            return;
        };
        for message in messages.as_array_mut().into_iter().flatten() {
            if let Some(role) = message.get_mut(&self.tags.role_tag)
                && let Some(known) = role.as_str().and_then(|name| self.tags.role(name))
            {
                *role = known.into();
            }
        }
        fields.put(&self.columns.messages, messages);
    }
}
