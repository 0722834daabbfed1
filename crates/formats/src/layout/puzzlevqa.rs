//! PuzzleVQA (Chia et al., arXiv 2403.13315): JSON lines of puzzles with a picture and options.
//!
//! ```text
//! {"id", "family", "image": path, "question", "options": [text | number, …], "answer": text | number, "caption"?,
//!  "explanation"?, "deduction"?}
//! ```
//!
//! The question as it is asked, and the options as the truth, are those of [`benchmarks`].

use align::types::ItemKind;
use benchmarks::suites::puzzlevqa::{ID_PREFIX, item};
use serde_json::{Map, Value};

use super::Layout;
use crate::fault::FaultKind;
use crate::fields::{Fields, put_extra};
use crate::record::{Picture, Record};
use crate::rows::Row;

pub(crate) struct PuzzleVqa;

impl Layout for PuzzleVqa {
    fn required(&self) -> &'static [&'static str] {
        &["id", "family", "image", "question", "options", "answer"]
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        let item = match item(fields.all()) {
            Ok(item) => item,
            Err(problem) => {
                fields.fault(FaultKind::WrongValue, problem);
                return Vec::new();
            }
        };
        for name in ["id", "family", "image"] {
            fields.take(name);
        }
        let pictures = align::types::image_paths(&item.messages)
            .map(|path| Picture::File(path.to_owned()))
            .collect();
        vec![fields.record(item, pictures)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let [Picture::File(path)] = &record.pictures[..] else {
            return Err(format!("it shows one picture, not {}", record.pictures.len()));
        };
        if record.item.kind != Some(ItemKind::General) {
            return Err("it holds questions of general ability alone".into());
        }
        let truth = |name: &str| record.item.truth.as_ref().and_then(|truth| truth.get(name)).cloned();
        let field = |name: &str| record.extra.get(name).cloned().or_else(|| truth(name));
        let (Some(options), Some(answer)) = (field("options"), field("answer")) else {
            return Err("its items have `options` and an `answer` in their truth".into());
        };
        let asked = record.only_question()?.plain_text();
        let alone = asked.split("\nOptions:\n").next().unwrap_or_default();
        let question = record.extra.get("question").cloned().unwrap_or_else(|| alone.into());
        let id = &record.item.id;
        let mut fields = Map::new();
        fields.insert("id".to_owned(), id.strip_prefix(ID_PREFIX).unwrap_or(id).into());
        let family = record.item.category.clone().ok_or("its items have a category")?;
        fields.insert("family".to_owned(), family.into());
        fields.insert("image".to_owned(), Value::from(path.to_string_lossy()));
        fields.insert("question".to_owned(), question);
        fields.insert("options".to_owned(), options);
        fields.insert("answer".to_owned(), answer);
        put_extra(&mut fields, record, &[]);
        // The row must be one that the benchmark's reader takes.
        item(&fields)?;
        Ok(Row {
            fields,
            ..Row::default()
        })
    }
}
