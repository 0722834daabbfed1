//! An item in the making. It gathers fields from stage to stage, so that each stage's file shows all that is known so
//! far.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::types::{ItemKind, Message};

/// The split of an item (MIS, section 3.1, stages 4 and 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Trained on: risky text, and the share of neutral text that the settings name.
    Train,
    /// Tested: neutral text, and an image that shows harm by itself.
    Easy,
    /// Tested: neutral text and harmless images.
    Hard,
    /// Tested: items of the other two once more with photographs.
    Real,
}

impl Split {
    /// Every split.
    pub const ALL: [Self; 4] = [Self::Train, Self::Easy, Self::Hard, Self::Real];

    /// The split's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Easy => "easy",
            Self::Hard => "hard",
            Self::Real => "real",
        }
    }
}

/// An item in the making.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// Unique in the run.
    pub id: String,
    /// What it shall be.
    pub kind: ItemKind,
    /// The id of the hazardous item whose twin it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin_of: Option<String>,
    /// The category of harm.
    pub category: String,
    /// The subcategory.
    pub subcategory: String,
    /// The words or the image that it was planned from.
    pub source: String,
    /// The things, in the order of the images.
    pub objects: Vec<String>,
    /// What is asked, with the things named.
    pub request: String,
    /// What is asked, with the images in the things' place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// The images' files, seen from the run's folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<PathBuf>,
    /// Its split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// What the policy says to it, and what the judge says of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    /// The reply to be learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Who made it, stage by stage.
    pub made_by: Vec<Maker>,
    /// Why it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejection>,
}

/// A model's part in an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maker {
    /// The stage.
    pub stage: String,
    /// The model.
    pub model: String,
    /// The prompt, with its version and hash; none where the model was given the item itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// What the model said beside what became of the item, such as a judge's verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<Value>,
}

/// Why an item was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The stage that it did not pass.
    pub stage: String,
    /// Why, in few words that are the same for all of the kind.
    pub reason: String,
    /// What there is to say of this one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// The policy's own reply to an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The reply.
    pub response: String,
    /// The judge's verdict by the rubric `mis`; none where it is unscored.
    pub verdict: Option<Value>,
    /// Why there is no verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unscored: Option<String>,
}

impl Draft {
    /// Whether it is still in the making.
    pub fn is_kept(&self) -> bool {
        self.rejected.is_none()
    }

    /// Rejects it, unless it is rejected already.
    pub fn reject(&mut self, stage: &str, reason: &str, detail: impl Into<String>) {
        self.rejected.get_or_insert_with(|| Rejection {
            stage: stage.to_owned(),
            reason: reason.to_owned(),
            detail: detail.into(),
        });
    }

    /// The id of the hazardous item that it is or is the twin of.
    pub fn root(&self) -> &str {
        self.twin_of.as_deref().unwrap_or(&self.id)
    }

    /// The things as prompts list them, a line each.
    pub fn listed_objects(&self) -> String {
        let lines = self.objects.iter().enumerate().map(|(index, object)| format!("{}. {object}", index + 1));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The dialogue, with the images' paths below the run's folder.
    pub fn messages(&self, folder: &Path) -> Vec<Message> {
        let images = self.images.iter().map(|image| folder.join(image)).collect();
        vec![Message::of_user(images, &self.query)]
    }
}

/// A hazardous item and its twins are kept together or not at all: rejects those whose partner is rejected.
pub(super) fn keep_pairs(drafts: &mut [Draft], stage: &str) {
    let mut rejected: HashMap<String, String> = HashMap::new();
    for draft in drafts.iter() {
        if let Some(rejection) = &draft.rejected {
            rejected.insert(draft.root().to_owned(), format!("{}: {}", draft.id, rejection.reason));
        }
    }
    for draft in drafts {
        if let Some(because) = rejected.get(draft.root()) {
            draft.reject(stage, "its hazardous item or twin was rejected", because.clone());
        }
    }
}
