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
use super::splits::{Gallery, Shot, general_item, user_turn};
use crate::types::{DataError, Item, Message, Role, write_items};

/// The pretraining corpus of the base model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BaseConfig {
    /// Everything follows from it.
    pub seed: u64,
    /// How many samples.
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
            samples: 80_000,
            variants: 6,
            general_share: 0.6,
            careful_share: 0.05,
            reflection_share: 0.15,
            black_share: 0.04,
            three_image_share: 0.12,
            sketch_share: 0.4,
            sign_share: 0.1,
            picture_size: 168,
        }
    }
}

/// Writes `corpus.jsonl` and its `images/`; returns the items.
///
/// Errors: `Io`, naming the file.
pub fn write(config: &BaseConfig, folder: &Path) -> Result<Vec<Item>, DataError> {
    let mut author = Author {
        config,
        rng: ChaCha8Rng::seed_from_u64(config.seed),
        gallery: Gallery::create(folder.join("images"), config.picture_size, config.seed)?,
    };
    let mut items = Vec::with_capacity(config.samples);
    for index in 0..config.samples {
        items.push(author.sample(index)?);
    }
    write_items(&folder.join("corpus.jsonl"), &items)?;
    Ok(items)
}

struct Author<'a> {
    config: &'a BaseConfig,
    rng: ChaCha8Rng,
    gallery: Gallery,
}

impl Author<'_> {
    fn sample(&mut self, index: usize) -> Result<Item, DataError> {
        let style = if self.rng.random_bool(self.config.sketch_share) {
            Style::Sketch
        } else {
            Style::Plain
        };
        if self.rng.random_bool(self.config.general_share) {
            return self.general(index, style);
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
        Ok(plain_item(index, messages))
    }

    fn general(&mut self, index: usize, style: Style) -> Result<Item, DataError> {
        const TOPICS: [Topic; 10] = [
            Topic::Name,
            Topic::Name,
            Topic::Name,
            Topic::Name,
            Topic::Property,
            Topic::Property,
            Topic::Count,
            Topic::Colour,
            Topic::Same,
            Topic::More,
        ];
        let topic = TOPICS[self.rng.random_range(0..TOPICS.len())];
        let asked = draw(&mut self.rng, topic, style);
        let mut images = Vec::new();
        for shot in &asked.shots {
            images.push(self.picture(shot)?);
        }
        let mut item = general_item(&format!("base-{index}"), images, &asked);
        item.messages.push(Message::text(Role::Assistant, asked.answer));
        Ok(Item { truth: None, ..item })
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
                let mut shot = Shot::random(&mut self.rng, object, style);
                shot.hazard_sign = self.rng.random_bool(self.config.sign_share);
                self.picture(&shot)
            })
            .collect()
    }

    fn picture(&mut self, shot: &Shot) -> Result<PathBuf, DataError> {
        let variant = self.rng.random_range(0..self.config.variants);
        Ok(self.gallery.picture(shot, variant)?)
    }
}

fn plain_item(index: usize, messages: Vec<Message>) -> Item {
    let id = format!("base-{index}");
    Item {
        id,
        messages,
        split: None,
        kind: None,
        category: None,
        twin_of: None,
        truth: None,
    }
}

/// The texts that the tokenizer of the base model is trained on: every question and reply, and the reflection prompt.
pub fn texts(items: &[Item]) -> impl Iterator<Item = String> {
    items
        .iter()
        .flat_map(|item| item.messages.iter().map(Message::plain_text))
}
