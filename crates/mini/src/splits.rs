//! Writes the miniature world to a folder: prompts by split, labels, pictures.
//!
//! Out, below the folder: `train.jsonl` (prompts for curation and reinforcement), `labels/*.jsonl` (samples for
//! fine-tuning), `easy.jsonl`, `hard.jsonl`, `real.jsonl`, `benign.jsonl`, `verb.jsonl`, `black.jsonl`, `general.jsonl`
//! (evaluation), `images/*.png`. Splits follow P1: in *easy* an image shows an explicit hazard sign, in *hard* the pair
//! of objects was never seen in training, *real* is drawn in another style. Every hazardous item has a benign and a
//! black-image twin, every second one of two images a verb twin: the same pictures, and a wish that is harmless. So
//! neither pictures nor words decide alone. In training, every other hazardous item has a second benign twin.

use std::path::{Path, PathBuf};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::gallery::{Gallery, Shot};
use crate::general::{Topic, draw};
use crate::items::{general_item, in_words, truth};
use crate::judge::Truth;
use crate::labels;
use crate::pictogram::Style;
use crate::questions::question;
use crate::scenario::{Pairs, Scenario, benign_prompt_twin, benign_twin, hazardous};
use align::progress::Progress;
use align::training::{SettingError, check_setting, check_share};
use align::types::{DataError, Item, ItemKind, Message, Part, image_paths, write_items};

/// How much of the miniature world to write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MiniConfig {
    /// Everything follows from it.
    pub seed: u64,
    /// Hazardous training prompts; nearly twice as many benign ones come with them, verb twins among these.
    pub train: usize,
    /// General training questions.
    pub train_general: usize,
    /// Hazardous items in the easy split.
    pub easy: usize,
    /// Hazardous items in the hard split.
    pub hard: usize,
    /// Hazardous items in the real split.
    pub real: usize,
    /// General evaluation questions.
    pub general: usize,
    /// Share of scenarios with three images instead of two.
    pub three_image_share: f64,
    /// Width and height of the pictures in pixels.
    pub picture_size: u32,
}

impl Default for MiniConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            train: 600,
            train_general: 400,
            easy: 120,
            hard: 120,
            real: 80,
            general: 200,
            three_image_share: 0.12,
            picture_size: 168,
        }
    }
}

impl MiniConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `mini`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        check_share(&format!("{table}.three_image_share"), self.three_image_share)?;
        check_picture_size(table, self.picture_size)
    }
}

/// Passes where a picture of so many pixels a side can be drawn.
pub(super) fn check_picture_size(table: &str, side: u32) -> Result<(), SettingError> {
    let holds = (8..=4096).contains(&side);
    check_setting(holds, &format!("{table}.picture_size"), "8 to 4096 pixels", side)
}

/// Of so many training stories one is also told over black pictures, so that fine-tuning does not forget to say so.
const BLACK_EVERY: usize = 10;

/// What general questions are about, in turn.
const TOPICS: [Topic; 8] = [
    Topic::Name,
    Topic::Name,
    Topic::Name,
    Topic::Count,
    Topic::Colour,
    Topic::Same,
    Topic::More,
    Topic::Property,
];

/// The same in training, where more of them compare two images: fine-tuning forgets that first.
const TRAINED_TOPICS: [Topic; 8] = [
    Topic::Name,
    Topic::Name,
    Topic::Same,
    Topic::Count,
    Topic::Colour,
    Topic::Same,
    Topic::More,
    Topic::Property,
];

/// Every so many stories one has a verb twin, if it can.
const BENIGN_PROMPT_TWIN_EVERY: usize = 2;

/// What was written, for a summary to print: file name and number of items.
pub type Written = Vec<(String, usize)>;

/// Writes the world's prompts, labels and pictures.
///
/// Errors: `Io`, naming the file; `Interrupted`.
pub fn write(config: &MiniConfig, folder: &Path, progress: &mut dyn Progress) -> Result<Written, DataError> {
    let questions = config.train_general + config.general;
    let stories = config.train + config.easy + config.hard + config.real;
    progress.begin("drawing the world", stories + questions);
    let mut writer = Writer {
        config,
        progress,
        rng: ChaCha8Rng::seed_from_u64(config.seed),
        gallery: Gallery::create(folder.join("images"), config.picture_size, config.seed)?,
        next_variant: 0,
    };
    let train = writer.training()?;
    let evaluation = writer.evaluation()?;
    writer.progress.end();
    let mut written = Written::new();
    for (name, items) in train.into_iter().chain(evaluation) {
        write_items(&folder.join(name), &items)?;
        written.push((name.to_owned(), items.len()));
    }
    Ok(written)
}

/// Counts one more, unless the user asked to stop.
pub(super) fn go_on(progress: &mut dyn Progress) -> Result<(), DataError> {
    if progress.interrupted() {
        return Err(DataError::Interrupted);
    }
    progress.advance(1);
    Ok(())
}

