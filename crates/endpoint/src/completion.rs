//! What a response of `/v1/chat/completions` says: an answer that ended well, or why there is none.
//!
//! Only an end that is known to be one makes an answer: what an error, an abort or a filter broke off is none, and
//! neither is an empty reply.

use align::chat::{ChatAnswer, Unanswered};
use align::engine::FinishReason;
use diagnostic::{excerpt, whole_number};
use serde_json::{Value, json};

use crate::body::WireBody;
use crate::budget::{Outcome, Usage, tokens_of_text};
use crate::fault::is_flagged;
use crate::secrets::Secrets;
use crate::tried::quote_error;

/// The names of an answer that the model ended, in small letters.
const STOPPED: [&str; 11] = [
    "stop",
    "eos",
    "eos_token",
    "end_turn",
    "end_of_turn",
    "stop_sequence",
    "stop_token",
    "complete",
    "completed",
    "done",
    "success",
];
/// The names of an answer that the token limit ended.
const TRUNCATED: [&str; 4] = ["length", "max_tokens", "model_length", "max_output_tokens"];
/// The names of an answer that a filter stopped: of OpenAI, Anthropic, Zhipu and Gemini.
const FILTERED: [&str; 8] = [
    "content_filter",
    "content_filtered",
    "refusal",
    "sensitive",
    "safety",
    "prohibited_content",
    "blocklist",
    "image_safety",
];

/// Where endpoints put thinking.
const THINKING: [&str; 4] = ["reasoning_content", "reasoning", "thinking", "reasoning_details"];

/// The answer or the failure in a response, which is paid for either way; none where it has no choice.
pub(crate) fn completion(response: &Value, body: &WireBody, secrets: &Secrets) -> Option<Outcome> {
    let choice = &response["choices"][0];
    let has_message = choice["message"].is_object();
    if !has_message && !is_error(&choice["error"]) {
        return None;
    }
    let said = Said::of(&choice["message"]);
    let reported = usage(response);
    let usage = reported.unwrap_or_else(|| Usage {
        prompt_tokens: body.prompt_tokens(),
        completion_tokens: tokens_of_text(&said.text) + tokens_of_text(&said.thinking),
        is_estimated: true,
        images: 0,
    });
    let answer = end(choice).and_then(|finish_reason| {
        let text = said.answer(finish_reason).map_err(Unanswered::new)?;
        Ok(ChatAnswer {
            thinking: secrets.hide(&*said.thinking).into_owned(),
            finish_reason,
            ..counted(secrets.hide(text).into_owned(), reported)
        })
    });
    let answer = answer.map_err(|failure| Unanswered { reason: secrets.hide(failure.reason).into_owned(), ..failure });
    Some(Outcome { answer, usage })
}

/// A text as an answer, with the tokens that the endpoint counted.
pub(crate) fn counted(text: String, reported: Option<Usage>) -> ChatAnswer {
    let reported = reported.unwrap_or_default();
    ChatAnswer {
        prompt_tokens: reported.prompt_tokens,
        completion_tokens: reported.completion_tokens,
        ..ChatAnswer::of(text)
    }
}

/// What the endpoint says it used; none where it says nothing.
pub(crate) fn usage(response: &Value) -> Option<Usage> {
    // Painters count tokens by other names, if at all.
    let usage = &response["usage"];
    let tokens = |name: &str| whole_number(&usage[name])?.as_u64();
    let read = tokens("prompt_tokens").or_else(|| tokens("input_tokens"));
    let written = tokens("completion_tokens").or_else(|| tokens("output_tokens"));
    read.or(written)?;
    Some(Usage {
        prompt_tokens: read.unwrap_or(0),
        completion_tokens: written.unwrap_or(0),
        is_estimated: false,
        images: 0,
    })
}

