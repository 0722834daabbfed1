//! Validation of samples: which can be trained, and how many tokens each has, before any weight is loaded.

use std::path::Path;

use align::engine::{EngineError, Sequence};
use align::types::Message;
use vlm::batch::Batch;
use vlm::config::Config;
use vlm::image_processor::ImageLimits;
use vlm::processor::Processor;

use crate::errors::{engine_error, folder_error};
use crate::prepared::Prepared;

/// A model's processor, with images within limits.
///
/// Errors: `Model`, naming the file and key, or the limit.
pub(crate) fn open_processor(model: &Path, limits: &ImageLimits) -> Result<Processor, EngineError> {
    let processor = Processor::open(model).map_err(folder_error)?;
    processor.within(limits).map_err(|error| EngineError::Model(format!("{}: {error}", model.display())))
}

/// Validates samples as training would.
#[derive(Debug)]
pub struct Inspector {
    processor: Processor,
    /// The model's configuration.
    pub config: Config,
    max_length: usize,
}

/// How many tokens one sequence has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleSize {
    /// All its tokens.
    pub tokens: usize,
    /// Those of images.
    pub image_tokens: usize,
    /// Those of the reply.
    pub reply_tokens: usize,
}

impl Inspector {
    /// Reads a model's `config.json`, tokenizer, template and image settings, the latter within `limits`. `max_length`
    /// is in tokens; the model's own limit holds besides.
    ///
    /// Errors: `Model`, naming the file and key, or the limit.
    pub fn open(model: &Path, limits: &ImageLimits, max_length: usize) -> Result<Self, EngineError> {
        let config = Config::load(model).map_err(folder_error)?;
        Ok(Self {
            processor: open_processor(model, limits)?,
            max_length: max_length.min(config.text.max_position_embeddings),
            config,
        })
    }

    /// Counts a sequence's tokens.
    ///
    /// Errors: why it cannot be trained: an image that is missing or corrupt, placeholders and images that disagree in
    /// number, a special token in the text, a reply without a token, too many tokens.
    pub fn measure(&self, sequence: &Sequence) -> Result<SampleSize, EngineError> {
        let prepared = Prepared::dialogue(&self.processor, sequence)?;
        if prepared.reply().is_empty() {
            return Err(EngineError::Data("expected a reply to learn, got no token".to_owned()));
        }
        self.check(&prepared)
    }

    /// Counts a prompt's tokens.
    ///
    /// Errors: as [`Self::measure`].
    pub fn measure_prompt(&self, messages: &[Message]) -> Result<SampleSize, EngineError> {
        self.check(&Prepared::prompt(&self.processor, messages)?)
    }

    fn check(&self, prepared: &Prepared) -> Result<SampleSize, EngineError> {
        let image_token = self.processor.image_token();
        prepared.check_length(self.max_length, image_token)?;
        // A batch checks placeholders, grids and vocabulary.
        Batch::new(&[prepared.tokens()], &self.config).map_err(engine_error)?;
        Ok(SampleSize {
            tokens: prepared.ids.len(),
            image_tokens: prepared.ids.iter().filter(|id| **id == image_token).count(),
            reply_tokens: prepared.reply().len(),
        })
    }
}
