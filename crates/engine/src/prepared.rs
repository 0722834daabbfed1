//! Dialogues as the model takes them: token ids, image grids, and where the reply begins.

use align::engine::{EngineError, Reply, Sequence};
use align::types::{ImageOptions, Message, shown_images};
use vlm::batch::TokenSequence;
use vlm::image_processor::{ImageFile, ImageSize};
use vlm::processor::Processor;

use crate::errors::{engine_error, item_error};

/// One dialogue, ready for the model.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// All tokens, image placeholders expanded.
    pub ids: Vec<u32>,
    /// Where the reply begins; the length of `ids` where there is none.
    pub prompt_length: usize,
    /// The images' grids, in patches.
    pub grids: Vec<[usize; 3]>,
    /// The images' files.
    pub images: Vec<ImageFile>,
}

impl Prepared {
    /// A dialogue that awaits the assistant's reply.
    pub fn prompt(processor: &Processor, messages: &[Message]) -> Result<Self, EngineError> {
        let shown = shown_images(messages);
        let images: Vec<ImageFile> =
            shown.map(|(path, options)| ImageFile { path: path.into(), size: size_of(options) }).collect();
        let patches = processor.images(&images).map_err(engine_error)?;
        let encoded = processor.encode(&messages, &patches, true).map_err(engine_error)?;
        let prompt_length = encoded.input_ids.len();
        Ok(Self { ids: encoded.input_ids, prompt_length, grids: encoded.image_grids, images })
    }

    /// A dialogue with its reply; errors name its item.
    pub fn sequence(processor: &Processor, sequence: &Sequence) -> Result<Self, EngineError> {
        Self::dialogue(processor, sequence).map_err(|error| item_error(&sequence.id, error))
    }

    /// As [`Self::sequence`]; errors name no item.
    pub fn dialogue(processor: &Processor, sequence: &Sequence) -> Result<Self, EngineError> {
        let mut prepared = Self::prompt(processor, &sequence.messages)?;
        match &sequence.reply {
            Reply::Text(text) => prepared.ids.extend(processor.encode_reply(text).map_err(engine_error)?),
            Reply::Tokens(ids) => prepared.ids.extend(ids),
        }
        Ok(prepared)
    }

    /// Refuses a sequence longer than `max_length` tokens: nothing is truncated, least of all inside an image.
    pub fn check_length(&self, max_length: usize, image_token: u32) -> Result<(), EngineError> {
        let n_tokens = self.ids.len();
        if n_tokens <= max_length {
            return Ok(());
        }
        let image_tokens = self.ids.iter().filter(|id| **id == image_token).count();
        Err(EngineError::Data(format!(
            "expected at most {max_length} tokens, got {n_tokens}, of which {image_tokens} are of images"
        )))
    }

    /// The reply's tokens.
    pub fn reply(&self) -> &[u32] {
        &self.ids[self.prompt_length..]
    }

    /// The tokens in the form that the model's batches take.
    pub fn tokens(&self) -> TokenSequence<'_> {
        TokenSequence { ids: &self.ids, grids: &self.grids }
    }
}

/// The size that a dialogue gives an image. What else it says of it is for servers.
fn size_of(options: ImageOptions) -> ImageSize {
    let ImageOptions { min_pixels, max_pixels, resized_height, resized_width, detail: _ } = options;
    ImageSize { min_pixels, max_pixels, resized_height, resized_width }
}
