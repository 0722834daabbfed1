//! What a call requests: its address below `/v1`, and what its answers look like.

use std::path::{Path, PathBuf};

use align::chat::{ChatAnswer, Unanswered};
use align::engine::FinishReason;
use align::paint::Painting;
use align::types::{base64_bytes, data_url_bytes};
use serde_json::Value;

use crate::body::WireBody;
use crate::budget::{Outcome, Usage, tokens_of_text};
use crate::images;
use crate::secrets::Secrets;
use crate::settings::RoleSettings;
use crate::tried::{Tried, quote};

/// What a call requests.
#[derive(Clone, Debug)]
pub(crate) enum Verb {
    /// The answer to a dialogue.
    Chat,
    /// An image, which is kept in the folder; the answer's text is then its file's name there.
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

    /// What a call takes at most, as far as that is known before it.
    pub fn most(&self, body: &WireBody, max_tokens: usize) -> Usage {
        match self {
            Self::Chat => body.most(max_tokens),
            // By the image; what painters count beside it is known after the first.
            Self::Paint { .. } => PAINTED,
        }
    }

    /// The answer in the text of a successful response to a body.
    pub async fn read(&self, text: &str, body: &WireBody, secrets: &Secrets, settings: &RoleSettings) -> Tried {
        let Ok(response) = serde_json::from_str::<Value>(text) else {
            return failed("expected JSON", text);
        };
        match self {
            Self::Chat => completion(&response, text, body, secrets),
            Self::Paint { folder } => painting(&response, text, folder, settings).await,
        }
    }
}

/// What an image takes whose tokens nobody counts.
const PAINTED: Usage = Usage { prompt_tokens: 0, completion_tokens: 0, is_estimated: false, images: 1 };

fn failed(problem: &str, text: &str) -> Tried {
    Tried::Failed(format!("{problem}: {}", quote(text)))
}

/// The answer in a response of `/v1/chat/completions`. Whatever has a choice is paid for, so that it is one, be it
/// empty.
fn completion(response: &Value, text: &str, body: &WireBody, secrets: &Secrets) -> Tried {
    let choice = &response["choices"][0];
    if !choice.is_object() {
        return failed("expected choices[0].message", text);
    }
    let said = secrets.hide(said(&choice["message"])).into_owned();
    let reported = usage(response);
    let usage = reported.unwrap_or_else(|| Usage {
        prompt_tokens: body.prompt_tokens(),
        completion_tokens: tokens_of_text(&said),
        is_estimated: true,
        images: 0,
    });
    let finish_reason = match choice["finish_reason"].as_str() {
        Some("content_filter") => {
            let reason = "the endpoint's content filter stopped the answer".to_owned();
            let answer = Err(Unanswered { reason });
            return Tried::Ended(Outcome { answer, usage });
        }
        Some("length") => FinishReason::Length,
        _ => FinishReason::Stop,
    };
    let answer = Ok(ChatAnswer { finish_reason, ..answer(said, reported) });
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

/// The image of a response, kept in the folder.
async fn painting(response: &Value, text: &str, folder: &Path, settings: &RoleSettings) -> Tried {
    let reported = usage(response);
    let usage = Usage { images: 1, ..reported.unwrap_or(PAINTED) };
    let painting = match image(response, settings).await {
        Some(Ok(painting)) => painting,
        // It is paid for, so that another try would pay again.
        Some(Err(reason)) => {
            let answer = Err(Unanswered { reason });
            return Tried::Ended(Outcome { answer, usage });
        }
        None => return failed("expected data[0].b64_json or data[0].url", text),
    };
    match images::keep(folder, &painting) {
        Ok(name) => {
            let answer = Ok(answer(name, reported));
            Tried::Ended(Outcome { answer, usage })
        }
        Err(error) => Tried::Unusable(format!("the image cannot be kept: {error}")),
    }
}

/// The image in a response of `/v1/images/generations`, or what is wrong with it; none where there is none.
async fn image(response: &Value, settings: &RoleSettings) -> Option<Result<Painting, String>> {
    let data = &response["data"][0];
    let bytes = if let Some(encoded) = data["b64_json"].as_str() {
        base64_bytes(encoded)
    } else {
        let url = data["url"].as_str()?;
        match data_url_bytes(url) {
            Some(bytes) => bytes,
            None => images::fetch(url, settings).await,
        }
    };
    Some(bytes.and_then(Painting::new))
}

/// What the endpoint says it used; none where it says nothing.
fn usage(response: &Value) -> Option<Usage> {
    // Painters count tokens by other names, if at all.
    let usage = &response["usage"];
    let read = usage["prompt_tokens"].as_u64().or(usage["input_tokens"].as_u64());
    let written = usage["completion_tokens"].as_u64().or(usage["output_tokens"].as_u64());
    read.or(written)?;
    Some(Usage {
        prompt_tokens: read.unwrap_or(0),
        completion_tokens: written.unwrap_or(0),
        is_estimated: false,
        images: 0,
    })
}

fn answer(text: String, reported: Option<Usage>) -> ChatAnswer {
    let reported = reported.unwrap_or_default();
    ChatAnswer {
        prompt_tokens: reported.prompt_tokens,
        completion_tokens: reported.completion_tokens,
        ..ChatAnswer::of(text)
    }
}
