//! A request as it goes over the wire, and the hash that names it.
//!
//! Pictures are read and encoded piece by piece while they are sent, so that a thousand calls in flight hold no
//! picture whole.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use align::chat::ChatRequest;
use align::paint::PaintRequest;
use align::types::Part;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use reqwest::Body;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::budget::{Usage, tokens_of_text};
use crate::picture_hashes::PictureHashes;
use crate::settings::{RoleSettings, StructuredOutput};

/// The hash of all that determines an answer: the endpoint, the model, the dialogue with its pictures' content, and how
/// it is to be answered.
pub(crate) type Key = [u8; 32];

/// Bytes of a picture that are read and encoded at once: a multiple of 3, so that the encoded pieces join.
pub(crate) const CHUNK_BYTES: u64 = 48 << 10;
/// Tokens that a picture is taken to be where nothing is known: those of about a megapixel with most models.
const TOKENS_OF_PICTURE: u64 = 1_500;
/// What systems say where a process, or all together, have too many files open (EMFILE, ENFILE).
const TOO_MANY_FILES: [i32; 2] = [24, 23];

/// JSON text with pictures in it.
#[derive(Clone, Debug)]
pub(crate) struct WireBody {
    pieces: Vec<Piece>,
    /// Parameters that are not sent, but tell requests apart: answers to two seeds are two answers. Empty where all
    /// are.
    unsent: String,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Picture(PathBuf),
}

/// Why a request cannot be put together.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// A picture cannot be read, or is none that endpoints know.
    Picture(String),
    /// No further file can be opened at the moment.
    TooManyFiles(String),
}

impl BodyError {
    /// What went wrong.
    pub fn into_reason(self) -> String {
        match self {
            Self::Picture(reason) | Self::TooManyFiles(reason) => reason,
        }
    }
}

impl From<std::io::Error> for BodyError {
    fn from(error: std::io::Error) -> Self {
        let reason = error.to_string();
        if is_out_of_files(&error) {
            Self::TooManyFiles(reason)
        } else {
            Self::Picture(reason)
        }
    }
}

/// Whether an error says, or was caused by one that says, that too many files are open.
pub(crate) fn is_out_of_files(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))) {
            return true;
        }
        // An error that wraps another of its own kind names the inner one's cause as its own.
        cause = match io.and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

impl WireBody {
    /// The body of `/v1/chat/completions`.
    ///
    /// Errors: [`BodyError`] of the first picture that cannot be sent.
    pub fn chat(request: &ChatRequest, settings: &RoleSettings) -> Result<Self, BodyError> {
        let (options, unsent) = without_omitted(options(request, settings), settings);
        let mut body = Self {
            pieces: Vec::new(),
            unsent,
        };
        body.text("{\"messages\":[");
        for (index, message) in request.messages.iter().enumerate() {
            let role = json!(message.role);
            let comma = if index == 0 { "" } else { "," };
            body.text(&format!("{comma}{{\"role\":{role},\"content\":["));
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
        }
    }

