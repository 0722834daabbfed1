//! PuzzleVQA (Chia et al., arXiv 2403.13315): JSON lines of puzzles with an image and options.
//!
//! ```text
//! {"id", "family", "image": path, "question", "options": [text | number, …], "answer": text | number, "caption"?,
//!  "explanation"?, "deduction"?}
//! ```
//!
//! The prompt, and the options as the truth, are those of [`benchmarks`].

use align::types::ItemKind;
use benchmarks::suites::puzzlevqa as benchmark;
use serde_json::Value;

use crate::field_reader::FieldReader;
use crate::format::{Description, Format, ImageStorage, Layout};
use crate::item_fields::put_extra;
use crate::record::{Record, images_of};
use rows::{Container, Image, Row};

pub(crate) const FORMAT: Format = Format::new(&Description {
    names: &["puzzlevqa", "puzzleqa"],
    about: "PuzzleVQA",
    containers: &[Container::JsonLines],
    required: &["id", "family", "image", "question", "options", "answer"],
    images: ImageStorage::Paths,
    recognizes: |header| header.is_json() && header.has_all(&["family", "options", "question"]),
    layout: || Box::new(PuzzleVqa),
});

struct PuzzleVqa;

impl Layout for PuzzleVqa {
    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        let Some(item) = fields.read_by(benchmark::item) else {
            return Vec::new();
        };
        for name in ["id", "family", "image"] {
            fields.take(name);
        }
        let images = fields.decoded("image", images_of(&item)).unwrap_or_default();
        vec![fields.record(item, images)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let Image::File(path) = record.only_image()? else {
            return Err("its image is a file".into());
        };
        if record.item.kind != Some(ItemKind::General) {
            return Err("it holds questions of general ability only".into());
        }
        let (Some(options), Some(answer)) = (extra_or_truth(record, "options"), extra_or_truth(record, "answer"))
        else {
            return Err("its items have `options` and an `answer` in their truth".into());
        };
        let prompt = record.only_question()?.plain_text();
        let without_options = prompt.split("\nOptions:\n").next().unwrap_or_default();
        let question = record.extra.get("question").cloned();
        let id = &record.item.id;
        let mut row = Row::default();
        row.set("id", id.strip_prefix(benchmark::ID_PREFIX).unwrap_or(id));
        let family = record.item.category.as_deref().ok_or("its items have a category")?;
        row.set("family", family);
        row.set("image", path.to_string_lossy());
        row.set("question", question.unwrap_or_else(|| without_options.into()));
        row.set("options", options);
        row.set("answer", answer);
        put_extra(&mut row.fields, record, &[]);
        // The row must be one that the benchmark's reader takes.
        benchmark::item(&row.fields)?;
        Ok(row)
    }
}

fn extra_or_truth(record: &Record, name: &str) -> Option<Value> {
    let truth = record.item.truth.as_ref();
    record.extra.get(name).or_else(|| truth?.get(name)).cloned()
}