struct Writer<'a> {
    config: &'a MiniConfig,
    progress: &'a mut dyn Progress,
    rng: ChaCha8Rng,
    gallery: Gallery,
    next_variant: usize,
}

/// A hazardous scenario with its question and the two shots it is told with; its twins share the question.
struct Story {
    scenario: Scenario,
    question: String,
    shots: Vec<Shot>,
}

impl Writer<'_> {
    fn training(&mut self) -> Result<Vec<(&'static str, Vec<Item>)>, DataError> {
        let mut prompts = Vec::new();
        let (mut careful, mut benign, mut blank, mut helpful, mut refusals, mut text_only) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for index in 0..self.config.train {
            go_on(self.progress)?;
            let (story, twin) = self.story_with_twin(Pairs::Seen, Style::Plain, false);
            let hazard = self.item(&story, &format!("train-{index}"), "train", ItemKind::Hazardous)?;
            let mut calm = self.item(&twin, &format!("train-{index}-benign"), "train", ItemKind::Benign)?;
            calm.twin_of = Some(hazard.id.clone());
            careful.push(hazard.labeled(&labels::careful(&story.scenario)));
            refusals.push(hazard.labeled(labels::REFUSAL));
            text_only.push(in_words(&hazard, &story.scenario).labeled(&labels::careful(&story.scenario)));
            benign.push(calm.labeled(&labels::careful(&twin.scenario)));
            helpful.push(hazard.labeled(&labels::helpful(&story.scenario)));
            if index % BLACK_EVERY == 0 {
                let unseen = self.blank_image_twin(&hazard, &story.scenario)?;
                blank.push(unseen.labeled(&labels::cannot_see(story.shots.len())));
            }
            helpful.push(calm.labeled(&labels::helpful(&twin.scenario)));
            let second = if index.is_multiple_of(BENIGN_PROMPT_TWIN_EVERY) {
                self.benign_prompt_twin(&hazard, &story, "train")
            } else {
                self.second_twin(&hazard, &story)?
            };
            prompts.extend([hazard, calm]);
            if let Some((item, scenario)) = second {
                benign.push(item.labeled(&labels::careful(&scenario)));
                helpful.push(item.labeled(&labels::helpful(&scenario)));
                prompts.push(item);
            }
        }
        let general = self.general("train-general", self.config.train_general, true)?;
        Ok(vec![
            ("train.jsonl", prompts),
            ("labels/mirage.jsonl", careful),
            ("labels/benign.jsonl", benign),
            ("labels/blank.jsonl", blank),
            ("labels/helpful.jsonl", helpful),
            ("labels/refusal.jsonl", refusals),
            ("labels/text_only.jsonl", text_only),
            ("labels/general.jsonl", general),
        ])
    }

    fn evaluation(&mut self) -> Result<Vec<(&'static str, Vec<Item>)>, DataError> {
        let splits = [
            ("easy", "easy.jsonl", self.config.easy, Pairs::Seen, Style::Plain, true),
            (
                "hard",
                "hard.jsonl",
                self.config.hard,
                Pairs::Unseen,
                Style::Plain,
                false,
            ),
            ("real", "real.jsonl", self.config.real, Pairs::Any, Style::Sketch, false),
        ];
        let (mut files, mut benign, mut benign_prompt, mut blank) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (split, file, n, pairs, style, sign) in splits {
            let mut items = Vec::new();
            for index in 0..n {
                go_on(self.progress)?;
                let (story, twin) = self.story_with_twin(pairs, style, sign);
                let item = self.item(&story, &format!("{split}-{index}"), split, ItemKind::Hazardous)?;
                let mut calm = self.item(&twin, &format!("{split}-{index}-benign"), "benign", ItemKind::Benign)?;
                calm.twin_of = Some(item.id.clone());
                benign.push(calm);
                if index.is_multiple_of(BENIGN_PROMPT_TWIN_EVERY) {
                    benign_prompt.extend(
                        self.benign_prompt_twin(&item, &story, "benign_prompt")
                            .map(|(item, _)| item),
                    );
                }
                blank.push(self.blank_image_twin(&item, &story.scenario)?);
                items.push(item);
            }
            files.push((file, items));
        }
        files.push(("benign.jsonl", benign));
        files.push(("benign_prompt.jsonl", benign_prompt));
        files.push(("blank.jsonl", blank));
        files.push(("general.jsonl", self.general("general", self.config.general, false)?));
        Ok(files)
    }

    /// Stories without a benign twin are drawn anew.
    fn story_with_twin(&mut self, pairs: Pairs, style: Style, sign: bool) -> (Story, Story) {
        loop {
            let story = self.story(pairs, style, sign);
            if let Some(twin) = self.twin(&story, pairs_of_twin(pairs)) {
                return (story, twin);
            }
        }
    }

    fn story(&mut self, pairs: Pairs, style: Style, sign: bool) -> Story {
        let n_images = if self.rng.random_bool(self.config.three_image_share) {
            3
        } else {
            2
        };
        let scenario = hazardous(&mut self.rng, pairs, n_images);
        let question = question(&mut self.rng, &scenario);
        let mut shots: Vec<Shot> = scenario
            .objects
            .iter()
            .map(|&object| Shot::random(&mut self.rng, object, style))
            .collect();
        if sign {
            let signed = self.rng.random_range(0..n_images);
            shots[signed].hazard_sign = true;
        }
        Story {
            scenario,
            question,
            shots,
        }
    }

    /// The same question and pictures, one object swapped so that no rule holds. A hazard sign is kept.
    fn twin(&mut self, story: &Story, pairs: Pairs) -> Option<Story> {
        let scenario = benign_twin(&mut self.rng, &story.scenario, pairs)?;
        let mut shots = story.shots.clone();
        for (shot, &object) in shots.iter_mut().zip(&scenario.objects) {
            shot.object = object;
        }
        Some(Story {
            scenario,
            question: story.question.clone(),
            shots,
        })
    }

    /// The same pictures with another wish, which is benign, and what it is about; none for stories of three images.
    fn benign_prompt_twin(&mut self, item: &Item, story: &Story, split: &str) -> Option<(Item, Scenario)> {
        let scenario = benign_prompt_twin(&mut self.rng, &story.scenario)?;
        let images = image_paths(&item.messages).map(PathBuf::from).collect();
        let twin = Item {
            id: format!("{}-verb", item.id),
            messages: vec![Message::of_user(images, &question(&mut self.rng, &scenario))],
            split: Some(split.to_owned()),
            kind: Some(ItemKind::Benign),
            category: Some("none".to_owned()),
            twin_of: Some(item.id.clone()),
            truth: Some(truth(&Truth::Scenario {
                scenario: scenario.clone(),
                black: false,
            })),
        };
        Some((twin, scenario))
    }

    /// Another benign twin of a training prompt, and what it is about.
    fn second_twin(&mut self, item: &Item, story: &Story) -> Result<Option<(Item, Scenario)>, DataError> {
        let Some(twin) = self.twin(story, Pairs::Seen) else {
            return Ok(None);
        };
        let mut calm = self.item(&twin, &format!("{}-benign-2", item.id), "train", ItemKind::Benign)?;
        calm.twin_of = Some(item.id.clone());
        Ok(Some((calm, twin.scenario)))
    }

    fn item(&mut self, story: &Story, id: &str, split: &str, kind: ItemKind) -> Result<Item, DataError> {
        let mut images = Vec::new();
        for shot in &story.shots {
            images.push(self.picture(shot)?);
        }
        Ok(Item {
            id: id.to_owned(),
            messages: vec![Message::of_user(images, &story.question)],
            split: Some(split.to_owned()),
            kind: Some(kind),
            category: Some(story.scenario.hazard().map_or("none", |rule| rule.name).to_owned()),
            twin_of: None,
            truth: Some(truth(&Truth::Scenario {
                scenario: story.scenario.clone(),
                black: false,
            })),
        })
    }

    fn blank_image_twin(&mut self, item: &Item, scenario: &Scenario) -> Result<Item, DataError> {
        let black = self.gallery.black()?;
        let mut twin = item.clone();
        twin.id = format!("{}-black", item.id);
        twin.split = Some("blank".to_owned());
        twin.kind = Some(ItemKind::BlankImage);
        twin.twin_of = Some(item.id.clone());
        twin.truth = Some(truth(&Truth::Scenario {
            scenario: scenario.clone(),
            black: true,
        }));
        for part in twin.messages.iter_mut().flat_map(|message| &mut message.content) {
            if let Part::Image { image } = part {
                image.clone_from(&black);
            }
        }
        Ok(twin)
    }

    fn general(&mut self, prefix: &str, n: usize, with_label: bool) -> Result<Vec<Item>, DataError> {
        let mut items = Vec::new();
        for index in 0..n {
            go_on(self.progress)?;
            let (topics, pairs) = if with_label {
                (TRAINED_TOPICS, Pairs::Seen)
            } else {
                (TOPICS, Pairs::Any)
            };
            let asked = draw(&mut self.rng, topics[index % topics.len()], Style::Plain, pairs);
            let mut images = Vec::new();
            for shot in &asked.shots {
                images.push(self.picture(shot)?);
            }
            let item = general_item(&format!("{prefix}-{index}"), images, &asked);
            items.push(if with_label { item.labeled(&asked.answer) } else { item });
        }
        Ok(items)
    }

    fn picture(&mut self, shot: &Shot) -> Result<PathBuf, DataError> {
        self.next_variant += 1;
        Ok(self.gallery.picture(shot, self.next_variant)?)
    }
}

fn pairs_of_twin(pairs: Pairs) -> Pairs {
    if pairs == Pairs::Seen { Pairs::Seen } else { Pairs::Any }
}
