//! What an endpoint is asked to do: its address below `/v1`, and what its answers look like.

use std::path::PathBuf;

use align::chat::ChatAnswer;
use align::paint::Painting;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::call::{Tried, quote};
use crate::pictures;
use crate::settings::RoleSettings;

/// What an endpoint is asked to do.
#[derive(Clone, Debug)]
pub(crate) enum Verb {
    /// To go on with a dialogue.
    Chat,
    /// To paint a picture, which is kept in the folder; the answer's text is then its file's name there.
    Paint { folder: PathBuf },
}

impl Verb {
    /// The address below `/v1`.
    pub fn path(&self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Paint { .. } => "images/generations",
        }
    }

    /// What a call costs beside its tokens.
    pub fn price(&self, settings: &RoleSettings) -> f64 {
        match self {
            Self::Chat => 0.0,
            Self::Paint { .. } => settings.price_image,
        }
    }

    /// The answer in the body of a successful response.
    pub async fn read(&self, bytes: &[u8], settings: &RoleSettings) -> Tried {
        let Ok(response) = serde_json::from_slice::<Value>(bytes) else {
            return failed("expected JSON", bytes);
        };
        match self {
            Self::Chat => completion(&response, bytes),
            Self::Paint { folder } => {
                let painting = match picture(&response, settings).await {
                    Some(Ok(painting)) => painting,
                    // It is paid for, so that another try would pay again.
                    Some(Err(problem)) => return Tried::Refused(problem),
                    None => return failed("expected data[0].b64_json or data[0].url", bytes),
                };
                match pictures::keep(folder, &painting) {
                    Ok(name) => Tried::Answered(answer(name, &response)),
                    Err(error) => Tried::Unusable(format!("the picture cannot be kept: {error}")),
                }
            }
        }
    }
}

fn failed(problem: &str, bytes: &[u8]) -> Tried {
    Tried::Failed {
        reason: format!("{problem}: {}", quote(bytes)),
        pause: None,
    }
}

/// The answer in a response of `/v1/chat/completions`.
fn completion(response: &Value, bytes: &[u8]) -> Tried {
    let choice = &response["choices"][0];
    let message = &choice["message"];
    let Some(text) = message["content"].as_str().or(message["refusal"].as_str()) else {
        return failed("expected choices[0].message.content", bytes);
    };
    if choice["finish_reason"] == "content_filter" {
        return Tried::Refused("the endpoint's content filter stopped the answer".to_owned());
    }
    Tried::Answered(ChatAnswer {
        is_cut_off: choice["finish_reason"] == "length",
        ..answer(text.to_owned(), response)
    })
}

/// The picture in a response of `/v1/images/generations`, or what is wrong with it; none where there is none.
async fn picture(response: &Value, settings: &RoleSettings) -> Option<Result<Painting, String>> {
    let data = &response["data"][0];
    let bytes = if let Some(encoded) = data["b64_json"].as_str() {
        decode(encoded)
    } else {
        let url = data["url"].as_str()?;
        match url
            .split_once(";base64,")
            .filter(|(scheme, _)| scheme.starts_with("data:"))
        {
            Some((_, encoded)) => decode(encoded),
            None => pictures::fetch(url, settings).await,
        }
    };
    Some(bytes.and_then(Painting::new))
}

fn decode(encoded: &str) -> Result<Vec<u8>, String> {
    STANDARD
        .decode(encoded)
        .map_err(|error| format!("expected a picture in base64: {error}"))
}

fn answer(text: String, response: &Value) -> ChatAnswer {
    // Painters count tokens by other names, if at all.
    let tokens = |names: [&str; 2]| {
        names
            .iter()
            .find_map(|name| response["usage"][*name].as_u64())
            .unwrap_or(0)
    };
    ChatAnswer {
        text,
        is_cut_off: false,
        prompt_tokens: tokens(["prompt_tokens", "input_tokens"]),
        completion_tokens: tokens(["completion_tokens", "output_tokens"]),
    }
}