    fn part(&mut self, part: &Part) -> Result<(), BodyError> {
        match part {
            Part::Text { text } => self.text(&json!({ "type": "text", "text": text }).to_string()),
            Part::Image { image } => {
                let kind = media_type(image)?;
                self.text(&format!(
                    "{{\"type\":\"image_url\",\"image_url\":{{\"url\":\"data:{kind};base64,"
                ));
                self.pieces.push(Piece::Picture(image.clone()));
                self.text("\"}}");
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

    /// The name of this request at this endpoint.
    ///
    /// Errors: [`BodyError`] of the first picture that cannot be read.
    pub fn key(&self, origin: &str, pictures: &mut PictureHashes) -> Result<Key, BodyError> {
        let mut hash = Sha256::new();
        hash.update(origin);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => hash.update(text),
                Piece::Picture(path) => hash.update(pictures.hash(path)?),
            }
        }
        hash.update(&self.unsent);
        Ok(hash.finalize().into())
    }

    /// Its length on the wire, in bytes.
    ///
    /// Errors: [`BodyError`] of the first picture that is gone.
    pub fn length(&self) -> Result<u64, BodyError> {
        let lengths = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => Ok(text.len() as u64),
            // Every 3 bytes, and what is left of 3, are 4 letters.
            Piece::Picture(path) => Ok(4 * fs_err::metadata(path)?.len().div_ceil(3)),
        });
        lengths.sum()
    }

    /// The body to send.
    pub fn to_wire(&self) -> Body {
        match &self.pieces[..] {
            [Piece::Text(text)] => text.clone().into(),
            _ => Body::wrap_stream(stream::iter(self.clone().into_stream())),
        }
    }

    /// What a call with this body takes at most, as far as that can be told from here.
    pub fn most(&self, max_tokens: usize) -> Usage {
        Usage {
            prompt_tokens: self.prompt_tokens(),
            completion_tokens: max_tokens as u64,
            is_estimated: true,
            pictures: 0,
        }
    }

    /// About how many tokens it is.
    pub fn prompt_tokens(&self) -> u64 {
        let tokens = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => tokens_of_text(text),
            Piece::Picture(_) => TOKENS_OF_PICTURE,
        });
        tokens.sum()
    }

    /// The body as a stream of chunks.
    fn into_stream(self) -> impl Iterator<Item = std::io::Result<Bytes>> + Send {
        self.pieces.into_iter().flat_map(|piece| match piece {
            Piece::Text(text) => Chunks::Text(Some(text)),
            Piece::Picture(path) => Chunks::Picture(fs_err::File::open(path).map(fs_err::File::into_file)),
        })
    }
}

/// What stands beside the messages.
fn options(request: &ChatRequest, settings: &RoleSettings) -> Map<String, Value> {
    let params = &request.params;
    let mut options = Map::new();
    options.insert("model".to_owned(), json!(settings.model));
    options.insert("temperature".to_owned(), json!(params.temperature));
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

/// The parameters that are sent, and the others as text.
fn without_omitted(mut parameters: Map<String, Value>, settings: &RoleSettings) -> (Map<String, Value>, String) {
    let omitted = settings.omitted().filter_map(|name| parameters.remove_entry(name));
    let unsent: Map<String, Value> = omitted.collect();
    let text = if unsent.is_empty() {
        String::new()
    } else {
        Value::Object(unsent).to_string()
    };
    (parameters, text)
}

/// A seed as servers take it, which hold it in signed numbers.
fn wire_seed(seed: u64) -> u64 {
    seed & (i64::MAX as u64)
}

enum Chunks {
    Text(Option<String>),
    Picture(std::io::Result<File>),
}

impl Iterator for Chunks {
    type Item = std::io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Text(text) => text.take().map(|text| Ok(text.into())),
            Self::Picture(Ok(file)) => {
                let mut chunk = Vec::new();
                match file.take(CHUNK_BYTES).read_to_end(&mut chunk) {
                    Ok(0) => None,
                    Ok(_) => Some(Ok(STANDARD.encode(chunk).into())),
                    Err(error) => {
                        *self = Self::Text(None);
                        Some(Err(error))
                    }
                }
            }
            Self::Picture(Err(_)) => match std::mem::replace(self, Self::Text(None)) {
                Self::Picture(Err(error)) => Some(Err(error)),
                _ => None,
            },
        }
    }
}

