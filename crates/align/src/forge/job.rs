//! Everything that items are made with, and why making them may stop.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use diagnostic::{Diagnosis, Diagnostic, Kind};
use serde_json::{Value, json};

use super::config::{ForgeConfig, LabelConfig, LabelMethod};
use super::draft::Draft;
use super::seed::Seed;
use super::taxonomy::Taxonomy;
use crate::chat::{ChatError, ChatModel};
use crate::decontamination::Decontaminator;
use crate::paint::PaintModel;
use crate::run_dir::RunError;
use crate::seeds::derive_seed;
use crate::types::{DataError, Message};

/// What a stage makes of drafts.
pub(super) type Staged = Result<Vec<Draft>, ForgeError>;

/// What an exact judge knows of a dialogue; the flag says that black images take the place of its own.
pub type Truth = fn(&[Message], bool) -> Option<Value>;

/// By item, for each person who decided whether it is unsafe.
pub type Reviews = BTreeMap<String, Vec<bool>>;

/// Everything that items are made with.
pub struct Forge<'a> {
    /// How items are made.
    pub config: &'a ForgeConfig,
    /// How they are labeled.
    pub labels: &'a LabelConfig,
    /// The kinds of harm.
    pub taxonomy: &'a Taxonomy,
    /// What items are planned from.
    pub seeds: &'a [Seed],
    /// Images to choose from instead of painting any; empty to paint.
    pub image_pool: &'a [PathBuf],
    /// Photographs to choose from for the split `real`; empty to paint them.
    pub photographs: &'a [PathBuf],
    /// Plans items, words them, thinks of twins.
    pub writer: &'a dyn ChatModel,
    /// Paints.
    pub painter: &'a dyn PaintModel,
    /// Looks at images, classifies items, judges replies.
    pub judge: &'a dyn ChatModel,
    /// Writes labels.
    pub annotator: &'a dyn ChatModel,
    /// The model that the items are for; its replies are kept beside them.
    pub policy: Option<&'a dyn ChatModel>,
    /// Tells what is true of an item, where someone knows.
    pub truth: Option<Truth>,
    /// Finds items that are in evaluation sets; none lets all pass.
    pub decontaminator: Option<&'a Decontaminator<'a>>,
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
    /// The folder cannot be resumed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The operating system refused; the message names the file.
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
    /// A setting needs the policy, and there is none.
    #[error("{setting} needs a role `policy`, got none")]
    NoPolicy {
        /// The setting.
        setting: &'static str,
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
            Self::NoPolicy { .. } => Kind::Settings.hint("add a table [role.policy]"),
            Self::Missing(_) => Kind::Settings.into(),
        }
    }
}

impl Forge<'_> {
    /// What must stay the same for a folder to be resumed.
    pub(super) fn resolved(&self) -> Value {
        let mut resolved = json!({
            "forge": self.config,
            "labels": self.labels,
            "taxonomy": self.taxonomy,
            "seeds": self.seeds,
            "image_pool": self.image_pool,
            "photographs": self.photographs,
            "writer": self.writer.name(),
            "painter": self.painter.name(),
            "judge": self.judge.name(),
            "annotator": self.annotator.name(),
            "policy": self.policy.map(ChatModel::name),
        });
        if let Some(decontaminator) = self.decontaminator {
            resolved["decontamination"] = decontaminator.settings();
        }
        resolved
    }

    pub(super) fn check(&self) -> Result<(), ForgeError> {
        let reflects = self.labels.method == LabelMethod::Reflection;
        for (needs_policy, setting) in
            [(self.config.keep_only_unsafe, "forge.keep_only_unsafe"), (reflects, "labels.method = \"reflection\"")]
        {
            if needs_policy && self.policy.is_none() {
                return Err(ForgeError::NoPolicy { setting });
            }
        }
        if self.seeds.is_empty() {
            return Err(ForgeError::Missing(
                "no seeds: expected some in the taxonomy, in `data.seeds` or in `data.seed_images`".to_owned(),
            ));
        }
        Ok(())
    }

    /// A number from 0 to below 1 that follows from the seed and the purpose.
    pub(super) fn random_share(&self, purpose: &str) -> f64 {
        const STEPS: u64 = 1 << 32;
        (derive_seed(self.config.seed, purpose, &[]) % STEPS) as f64 / STEPS as f64
    }
}
