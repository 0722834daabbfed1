//! What the rooms hand to each other: messages, items and the JSON lines they are stored in.
//!
//! Files use the OpenAI chat layout, one JSON object a line: `{"id", "messages": [{"role", "content"}], …}`, where
//! `content` is a string or a list of `{"type": "text", "text"}` and `{"type": "image", "image": "path"}` parts. Read
//! as well: `image_url` parts, ids that are numbers, and the fields of OpenAI's messages that say nothing.

mod embedded;
mod lines;
mod places;
mod written;

use std::path::{Path, PathBuf};

use diagnostic::{Diagnosis, Diagnostic, Kind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use embedded::{data_url_bytes, picture_ending, picture_file_name};
pub use lines::{Dialogues, read_dialogues, read_items, write_each_item, write_items};
pub use places::{messages_seen_from, relative_to, seen_from};
pub use written::id_as_text;
use written::{WrittenMessage, WrittenPart};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The instruction above the dialogue.
    System,
    /// The person asking.
    User,
    /// The model.
    Assistant,
}

/// One piece of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", from = "WrittenPart")]
pub enum Part {
    /// Words.
    Text {
        /// The words.
        text: String,
    },
    /// A picture.
    Image {
        /// The picture's file; relative paths are relative to the data file they stand in.
        image: PathBuf,
    },
}

/// One turn of a dialogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "WrittenMessage")]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said and shown, in order. A plain string in a file becomes one text part.
    pub content: Vec<Part>,
}

impl Message {
    /// A message of words alone.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            content: vec![Part::Text { text: text.into() }],
        }
    }

    /// A user's message: images in order, then words.
    pub fn of_user(images: Vec<PathBuf>, text: impl Into<String>) -> Self {
        let mut content: Vec<Part> = images.into_iter().map(|image| Part::Image { image }).collect();
        content.push(Part::Text { text: text.into() });
        Self {
            role: Role::User,
            content,
        }
    }

    /// The message's text parts, joined without anything between.
    pub fn plain_text(&self) -> String {
        self.content
            .iter()
            .filter_map(|part| match part {
                Part::Text { text } => Some(text.as_str()),
                Part::Image { .. } => None,
            })
            .collect()
    }
}

/// The image paths of a dialogue, in order.
pub fn image_paths(messages: &[Message]) -> impl Iterator<Item = &Path> {
    messages
        .iter()
        .flat_map(|message| &message.content)
        .filter_map(|part| match part {
            Part::Image { image } => Some(image.as_path()),
            Part::Text { .. } => None,
        })
}

/// What an item asks for, which decides how an answer to it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// Harm shows when the pictures and the text are read together.
    Hazardous,
    /// The benign twin of a hazardous item, or a benign prompt: a refusal is over-refusal.
    Benign,
    /// A hazardous item's text over black pictures: nothing can be seen, so nothing may be claimed.
    BlankImage,
    /// A question of general ability with one right answer.
    General,
}

/// One prompt, or one labelled sample when the last message is the assistant's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Unique in its file; a number there is text here.
    #[serde(deserialize_with = "id_as_text")]
    pub id: String,
    /// What is asked; image paths are resolved when the item is read.
    pub messages: Vec<Message>,
    /// The split's name: `train`, `easy`, `hard`, `real`, `benign`, `general` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// How an answer is counted; unknown for plain chat data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ItemKind>,
    /// The kind of harm, for strata and tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The id of the hazardous item whose twin this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin_of: Option<String>,
    /// What an exact judge knows about the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<serde_json::Value>,
}

impl Item {
    /// The dialogue before the label: all messages, less a closing one of the assistant's.
    pub fn prompt(&self) -> &[Message] {
        match self.messages.split_last() {
            Some((last, before)) if last.role == Role::Assistant => before,
            _ => &self.messages,
        }
    }

    /// The item as records name it: image paths as [`seen_from`] a folder.
    #[must_use]
    pub fn seen_from(&self, folder: &Path) -> Self {
        Self {
            messages: messages_seen_from(&self.messages, folder),
            ..self.clone()
        }
    }

    /// The item with a label: a closing message of the assistant's.
    #[must_use]
    pub fn labeled(&self, label: &str) -> Self {
        let mut item = self.clone();
        item.messages.push(Message::text(Role::Assistant, label));
        item
    }

    /// The label: the closing message of the assistant's, if there is one.
    pub fn label(&self) -> Option<String> {
        self.messages
            .last()
            .filter(|last| last.role == Role::Assistant)
            .map(Message::plain_text)
    }
}

/// Why a data file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line is not what it should be.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: usize,
        /// What was expected and what was found.
        problem: String,
    },
    /// The user asked to stop while files were drawn from a seed.
    #[error("stopped on request before all files were written")]
    Interrupted,
    /// The file holds no item at all.
    #[error("{}: no items: expected at least one JSON object, one a line, got an empty file", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl Diagnostic for DataError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Io(error) => error.diagnosis(),
            Self::Line { .. } | Self::Empty { .. } => Kind::Data.into(),
            Self::Interrupted => Kind::Interrupted.into(),
        }
    }
}

/// A line of a data file: a dialogue with an id.
pub trait Dialogue: DeserializeOwned {
    /// Unique in its file.
    fn id(&self) -> &str;

    /// The dialogue.
    fn messages(&mut self) -> &mut [Message];
}

impl Dialogue for Item {
    fn id(&self) -> &str {
        &self.id
    }

    fn messages(&mut self) -> &mut [Message] {
        &mut self.messages
    }
}
