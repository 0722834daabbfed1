//! Finds prompts that are in an evaluation set, by text or by image, near-duplicates included, before they are sampled:
//! they must never be trained on.
//!
//! Texts are compared by the shingles they share ([`text`]), images by a hash of their brightness ([`image`]). Of an
//! evaluation set only hashes are kept in memory. Sources: MinHash, Broder 1997; hashes of differences, Krawetz, "Kind of
//! like that", 2013. The thresholds are this project's.

pub mod image;
pub mod text;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use diagnostic::{Diagnosis, Diagnostic, Kind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::settings::{SettingError, check_setting, check_some_share, settings_table};
use crate::types::{Item, Message, Role, image_paths};

use image::{GrayImage, ImageHash};
use text::{Shingles, TextIndex};

/// The file of prompts dropped: lines of [`Contamination`].
pub const CONTAMINATED: &str = "contaminated.jsonl";

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// What the user says.
    Text,
    /// The images.
    Image,
}

impl Compared {
    /// The name in settings and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
        }
    }
}

settings_table! {
    /// Settings of a decontamination.
    ///
    /// Measured on published benchmarks: reencoded or resized images differ in up to 5 bits (99 of 100), different
    /// images of FigStep, all of them text on white, in 6 and more, photographs in 12 and more.
    pub struct DecontaminationConfig {
        /// The evaluation sets by name: files of items, or folders of published benchmarks. Without any, nothing is
        /// dropped.
        pub against: BTreeMap<String, PathBuf> = BTreeMap::new(),
        /// What is compared.
        pub compare: Vec<Compared> = vec![Compared::Text, Compared::Image],
        /// Texts match from this share of common shingles on (Jaccard's index), above 0 to 1.
        pub text_similarity: f64 = 0.7,
        /// Images match up to this many different bits of 128.
        pub image_distance: u32 = 5,
    }
}

impl DecontaminationConfig {
    /// Checks the settings. `table` is where they are, such as `decontamination`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        check_some_share(&format!("{table}.text_similarity"), self.text_similarity)?;
        let (distance, key) = (self.image_distance, format!("{table}.image_distance"));
        check_setting(distance <= 32, &key, "at most 32 bits of 128", distance)?;
        let (compare, key) = ("\"text\", \"image\" or both", format!("{table}.compare"));
        check_setting(!self.compare.is_empty(), &key, compare, "nothing")
    }
}

/// Reads an image's brightness from a file; the error says why it cannot be read.
pub type ReadImage<'a> = &'a dyn Fn(&Path) -> Result<GrayImage, String>;

