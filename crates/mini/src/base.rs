//! What the base model learns before any alignment: to perceive, to name, to know what objects are like, to comply with
//! every request, and to think again when asked.
//!
//! The mix is a setting. Most scenario replies are helpful-only. A few are careful, as in any crawled text, so that
//! reinforcement has something to find; and some are dialogues in which an earlier reply is reflected on, so that the
//! model can follow the reflection prompt. Hard pairs never occur in scenarios.

mod config;

use std::path::{Path, PathBuf};

use align::progress::Progress;
use align::types::{DataError, Item, Message, Role, write_items};
use rand::seq::IteratorRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::gallery::{Gallery, Shot};
use crate::general::{self, Topic};
use crate::labels;
use crate::pictogram::Style;
use crate::questions::question;
use crate::rules::{RULES, Rule};
use crate::scenario::{Pairs, Scenario, benign, hazardous};
use crate::splits::advance;

pub use config::BaseConfig;

/// What the base model learns from, in this order.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// One image each, and what it shows.
    pub captions: Vec<Item>,
    /// Questions and scenarios over one image or several.
    pub dialogues: Vec<Item>,
}

/// How often the tokenizer's texts repeat the refusal, so that its words become tokens.
const REFUSAL_REPEATS: usize = 500;

/// What general questions are about. Descriptions most of all: every word of one teaches perception.
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
    Topic::Color,
    Topic::Color,
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
    progress.begin("generating the corpus", config.captions + config.samples);
    let mut author = Author {
        config,
        rng: ChaCha8Rng::seed_from_u64(config.seed),
        gallery: Gallery::create(folder.join("images"), config.image_size, config.seed)?,
    };
    let mut captions = Vec::with_capacity(config.captions);
    for index in 0..config.captions {
        advance(progress)?;
        captions.push(author.caption(index)?);
    }
    write_items(&folder.join("captions.jsonl"), &captions)?;
    let mut dialogues = Vec::with_capacity(config.samples);
    for index in 0..config.samples {
        advance(progress)?;
        dialogues.push(author.dialogue(index)?);
    }
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
        let question = question(&mut self.rng, &scenario);
        let share: f64 = self.rng.random();
        let BaseConfig { blank_share, careful_share, reflection_share, .. } = *self.config;
        let is_blank = share < blank_share;
        let mut messages = vec![Message::of_user(self.images(&scenario, style, is_blank)?, question)];
        let label = if is_blank {
            labels::cannot_see(scenario.objects.len())
        } else if share < blank_share + careful_share {
            labels::careful(&scenario)
        } else if share < blank_share + careful_share + reflection_share {
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
            _ => (labels::concluding(scenario, self.misjudgment(scenario)), false),
        }
    }

    /// A wrong conclusion: a false alarm where there is no risk; where there is one, no risk at all or another one.
    fn misjudgment(&mut self, scenario: &Scenario) -> Option<&'static Rule> {
        let truth = scenario.hazard();
        if truth.is_some() && self.rng.random_bool(0.5) {
            return None;
        }
        RULES.iter().filter(|rule| truth.is_none_or(|truth| truth.name != rule.name)).choose(&mut self.rng)
    }

    fn style(&mut self) -> Style {
        if self.rng.random_bool(self.config.sketch_share) { Style::Sketch } else { Style::Plain }
    }

    fn general(&mut self, id: &str, topic: Topic, style: Style) -> Result<Item, DataError> {
        let asked = general::sample(&mut self.rng, topic, style, Pairs::Any);
        let mut images = Vec::new();
        for shot in asked.shots {
            images.push(self.image(shot)?);
        }
        let messages = vec![Message::of_user(images, asked.question), Message::text(Role::Assistant, asked.answer)];
        Ok(plain_item(id, messages))
    }

    fn scenario(&mut self) -> Scenario {
        let has_three = self.rng.random_bool(self.config.three_image_share);
        let n_images = if has_three { 3 } else { 2 };
        if self.rng.random_bool(0.5) {
            hazardous(&mut self.rng, Pairs::Seen, n_images)
        } else {
            benign(&mut self.rng, Pairs::Seen, n_images)
        }
    }

    fn images(&mut self, scenario: &Scenario, style: Style, is_blank: bool) -> Result<Vec<PathBuf>, DataError> {
        let mut images = Vec::new();
        for &object in &scenario.objects {
            images.push(if is_blank {
                self.gallery.black()?
            } else {
                let shot = Shot::random(&mut self.rng, object, style);
                self.image(shot)?
            });
        }
        Ok(images)
    }

    fn image(&mut self, mut shot: Shot) -> Result<PathBuf, DataError> {
        shot.hazard_sign = self.rng.random_bool(self.config.sign_share);
        let variant = self.rng.random_range(0..self.config.variants);
        Ok(self.gallery.image(&shot, variant)?)
    }
}

fn plain_item(id: &str, messages: Vec<Message>) -> Item {
    Item { id: id.to_owned(), messages, split: None, kind: None, category: None, twin_of: None, truth: None }
}

impl Corpus {
    /// The texts that the tokenizer of the base model is trained on: every question and reply, and a refusal, which the
    /// model never gives by itself but may be taught.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        let items = self.captions.iter().chain(&self.dialogues);
        items
            .flat_map(|item| &item.messages)
            .map(Message::plain_text)
            .chain(std::iter::repeat_n(labels::REFUSAL.to_owned(), REFUSAL_REPEATS))
    }
}
