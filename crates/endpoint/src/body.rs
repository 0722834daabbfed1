//! A request as it goes over the wire, and the hash that names it.
//!
//! Images are read and encoded piece by piece while they are sent, so that a thousand calls in flight hold no image
//! whole.

use std::path::{Path, PathBuf};

use align::chat::{ChatParams, ChatRequest};
use align::paint::PaintRequest;
use align::types::{ImageOptions, Part, shown_images};
use bytes::Bytes;
use futures_util::stream;
use reqwest::Body;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::body_error::BodyError;
use crate::budget::{Usage, tokens_of_text};
use crate::estimate::{Estimate, TOKENS_PER_MESSAGE, estimated_tokens, tokens_of_image};
use crate::image_chunks::{ImageChunks, media_type};
use crate::key::{ImageHashes, Key};
use crate::settings::{RoleSettings, StructuredOutput};

/// Tokens that an image is taken to be where nothing is known: those of about a megapixel with most models.
const TOKENS_OF_IMAGE: u64 = 1_500;

/// JSON text with images in it.
#[derive(Clone, Debug)]
pub(crate) struct WireBody {
    pieces: Vec<Piece>,
    /// Parameters that are not sent, but tell requests apart: answers to two seeds are two answers.
    unsent: Map<String, Value>,
    /// About how many tokens its texts are.
    text_tokens: u64,
    model: String,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Image(PathBuf),
}

impl WireBody {
    /// The body of `/v1/chat/completions`.
    ///
    /// Errors: [`BodyError`] of the first image that cannot be sent.
    pub fn chat(request: &ChatRequest, settings: &RoleSettings) -> Result<Self, BodyError> {
        let (options, mut unsent) = without_omitted(options(&request.params, settings), settings);
        if request.params.token_ids {
            unsent.insert("token_ids".to_owned(), json!(true));
        }
        // Neither OpenAI nor vLLM takes the size of one image.
        let sizes: Vec<ImageOptions> = shown_images(&request.messages).map(|(_, options)| options.size()).collect();
        if sizes.iter().any(|size| !size.is_empty()) {
            unsent.insert("image_sizes".to_owned(), json!(sizes));
        }
        let mut body = Self { pieces: Vec::new(), unsent, text_tokens: 0, model: settings.model.clone() };
        body.text("{\"messages\":[");
        for (index, message) in request.messages.iter().enumerate() {
            let role = json!(message.role);
            let comma = if index == 0 { "" } else { "," };
            body.text(&format!("{comma}{{\"role\":{role},\"content\":["));
            body.text_tokens += TOKENS_PER_MESSAGE;
            for (index, part) in message.content.iter().enumerate() {
                body.text(if index == 0 { "" } else { "," });
                body.part(part)?;
            }
            body.text("]}");
        }
        body.text("],");
        let rest = Value::Object(options).to_string();
        body.text(&rest[1..]);
        Ok(body)
    }

