//! What a call requests: its address below `/v1`, and what its answers look like.

use std::path::{Path, PathBuf};

use align::chat::Unanswered;
use align::paint::Painting;
use align::types::{base64_bytes, data_url_bytes};
use serde_json::Value;

use crate::body::WireBody;
use crate::budget::{Outcome, Usage};
use crate::completion::{completion, counted, end, is_error, usage};
use crate::event_stream::{self, is_event_stream};
use crate::fault::is_page;
use crate::images;
use crate::secrets::Secrets;
use crate::settings::RoleSettings;
use crate::tried::{Tried, quote_response};

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
    pub async fn read(
        &self,
        text: &str,
        content_type: &str,
        body: &WireBody,
        secrets: &Secrets,
        settings: &RoleSettings,
    ) -> Tried {
        let response = match serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) {
            Ok(response) => Ok(response),
            Err(_) if is_event_stream(content_type, text) => event_stream::response(text),
            Err(_) => Err("expected JSON".to_owned()),
        };
        let response = match response {
            Ok(response) => response,
            Err(problem) => return failed(&problem, text),
        };
        // Some servers name the whole body an error.
        let error = if response["object"] == "error" { &response } else { &response["error"] };
        if is_error(error) {
            return Tried::error_in_body(error, &response.to_string());
        }
        match self {
            Self::Chat => match completion(&response, body, secrets) {
                Some(outcome) => Tried::Ended(outcome),
                None => failed("expected choices[0].message", text),
            },
            Self::Paint { folder } => painting(&response, text, folder, settings).await,
        }
    }
}

/// What an image takes whose tokens nobody counts.
const PAINTED: Usage = Usage { prompt_tokens: 0, completion_tokens: 0, is_estimated: false, images: 1 };

fn failed(problem: &str, text: &str) -> Tried {
    Tried::Failed { reason: format!("{problem}: {}", quote_response(text)), is_handled: !is_page(text) }
}

/// The image of a response, kept in the folder.
async fn painting(response: &Value, text: &str, folder: &Path, settings: &RoleSettings) -> Tried {
    let reported = usage(response);
    let usage = Usage { images: 1, ..reported.unwrap_or(PAINTED) };
    let painted = match end(&response["data"][0]) {
        Ok(_) => image(response, settings).await.map(|read| read.map_err(Unanswered::new)),
        Err(reason) => Some(Err(reason)),
    };
    let painting = match painted {
        Some(Ok(painting)) => painting,
        // It is paid for, so that another try would pay again.
        Some(Err(reason)) => {
            return Tried::Ended(Outcome { answer: Err(reason), usage });
        }
        None => return failed("expected data[0].b64_json or data[0].url", text),
    };
    match images::keep(folder, &painting) {
        Ok(name) => {
            let answer = Ok(counted(name, reported));
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

#[cfg(test)]
mod tests;
