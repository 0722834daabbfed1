//! A dialogue with images as the model's input: token ids, with as many image tokens as each image's patches make, and
//! the images' grids.

mod special_tokens;

use std::borrow::Borrow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde::Serialize;

use crate::cache::Cache;
use crate::chat_template::{ChatTemplate, Variables};
use crate::companions::copy_companions;
use crate::config::Config;
use crate::error::Error;
use crate::image_processor::{ImageFile, ImageLimits, ImagePatches, ImageProcessor};
use crate::tokenizer::Tokenizer;
use special_tokens::{refuse_in_messages, refuse_in_variables};

/// Opens the assistant's turn in the ChatML layout that all families use.
const ASSISTANT_HEADER: &str = "<|im_start|>assistant\n";

/// Processed images kept in memory, in bytes, unless [`Processor::with_image_cache_bytes`] says otherwise.
const DEFAULT_CACHE_BYTES: usize = 256 << 20;

/// Everything between messages and the model: tokenizer, chat template and image processor of one folder.
#[derive(Debug)]
pub struct Processor {
    folder: PathBuf,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    image_processor: Box<dyn ImageProcessor>,
    image_token: u32,
    around_image: Option<[u32; 2]>,
    video_token: Option<u32>,
    assistant_header: Vec<u32>,
    cache: Cache<ImageFile, ImagePatches>,
}

/// A dialogue as token ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The tokens, `[t]`; each image's placeholder is repeated `t * h * w / merge_size²` times.
    pub input_ids: Vec<u32>,
    /// Patches of each image in time, height and width, in the order of the images.
    pub image_grids: Vec<[usize; 3]>,
}

