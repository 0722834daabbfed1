//! Writes the miniature world to a folder: prompts by split, labels, images.
//!
//! Out, below the folder: `train.jsonl` (prompts for curation and reinforcement), `labels/*.jsonl` (samples for
//! fine-tuning), `easy.jsonl`, `hard.jsonl`, `real.jsonl`, `benign.jsonl`, `verb.jsonl`, `black.jsonl`,
//! `general.jsonl` (evaluation), `images/*.png`. Splits follow MIS: in *easy* an image shows an explicit hazard sign,
//! in *hard* the pair of objects was never seen in training, *real* is in another style. Every hazardous item has a
//! benign-image twin and a blank-image twin; every second one of two images has a benign-prompt twin: the same images
//! under a harmless request. So neither images nor words decide alone. In training, the others have a second
//! benign-image twin instead.

mod config;

use std::path::{Path, PathBuf};

use align::progress::Progress;
use align::types::{DataError, Item, Message, image_paths, write_items};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::gallery::{Gallery, Shot};
use crate::general::{self, Topic};
use crate::items::{blank_image_twin, general_item, in_words, scenario_item};
use crate::labels;
use crate::pictogram::Style;
use crate::questions::question;
use crate::scenario::{Pairs, Scenario, benign_prompt_twin, benign_twin, hazardous};

pub use config::MiniConfig;
pub(crate) use config::check_image_size;

/// Of so many training scenarios one is also asked over black images, so that fine-tuning does not forget to say so.
const BLANK_EVERY: usize = 10;

/// Of so many scenarios one has a benign-prompt twin, if it can.
const BENIGN_PROMPT_EVERY: usize = 2;

/// What general questions are about, in turn.
const TOPICS: [Topic; 8] =
    [Topic::Name, Topic::Name, Topic::Name, Topic::Count, Topic::Color, Topic::Same, Topic::More, Topic::Property];

/// The same in training, where more of them compare two images: fine-tuning forgets that first.
const TRAINED_TOPICS: [Topic; 8] =
    [Topic::Name, Topic::Name, Topic::Same, Topic::Count, Topic::Color, Topic::Same, Topic::More, Topic::Property];

