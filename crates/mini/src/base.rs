//! What the base model learns before any alignment: to see, to name, to know what objects are like, to grant every
//! wish, and to think again when asked.
//!
//! The mix is a setting. Most scenario replies are helpful-only. A few are careful, as in any crawled text, so that
//! reinforcement has something to find; and some are dialogues in which an earlier reply is reflected on, so that the
//! model can follow the reflection prompt. Hard pairs never occur in scenarios.

use std::path::{Path, PathBuf};

use rand::seq::IteratorRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::gallery::{Gallery, Shot};
use crate::general::{Topic, draw};
use crate::labels;
use crate::pictogram::Style;
use crate::questions::question;
use crate::rules::{RULES, Rule};
use crate::scenario::{Pairs, Scenario, benign, hazardous};
use crate::splits::{check_picture_size, go_on};
use align::progress::Progress;
use align::training::{SettingError, check_count, check_setting, check_share};
use align::types::{DataError, Item, Message, Role, write_items};

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
            samples: 152_000,
            variants: 6,
            general_share: 0.5,
            careful_share: 0.1,
            reflection_share: 0.4,
            black_share: 0.04,
            three_image_share: 0.12,
            sketch_share: 0.4,
            sign_share: 0.25,
            picture_size: 168,
        }
    }
}

impl BaseConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `base`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        let key = |name: &str| format!("{table}.{name}");
        for (name, count) in [
            ("captions", self.captions),
            ("samples", self.samples),
            ("variants", self.variants),
        ] {
            check_count(&key(name), count)?;
        }
        for (name, share) in [
            ("general_share", self.general_share),
            ("careful_share", self.careful_share),
            ("reflection_share", self.reflection_share),
            ("black_share", self.black_share),
            ("three_image_share", self.three_image_share),
            ("sketch_share", self.sketch_share),
            ("sign_share", self.sign_share),
        ] {
            check_share(&key(name), share)?;
        }
        let unlike = self.black_share + self.careful_share + self.reflection_share;
        let expected = "at most 1 together with `careful_share` and `black_share`";
        check_setting(unlike <= 1.0, &key("reflection_share"), expected, unlike)?;
        check_picture_size(table, self.picture_size)
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
const TOPICS: [Topic; 18] = [
    Topic::Describe,
    Topic::Describe,
    Topic::Describe,
    Topic::Name,
    Topic::Name,
    Topic::Property,
    Topic::Property,
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
/// Errors: `Io`, naming the file; `Interrupted`.
pub fn write(config: &BaseConfig, folder: &Path, progress: &mut dyn Progress) -> Result<Corpus, DataError> {
    progress.begin("drawing the corpus", config.captions + config.samples);
    let mut author = Author {
        config,
        rng: ChaCha8Rng::seed_from_u64(config.seed),
        gallery: Gallery::create(folder.join("images"), config.picture_size, config.seed)?,
    };
    let captions = (0..config.captions)
        .map(|index| {
            go_on(progress)?;
            author.caption(index)
        })
        .collect::<Result<Vec<Item>, DataError>>()?;
    write_items(&folder.join("captions.jsonl"), &captions)?;
    let dialogues = (0..config.samples)
        .map(|index| {
            go_on(progress)?;
            author.dialogue(index)
        })
        .collect::<Result<Vec<Item>, DataError>>()?;
    progress.end();
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
        let mut messages = vec![Message::of_user(images, &asked)];
        let config = self.config;
        let label = if black {
            labels::cannot_see(scenario.objects.len())
        } else if share < config.black_share + config.careful_share {
            labels::careful(&scenario)
        } else if share < config.black_share + config.careful_share + config.reflection_share {
            let (earlier, was_right) = self.earlier_reply(&scenario);
            messages.push(Message::text(Role::Assistant, earlier));
            messages.push(Message::text(Role::User, labels::REFLECTION_PROMPT));
            labels::reflection(&scenario, was_right)
        } else {
            labels::helpful(&scenario)
        };
        messages.push(Message::text(Role::Assistant, label));
        Ok(plain_item(&id, messages))
    }

    /// A reply to be reflected on, and whether it was right: a helpful-only one, a careful one, or one that misjudges.
    /// Only a model that has seen all three looks again before it calls its reply wrong. None of them is learned: the
    /// loss is on the last reply alone.
    fn earlier_reply(&mut self, scenario: &Scenario) -> (String, bool) {
        match self.rng.random_range(0..3) {
            0 => (labels::helpful(scenario), scenario.hazard().is_none()),
            1 => (labels::careful(scenario), true),
            _ => (labels::concluding(scenario, self.misjudgement(scenario)), false),
        }
    }

    /// A wrong conclusion: a false alarm where there is no risk; where there is one, no risk at all or another one.
    fn misjudgement(&mut self, scenario: &Scenario) -> Option<&'static Rule> {
        let truth = scenario.hazard();
        if truth.is_some() && self.rng.random_bool(0.5) {
            return None;
        }
        let is_wrong = |rule: &&Rule| truth.is_none_or(|truth| truth.name != rule.name);
        RULES.iter().filter(is_wrong).choose(&mut self.rng)
    }

    fn style(&mut self) -> Style {
        if self.rng.random_bool(self.config.sketch_share) {
            Style::Sketch
        } else {
            Style::Plain
        }
    }

    fn general(&mut self, id: &str, topic: Topic, style: Style) -> Result<Item, DataError> {
        let asked = draw(&mut self.rng, topic, style, Pairs::Any);
        let mut images = Vec::new();
        for shot in asked.shots {
            images.push(self.picture(shot)?);
        }
        let messages = vec![
            Message::of_user(images, &asked.question),
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