impl Processor {
    /// Reads the tokenizer, chat template and image settings of a model's folder.
    ///
    /// Errors: `Io` or `File` naming the file, and the key that is missing or wrong.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let config = Config::load(folder)?;
        let parts = (config.family.processor_parts)(folder, &config.fields()?)?;
        let mut tokenizer = Tokenizer::open(folder)?;
        if let Some(end_token) = parts.end_token {
            tokenizer.close_turns_with(end_token)?;
        }
        let around_image = match parts.around_image {
            Some([before, after]) => Some([token_id(&tokenizer, before)?, token_id(&tokenizer, after)?]),
            None => None,
        };
        Ok(Self {
            folder: folder.to_owned(),
            around_image,
            template: parts.template,
            image_processor: parts.image_processor,
            image_token: image_token(&config, &tokenizer, parts.image_token)?,
            video_token: parts.video_token.and_then(|token| tokenizer.token_id(token)),
            assistant_header: tokenizer.encode(ASSISTANT_HEADER)?,
            tokenizer,
            cache: image_cache(DEFAULT_CACHE_BYTES),
        })
    }

    /// The same processor with another limit for the images it keeps, in bytes; zero keeps none.
    #[must_use]
    pub fn with_image_cache_bytes(self, byte_limit: usize) -> Self {
        Self { cache: image_cache(byte_limit), ..self }
    }

    /// The same processor with other limits to the size of images.
    ///
    /// Errors: as [`ImageProcessor::within`].
    pub fn within(self, limits: &ImageLimits) -> Result<Self, Error> {
        if *limits == ImageLimits::default() {
            return Ok(self);
        }
        Ok(Self {
            image_processor: self.image_processor.within(limits)?,
            cache: image_cache(self.cache.byte_limit()),
            ..self
        })
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The chat template's text.
    pub fn chat_template(&self) -> &str {
        self.template.source()
    }

    /// Turns images into patches.
    pub fn image_processor(&self) -> &dyn ImageProcessor {
        &*self.image_processor
    }

    /// The placeholder of one merged patch of an image.
    pub fn image_token(&self) -> u32 {
        self.image_token
    }

    /// Tokens that a reply must not contain: the placeholders of images and videos.
    pub fn banned_tokens(&self) -> Vec<u32> {
        [Some(self.image_token), self.video_token].into_iter().flatten().collect()
    }

    /// An image's patches. Each file is decoded once at each size and kept while the cache has space; later changes of
    /// the file have no effect.
    ///
    /// Errors: `Image` naming the file.
    pub fn image(&self, file: &ImageFile) -> Result<Arc<ImagePatches>, Error> {
        self.cache.get_or_insert(file, || self.image_processor.process_file(file))
    }

    /// Many images' patches in order, decoded on all cores.
    ///
    /// Errors: as [`Self::image`], for the first file with a problem.
    pub fn images<F: Borrow<ImageFile> + Sync>(&self, files: &[F]) -> Result<Vec<Arc<ImagePatches>>, Error> {
        let outcomes: Vec<_> = files.par_iter().map(|file| self.image(file.borrow())).collect();
        outcomes.into_iter().collect()
    }

    /// Renders messages in OpenAI's layout, tokenizes them and expands the image placeholders; then opens the
    /// assistant's turn if `add_generation_prompt` says so.
    ///
    /// Errors: `Input` naming the message that contains a special token, the template's reason for refusing, or the
    /// number of placeholders and images where they differ.
    pub fn encode(
        &self,
        messages: &(impl Serialize + ?Sized),
        images: &[Arc<ImagePatches>],
        add_generation_prompt: bool,
    ) -> Result<Encoded, Error> {
        self.encode_with(messages, images, &Variables::new(), add_generation_prompt)
    }

    /// As [`Self::encode`], with variables for the template.
    ///
    /// Errors: as [`Self::encode`]; `Variable` naming the one that contains a special token.
    pub fn encode_with(
        &self,
        messages: &(impl Serialize + ?Sized),
        images: &[Arc<ImagePatches>],
        variables: &Variables,
        add_generation_prompt: bool,
    ) -> Result<Encoded, Error> {
        let messages = serde_json::to_value(messages)
            .map_err(|error| Error::Input(format!("messages: expected what JSON can hold: {error}")))?;
        refuse_in_messages(&self.tokenizer, &messages)?;
        refuse_in_variables(&self.tokenizer, variables)?;
        let text = self.template.render(&messages, variables, add_generation_prompt)?;
        let ids = self.tokenizer.encode_dialogue(&text)?;
        self.check_placeholders(&ids, images.len())?;
        let image_grids = images.iter().map(|image| image.grid()).collect();
        Ok(Encoded { input_ids: self.expand_placeholders(&ids, images), image_grids })
    }

    /// A reply's token ids, the end token included.
    ///
    /// Errors: `Input` if it contains a special token.
    pub fn encode_reply(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.tokenizer.refuse_special_tokens(text, "the reply")?;
        let mut ids = self.tokenizer.encode(text)?;
        ids.push(self.tokenizer.end_token);
        Ok(ids)
    }

    /// Which tokens of a dialogue are the assistant's, end tokens included: those that training on every turn counts.
    pub fn assistant_mask(&self, input_ids: &[u32]) -> Vec<bool> {
        let mut mask = vec![false; input_ids.len()];
        let mut position = 0;
        while position < input_ids.len() {
            if !input_ids[position..].starts_with(&self.assistant_header) {
                position += 1;
                continue;
            }
            position += self.assistant_header.len();
            let turn = &input_ids[position..];
            let end = turn.iter().position(|&id| id == self.tokenizer.end_token);
            let length = end.map_or(turn.len(), |end| end + 1);
            mask[position..position + length].fill(true);
            position += length;
        }
        mask
    }

    /// Copies all files beside the weights and `config.json` to another folder, byte for byte: what [`Self::open`]
    /// read, and what others need to load the model (see [`crate::companions`]).
    ///
    /// Errors: `Io` naming the file; `File` for settings that are not JSON any more.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        copy_companions(&self.folder, folder)
    }

    fn check_placeholders(&self, ids: &[u32], n_images: usize) -> Result<(), Error> {
        if ids.iter().any(|&id| Some(id) == self.video_token) {
            return Err(Error::Input("messages: expected text and images, got a video".into()));
        }
        let n_placeholders = ids.iter().filter(|&&id| id == self.image_token).count();
        if n_placeholders == n_images {
            return Ok(());
        }
        Err(Error::Input(format!(
            "messages: expected {n_placeholders} image(s), as many as the rendered prompt has placeholders, got {n_images}"
        )))
    }

    /// Repeats each placeholder as often as its image has tokens.
    fn expand_placeholders(&self, ids: &[u32], images: &[Arc<ImagePatches>]) -> Vec<u32> {
        let mut images = images.iter().peekable();
        let mut expanded = Vec::with_capacity(ids.len());
        for &id in ids {
            let Some(image) = images.next_if(|_| id == self.image_token) else {
                expanded.push(id);
                continue;
            };
            expanded.extend(self.around_image.map(|[before, _]| before));
            expanded.extend(std::iter::repeat_n(id, image.n_tokens()));
            expanded.extend(self.around_image.map(|[_, after]| after));
        }
        expanded
    }
}

fn image_cache(byte_limit: usize) -> Cache<ImageFile, ImagePatches> {
    Cache::new(byte_limit, ImagePatches::n_bytes)
}

/// The image token's id, with which `config.json` must agree if it has one.
fn image_token(config: &Config, tokenizer: &Tokenizer, image_token: &str) -> Result<u32, Error> {
    let id = token_id(tokenizer, image_token)?;
    let fields = config.fields()?;
    match fields.stated("image_token_id") {
        Some(configured) if configured.as_u64() != Some(id.into()) => Err(Error::file(
            fields.path(),
            format!("key `image_token_id`: expected {id}, the tokenizer's `{image_token}`, got {configured}"),
        )),
        _ => Ok(id),
    }
}

fn token_id(tokenizer: &Tokenizer, token: &str) -> Result<u32, Error> {
    tokenizer.token_id(token).ok_or_else(|| {
        Error::file(&tokenizer.file, format!("expected the token `{token}` in the vocabulary, got none"))
    })
}
