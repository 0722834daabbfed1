//! Published sets whose rows are a question, an image and what is known of both: read as they are released, not written.
//!
//! ```text
//! SPA-VL          parquet   image, question, chosen?, rejected?, class1?, class2?, class3?, image_name?
//! BeaverTails-V   parquet   image, question, category, image_severity, response, is_response_safe: yes | no
//!                           or response_1, response_2, safer_response_id: 1 | 2, …
//! VLSBench        JSON      instruction_id, instruction, image_path, category, sub_category, …
//! SIUO            JSON      question_id, image: name of a file in images/, question, category, safety_warning,
//!                           reference_answer; or options: {A, B, …}, correct_option
//! JailBreakV-28K  CSV       id, jailbreak_query, image_path, policy, …; RedTeam-2K: id, question, policy, from
//! FineVision      parquet   images, texts: [{user, assistant}], …
//! ```
//!
//! Images without a placeholder come first. An item's label is the response that the set prefers: SPA-VL's `chosen`,
//! BeaverTails-V's where it is safe, or the safer of two, SIUO's `reference_answer`. SIUO's options are put below the question
//! and into the truth. All other fields are kept.
//!
//! Sources: Zhang et al., arXiv 2406.12030; Ji et al., 2503.17682; Hu et al., 2411.19939; Wang et al., 2406.15279; Luo et
//! al., 2404.03027; Wiedmann et al., 2510.17269; the cards of their data sets.

use std::path::Path;

use align::types::{ItemKind, Message, Role, id_of};
use benchmarks::Choice;
use serde_json::Value;

use crate::field_reader::FieldReader;
use crate::format::{Description, Format, ImageStorage, Layout};
use crate::item_fields::TruthAs;
use crate::placeholders::{self, Unplaced};
use crate::record::Record;
use rows::Image;

/// What a set calls its columns.
struct Columns {
    id: Option<&'static str>,
    /// The first of these that a row has.
    question: &'static [&'static str],
    image: &'static str,
    /// The folder of images that are named without one.
    folder: &'static str,
    category: Option<&'static str>,
    /// What all of its questions are.
    kind: Option<ItemKind>,
    /// Takes the label's text.
    label: fn(&mut FieldReader) -> Option<String>,
}

/// Columns under the most usual names.
const USUAL: Columns = Columns {
    id: None,
    question: &["question"],
    image: "image",
    folder: "",
    category: None,
    kind: None,
    label: |_| None,
};

pub(crate) const SPA_VL: Format = Format::new(&Description {
    names: &["spavl", "spa-vl"],
    about: "SPA-VL",
    containers: &[],
    required: &["question", "image"],
    images: ImageStorage::Bytes,
    recognizes: |header| {
        header.has_all(&["question", "image"])
            && (header.has_all(&["chosen", "rejected"]) || header.has_all(&["class1", "class2", "class3"]))
    },
    layout: || Box::new(Columns { category: Some("class1"), label: |fields| fields.text("chosen"), ..USUAL }),
});

pub(crate) const BEAVERTAILS_V: Format = Format::new(&Description {
    names: &["beavertailsv", "beavertails-v"],
    about: "BeaverTails-V",
    containers: &[],
    required: &["question", "image"],
    images: ImageStorage::Bytes,
    recognizes: |header| header.has_all(&["question", "image", "image_severity"]),
    layout: || Box::new(Columns { label: safe_response, ..USUAL }),
});

pub(crate) const VLSBENCH: Format = Format::new(&Description {
    names: &["vlsbench"],
    about: "VLSBench",
    containers: &[],
    required: &["instruction", "image_path"],
    images: ImageStorage::Paths,
    recognizes: |header| header.has_all(&["instruction_id", "instruction", "image_path"]),
    layout: || {
        Box::new(Columns {
            id: Some("instruction_id"),
            question: &["instruction"],
            image: "image_path",
            kind: Some(ItemKind::Hazardous),
            ..USUAL
        })
    },
});

pub(crate) const SIUO: Format = Format::new(&Description {
    names: &["siuo"],
    about: "SIUO",
    containers: &[],
    required: &["question", "image"],
    images: ImageStorage::Paths,
    recognizes: |header| {
        header.has_all(&["question_id", "question", "image"]) && header.has_any(&["safety_warning", "correct_option"])
    },
    layout: || {
        Box::new(Columns {
            id: Some("question_id"),
            folder: "images",
            kind: Some(ItemKind::Hazardous),
            label: |fields| fields.text("reference_answer"),
            ..USUAL
        })
    },
});