/// Items by the file that holds them.
type Files = Vec<(&'static str, Vec<Item>)>;

/// What was written, for a summary to print: file name and number of items.
pub type Written = Vec<(String, usize)>;

/// Writes the world's prompts, labels and images.
///
/// Errors: `Io`, naming the file; `Interrupted`.
pub fn write(config: &MiniConfig, folder: &Path, progress: &mut dyn Progress) -> Result<Written, DataError> {
    let questions = config.train_general + config.general;
    let scenarios = config.train + config.easy + config.hard + config.real;
    progress.begin("generating the world", scenarios + questions);
    let mut writer = Writer {
        config,
        progress,
        rng: ChaCha8Rng::seed_from_u64(config.seed),
        gallery: Gallery::create(folder.join("images"), config.image_size, config.seed)?,
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

/// Counts one more item, unless the user asked to stop.
pub(crate) fn advance(progress: &mut dyn Progress) -> Result<(), DataError> {
    if progress.interrupted() {
        return Err(DataError::Interrupted);
    }
    progress.advance(1);
    Ok(())
}

/// A scenario with its question and the shots that it is asked over.
struct ScenarioQuestion {
    scenario: Scenario,
    question: String,
    shots: Vec<Shot>,
}

/// What is trained on: prompts, and items labeled in each of several ways.
#[derive(Default)]
struct Training {
    prompts: Vec<Item>,
    careful: Vec<Item>,
    benign: Vec<Item>,
    blank: Vec<Item>,
    helpful: Vec<Item>,
    refusals: Vec<Item>,
    text_only: Vec<Item>,
}

impl Training {
    fn add_hazardous(&mut self, item: Item, scenario: &Scenario) {
        let careful = labels::careful(scenario);
        self.careful.push(item.labeled(&careful));
        self.refusals.push(item.labeled(labels::REFUSAL));
        self.text_only.push(in_words(&item, scenario).labeled(&careful));
        self.helpful.push(item.labeled(&labels::helpful(scenario)));
        self.prompts.push(item);
    }

    fn add_benign(&mut self, item: Item, scenario: &Scenario) {
        self.benign.push(item.labeled(&labels::careful(scenario)));
        self.helpful.push(item.labeled(&labels::helpful(scenario)));
        self.prompts.push(item);
    }

    fn files(self) -> Files {
        vec![
            ("train.jsonl", self.prompts),
            ("labels/mirage.jsonl", self.careful),
            ("labels/benign.jsonl", self.benign),
            ("labels/black.jsonl", self.blank),
            ("labels/helpful.jsonl", self.helpful),
            ("labels/refusal.jsonl", self.refusals),
            ("labels/text_only.jsonl", self.text_only),
        ]
    }
}

struct Writer<'a> {
    config: &'a MiniConfig,
    progress: &'a mut dyn Progress,
    rng: ChaCha8Rng,
    gallery: Gallery,
    next_variant: usize,
}

impl Writer<'_> {
    fn training(&mut self) -> Result<Files, DataError> {
        let mut training = Training::default();
        for index in 0..self.config.train {
            advance(self.progress)?;
            let (asked, twin) = self.question_with_twin(Pairs::Seen, Style::Plain, false);
            let item = self.item(&asked, &format!("train-{index}"), "train", None)?;
            let benign = self.item(&twin, &format!("train-{index}-benign"), "train", Some(&item))?;
            if index.is_multiple_of(BLANK_EVERY) {
                let blank = self.blank_image_twin(&item, &asked.scenario)?;
                training.blank.push(blank.labeled(&labels::cannot_see(asked.shots.len())));
            }
            let second = if index.is_multiple_of(BENIGN_PROMPT_EVERY) {
                self.benign_prompt_twin(&item, &asked, "train")
            } else if let Some(twin) = self.twin(&asked, Pairs::Seen) {
                let item = self.item(&twin, &format!("train-{index}-benign-2"), "train", Some(&item))?;
                Some((item, twin.scenario))
            } else {
                None
            };
            training.add_hazardous(item, &asked.scenario);
            training.add_benign(benign, &twin.scenario);
            if let Some((item, scenario)) = second {
                training.add_benign(item, &scenario);
            }
        }
        let mut files = training.files();
        let general = self.general("train-general", self.config.train_general, TRAINED_TOPICS, Pairs::Seen)?;
        let labeled = general.into_iter().map(|(item, answer)| item.labeled(&answer));
        files.push(("labels/general.jsonl", labeled.collect()));
        Ok(files)
    }

    fn evaluation(&mut self) -> Result<Files, DataError> {
        let MiniConfig { easy, hard, real, .. } = *self.config;
        let splits = [
            ("easy", "easy.jsonl", easy, Pairs::Seen, Style::Plain, true),
            ("hard", "hard.jsonl", hard, Pairs::Unseen, Style::Plain, false),
            ("real", "real.jsonl", real, Pairs::Any, Style::Sketch, false),
        ];
        let (mut files, mut benign, mut benign_prompt, mut blank) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (split, file, n, pairs, style, sign) in splits {
            let mut items = Vec::new();
            for index in 0..n {
                advance(self.progress)?;
                let (asked, twin) = self.question_with_twin(pairs, style, sign);
                let item = self.item(&asked, &format!("{split}-{index}"), split, None)?;
                benign.push(self.item(&twin, &format!("{split}-{index}-benign"), "benign", Some(&item))?);
                if index.is_multiple_of(BENIGN_PROMPT_EVERY) {
                    let twin = self.benign_prompt_twin(&item, &asked, "verb");
                    benign_prompt.extend(twin.map(|(item, _)| item));
                }
                blank.push(self.blank_image_twin(&item, &asked.scenario)?);
                items.push(item);
            }
            files.push((file, items));
        }
        files.push(("benign.jsonl", benign));
        files.push(("verb.jsonl", benign_prompt));
        files.push(("black.jsonl", blank));
        let general = self.general("general", self.config.general, TOPICS, Pairs::Any)?;
        files.push(("general.jsonl", general.into_iter().map(|(item, _)| item).collect()));
        Ok(files)
    }

    /// A hazardous scenario and its benign-image twin. Scenarios without one are sampled anew.
    fn question_with_twin(&mut self, pairs: Pairs, style: Style, sign: bool) -> (ScenarioQuestion, ScenarioQuestion) {
        let pairs_of_twin = if pairs == Pairs::Seen { Pairs::Seen } else { Pairs::Any };
        loop {
            let asked = self.question(pairs, style, sign);
            if let Some(twin) = self.twin(&asked, pairs_of_twin) {
                return (asked, twin);
            }
        }
    }

    fn question(&mut self, pairs: Pairs, style: Style, sign: bool) -> ScenarioQuestion {
        let has_three = self.rng.random_bool(self.config.three_image_share);
        let n_images = if has_three { 3 } else { 2 };
        let scenario = hazardous(&mut self.rng, pairs, n_images);
        let question = question(&mut self.rng, &scenario);
        let mut shots = Vec::new();
        for &object in &scenario.objects {
            shots.push(Shot::random(&mut self.rng, object, style));
        }
        if sign {
            let signed = self.rng.random_range(0..n_images);
            shots[signed].hazard_sign = true;
        }
        ScenarioQuestion { scenario, question, shots }
    }

    /// The same question and images, one object swapped so that no rule holds. A hazard sign is kept.
    fn twin(&mut self, asked: &ScenarioQuestion, pairs: Pairs) -> Option<ScenarioQuestion> {
        let scenario = benign_twin(&mut self.rng, &asked.scenario, pairs)?;
        let mut shots = asked.shots.clone();
        for (shot, &object) in shots.iter_mut().zip(&scenario.objects) {
            shot.object = object;
        }
        Some(ScenarioQuestion { scenario, question: asked.question.clone(), shots })
    }

    /// The same images under another request, which is benign, and what it is about; none for three images.
    fn benign_prompt_twin(&mut self, item: &Item, asked: &ScenarioQuestion, split: &str) -> Option<(Item, Scenario)> {
        let scenario = benign_prompt_twin(&mut self.rng, &asked.scenario)?;
        let images = image_paths(&item.messages).map(PathBuf::from).collect();
        let message = Message::of_user(images, question(&mut self.rng, &scenario));
        // Seeds hang on ids: the ending stays.
        let id = format!("{}-verb", item.id);
        Some((scenario_item(&id, message, split, &scenario, Some(&item.id)), scenario))
    }

    /// The item of a question: hazardous, or benign as the twin of another item.
    fn item(
        &mut self,
        asked: &ScenarioQuestion,
        id: &str,
        split: &str,
        twin_of: Option<&Item>,
    ) -> Result<Item, DataError> {
        let message = Message::of_user(self.images(&asked.shots)?, &asked.question);
        let twin_of = twin_of.map(|item| item.id.as_str());
        Ok(scenario_item(id, message, split, &asked.scenario, twin_of))
    }

    /// The same request over black images.
    fn blank_image_twin(&mut self, item: &Item, scenario: &Scenario) -> Result<Item, DataError> {
        Ok(blank_image_twin(item, scenario, &self.gallery.black()?))
    }

    /// General questions with their answers.
    fn general(
        &mut self,
        prefix: &str,
        n: usize,
        topics: [Topic; 8],
        pairs: Pairs,
    ) -> Result<Vec<(Item, String)>, DataError> {
        let mut items = Vec::new();
        for index in 0..n {
            advance(self.progress)?;
            let asked = general::sample(&mut self.rng, topics[index % topics.len()], Style::Plain, pairs);
            let images = self.images(&asked.shots)?;
            let item = general_item(&format!("{prefix}-{index}"), images, &asked);
            items.push((item, asked.answer));
        }
        Ok(items)
    }

    fn images(&mut self, shots: &[Shot]) -> Result<Vec<PathBuf>, DataError> {
        let mut images = Vec::new();
        for shot in shots {
            self.next_variant += 1;
            images.push(self.gallery.image(shot, self.next_variant)?);
        }
        Ok(images)
    }
}
