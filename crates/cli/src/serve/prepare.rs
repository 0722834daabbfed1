//! From a request's body to what the model takes: pictures decoded and encoded, the dialogue tokenized, the grammar
//! compiled. Done beside the model's thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{Tensor, TensorData};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use vlm::cache::Cache;
use vlm::generate::{ContinuousBatch, GenerateOptions};
use vlm::image_processor::ImagePatches;
use vlm::model::Vlm;
use vlm::processor::Processor;

use super::error::ApiError;
use super::grammar::{Grammar, Grammars};
use super::media::Limits;
use super::request::ChatRequest;

/// Memory for encoded pictures that are kept.
const PICTURE_CACHE_BYTES: usize = 256 << 20;

/// A request, ready for the model.
pub struct Prepared {
    /// What was asked.
    pub request: ChatRequest,
    /// Token ids, image placeholders expanded.
    pub input_ids: Vec<u32>,
    /// The pictures' grids.
    pub grids: Vec<[usize; 3]>,
    /// The pictures' rows, `[m, d]`.
    pub images: Option<Tensor<2>>,
    /// How to sample.
    pub options: GenerateOptions,
    /// What an answer may say.
    pub grammar: Option<Grammar>,
}

/// What it takes to prepare requests.
pub struct Preparer {
    model: Vlm,
    processor: Processor,
    grammars: Grammars,
    token_bytes: Vec<Vec<u8>>,
    limits: Limits,
    max_sequences: usize,
    // By the hash of their files' bytes.
    pictures: Cache<[u8; 32], Picture>,
}

/// A picture as it was last met.
struct Picture {
    patches: Arc<ImagePatches>,
    // `[m, d]`.
    rows: Tensor<2>,
}

impl Picture {
    fn n_bytes(&self) -> usize {
        self.patches.n_bytes() + self.rows.dims().iter().product::<usize>() * size_of::<f32>()
    }
}

impl Preparer {
    /// Lays the vocabulary out for grammars. `model` only encodes pictures.
    ///
    /// Errors: when a vocabulary cannot be laid out.
    pub fn new(model: Vlm, processor: Processor, limits: Limits, max_sequences: usize) -> anyhow::Result<Self> {
        let token_bytes = processor.tokenizer().token_bytes();
        let n_scores = model.config().text.vocab_size;
        Ok(Self {
            grammars: Grammars::new(processor.tokenizer(), &token_bytes, n_scores)?,
            token_bytes,
            model,
            processor,
            limits,
            max_sequences,
            pictures: Cache::new(PICTURE_CACHE_BYTES, Picture::n_bytes),
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
        self.model.config().text.max_position_embeddings
    }

    /// Reads a request and prepares it.
    ///
    /// Errors: 400 or 413 naming the field at fault.
    pub fn prepare(&self, body: &[u8]) -> Result<Prepared, ApiError> {
        let request = ChatRequest::read(body, &self.limits, self.max_sequences)?;
        let grammar = self.grammars.compile(&request.format, request.format_field)?;
        let pictures = request.dialogue.images.iter().map(|(place, source)| {
            let bytes = source.bytes(place, &self.limits)?;
            self.picture(&bytes, place)
        });
        let pictures = pictures.collect::<Result<Vec<_>, _>>()?;
        let patches: Vec<Arc<ImagePatches>> = pictures.iter().map(|picture| picture.patches.clone()).collect();
        let encoded = self
            .processor
            .encode(&request.dialogue.messages, &patches, true)
            .map_err(|error| ApiError::field("messages", error))?;
        let rows: Vec<Tensor<2>> = pictures.iter().map(|picture| picture.rows.clone()).collect();
        let options = self.options(&request, encoded.input_ids.len())?;
        Ok(Prepared {
            request,
            input_ids: encoded.input_ids,
            grids: encoded.image_grids,
            images: (!rows.is_empty()).then(|| Tensor::cat(rows, 0)),
            options,
            grammar,
        })
    }

    fn options(&self, request: &ChatRequest, n_tokens: usize) -> Result<GenerateOptions, ApiError> {
        let room = self.max_model_len().saturating_sub(n_tokens);
        let options = GenerateOptions {
            temperature: request.temperature,
            top_p: request.top_p,
            max_new_tokens: request.max_tokens.unwrap_or(room).max(1),
            stop_tokens: self.processor.tokenizer().stop_tokens().to_vec(),
            ignore_eos: request.ignore_eos,
            banned_tokens: self.processor.banned_tokens(),
            ..GenerateOptions::default()
        };
        ContinuousBatch::check(&self.model, n_tokens, &options).map_err(|error| ApiError {
            code: "context_length_exceeded",
            ..ApiError::field("messages", error)
        })?;
        Ok(options)
    }

    /// A picture decoded and encoded, or as it is kept. Each is encoded alone: sums may be taken in another order in
    /// company.
    fn picture(&self, bytes: &[u8], place: &str) -> Result<Arc<Picture>, ApiError> {
        self.pictures.get_or_insert(&Sha256::digest(bytes).into(), || {
            let refused = |error: vlm::error::Error| ApiError::field(place, error);
            let patches = self.processor.pictures().process_bytes(bytes, self.limits.image_pixels);
            let patches = Arc::new(patches.map_err(refused)?);
            let shape = [patches.n_patches(), patches.row_length()];
            let pixels = TensorData::new(patches.pixel_values(), shape);
            let pixels = Tensor::from_data(pixels, &self.model.device());
            let rows = self.model.encode_images(pixels, &[patches.grid()]).map_err(refused)?;
            Ok(Picture { patches, rows })
        })
    }
}

/// Threads that prepare requests side by side. Each is a pool of its own, so that tensor operations stay on it.
pub struct Pools {
    pools: Vec<rayon::ThreadPool>,
    next: AtomicUsize,
}

impl Pools {
    /// So many threads.
    ///
    /// Errors: when the system gives none.
    pub fn new(n_threads: usize) -> anyhow::Result<Self> {
        let pool = |_| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(1)
                // The request whose work panicked notices that no result comes.
                .panic_handler(|_| {})
                .build()
        };
        Ok(Self {
            pools: (0..n_threads.max(1)).map(pool).collect::<Result<_, _>>()?,
            next: AtomicUsize::new(0),
        })
    }

    /// Does the work on one of the threads, unless the client has gone when its turn comes.
    ///
    /// Errors: the work's; 500 when it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let (result, wait) = oneshot::channel();
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.pools.len();
        self.pools[turn].spawn(move || {
            if !result.is_closed() {
                let _ = result.send(work());
            }
        });
        let no_result = |_| ApiError::internal("a fault of the server's while it prepared the request");
        wait.await.map_err(no_result)?
    }
}
