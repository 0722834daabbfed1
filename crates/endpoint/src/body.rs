//! A request as it goes over the wire, and the hash that names it.
//!
//! Pictures are read and encoded piece by piece while they are sent, so that a thousand calls in flight hold no
//! picture whole.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use align::chat::ChatRequest;
use align::paint::PaintRequest;
use align::types::Part;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::settings::{RoleSettings, StructuredOutput};

/// The hash of all that determines an answer: the endpoint, the model, the dialogue with its pictures' content, and how
/// it is to be answered.
pub(crate) type Key = [u8; 32];

/// Bytes of a picture that are encoded at once: a multiple of 3, so that the encoded pieces join.
const CHUNK_BYTES: u64 = 48 << 10;

/// JSON text with pictures in it.
#[derive(Clone, Debug)]
pub(crate) struct WireBody {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Picture(PathBuf),
}

impl WireBody {
    /// The body of `/v1/chat/completions`.
    ///
    /// Errors: a picture that cannot be read, or is none that endpoints know.
    pub fn chat(request: &ChatRequest, settings: &RoleSettings) -> Result<Self, String> {
        let mut body = Self { pieces: Vec::new() };
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
        let rest = Value::Object(options(request, settings)).to_string();
        body.text(&rest[1..]);
        Ok(body)
    }

    /// The body of `/v1/images/generations`.
    pub fn paint(request: &PaintRequest, settings: &RoleSettings) -> Self {
        let size = request.size;
        let body = json!({
            "model": settings.model,
            "prompt": request.prompt,
            "n": 1,
            "size": format!("{size}x{size}"),
            "response_format": "b64_json",
            "seed": wire_seed(request.seed),
        });
        Self {
            pieces: vec![Piece::Text(body.to_string())],
        }
    }

    fn part(&mut self, part: &Part) -> Result<(), String> {
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
    /// Errors: a picture that cannot be read.
    pub fn key(&self, url: &str, pictures: &mut PictureHashes) -> Result<Key, String> {
        let mut hash = Sha256::new();
        hash.update(url.trim_end_matches('/'));
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => hash.update(text),
                Piece::Picture(path) => hash.update(pictures.hash(path)?),
            }
        }
        Ok(hash.finalize().into())
    }

    /// The body as a stream of chunks.
    pub fn into_stream(self) -> impl Iterator<Item = std::io::Result<Bytes>> + Send {
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
    options.insert("max_tokens".to_owned(), json!(params.max_tokens));
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
fn media_type(path: &Path) -> Result<&'static str, String> {
    let mut start = [0; 12];
    let mut file = fs_err::File::open(path).map_err(|error| error.to_string())?;
    let length = file.read(&mut start).map_err(|error| error.to_string())?;
    match &start[..length] {
        [0x89, b'P', b'N', b'G', ..] => Ok("image/png"),
        [0xff, 0xd8, 0xff, ..] => Ok("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Ok("image/gif"),
        [b'B', b'M', ..] => Ok("image/bmp"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => Ok("image/webp"),
        _ => Err(format!(
            "{}: expected a PNG, JPEG, WebP, GIF or BMP picture",
            path.display()
        )),
    }
}

/// Hashes of pictures' content, each read once.
#[derive(Debug, Default)]
pub(crate) struct PictureHashes {
    by_path: HashMap<PathBuf, Key>,
}

impl PictureHashes {
    fn hash(&mut self, path: &Path) -> Result<Key, String> {
        if let Some(hash) = self.by_path.get(path) {
            return Ok(*hash);
        }
        let mut hash = Sha256::new();
        let mut file = fs_err::File::open(path).map_err(|error| error.to_string())?;
        let mut chunk = vec![0; CHUNK_BYTES as usize];
        loop {
            match file.read(&mut chunk).map_err(|error| error.to_string())? {
                0 => break,
                length => hash.update(&chunk[..length]),
            }
        }
        let hash = hash.finalize().into();
        self.by_path.insert(path.to_owned(), hash);
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let chunks: Vec<Bytes> = body.into_stream().map(Result::unwrap).collect();
            let sent: Value = serde_json::from_slice(&chunks.concat()).unwrap();
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
        assert_eq!(first, key(&paths[1], "http://a/v1/"));
        assert_ne!(first, key(&paths[2], "http://a/v1"));
        assert_ne!(first, key(&paths[0], "http://b/v1"));
    }
}
