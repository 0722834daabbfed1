//! ms-swift's messages: JSON lines.
//!
//! ```text
//! {"messages": [{"role", "content": "<image>…"}], "images": [path | address | data URL, …], "rejected_response"?, …}
//! ```
//!
//! Also read: content as a list of parts in every form that [`super::parts`] knows (OpenAI's, Anthropic's), with their
//! own images or those of `images` in order. An item's own fields and other fields are further fields;
//! ms-swift hands all of them to reward functions.

use align::types::is_filled;

use super::parts::{Marker, read_messages};
use crate::field_reader::FieldReader;
use crate::format::{Description, Format, ImageStorage, Layout};
use crate::item_fields::{TruthAs, with_rest};
use crate::placeholders::{self, Unplaced};
use crate::record::Record;
use crate::roles::OPEN_AI;
use rows::{Container, ProblemKind, Row};

pub(crate) const FORMAT: Format = Format::new(&Description {
    names: &["swift"],
    about: "ms-swift",
    containers: &[Container::JsonLines],
    required: &["messages"],
    images: ImageStorage::Paths,
    recognizes: |header| {
        header.is_json()
            && header.has("messages")
            && (header.has("images") || !header.has("id") || header.has_placeholder())
    },
    layout: || Box::new(Swift),
});

struct Swift;

/// ms-swift puts boxes and names into the text as the model at hand writes them.
const OBJECTS: &str = "`objects` is not put into the text: `<bbox>` and `<ref-object>` stay there as words";

impl Layout for Swift {
    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        if fields.get("objects").is_some_and(is_filled) {
            fields.note(ProblemKind::NotKept, OBJECTS);
        }
        let mut item = fields.item(TruthAs::Json);
        let mut images = fields.images("images");
        (item.messages, images) = read_messages(&mut fields, "messages", images, Marker::Image, Unplaced::Refused);
        vec![fields.record(item, images)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let mut row = Row::default();
        row.set("messages", placeholders::turns(&record.item.messages, &OPEN_AI)?);
        row.set("images", record.image_references());
        Ok(with_rest(row, record, TruthAs::Json, &[]))
    }
}
