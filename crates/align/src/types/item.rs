//! An item: a prompt or a labeled sample, with how an answer to it is counted.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Message, Role, id_as_text, messages_relative_to, optional_id_as_text};

/// What an item requests, which decides how an answer to it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// Harm shows when the images and the text are read together.
    Hazardous,
    /// The benign twin of a hazardous item, or a benign prompt: a refusal is over-refusal.
    Benign,
    /// The blank-image twin of a hazardous item, its text over blank images: nothing can be seen, so nothing may be
    /// claimed.
    BlankImage,
    /// A question of general ability with one right answer.
    General,
}

/// One prompt, or one labeled sample when the last message is the assistant's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Unique in its file; a number there is text here.
    #[serde(deserialize_with = "id_as_text")]
    pub id: String,
    /// The dialogue; image paths are resolved when the item is read.
    pub messages: Vec<Message>,
    /// The split's name: `train`, `easy`, `hard`, `real`, `benign`, `general` …
    #[serde(default, deserialize_with = "optional_id_as_text", skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// How an answer is counted; unknown for plain chat data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ItemKind>,
    /// The kind of harm, for strata and tables.
    #[serde(default, deserialize_with = "optional_id_as_text", skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The id of the hazardous item whose twin this is.
    #[serde(default, deserialize_with = "optional_id_as_text", skip_serializing_if = "Option::is_none")]
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

    /// The item as records store it: image paths relative to a folder, as [`messages_relative_to`] makes them.
    #[must_use]
    pub fn relative_to(&self, folder: &Path) -> Self {
        Self { messages: messages_relative_to(&self.messages, folder), ..self.clone() }
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
        self.messages.last().filter(|last| last.role == Role::Assistant).map(Message::plain_text)
    }
}
