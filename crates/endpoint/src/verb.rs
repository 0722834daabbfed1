//! What an endpoint is asked to do: its address below `/v1`, and what its answers look like.

use std::path::{Path, PathBuf};

use align::chat::{ChatAnswer, Unanswered};
use align::paint::Painting;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::body::WireBody;
use crate::budget::{Outcome, Usage, tokens_of_text};
use crate::call::{Tried, Wire, quote};
use crate::pictures;

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

    /// What a call takes at most, as far as that can be told before it.
    pub fn most(&self, body: &WireBody, max_tokens: usize) -> Usage {
        match self {
            Self::Chat => body.most(max_tokens),
            // By the picture; what painters count beside it is known after the first.
            Self::Paint { .. } => PAINTED,
        }
    }

    /// The answer in the text of a successful response to a body.
    pub async fn read(&self, text: &str, body: &WireBody, wire: &Wire) -> Tried {
        let Ok(response) = serde_json::from_str::<Value>(text) else {
            return failed("expected JSON", text);
        };
        match self {
            Self::Chat => completion(&response, text, body, wire),
            Self::Paint { folder } => painting(&response, text, folder, wire).await,
        }
    }
}

/// What a picture takes whose tokens nobody counts.
const PAINTED: Usage = Usage {
    prompt_tokens: 0,
    completion_tokens: 0,
    is_estimated: false,
    pictures: 1,
};

fn failed(problem: &str, text: &str) -> Tried {
    Tried::Failed(format!("{problem}: {}", quote(text)))
}

/// The answer in a response of `/v1/chat/completions`. Whatever has a choice is paid for, so that it is one, be it
/// empty.
fn completion(response: &Value, text: &str, body: &WireBody, wire: &Wire) -> Tried {
    let choice = &response["choices"][0];
    if !choice.is_object() {
        return failed("expected choices[0].message", text);
    }
    let said = wire.secrets.hide(said(&choice["message"])).into_owned();
    let told = usage(response);
    let usage = told.unwrap_or_else(|| Usage {
        prompt_tokens: body.prompt_tokens(),
        completion_tokens: tokens_of_text(&said),
        is_estimated: true,
        pictures: 0,
    });
    let answer = if choice["finish_reason"] == "content_filter" {
        let reason = "the endpoint's content filter stopped the answer".to_owned();
        Err(Unanswered { reason })
    } else {
        let is_cut_off = choice["finish_reason"] == "length";
        Ok(answer(said, is_cut_off, told))
    };
    Tried::Ended(Outcome { answer, usage })
}

/// What a message says: its content, as text or in parts, or else why the model refuses.
fn said(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => message["refusal"].as_str().unwrap_or_default().to_owned(),
    }
}

/// The picture of a response, kept in the folder.
async fn painting(response: &Value, text: &str, folder: &Path, wire: &Wire) -> Tried {
    let told = usage(response);
    let ended = |answer| {
        let usage = Usage {
            pictures: 1,
            ..told.unwrap_or(PAINTED)
        };
        Tried::Ended(Outcome { answer, usage })
    };
    let painting = match picture(response, wire).await {
        Some(Ok(painting)) => painting,
        // It is paid for, so that another try would pay again.
        Some(Err(reason)) => return ended(Err(Unanswered { reason })),
        None => return failed("expected data[0].b64_json or data[0].url", text),
    };
    match pictures::keep(folder, &painting) {
        Ok(name) => ended(Ok(answer(name, false, told))),
        Err(error) => Tried::Unusable(format!("the picture cannot be kept: {error}")),
    }
}

/// The picture in a response of `/v1/images/generations`, or what is wrong with it; none where there is none.
async fn picture(response: &Value, wire: &Wire) -> Option<Result<Painting, String>> {
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
            None => pictures::fetch(url, wire).await,
        }
    };
    Some(bytes.and_then(Painting::new))
}

fn decode(encoded: &str) -> Result<Vec<u8>, String> {
    STANDARD
        .decode(encoded)
        .map_err(|error| format!("expected a picture in base64: {error}"))
}

/// What the endpoint says it used; none where it says nothing.
fn usage(response: &Value) -> Option<Usage> {
    // Painters count tokens by other names, if at all.
    let tokens = |names: [&str; 2]| names.iter().find_map(|name| response["usage"][*name].as_u64());
    let read = tokens(["prompt_tokens", "input_tokens"]);
    let written = tokens(["completion_tokens", "output_tokens"]);
    read.or(written)?;
    Some(Usage {
        prompt_tokens: read.unwrap_or(0),
        completion_tokens: written.unwrap_or(0),
        is_estimated: false,
        pictures: 0,
    })
}

fn answer(text: String, is_cut_off: bool, told: Option<Usage>) -> ChatAnswer {
    let told = told.unwrap_or_default();
    ChatAnswer {
        text,
        is_cut_off,
        prompt_tokens: told.prompt_tokens,
        completion_tokens: told.completion_tokens,
    }
}