/// An image of an evaluation set could not be read. All must be, or prompts with it would pass.
#[derive(Debug, thiserror::Error)]
#[error("set `{set}`, item `{item}`: {}", named(image, problem))]
pub struct UnreadableImage {
    /// The set's name.
    pub set: String,
    /// The item's id.
    pub item: String,
    /// The image.
    pub image: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// A problem with the image's file before it, where it does not name that itself.
fn named(image: &Path, problem: &str) -> String {
    let image = image.display().to_string();
    if problem.contains(&image) { problem.to_owned() } else { format!("{image}: {problem}") }
}

impl Diagnostic for UnreadableImage {
    fn diagnosis(&self) -> Diagnosis {
        Kind::Data.into()
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
    /// An image of an evaluation item.
    Image {
        /// The evaluation set.
        set: String,
        /// The item's id there.
        item: String,
        /// Share of equal bits of the hashes, 0..1.
        similarity: f64,
        /// The prompt's image.
        image: PathBuf,
    },
    /// Unknown, since an image of the prompt cannot be read.
    Unreadable {
        /// The prompt's image.
        image: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl Contamination {
    /// The evaluation set and what matched; none where an image cannot be read.
    pub fn found(&self) -> Option<(&str, Compared)> {
        match &self.cause {
            Cause::Text { set, .. } => Some((set, Compared::Text)),
            Cause::Image { set, .. } => Some((set, Compared::Image)),
            Cause::Unreadable { .. } => None,
        }
    }
}

/// A text that at least so many items of a set have, each with its own images, says nothing of any of them: the images
/// tell them apart.
const SHARED_BY: usize = 10;

/// What is kept of an evaluation item.
struct Entry {
    set: usize,
    id: String,
}

/// The evaluation sets, ready to compare prompts with.
pub struct Decontaminator<'a> {
    config: &'a DecontaminationConfig,
    read_image: ReadImage<'a>,
    sets: Vec<String>,
    entries: Vec<Entry>,
    texts: TextIndex,
    /// Each image that is not blank, with its entry.
    images: Vec<(ImageHash, usize)>,
    sha256: String,
}

impl<'a> Decontaminator<'a> {
    /// Prepares evaluation sets, each with its name, to be compared with.
    ///
    /// Errors: [`UnreadableImage`].
    pub fn new(
        config: &'a DecontaminationConfig,
        read_image: ReadImage<'a>,
        sets: impl IntoIterator<Item = (String, Vec<Item>)>,
    ) -> Result<Self, UnreadableImage> {
        let mut this = Self {
            config,
            read_image,
            sets: Vec::new(),
            entries: Vec::new(),
            texts: TextIndex::new(config.text_similarity),
            images: Vec::new(),
            sha256: String::new(),
        };
        let mut hasher = Sha256::new();
        for (name, items) in sets {
            let shared = shared_texts(&items);
            for item in &items {
                this.add(&name, item, &shared, &mut hasher)?;
            }
            this.sets.push(name);
        }
        this.sha256 = hex::encode(hasher.finalize());
        Ok(this)
    }

    /// What must be the same for two decontaminations to drop the same prompts.
    pub fn settings(&self) -> Value {
        json!({
            "sets": self.sets,
            "sets_sha256": self.sha256,
            "compare": self.config.compare,
            "text_similarity": self.config.text_similarity,
            "image_distance": self.config.image_distance,
        })
    }

    fn add(
        &mut self,
        set: &str,
        item: &Item,
        shared: &HashSet<String>,
        hasher: &mut Sha256,
    ) -> Result<(), UnreadableImage> {
        let entry = self.entries.len();
        self.entries.push(Entry { set: self.sets.len(), id: item.id.clone() });
        hasher.update(serde_json::to_vec(&(set, &item.id)).unwrap_or_default());
        if self.compares(Compared::Text) {
            let text = text_of(item.prompt());
            hasher.update(text.as_bytes());
            if !shared.contains(&text) {
                self.texts.insert(&text, entry);
            }
        }
        if self.compares(Compared::Image) {
            for path in image_paths(item.prompt()) {
                let gray = (self.read_image)(path).map_err(|problem| UnreadableImage {
                    set: set.to_owned(),
                    item: item.id.clone(),
                    image: path.to_owned(),
                    problem,
                })?;
                if let Some(hash) = ImageHash::of(&gray) {
                    hasher.update(hash.0.to_le_bytes());
                    self.images.push((hash, entry));
                }
            }
        }
        Ok(())
    }

    fn compares(&self, what: Compared) -> bool {
        self.config.compare.contains(&what)
    }

    /// Why a prompt must be dropped; none where it may be kept. The closest text is named, or where none matches the
    /// closest image. Blank images match nothing, nor does a text that many items of its set have: they do not show where a
    /// prompt is from.
    pub fn check(&self, item: &Item) -> Option<Contamination> {
        Some(Contamination { id: item.id.clone(), cause: self.cause(item.prompt())? })
    }

    /// What of a prompt matches; none where it may be kept.
    pub fn cause(&self, prompt: &[Message]) -> Option<Cause> {
        self.matching_text(prompt).or_else(|| self.matching_image(prompt))
    }

    fn matching_text(&self, prompt: &[Message]) -> Option<Cause> {
        if !self.compares(Compared::Text) {
            return None;
        }
        let (entry, similarity) = self.texts.closest(&Shingles::of(&text_of(prompt)))?;
        let (set, item) = self.name(entry);
        Some(Cause::Text { set, item, similarity })
    }

    fn matching_image(&self, prompt: &[Message]) -> Option<Cause> {
        if !self.compares(Compared::Image) {
            return None;
        }
        let mut closest: Option<(u32, usize, &Path)> = None;
        for path in image_paths(prompt) {
            let gray = match (self.read_image)(path) {
                Ok(gray) => gray,
                Err(problem) => {
                    let image = path.to_owned();
                    return Some(Cause::Unreadable { image, problem });
                }
            };
            let Some(hash) = ImageHash::of(&gray) else { continue };
            let images = self.images.iter();
            let found = images.map(|(other, entry)| (hash.distance(*other), *entry, path)).min();
            closest = [closest, found].into_iter().flatten().min();
        }
        let (distance, entry, path) = closest.filter(|(distance, ..)| *distance <= self.config.image_distance)?;
        let (set, item) = self.name(entry);
        Some(Cause::Image {
            set,
            item,
            similarity: 1.0 - f64::from(distance) / f64::from(ImageHash::BITS),
            image: path.to_owned(),
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

/// The texts of a set that only images tell apart. Twins count as one item.
fn shared_texts(items: &[Item]) -> HashSet<String> {
    let mut having: HashMap<String, HashSet<&str>> = HashMap::new();
    for item in items {
        if image_paths(item.prompt()).next().is_some() {
            having.entry(text_of(item.prompt())).or_default().insert(item.twin_of.as_deref().unwrap_or(&item.id));
        }
    }
    having.retain(|_, items| items.len() >= SHARED_BY);
    having.into_keys().collect()
}