pub(crate) const JAILBREAK_V: Format = Format::new(&Description {
    names: &["jailbreakv", "jailbreakv-28k"],
    about: "JailBreakV-28K",
    containers: &[],
    required: &["policy"],
    images: ImageStorage::Paths,
    recognizes: |header| {
        header.has_all(&["jailbreak_query", "image_path"]) || header.has_all(&["id", "question", "policy", "from"])
    },
    layout: || {
        Box::new(Columns {
            question: &["jailbreak_query", "question"],
            image: "image_path",
            category: Some("policy"),
            kind: Some(ItemKind::Hazardous),
            ..USUAL
        })
    },
});

pub(crate) const FINE_VISION: Format = Format::new(&Description {
    names: &["finevision"],
    about: "FineVision",
    containers: &[],
    required: &["texts", "images"],
    images: ImageStorage::Bytes,
    recognizes: |header| header.has_all(&["texts", "images"]),
    layout: || Box::new(FineVision),
});

impl Layout for Columns {
    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        let has_id = fields.has("id");
        let mut item = fields.item(TruthAs::Text);
        if let Some(id) = self.id.filter(|_| !has_id).and_then(|name| fields.id(name)) {
            item.id = id;
        }
        item.category = item.category.or_else(|| fields.text(self.category?));
        let choice = choice(&fields);
        item.kind = item.kind.or(if choice.is_some() { Some(ItemKind::General) } else { self.kind });
        let mut images = fields.images(self.image);
        for image in &mut images {
            if let Image::File(path) = image
                && path.parent() == Some(Path::new(""))
            {
                *path = Path::new(self.folder).join(&*path);
            }
        }
        let named = self.question.iter().find(|name| fields.has(name)).unwrap_or(&self.question[0]);
        let mut question = fields.required_text(named);
        if let Some(choice) = choice {
            question = format!("{}\n{}", question.trim_end(), choice.lines().trim_end());
            item.truth = item.truth.or_else(|| serde_json::to_value(choice).ok());
        }
        let turns = vec![(Role::User, question)];
        item.messages = placeholders::messages(turns, &images, Unplaced::First, fields.problems());
        let label = (self.label)(&mut fields).filter(|label| !label.is_empty());
        item.messages.extend(label.map(|label| Message::text(Role::Assistant, label)));
        vec![fields.record(item, images)]
    }
}

/// The options of a question that has some, and the right one.
fn choice(fields: &FieldReader) -> Option<Choice> {
    let options = fields.get("options")?.as_object()?;
    let answer = options.get(fields.get_text("correct_option")?)?.as_str()?.to_owned();
    let options = options.values().map(|option| option.as_str().map(str::to_owned)).collect::<Option<_>>()?;
    Some(Choice { options, answer })
}

/// The response of BeaverTails-V that is safe, or the safer of two.
fn safe_response(fields: &mut FieldReader) -> Option<String> {
    if fields.get_text("is_response_safe") == Some("yes") {
        return fields.text("response");
    }
    let safer = fields.get("safer_response_id").and_then(id_of)?;
    fields.text(&format!("response_{safer}"))
}

struct FineVision;

impl Layout for FineVision {
    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        let mut item = fields.item(TruthAs::Text);
        let images = fields.images("images");
        let mut turns = Vec::new();
        for (index, pair) in fields.required_messages("texts").into_iter().enumerate() {
            let at = format!("texts[{index}]");
            let Value::Object(mut pair) = pair else {
                fields.wrong_type(&at, "a `user`'s text and an `assistant`'s", &pair);
                continue;
            };
            for (key, role) in [("user", Role::User), ("assistant", Role::Assistant)] {
                match pair.shift_remove(key) {
                    Some(Value::String(text)) => turns.push((role, text)),
                    other => fields.wrong_type(&format!("{at}.{key}"), "a string", &other.unwrap_or_default()),
                }
            }
            fields.note_left(&at, &pair);
        }
        item.messages = placeholders::messages(turns, &images, Unplaced::First, fields.problems());
        vec![fields.record(item, images)]
    }
}
