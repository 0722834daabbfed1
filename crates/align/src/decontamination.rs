//! Prompts that stand in an evaluation set, by text or by picture, near-duplicates included: to be found before any
//! sample of them is paid for, and never trained on.
//!
//! Texts are compared by the shingles they share ([`text`]), pictures by a hash of their brightness ([`picture`]). Of
//! an evaluation set hashes alone are held. Source: near-duplicates by MinHash as Broder (1997), pictures by
//! differences as Krawetz ("Kind of like that", 2013); thresholds are this project's.

pub mod picture;
pub mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use diagnostic::{Diagnosis, Diagnostic, Kind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::training::{SettingError, check_setting};
use crate::types::{Item, Message, Role, image_paths};

use picture::{GreyPicture, PictureHash};
use text::{Shingles, TextIndex};

/// The journal of prompts dropped: lines of [`Contamination`].
pub const CONTAMINATED: &str = "contaminated.jsonl";

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// What the user says.
    Text,
    /// The pictures.
    Picture,
}

impl Compared {
    /// The name in settings and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Picture => "picture",
        }
    }
}

/// Settings of a decontamination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecontaminationConfig {
    /// The evaluation sets by name: files of items, or folders of published benchmarks. Without any, nothing is dropped.
    pub against: BTreeMap<String, PathBuf>,
    /// What is compared.
    pub compare: Vec<Compared>,
    /// Texts match from this share of common shingles on (Jaccard's index), above 0 to 1.
    pub text_similarity: f64,
    /// Pictures match up to this many different bits of 128.
    pub picture_distance: u32,
}

impl Default for DecontaminationConfig {
    /// Measured on the published suites: pictures encoded anew or resized differ in up to 5 bits (99 of 100), different
    /// pictures of FigStep, all of them text on white, in 6 and more, photographs in 12 and more.
    fn default() -> Self {
        Self {
            against: BTreeMap::new(),
            compare: vec![Compared::Text, Compared::Picture],
            text_similarity: 0.7,
            picture_distance: 5,
        }
    }
}

impl DecontaminationConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `decontamination`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        let key = |name: &str| format!("{table}.{name}");
        let similarity = self.text_similarity;
        let holds = similarity > 0.0 && similarity <= 1.0;
        check_setting(
            holds,
            &key("text_similarity"),
            "a number above 0 and at most 1",
            similarity,
        )?;
        let distance = self.picture_distance;
        check_setting(
            distance <= 32,
            &key("picture_distance"),
            "at most 32 bits of 128",
            distance,
        )?;
        let compare = "\"text\", \"picture\" or both";
        check_setting(!self.compare.is_empty(), &key("compare"), compare, "nothing")
    }
}

/// Reads a picture's brightness from a file; the error says why it cannot be read.
pub type ReadPicture<'a> = &'a dyn Fn(&Path) -> Result<GreyPicture, String>;

/// Why evaluation sets cannot be compared with.
#[derive(Debug, thiserror::Error)]
pub enum DecontaminationError {
    /// A picture of a set could not be read. All must be, or prompts with it would pass.
    #[error("set `{set}`, item `{item}`: {}: {problem}", picture.display())]
    Picture {
        /// The set's name.
        set: String,
        /// The item's id.
        item: String,
        /// The picture.
        picture: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl Diagnostic for DecontaminationError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Picture { .. } => Kind::Data.into(),
        }
    }
}

/// Why a prompt is dropped; one line of `contaminated.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contamination {
    /// The prompt's id.
    pub id: String,
    /// What matched.
    pub cause: Cause,
}

/// What matched, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Cause {
    /// The text of an evaluation item.
    Text {
        /// The evaluation set.
        set: String,
        /// The item's id there.
        item: String,
        /// Share of common shingles, 0..1.
        similarity: f64,
    },
    /// A picture of an evaluation item.
    Picture {
        /// The evaluation set.
        set: String,
        /// The item's id there.
        item: String,
        /// Share of equal bits of the hashes, 0..1.
        similarity: f64,
        /// The prompt's picture.
        picture: PathBuf,
    },
    /// Nothing: a picture of the prompt cannot be read, so that nobody knows.
    Unreadable {
        /// The prompt's picture.
        picture: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl Contamination {
    /// The evaluation set and what matched; none where a picture cannot be read.
    pub fn found(&self) -> Option<(&str, Compared)> {
        match &self.cause {
            Cause::Text { set, .. } => Some((set, Compared::Text)),
            Cause::Picture { set, .. } => Some((set, Compared::Picture)),
            Cause::Unreadable { .. } => None,
        }
    }
}

/// An evaluation item, as far as it is held.
struct Entry {
    set: usize,
    id: String,
}

/// The evaluation sets, ready to compare prompts with.
pub struct Decontaminator<'a> {
    config: &'a DecontaminationConfig,
    read_picture: ReadPicture<'a>,
    sets: Vec<String>,
    entries: Vec<Entry>,
    texts: TextIndex,
    /// Each picture that is not blank, with its entry.
    pictures: Vec<(PictureHash, usize)>,
    sha256: String,
}

