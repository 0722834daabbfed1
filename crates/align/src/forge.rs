//! MIS data from seeds (P1, section 3.1): a taxonomy with neutral seeds goes in; items whose harm shows only when
//! pictures and text are read together come out, with splits, twins and labels.
//!
//! The stages, each with a file in the run's folder ([`stage`]):
//!
//! | file | what a draft is given | by |
//! | --- | --- | --- |
//! | `elements` | a request and two or more things | writer |
//! | `instructions` | the request over pictures instead of things; requests without risk go | writer |
//! | `queries` | neutral words | writer |
//! | `twins` | a benign twin: one thing swapped | writer |
//! | `pictures` | a picture of each thing, painted in up to two rounds or found in a folder | painter, judge |
//! | `classes` | its split and sub-category; what is not what it shall be goes | judge |
//! | `unique` | near-duplicates go, by words or by pictures | |
//! | `balanced` | what is over its sub-category's target goes | |
//! | `splits` | test items told again with photographs; a black-image twin for each hazardous item | painter or judge |
//! | `labels` | the policy's reply, the reply to be learnt | policy, labeller, judge |
//!
//! Whatever goes is in `rejected.jsonl` with the stage and the reason; what people decided afterwards ([`Reviews`])
//! takes items out of the results in the same way, and out of no stage's file. Differs from P1: two or more pictures,
//! twins, a share of neutral items to train on, labels that the judge has found good, near-duplicates by machine; what
//! people did there (dropping what is pointless) the judge does, and people look after it (`scruple review`).

mod asking;
mod balance;
mod classes;
mod config;
mod draft;
mod duplicates;
mod elements;
mod illustrate;
mod labels;
mod output;
mod prompt;
mod review;
mod splits;
pub mod stage;
mod summary;
mod taxonomy;
mod twins;
mod wording;

use std::path::{Path, PathBuf};

use diagnostic::{Diagnosis, Diagnostic, Kind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::chat::{ChatError, ChatModel};
use crate::paint::PaintModel;
use crate::progress::Progress;
use crate::run_dir::{RunError, keep_settings, write_lines};
use crate::types::{DataError, Message};

pub use config::{ForgeConfig, LabelConfig, LabelMethod};
pub use draft::{Draft, Maker, Probe, Rejection, Split};
pub use prompt::Prompt;
pub use review::Reviews;
pub use summary::{ForgeSummary, StageCounts};
pub use taxonomy::{Category, Subcategory, Taxonomy};

/// The settings that a folder was begun with.
const RUN_SETTINGS: &str = "forge.resolved.json";

/// What items are planned from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// Unique among the seeds.
    pub id: String,
    /// Words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Or a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<PathBuf>,
    /// The sub-category that items shall be of; any of the taxonomy's where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subcategory: Option<String>,
}

impl Seed {
    /// The seeds of a taxonomy.
    pub fn of(taxonomy: &Taxonomy) -> Vec<Self> {
        let subcategories = taxonomy.subcategories().enumerate();
        let seeds = subcategories.flat_map(|(place, (_, subcategory))| {
            subcategory.seeds.iter().enumerate().map(move |(index, text)| Self {
                id: format!("s{}-{}", place + 1, index + 1),
                text: Some(text.clone()),
                image: None,
                subcategory: Some(subcategory.name.clone()),
            })
        });
        seeds.collect()
    }
}

/// What an exact judge knows of a dialogue; the flag says that its pictures are blackened.
pub type Truth = fn(&[Message], bool) -> Option<Value>;

/// Everything that items are made with.
pub struct Forge<'a> {
    /// How items are made.
    pub config: &'a ForgeConfig,
    /// How they are labelled.
    pub labels: &'a LabelConfig,
    /// The kinds of harm.
    pub taxonomy: &'a Taxonomy,
    /// What items are planned from.
    pub seeds: &'a [Seed],
    /// Pictures to choose from instead of painting any; empty to paint.
    pub pictures: &'a [PathBuf],
    /// Photographs to choose from for the split `real`; empty to paint them.
    pub photographs: &'a [PathBuf],
    /// Plans items, words them, thinks of twins.
    pub writer: &'a dyn ChatModel,
    /// Paints.
    pub painter: &'a dyn PaintModel,
    /// Looks at pictures, classifies items, judges replies.
    pub judge: &'a dyn ChatModel,
    /// Writes labels.
    pub labeller: &'a dyn ChatModel,
    /// The model that the items are for; its replies are kept beside them.
    pub policy: Option<&'a dyn ChatModel>,
    /// Tells what is true of an item, where someone knows.
    pub truth: Option<Truth>,
    /// What people decided about the items of this run; empty where nobody has.
    pub reviews: &'a Reviews,
    /// The run's folder.
    pub folder: &'a Path,
}

