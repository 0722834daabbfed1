//! What a benchmark's figures were made with.

use std::path::Path;

use align::chat::ChatParams;
use align::run_dir::ContentHash;
use align::types::{Item, Message, Part};
use benchmarks::Suite;
use serde_json::{Value, json};
use vlm::image_processor::ImageLimits;
use vlm::processor::Processor;

use crate::config::required;
use crate::config::tables::{EvalSettings, ModelTable};
use crate::errors::{Failure, Result};
use crate::hub::{self, Kind};
use crate::roles::deciding;

/// What the folder of a model on this machine says of how prompts are shown.
pub struct OwnModel {
    /// Its limits of images: those that its family knows.
    pub limits: ImageLimits,
    chat_template: String,
}

impl OwnModel {
    /// Reads the model's folder.
    ///
    /// Errors: of model where it is not what it should be.
    pub fn open(table: &ModelTable) -> Result<Self> {
        let folder = hub::folder(required(table.path.as_ref(), "model.path")?, Kind::Model)?;
        crate::model::check_folder(&folder, vlm::config::CONFIG_FILE, "model")?;
        let processor = Processor::open(&folder).map_err(|error| Failure::model(error.to_string()))?;
        let limits = processor.image_processor().limits();
        Ok(Self { limits, chat_template: processor.chat_template().to_owned() })
    }

    /// The limits that images of an evaluation are within.
    pub fn resolved(&self, table: &ModelTable) -> ImageLimits {
        ImageLimits {
            min_pixels: table.min_pixels.or(self.limits.min_pixels),
            max_pixels: table.max_pixels.or(self.limits.max_pixels),
            max_dynamic_patch: table.max_dynamic_patch.or(self.limits.max_dynamic_patch),
            alpha: table.alpha,
        }
    }
}

/// What the figures of a benchmark are made with.
pub struct Made<'a> {
    /// The benchmark.
    pub suite: &'a Suite,
    /// How the model answers.
    pub params: &'a ChatParams,
    /// The model with its limits of images, where it is on this machine.
    pub table: &'a ModelTable,
    /// What its folder says; none behind an endpoint.
    pub own: Option<&'a OwnModel>,
    /// The command's settings.
    pub settings: &'a EvalSettings,
}

impl Made<'_> {
    /// Versions, hashes and settings. `kept` are those that a resumed run is held to.
    ///
    /// Errors: of data where the benchmark is not there, or an image cannot be looked at.
    pub fn record(&self, kept: &Value, items: &[Item]) -> Result<Value> {
        // Items may be of a file of results alone.
        let found = self.settings.data.path.as_ref().map(|data| self.suite.folder(data)).transpose()?;
        let (folder, layout) = found.unzip();
        let limits = self.own.map(|own| own.resolved(self.table));
        let limits = limits.map(|limits| limits.given().map(|(name, limit)| (name.to_owned(), json!(limit))).collect());
        let judge = &self.settings.judge;
        // How responses that were made elsewhere were sampled is not known.
        let params = self.settings.data.responses.is_none().then_some(self.params);
        Ok(json!({
            "scruple": env!("CARGO_PKG_VERSION"),
            "data": { "layout": layout, "items": items.len(), "sha256": content(folder.as_deref(), items)? },
            "engine": self.engine(),
            "dtype": self.own.map(|_| self.settings.model.dtype),
            "image_limits": limits.map(Value::Object),
            "chat_template_sha256": self.own.map(|own| hash_of(&own.chat_template)).transpose()?,
            "roles": deciding(&self.settings.role),
            "judge": judge,
            "seeds": { "eval": params.map(|params| params.seed), "judge": judge.seed },
            "params": params,
            "settings": kept,
        }))
    }
}

impl Made<'_> {
    fn engine(&self) -> &'static str {
        match (&self.settings.data.responses, self.own) {
            (Some(_), _) => "made elsewhere",
            (None, Some(_)) => "scruple",
            (None, None) => "endpoint",
        }
    }
}

fn hash_of(text: &str) -> Result<String> {
    let mut hash = ContentHash::default();
    hash.add(&text)?;
    Ok(hash.finish())
}

/// A hash of the items and their images' names and lengths, wherever the benchmark lies.
fn content(folder: Option<&Path>, items: &[Item]) -> Result<String> {
    let mut hash = ContentHash::default();
    for item in items {
        hash.add(&(&item.id, &item.split, &item.kind, &item.category, &item.truth))?;
        for Message { role, content } in &item.messages {
            hash.add(role)?;
            for part in content {
                match part {
                    Part::Text { text } => hash.add(text)?,
                    Part::Image { image, options } => {
                        // Of results alone, images need not be there.
                        let length = fs_err::metadata(image).ok().map(|metadata| metadata.len());
                        let name = folder
                            .and_then(|folder| image.strip_prefix(folder).ok())
                            .or(image.file_name().map(Path::new));
                        hash.add(&(name, length, options))?;
                    }
                }
            }
        }
    }
    Ok(hash.finish())
}