    /// The body of `/v1/images/generations`.
    pub fn paint(request: &PaintRequest, settings: &RoleSettings) -> Self {
        let size = request.size;
        let parameters = [
            ("model", json!(settings.model)),
            ("prompt", json!(request.prompt)),
            ("n", json!(1)),
            ("size", json!(format!("{size}x{size}"))),
            ("response_format", json!("b64_json")),
            ("seed", json!(wire_seed(request.seed))),
        ];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value));
        let (parameters, unsent) = without_omitted(parameters.into_iter().collect(), settings);
        Self {
            pieces: vec![Piece::Text(Value::Object(parameters).to_string())],
            unsent,
            text_tokens: estimated_tokens(&request.prompt),
            model: settings.model.clone(),
        }
    }

    fn part(&mut self, part: &Part) -> Result<(), BodyError> {
        match part {
            Part::Text { text } => {
                self.text_tokens += estimated_tokens(text);
                self.text(&json!({ "type": "text", "text": text }).to_string());
            }
            Part::Image { image, options } => {
                let kind = media_type(image)?;
                self.text(&format!("{{\"type\":\"image_url\",\"image_url\":{{\"url\":\"data:{kind};base64,"));
                self.pieces.push(Piece::Image(image.clone()));
                let detail = options.detail.map(|detail| format!(",\"detail\":{}", json!(detail)));
                self.text(&format!("\"{}}}}}", detail.unwrap_or_default()));
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    /// The name of this request among those of a role. `weights` tells a model on this machine from others; of a model
    /// behind an endpoint its name in the body does, and its address may change.
    ///
    /// Errors: [`BodyError`] of the first image that cannot be read.
    pub fn key(&self, role: &str, weights: &str, images: &mut ImageHashes) -> Result<Key, BodyError> {
        let mut hash = Sha256::new();
        hash.update(format!("{role}\n{weights}\n"));
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => hash.update(text),
                Piece::Image(path) => hash.update(images.hash(path)?),
            }
        }
        if !self.unsent.is_empty() {
            hash.update(Value::Object(self.unsent.clone()).to_string());
        }
        Ok(hash.finalize().into())
    }

    /// Its length on the wire, in bytes.
    ///
    /// Errors: [`BodyError`] of the first image that is gone.
    pub fn length(&self) -> Result<u64, BodyError> {
        let mut length = 0;
        for piece in &self.pieces {
            length += match piece {
                Piece::Text(text) => text.len() as u64,
                // Every 3 bytes, and what is left of 3, are 4 letters.
                Piece::Image(path) => 4 * fs_err::metadata(path)?.len().div_ceil(3),
            };
        }
        Ok(length)
    }

    /// The body to send.
    pub fn to_wire(&self) -> Body {
        match &self.pieces[..] {
            [Piece::Text(text)] => text.clone().into(),
            _ => Body::wrap_stream(stream::iter(self.clone().into_stream())),
        }
    }

    /// What a call with this body takes at most, as far as that is known here.
    pub fn most(&self, max_tokens: usize) -> Usage {
        Usage {
            prompt_tokens: self.prompt_tokens(),
            completion_tokens: max_tokens as u64,
            is_estimated: true,
            images: 0,
        }
    }

    /// About how many tokens it is.
    pub fn prompt_tokens(&self) -> u64 {
        let pieces = self.pieces.iter();
        pieces
            .map(|piece| match piece {
                Piece::Text(text) => tokens_of_text(text),
                Piece::Image(_) => TOKENS_OF_IMAGE,
            })
            .sum()
    }

    /// About how many tokens its prompt is: no upper limit, but what calls are expected to use on average.
    pub fn estimate(&self) -> Estimate {
        let images = self.images().map(|image| tokens_of_image(image, &self.model));
        Estimate { of_text: self.text_tokens, of_images: images.sum() }
    }

    /// How many images it has.
    pub fn n_images(&self) -> usize {
        self.images().count()
    }

    fn images(&self) -> impl Iterator<Item = &Path> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Image(path) => Some(path.as_path()),
            Piece::Text(_) => None,
        })
    }

    /// The body as a stream of chunks.
    fn into_stream(self) -> impl Iterator<Item = std::io::Result<Bytes>> + Send {
        self.pieces.into_iter().flat_map(|piece| -> Box<dyn Iterator<Item = _> + Send> {
            match piece {
                Piece::Text(text) => Box::new(std::iter::once(Ok(text.into()))),
                Piece::Image(path) => Box::new(ImageChunks::open(&path)),
            }
        })
    }
}

/// What stands beside the messages.
fn options(params: &ChatParams, settings: &RoleSettings) -> Map<String, Value> {
    let mut options = Map::new();
    options.insert("model".to_owned(), json!(settings.model));
    options.insert("temperature".to_owned(), json!(params.temperature));
    if params.top_p != 1.0 {
        options.insert("top_p".to_owned(), json!(params.top_p));
    }
    if params.ignore_eos {
        options.insert("ignore_eos".to_owned(), json!(true));
    }
    options.insert(settings.max_tokens_name.name().to_owned(), json!(params.max_tokens));
    options.insert("seed".to_owned(), json!(wire_seed(params.seed)));
    if let Some(schema) = &params.schema {
        match settings.structured_output {
            StructuredOutput::ResponseFormat => options.insert(
                "response_format".to_owned(),
                json!({
                    "type": "json_schema",
                    "json_schema": { "name": schema.name, "schema": schema.schema, "strict": true },
                }),
            ),
            StructuredOutput::StructuredOutputs => {
                options.insert("structured_outputs".to_owned(), json!({ "json": schema.schema }))
            }
            StructuredOutput::Off => None,
        };
    }
    options
}

/// The parameters that are sent, and the others.
fn without_omitted(
    mut parameters: Map<String, Value>,
    settings: &RoleSettings,
) -> (Map<String, Value>, Map<String, Value>) {
    let unsent = settings.omitted().filter_map(|name| parameters.remove_entry(name)).collect();
    (parameters, unsent)
}

/// A seed as servers take it, which hold it in signed numbers.
fn wire_seed(seed: u64) -> u64 {
    seed & (i64::MAX as u64)
}

#[cfg(test)]
mod tests;