/// Whether a field says that something failed. Some servers send empty ones.
pub(crate) fn is_error(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

/// Why a choice, or an image, ended.
///
/// Errors: the endpoint's reason, where it did not end well.
pub(crate) fn end(choice: &Value) -> Result<FinishReason, Unanswered> {
    let failed = [&choice["error"], &choice["message"]["error"]].into_iter().find(|error| is_error(error));
    let reason = match &choice["finish_reason"] {
        // Some servers do not say.
        Value::Null => String::new(),
        Value::String(reason) => reason.to_lowercase(),
        other => other.to_string(),
    };
    match (failed, reason.as_str()) {
        (Some(error), reason) => Err(Unanswered {
            reason: format!("the endpoint broke the answer off ({reason}): {}", quote_error(error)),
            is_refused: FILTERED.contains(&reason) || is_flagged(&json!({ "error": error })),
        }),
        (None, reason) if FILTERED.contains(&reason) => {
            Err(Unanswered::refused(format!("the endpoint's content filter stopped the answer ({reason})")))
        }
        (None, reason) if reason.is_empty() || STOPPED.contains(&reason) => Ok(FinishReason::Stop),
        (None, reason) if TRUNCATED.contains(&reason) => Ok(FinishReason::Length),
        (None, reason) => {
            Err(Unanswered::new(format!("the endpoint ended the answer with finish_reason `{}`", excerpt(reason))))
        }
    }
}

/// What a message says.
#[derive(Default)]
struct Said {
    text: String,
    thinking: String,
    /// The field that the thinking stood in.
    place: &'static str,
    refusal: String,
    calls_tool: bool,
}

impl Said {
    fn of(message: &Value) -> Self {
        let mut said = Self {
            refusal: message["refusal"].as_str().unwrap_or_default().to_owned(),
            calls_tool: message["tool_calls"].as_array().is_some_and(|calls| !calls.is_empty()),
            place: "content",
            ..Self::default()
        };
        match &message["content"] {
            Value::String(text) => said.text.clone_from(text),
            Value::Array(parts) => parts.iter().for_each(|part| said.add(part)),
            _ => {}
        }
        for place in THINKING {
            let thinking = texts(&message[place]);
            // Some endpoints say it twice, under two names.
            if said.thinking.is_empty() && !thinking.trim().is_empty() {
                (said.thinking, said.place) = (thinking, place);
            }
        }
        said
    }

    /// Adds a part of a message.
    fn add(&mut self, part: &Value) {
        let kind = part["type"].as_str().unwrap_or_default();
        if kind.contains("think") || kind.contains("reason") {
            let thinking = texts(&part["thinking"]);
            self.thinking.push_str(&if thinking.is_empty() { texts(part) } else { thinking });
        } else if let Some(refusal) = part["refusal"].as_str() {
            self.refusal.push_str(refusal);
        } else {
            self.text.push_str(&texts(part));
        }
    }

    /// The text, or else why the model refuses.
    ///
    /// Errors: what is there in its place.
    fn answer(&self, finish_reason: FinishReason) -> Result<&str, String> {
        let n_letters = self.thinking.chars().count();
        let place = self.place;
        match () {
            () if !self.text.trim().is_empty() => Ok(&self.text),
            () if !self.refusal.trim().is_empty() => Ok(&self.refusal),
            () if n_letters > 0 && finish_reason == FinishReason::Length => Err(format!(
                "the reply is empty: max_tokens was reached while the model was thinking ({n_letters} letters in `{place}`)"
            )),
            () if n_letters > 0 => Err(format!(
                "the reply is empty: all {n_letters} letters stand in `{place}`, where thinking is and no answer is read \
                 (a server's reasoning parser may have put them there): {}",
                excerpt(&self.thinking)
            )),
            () if self.calls_tool => Err("the reply is empty but for the call of a tool".to_owned()),
            () => Err("the reply is empty".to_owned()),
        }
    }
}

/// A text, the text of an object, or those of a list.
fn texts(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(texts).collect(),
        Value::Object(part) => part.get("text").and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}
