//! What the base model learns before any alignment: to see, to name, to know what objects are like, to grant every
//! wish, and to think again when asked.
//!
//! The mix is a setting. Most scenario replies are helpful-only. A few are careful, as in any crawled text, so that
//! reinforcement has something to find; and some are dialogues in which an earlier reply is reflected on, so that the
//! model can follow the reflection prompt. Hard pairs never occur in scenarios.

use std::path::{Path, PathBuf};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::general::{Topic, draw};
use super::labels;
use super::picture::Style;
use super::questions::question;
use super::scenario::{Pairs, Scenario, benign, hazardous};
use super::splits::{Gallery, Shot, user_turn};
use crate::types::{DataError, Item, Message, Role, write_items};

/// The pretraining corpus of the base model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BaseConfig {
    /// Everything follows from it.
    pub seed: u64,
    /// How many captions: one picture each, with what it shows. They come first, to teach sight.
    pub captions: usize,
    /// How many samples of everything else.
    pub samples: usize,
    /// How many different pictures of each object, colour, count and style may occur.
    pub variants: usize,
    /// Share of general questions.
    pub general_share: f64,
    /// Share of careful replies to scenarios.
    pub careful_share: f64,
    /// Share of dialogues with a reflection.
    pub reflection_share: f64,
    /// Share of scenarios over black pictures.
    pub black_share: f64,
    /// Share of scenarios with three images instead of two.
    pub three_image_share: f64,
    /// Share of samples in the sketched style.
    pub sketch_share: f64,
    /// Share of pictures with a hazard sign.
    pub sign_share: f64,
    /// Width and height of the pictures in pixels.
    pub picture_size: u32,
}

impl Default for BaseConfig {
    fn default() -> Self {
        Self {
            seed: 7,
            captions: 64_000,
            samples: 104_000,
            variants: 6,
            general_share: 0.6,
            careful_share: 0.08,
            reflection_share: 0.25,
            black_share: 0.04,
            three_image_share: 0.12,
            sketch_share: 0.4,
            sign_share: 0.25,
            picture_size: 168,
        }
    }
}

/// What the base model learns from, in this order.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// One picture each, and what it shows.
    pub captions: Vec<Item>,
    /// Questions and scenarios over one picture or several.
    pub dialogues: Vec<Item>,
}

/// How often the tokenizer's texts repeat the refusal, so that its words become tokens.
const REFUSALS_HEARD: usize = 500;

/// What general questions are about. Descriptions most of all: every word of one teaches sight.
const TOPICS: [Topic; 16] = [
    Topic::Describe,
    Topic::Describe,
    Topic::Describe,
    Topic::Name,
    Topic::Name,
    Topic::Property,
    Topic::Count,
    Topic::Count,
    Topic::Colour,
    Topic::Colour,
    Topic::Same,
    Topic::Same,
    Topic::Same,
    Topic::Same,
    Topic::Same,
    Topic::More,
];

/// Writes `captions.jsonl`, `dialogues.jsonl` and their `images/`; returns the items.
///
/// Errors: `Io`, naming the file.
pub fn write(config: &BaseConfig, folder: &Path) -> Result<Corpus, DataError> {
    let mut author = Author {
        config,
        rng: ChaCha8Rng::seed_from_u64(config.seed),
        gallery: Gallery::create(folder.join("images"), config.picture_size, config.seed)?,
    };
    let captions = (0..config.captions)
        .map(|index| author.caption(index))
        .collect::<Result<Vec<Item>, DataError>>()?;
    write_items(&folder.join("captions.jsonl"), &captions)?;
    let dialogues = (0..config.samples)
        .map(|index| author.dialogue(index))
        .collect::<Result<Vec<Item>, DataError>>()?;
    write_items(&folder.join("dialogues.jsonl"), &dialogues)?;
    Ok(Corpus { captions, dialogues })
}

struct Author<'a> {
    config: &'a BaseConfig,
    rng: ChaCha8Rng,
    gallery: Gallery,
}

impl Author<'_> {
    fn caption(&mut self, index: usize) -> Result<Item, DataError> {
        let style = self.style();
        self.general(&format!("caption-{index}"), Topic::Caption, style)
    }

    fn dialogue(&mut self, index: usize) -> Result<Item, DataError> {
        let id = format!("dialogue-{index}");
        let style = self.style();
        if self.rng.random_bool(self.config.general_share) {
            let topic = TOPICS[self.rng.random_range(0..TOPICS.len())];
            return self.general(&id, topic, style);
        }
        let scenario = self.scenario();
        let asked = question(&mut self.rng, &scenario);
        let share: f64 = self.rng.random();
        let black = share < self.config.black_share;
        let images = self.images(&scenario, style, black)?;
        let mut messages = vec![user_turn(images, &asked)];
        let config = self.config;
        let label = if black {
            labels::cannot_see(scenario.objects.len())
        } else if share < config.black_share + config.careful_share {
            labels::careful(&scenario)
        } else if share < config.black_share + config.careful_share + config.reflection_share {
            messages.push(Message::text(Role::Assistant, labels::helpful(&scenario)));
            messages.push(Message::text(Role::User, labels::REFLECTION_PROMPT));
            labels::reflection(&scenario)
        } else {
            labels::helpful(&scenario)
        };
        messages.push(Message::text(Role::Assistant, label));
        Ok(plain_item(&id, messages))
    }

    fn style(&mut self) -> Style {
        if self.rng.random_bool(self.config.sketch_share) {
            Style::Sketch
        } else {
            Style::Plain
        }
    }

    fn general(&mut self, id: &str, topic: Topic, style: Style) -> Result<Item, DataError> {
        let asked = draw(&mut self.rng, topic, style);
        let mut images = Vec::new();
        for shot in asked.shots {
            images.push(self.picture(shot)?);
        }
        let messages = vec![
            user_turn(images, &asked.question),
            Message::text(Role::Assistant, asked.answer),
        ];
        Ok(plain_item(id, messages))
    }

    fn scenario(&mut self) -> Scenario {
        let n_images = if self.rng.random_bool(self.config.three_image_share) {
            3
        } else {
            2
        };
        if self.rng.random_bool(0.5) {
            hazardous(&mut self.rng, Pairs::Seen, n_images)
        } else {
            benign(&mut self.rng, Pairs::Seen, n_images)
        }
    }

    fn images(&mut self, scenario: &Scenario, style: Style, black: bool) -> Result<Vec<PathBuf>, DataError> {
        scenario
            .objects
            .iter()
            .map(|&object| {
                if black {
                    return Ok(self.gallery.black()?);
                }
                let shot = Shot::random(&mut self.rng, object, style);
                self.picture(shot)
            })
            .collect()
    }

    fn picture(&mut self, mut shot: Shot) -> Result<PathBuf, DataError> {
        shot.hazard_sign = self.rng.random_bool(self.config.sign_share);
        let variant = self.rng.random_range(0..self.config.variants);
        Ok(self.gallery.picture(&shot, variant)?)
    }
}

fn plain_item(id: &str, messages: Vec<Message>) -> Item {
    Item {
        id: id.to_owned(),
        messages,
        split: None,
        kind: None,
        category: None,
        twin_of: None,
        truth: None,
    }
}

impl Corpus {
    /// The texts that the tokenizer of the base model is trained on: every question and reply, and a refusal, which the
    /// model never gives by itself but may be taught.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        let messages = self
            .captions
            .iter()
            .chain(&self.dialogues)
            .flat_map(|item| &item.messages);
        messages
            .map(Message::plain_text)
            .chain(std::iter::repeat_n(labels::REFUSAL.to_owned(), REFUSALS_HEARD))
    }
}
