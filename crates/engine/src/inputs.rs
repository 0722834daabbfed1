//! Dialogues as the model takes them: token ids, picture grids, and where the reply begins.

use std::path::PathBuf;

use align::engine::{EngineError, Reply, Sequence};
use align::types::{Message, image_paths};
use vlm::batch::TokenSequence;
use vlm::processor::Processor;

use crate::{engine_error, of_item};

/// One dialogue, ready for the model.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// All tokens, image placeholders expanded.
    pub ids: Vec<u32>,
    /// Where the reply begins; the length of `ids` where there is none.
    pub prompt_length: usize,
    /// The pictures' grids, in patches.
    pub grids: Vec<[usize; 3]>,
    /// The pictures' files.
    pub images: Vec<PathBuf>,
}

impl Prepared {
    /// A dialogue that awaits the assistant's reply.
    pub fn prompt(processor: &Processor, messages: &[Message]) -> Result<Self, EngineError> {
        let images: Vec<PathBuf> = image_paths(messages).map(PathBuf::from).collect();
        let paths: Vec<&std::path::Path> = images.iter().map(PathBuf::as_path).collect();
        let patches = processor.images(&paths).map_err(engine_error)?;
        let encoded = processor.encode(&messages, &patches, true).map_err(engine_error)?;
        let prompt_length = encoded.input_ids.len();
        Ok(Self {
            ids: encoded.input_ids,
            prompt_length,
            grids: encoded.image_grids,
            images,
        })
    }

    /// A dialogue with its reply.
    pub fn sequence(processor: &Processor, sequence: &Sequence) -> Result<Self, EngineError> {
        let named = |error| of_item(&sequence.id, error);
        let mut prepared = Self::prompt(processor, &sequence.messages).map_err(named)?;
        match &sequence.reply {
            Reply::Text(text) => {
                let ids = processor.encode_reply(text).map_err(engine_error).map_err(named)?;
                prepared.ids.extend(ids);
            }
            Reply::Tokens(ids) => prepared.ids.extend(ids),
        }
        Ok(prepared)
    }

    /// The reply's tokens.
    pub fn reply(&self) -> &[u32] {
        &self.ids[self.prompt_length..]
    }

    /// As the model's batches take it.
    pub fn tokens(&self) -> TokenSequence<'_> {
        TokenSequence {
            ids: &self.ids,
            grids: &self.grids,
        }
    }
}