/// Why forging stopped. What is done is kept.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// A model stopped early: on request, for its budget, or because it cannot be used.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The folder cannot be gone on with.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The operating system said no; the message names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A stage rejected everything.
    #[error("stage {stage}: none of {entered} drafts was kept; the most frequent reason: {reason}")]
    NothingKept {
        /// The stage.
        stage: String,
        /// How many entered it.
        entered: usize,
        /// Why most were rejected.
        reason: String,
    },
    /// Everything is there but what a setting needs.
    #[error("{0}")]
    Missing(String),
}

impl Diagnostic for ForgeError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Chat(error) => error.diagnosis(),
            Self::Data(error) => error.diagnosis(),
            Self::Run(error) => error.diagnosis(),
            Self::Io(error) => error.diagnosis(),
            Self::NothingKept { .. } => Kind::Data.hint("rejected.jsonl lists every draft with its reason"),
            Self::Missing(_) => Kind::Settings.into(),
        }
    }
}

/// Makes items. A folder that was begun with the same settings is gone on with; a finished one costs nothing.
///
/// Errors: [`ForgeError`]; what is done is kept, and the same call goes on.
pub fn run(forge: &Forge, progress: &mut dyn Progress) -> Result<ForgeSummary, ForgeError> {
    keep_settings(&forge.folder.join(RUN_SETTINGS), &forge.resolved())?;
    forge.check()?;
    let mut ledger = Ledger::default();
    let mut drafts = Vec::new();
    for name in stage::STAGES {
        if progress.interrupted() {
            return Err(ChatError::Interrupted.into());
        }
        let entered = stage::run(forge.folder, name, || forge.work(name, drafts, progress))?;
        drafts = ledger.settle(forge.folder, name, entered)?;
    }
    if !forge.reviews.is_empty() {
        drafts = ledger.settle(forge.folder, review::STAGE, review::drop(forge.reviews, drafts)?)?;
    }
    output::write(forge, &drafts)?;
    let summary = ForgeSummary::new(forge.taxonomy, ledger.counts, &drafts);
    write_lines(&forge.folder.join("summary.json"), [&summary])?;
    Ok(summary)
}

/// What became of drafts, stage by stage.
#[derive(Default)]
struct Ledger {
    counts: Vec<StageCounts>,
    rejected: Vec<Draft>,
}

impl Ledger {
    /// Writes down what a stage rejected; returns what goes on.
    ///
    /// Errors: `Run` naming the file; `NothingKept`.
    fn settle(&mut self, folder: &Path, name: &str, entered: Vec<Draft>) -> Result<Vec<Draft>, ForgeError> {
        let kept = stage::kept(&entered);
        let counts = StageCounts::of(name, &entered);
        self.rejected
            .extend(entered.into_iter().filter(|draft| !draft.is_kept()));
        write_lines(&folder.join("rejected.jsonl"), &self.rejected)?;
        if kept.is_empty() {
            return Err(ForgeError::NothingKept {
                stage: name.to_owned(),
                entered: counts.entered,
                reason: counts.most_frequent_reason(),
            });
        }
        self.counts.push(counts);
        Ok(kept)
    }
}

impl Forge<'_> {
    /// One stage: the drafts that go in, what becomes of each out.
    fn work(&self, name: &str, drafts: Vec<Draft>, progress: &mut dyn Progress) -> Result<Vec<Draft>, ForgeError> {
        match name {
            "elements" => elements::plan(self, progress),
            "instructions" => wording::instruct(self, drafts, progress),
            "queries" => wording::detoxify(self, drafts, progress),
            "twins" => twins::benign(self, drafts, progress),
            "pictures" => illustrate::illustrate(self, drafts, progress),
            "classes" => classes::classify(self, drafts, progress),
            "unique" => Ok(duplicates::drop(self, drafts)),
            "balanced" => Ok(balance::balance(self, drafts)),
            "splits" => splits::complete(self, drafts, progress),
            _ => labels::label(self, drafts, progress),
        }
    }

    /// What must stay the same for a folder to be gone on with.
    fn resolved(&self) -> Value {
        json!({
            "forge": self.config,
            "labels": self.labels,
            "taxonomy": self.taxonomy,
            "seeds": self.seeds,
            "pictures": self.pictures,
            "photographs": self.photographs,
            "writer": self.writer.name(),
            "painter": self.painter.name(),
            "judge": self.judge.name(),
            "labeller": self.labeller.name(),
            "policy": self.policy.map(ChatModel::name),
        })
    }

    fn check(&self) -> Result<(), ForgeError> {
        let needs_policy = [
            (self.config.keep_only_unsafe, "forge.keep_only_unsafe"),
            (
                self.labels.method == LabelMethod::Reflection,
                "labels.method = \"reflection\"",
            ),
        ];
        if let Some((_, setting)) = needs_policy.iter().find(|(needs, _)| *needs && self.policy.is_none()) {
            return Err(ForgeError::Missing(format!(
                "{setting} needs a role `policy`, got none\n  hint: add a table [role.policy]"
            )));
        }
        if self.seeds.is_empty() {
            return Err(ForgeError::Missing(
                "no seeds: expected some in the taxonomy, in `data.seeds` or in `data.images`".to_owned(),
            ));
        }
        Ok(())
    }
}