/// What a data URL calls a picture, by its first bytes.
fn media_type(path: &Path) -> Result<&'static str, BodyError> {
    let mut start = [0; 12];
    let length = fs_err::File::open(path)?.read(&mut start)?;
    match &start[..length] {
        [0x89, b'P', b'N', b'G', ..] => Ok("image/png"),
        [0xff, 0xd8, 0xff, ..] => Ok("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Ok("image/gif"),
        [b'B', b'M', ..] => Ok("image/bmp"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => Ok("image/webp"),
        _ => Err(BodyError::Picture(format!(
            "{}: expected a PNG, JPEG, WebP, GIF or BMP picture",
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{MaxTokensName, Parameter};
    use align::chat::ChatParams;
    use align::types::{Message, Role};

    fn request(picture: &Path) -> ChatRequest {
        let image = Part::Image {
            image: picture.to_owned(),
        };
        let text = Part::Text {
            text: "What \"is\" it?\n".to_owned(),
        };
        ChatRequest {
            id: "a".to_owned(),
            messages: vec![
                Message::text(Role::System, "Be brief."),
                Message {
                    role: Role::User,
                    content: vec![image.clone(), image, text],
                },
            ],
            params: ChatParams {
                temperature: 0.0,
                max_tokens: 8,
                seed: 3,
                schema: None,
            },
        }
    }

    fn settings() -> RoleSettings {
        RoleSettings {
            model: "m".to_owned(),
            ..RoleSettings::default()
        }
    }

    #[test]
    fn pictures_of_any_size_are_whole_on_the_wire() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        for size in [
            10,
            CHUNK_BYTES as usize,
            CHUNK_BYTES as usize + 1,
            3 * CHUNK_BYTES as usize - 1,
        ] {
            let mut picture = b"\x89PNG".to_vec();
            picture.extend((0..size).map(|byte| byte as u8));
            fs_err::write(&path, &picture).unwrap();
            let body = WireBody::chat(&request(&path), &settings()).unwrap();
            let length = body.length().unwrap();
            let chunks: Vec<Bytes> = body.into_stream().map(Result::unwrap).collect();
            let bytes = chunks.concat();
            assert_eq!(length, bytes.len() as u64);
            let sent: Value = serde_json::from_slice(&bytes).unwrap();
            let url = format!("data:image/png;base64,{}", STANDARD.encode(&picture));
            let part = json!({ "type": "image_url", "image_url": { "url": url } });
            assert_eq!(
                sent["messages"][1]["content"],
                json!([part, part, { "type": "text", "text": "What \"is\" it?\n" }])
            );
            assert_eq!((sent["model"].as_str(), sent["seed"].as_u64()), (Some("m"), Some(3)));
        }
    }

    #[test]
    fn a_key_follows_from_content_and_not_from_paths() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.png", "b.png", "c.png"].map(|name| folder.path().join(name));
        for (path, content) in paths.iter().zip(["\u{89}PNG1", "\u{89}PNG1", "\u{89}PNG2"]) {
            let bytes: Vec<u8> = content.chars().map(|letter| letter as u8).collect();
            fs_err::write(path, bytes).unwrap();
        }
        let mut hashes = PictureHashes::default();
        let mut key = |path: &Path, url: &str| {
            let body = WireBody::chat(&request(path), &settings()).unwrap();
            body.key(url, &mut hashes).unwrap()
        };
        let first = key(&paths[0], "http://a/v1");
        assert_eq!(first, key(&paths[1], "http://a/v1"));
        assert_ne!(first, key(&paths[2], "http://a/v1"));
        assert_ne!(first, key(&paths[0], "http://b/v1"));
    }

    #[test]
    fn what_is_not_sent_still_tells_requests_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        fs_err::write(&path, b"\x89PNG").unwrap();
        let settings = RoleSettings {
            omit: vec![Parameter::Seed, Parameter::Temperature],
            max_tokens_name: MaxTokensName::MaxCompletionTokens,
            ..settings()
        };
        let mut hashes = PictureHashes::default();
        let keys = [1, 2, 1].map(|seed| {
            let mut request = request(&path);
            request.params.seed = seed;
            let body = WireBody::chat(&request, &settings).unwrap();
            let key = body.key("http://a/v1", &mut hashes).unwrap();
            let bytes: Vec<Bytes> = body.into_stream().map(Result::unwrap).collect();
            let sent: Value = serde_json::from_slice(&bytes.concat()).unwrap();
            let mut names: Vec<&String> = sent.as_object().unwrap().keys().collect();
            names.sort();
            assert_eq!(names, ["max_completion_tokens", "messages", "model"]);
            key
        });
        assert_eq!(keys[0], keys[2]);
        assert_ne!(keys[0], keys[1], "two seeds are two requests");
    }

    #[test]
    fn too_many_open_files_are_told_from_bad_pictures() {
        let bare = std::io::Error::from_raw_os_error(TOO_MANY_FILES[0]);
        assert!(is_out_of_files(&bare));
        assert!(is_out_of_files(&std::io::Error::other(bare)));
        let missing = fs_err::File::open("/no/such/file").unwrap_err();
        assert!(matches!(missing.into(), BodyError::Picture(reason) if reason.contains("/no/such/file")));
    }
}
