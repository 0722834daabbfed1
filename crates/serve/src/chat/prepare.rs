//! From a request's body to what the model takes. What is cheap comes first: a request that cannot be served costs no
//! vision pass. Done beside the model's thread.

use std::sync::Arc;

use burn::tensor::Tensor;
use vlm::error::Error;
use vlm::generate::{Adjustments, ContinuousBatch, GenerateOptions};
use vlm::image_processor::ImagePatches;
use vlm::model::Vlm;
use vlm::processor::Processor;

use super::api_error::ApiError;
use super::grammar::{Grammar, Grammars};
use super::images::{DecodedImage, ImageEncoder, ImageQueue, Permit, WAITING_BYTES};
use super::kv_budget::KvBudget;
use super::media::Limits;
use super::messages::RequestImage;
use super::metrics::Metrics;
use super::pools::{self, Pools};
use super::request::ChatRequest;
use crate::error::ServeError;

/// A request that can be served: its prompt and completions fit.
pub struct Checked {
    /// The request.
    pub request: ChatRequest,
    /// Token ids, image placeholders expanded.
    pub input_ids: Vec<u32>,
    /// The images' grids.
    pub grids: Vec<[usize; 3]>,
    /// How to sample.
    pub options: GenerateOptions,
    /// What sampling does beyond that.
    pub adjustments: Adjustments,
    /// What an answer may say.
    pub grammar: Option<Grammar>,
    images: Vec<DecodedImage>,
}

/// Its images' rows, `[m, d]`, and the memory reserved for them until the model has them.
#[derive(Default)]
pub struct Encoded {
    /// None for a prompt without images.
    pub rows: Option<Tensor<2>>,
    /// Released with the rows.
    _permit: Option<Permit>,
}

/// What it takes to prepare requests.
pub struct Preparer {
    model: Vlm,
    /// The model's processor.
    pub processor: Processor,
    grammars: Grammars,
    token_bytes: Vec<Vec<u8>>,
    limits: Limits,
    /// How long a prompt with its completions may be.
    pub kv_budget: KvBudget,
    max_sequences: usize,
    image_encoder: ImageEncoder,
    image_queue: ImageQueue,
    pools: Pools,
    // Where images are encoded, if not where all else is done.
    encoders: Option<Pools>,
}

impl Preparer {
    /// Lays the vocabulary out for grammars. `model` only encodes images.
    ///
    /// Errors: `Vocabulary` when it cannot be laid out; `Io` when the system gives no threads.
    pub fn new(
        (model, processor): (Vlm, Processor),
        limits: Limits,
        kv_budget: KvBudget,
        max_sequences: usize,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ServeError> {
        let token_bytes = processor.tokenizer().token_bytes();
        let text = &model.config().text;
        let n_preparers = pools::n_cores();
        let n_threads = pools::n_threads(text.hidden_size);
        // A wide tower has all cores for one image, so that requests are answered in their order.
        let encoders = (n_threads > 1).then(|| Pools::new(1, n_threads)).transpose()?;
        Ok(Self {
            grammars: Grammars::new(processor.tokenizer(), &token_bytes, text.vocab_size)?,
            image_encoder: ImageEncoder::new(model.clone(), metrics),
            image_queue: ImageQueue::new(WAITING_BYTES, n_preparers),
            pools: Pools::new(n_preparers, 1)?,
            encoders,
            token_bytes,
            model,
            processor,
            limits,
            kv_budget,
            max_sequences,
        })
    }

    /// The bytes that a token stands for.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.token_bytes.get(id as usize).map_or(&[], Vec::as_slice)
    }

    /// Reads a request.
    ///
    /// Errors: as [`ChatRequest::read`].
    pub async fn read(self: &Arc<Self>, body: Vec<u8>) -> Result<ChatRequest, ApiError> {
        let this = self.clone();
        self.pools.run(move || ChatRequest::read(&body, &this.limits, this.max_sequences)).await
    }

    /// Makes a request ready for the model.
    ///
    /// Errors: 400 or 413 naming the field that is wrong.
    pub async fn prepare(self: &Arc<Self>, request: ChatRequest) -> Result<(Checked, Encoded), ApiError> {
        let has_images = !request.dialogue.images.is_empty();
        let permit = if has_images { self.image_queue.admit().await } else { None };
        let this = self.clone();
        let checked = self.pools.run(move || this.check(request)).await?;
        if !has_images {
            return Ok((checked, Encoded::default()));
        }
        let n_bytes = self.image_encoder.n_bytes(&checked.images);
        let reserved = self.image_queue.reserve(n_bytes).await;
        drop(permit);
        let this = self.clone();
        let pools = self.encoders.as_ref().unwrap_or(&self.pools);
        pools
            .run(move || match this.image_encoder.encode(&checked.images) {
                Ok(rows) => Ok((checked, Encoded { rows, _permit: reserved })),
                Err(error) => Err(ApiError::field("messages", error)),
            })
            .await
    }

    fn check(&self, request: ChatRequest) -> Result<Checked, ApiError> {
        request.sampling.check_tokens(self.model.config().text.vocab_size)?;
        let grammar = self.grammars.compile(&request.format, request.format_field)?;
        let mut images = Vec::with_capacity(request.dialogue.images.len());
        for RequestImage { field, source, size } in &request.dialogue.images {
            let bytes = source.bytes(field, &self.limits)?;
            let (processor, most) = (self.processor.image_processor(), self.limits.image_pixels);
            let decoded = self.image_encoder.decode(&bytes, size, processor, most);
            images.push(decoded.map_err(|error| ApiError::field(field, error))?);
        }
        let patches: Vec<Arc<ImagePatches>> = images.iter().map(|image| image.patches.clone()).collect();
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
            images,
            request,
        })
    }

    fn options(&self, request: &ChatRequest, n_tokens: usize) -> Result<GenerateOptions, ApiError> {
        let sampling = &request.sampling;
        let end_tokens = &self.processor.tokenizer().stop_tokens;
        let end_tokens = end_tokens.iter().filter(|_| !sampling.ignore_eos);
        let options = GenerateOptions {
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            max_new_tokens: self.kv_budget.completion(n_tokens, request.n, request.max_tokens)?,
            // Tokens that the client names end an answer even where the model's own do not.
            stop_tokens: end_tokens.chain(&sampling.stop_tokens).copied().collect(),
            banned_tokens: self.processor.banned_tokens(),
            ..GenerateOptions::default()
        };
        ContinuousBatch::check(&self.model, n_tokens, &options).map_err(|error| ApiError::field("messages", error))?;
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