impl<'a> Decontaminator<'a> {
    /// Prepares evaluation sets, each with its name, to be compared with.
    ///
    /// Errors: `Picture` naming set, item and file.
    pub fn new(
        config: &'a DecontaminationConfig,
        read_picture: ReadPicture<'a>,
        sets: impl IntoIterator<Item = (String, Vec<Item>)>,
    ) -> Result<Self, DecontaminationError> {
        let mut this = Self {
            config,
            read_picture,
            sets: Vec::new(),
            entries: Vec::new(),
            texts: TextIndex::new(config.text_similarity),
            pictures: Vec::new(),
            sha256: String::new(),
        };
        let mut hasher = Sha256::new();
        for (name, items) in sets {
            for item in &items {
                this.add(&name, item, &mut hasher)?;
            }
            this.sets.push(name);
        }
        let digest = hasher.finalize();
        this.sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(this)
    }

    /// What must be the same for two decontaminations to drop the same prompts.
    pub fn settings(&self) -> Value {
        json!({
            "sets": self.sets,
            "sets_sha256": self.sha256,
            "compare": self.config.compare,
            "text_similarity": self.config.text_similarity,
            "picture_distance": self.config.picture_distance,
        })
    }

    fn add(&mut self, set: &str, item: &Item, hasher: &mut Sha256) -> Result<(), DecontaminationError> {
        let entry = self.entries.len();
        self.entries.push(Entry {
            set: self.sets.len(),
            id: item.id.clone(),
        });
        hasher.update(serde_json::to_vec(&(set, &item.id)).unwrap_or_default());
        if self.compares(Compared::Text) {
            let text = text_of(item.prompt());
            hasher.update(text.as_bytes());
            self.texts.insert(&text, entry);
        }
        if self.compares(Compared::Picture) {
            for path in image_paths(item.prompt()) {
                let grey = (self.read_picture)(path).map_err(|problem| DecontaminationError::Picture {
                    set: set.to_owned(),
                    item: item.id.clone(),
                    picture: path.to_owned(),
                    problem,
                })?;
                if let Some(hash) = PictureHash::of(&grey) {
                    hasher.update(hash.bits().to_le_bytes());
                    self.pictures.push((hash, entry));
                }
            }
        }
        Ok(())
    }

    fn compares(&self, what: Compared) -> bool {
        self.config.compare.contains(&what)
    }

    /// Why a prompt must go; none where it may stay. The closest text is named, or where none matches the closest
    /// picture. Blank pictures match nothing: a black one is in many sets, and says nothing of where a prompt is from.
    pub fn check(&self, item: &Item) -> Option<Contamination> {
        let cause = self.matching_text(item).or_else(|| self.matching_picture(item))?;
        Some(Contamination {
            id: item.id.clone(),
            cause,
        })
    }

    fn matching_text(&self, item: &Item) -> Option<Cause> {
        if !self.compares(Compared::Text) {
            return None;
        }
        let (entry, similarity) = self.texts.closest(&Shingles::of(&text_of(item.prompt())))?;
        let (set, item) = self.name(entry);
        Some(Cause::Text { set, item, similarity })
    }

    fn matching_picture(&self, item: &Item) -> Option<Cause> {
        if !self.compares(Compared::Picture) {
            return None;
        }
        let mut closest: Option<(u32, usize, &Path)> = None;
        for path in image_paths(item.prompt()) {
            let grey = match (self.read_picture)(path) {
                Ok(grey) => grey,
                Err(problem) => {
                    let picture = path.to_owned();
                    return Some(Cause::Unreadable { picture, problem });
                }
            };
            let Some(hash) = PictureHash::of(&grey) else { continue };
            let distances = self
                .pictures
                .iter()
                .map(|(other, entry)| (hash.distance(*other), *entry));
            let found = distances.min().map(|(distance, entry)| (distance, entry, path));
            closest = [closest, found].into_iter().flatten().min();
        }
        let (distance, entry, path) = closest.filter(|(distance, ..)| *distance <= self.config.picture_distance)?;
        let (set, item) = self.name(entry);
        Some(Cause::Picture {
            set,
            item,
            similarity: 1.0 - f64::from(distance) / f64::from(PictureHash::BITS),
            picture: path.to_owned(),
        })
    }

    fn name(&self, entry: usize) -> (String, String) {
        let Entry { set, id } = &self.entries[entry];
        (self.sets[*set].clone(), id.clone())
    }
}

/// What the user says in a dialogue.
fn text_of(messages: &[Message]) -> String {
    let said = messages.iter().filter(|message| message.role == Role::User);
    said.map(Message::plain_text).collect::<Vec<_>>().join("\n")
}
