//! From a request's body to what the model takes. What is cheap comes first: a request that cannot be served costs no
//! vision pass. Done beside the model's thread.

use std::sync::Arc;

use burn::tensor::Tensor;
use vlm::error::Error;
use vlm::generate::{Adjustments, ContinuousBatch, GenerateOptions};
use vlm::image_processor::ImagePatches;
use vlm::model::Vlm;
use vlm::processor::Processor;

use super::error::ApiError;
use super::grammar::{Grammar, Grammars};
use super::media::Limits;
use super::metrics::Metrics;
use super::pictures::{Place, Shown, Studio, WAITING_BYTES, WaitingRoom};
use super::pools::{self, Pools};
use super::request::ChatRequest;
use super::room::Room;

/// A request that can be served: its prompt and completions fit.
pub struct Checked {
    /// What was asked.
    pub request: ChatRequest,
    /// Token ids, image placeholders expanded.
    pub input_ids: Vec<u32>,
    /// The pictures' grids.
    pub grids: Vec<[usize; 3]>,
    /// How to sample.
    pub options: GenerateOptions,
    /// What is asked of the draws beyond that.
    pub adjustments: Adjustments,
    /// What an answer may say.
    pub grammar: Option<Grammar>,
    pictures: Vec<Shown>,
}

/// Its pictures' rows, `[m, d]`, and the place that they take until the model has them.
#[derive(Default)]
pub struct Encoded {
    /// None for a prompt without pictures.
    pub rows: Option<Tensor<2>>,
    /// Given up with the rows.
    _place: Option<Place>,
}

/// What it takes to prepare requests.
pub struct Preparer {
    model: Vlm,
    processor: Processor,
    grammars: Grammars,
    token_bytes: Vec<Vec<u8>>,
    limits: Limits,
    room: Room,
    max_sequences: usize,
    studio: Studio,
    waiting: WaitingRoom,
    pools: Pools,
    // Where pictures are encoded, if not where all else is done.
    encoders: Option<Pools>,
}

impl Preparer {
    /// Lays the vocabulary out for grammars. `model` only encodes pictures.
    ///
    /// Errors: when a vocabulary cannot be laid out or the system gives no threads.
    pub fn new(
        (model, processor): (Vlm, Processor),
        limits: Limits,
        room: Room,
        max_sequences: usize,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let token_bytes = processor.tokenizer().token_bytes();
        let text = &model.config().text;
        let n_preparers = pools::n_cores();
        let n_threads = pools::n_threads(text.hidden_size);
        // A wide tower has all cores for one picture, so that whoever comes first is answered first.
        let encoders = (n_threads > 1).then(|| Pools::new(1, n_threads)).transpose()?;
        Ok(Self {
            grammars: Grammars::new(processor.tokenizer(), &token_bytes, text.vocab_size)?,
            studio: Studio::new(model.clone(), metrics),
            waiting: WaitingRoom::new(WAITING_BYTES, n_preparers),
            pools: Pools::new(n_preparers, 1)?,
            encoders,
            token_bytes,
            model,
            processor,
            limits,
            room,
            max_sequences,
        })
    }

    /// The model's processor.
    pub fn processor(&self) -> &Processor {
        &self.processor
    }

    /// The bytes that a token stands for.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.token_bytes.get(id as usize).map_or(&[], Vec::as_slice)
    }

    /// Tokens that a prompt and its completion may have together.
    pub fn max_model_len(&self) -> usize {
        self.room.max_model_len()
    }

    /// Reads a request.
    ///
    /// Errors: as [`ChatRequest::read`].
    pub async fn read(self: &Arc<Self>, body: Vec<u8>) -> Result<ChatRequest, ApiError> {
        let this = self.clone();
        let read = move || ChatRequest::read(&body, &this.limits, this.max_sequences);
        self.pools.run(read).await
    }

    /// Makes a request ready for the model.
    ///
    /// Errors: 400 or 413 naming the field at fault.
    pub async fn prepare(self: &Arc<Self>, request: ChatRequest) -> Result<(Checked, Encoded), ApiError> {
        let has_pictures = !request.dialogue.images.is_empty();
        let turn = if has_pictures { self.waiting.turn().await } else { None };
        let this = self.clone();
        let checked = self.pools.run(move || this.check(request)).await?;
        if !has_pictures {
            return Ok((checked, Encoded::default()));
        }
        let place = self.waiting.place(self.studio.n_bytes(&checked.pictures)).await;
        drop(turn);
        let this = self.clone();
        let encode = move || {
            let rows = this.studio.encode(&checked.pictures);
            let rows = rows.map_err(|error| ApiError::field("messages", error))?;
            Ok((checked, Encoded { rows, _place: place }))
        };
        self.encoders.as_ref().unwrap_or(&self.pools).run(encode).await
    }

    fn check(&self, request: ChatRequest) -> Result<Checked, ApiError> {
        request.sampling.check_tokens(self.model.config().text.vocab_size)?;
        let grammar = self.grammars.compile(&request.format, request.format_field)?;
        let pictures = request.dialogue.images.iter().map(|(place, source)| {
            let bytes = source.bytes(place, &self.limits)?;
            let (pictures, most_pixels) = (self.processor.pictures(), self.limits.image_pixels);
            let shown = self.studio.decode(&bytes, pictures, most_pixels);
            shown.map_err(|error| ApiError::field(place, error))
        });
        let pictures: Vec<Shown> = pictures.collect::<Result<_, _>>()?;
        let patches: Vec<Arc<ImagePatches>> = pictures.iter().map(|picture| picture.patches.clone()).collect();
        let encoded = self
            .processor
            .encode_with(&request.dialogue.messages, &patches, &request.template_variables, true)
            .map_err(unusable)?;
        let options = self.options(&request, encoded.input_ids.len())?;
        Ok(Checked {
            input_ids: encoded.input_ids,
            grids: encoded.image_grids,
            options,
            adjustments: request.sampling.adjustments.clone(),
            grammar,
            pictures,
            request,
        })
    }

    fn options(&self, request: &ChatRequest, n_tokens: usize) -> Result<GenerateOptions, ApiError> {
        let sampling = &request.sampling;
        let end_tokens = self.processor.tokenizer().stop_tokens();
        let end_tokens = end_tokens.iter().filter(|_| !sampling.ignore_eos);
        let options = GenerateOptions {
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            max_new_tokens: self.room.completion(n_tokens, request.n, request.max_tokens)?,
            // Tokens that the client names end an answer even where the model's own do not.
            stop_tokens: end_tokens.chain(&sampling.stop_tokens).copied().collect(),
            banned_tokens: self.processor.banned_tokens(),
            ..GenerateOptions::default()
        };
        let refused = |error| ApiError::field("messages", error);
        ContinuousBatch::check(&self.model, n_tokens, &options).map_err(refused)?;
        Ok(options)
    }
}

/// The refusal of what no prompt can be made of.
fn unusable(error: Error) -> ApiError {
    match error {
        Error::Variable { name, problem } => ApiError::field(&format!("chat_template_kwargs.{name}"), problem),
        error => ApiError::field("messages", error),
    }
}
