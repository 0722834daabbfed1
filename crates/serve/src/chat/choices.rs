//! The completions of one request as they grow, and the JSON that reports them.

use serde_json::{Value, json};
use vlm::error::Error;
use vlm::generate::{FinishReason, Token};

use super::prepare::Preparer;
use super::request::ChatRequest;
use super::text_stream::TextStream;

/// What is new of one completion.
#[derive(Debug, Default)]
pub struct Delta {
    /// Which.
    pub index: usize,
    /// Text that came.
    pub text: String,
    /// Whether nothing was reported of it before.
    pub is_first: bool,
    /// An entry for each token that came, if requested.
    pub logprobs: Vec<Value>,
    /// The tokens that came, if requested.
    pub token_ids: Vec<u32>,
    /// Why it ended, if it has.
    pub finish_reason: Option<&'static str>,
}

/// All completions of a request.
pub struct Choices {
    choices: Vec<Choice>,
    stops: Vec<String>,
    // So many tokens of a completion are not searched for them.
    n_without_stops: usize,
    with_logprobs: bool,
    with_token_ids: bool,
    /// Tokens that came, those that end a completion included.
    pub n_tokens: usize,
}

#[derive(Default)]
struct Choice {
    text: TextStream,
    n_tokens: usize,
    // What came since the last delta.
    pending: Delta,
    ended: bool,
}

impl Choices {
    /// As many as are requested.
    pub fn new(request: &ChatRequest) -> Self {
        let mut choices = Vec::with_capacity(request.n);
        for index in 0..request.n {
            let mut choice = Choice::default();
            choice.pending.index = index;
            choice.pending.is_first = true;
            choices.push(choice);
        }
        Self {
            choices,
            stops: request.stop.clone(),
            n_without_stops: request.sampling.adjustments.min_new_tokens,
            with_logprobs: request.n_top_logprobs.is_some(),
            with_token_ids: request.return_token_ids,
            n_tokens: 0,
        }
    }

    /// Whether all have ended.
    pub fn have_ended(&self) -> bool {
        self.choices.iter().all(|choice| choice.ended)
    }

    /// Takes a token of a completion; returns what may be reported of it. Tokens after its end count for nothing.
    ///
    /// Errors: when the tokenizer cannot decode.
    pub fn push(&mut self, index: usize, token: &Token, preparer: &Preparer) -> Result<Option<Delta>, Error> {
        let Some(choice) = self.choices.get_mut(index).filter(|choice| !choice.ended) else {
            return Ok(None);
        };
        self.n_tokens += 1;
        choice.n_tokens += 1;
        let stops = if choice.n_tokens > self.n_without_stops { &self.stops[..] } else { &[] };
        let pending = &mut choice.pending;
        if self.with_logprobs {
            pending.logprobs.push(logprobs_entry(token, preparer));
        }
        if self.with_token_ids {
            pending.token_ids.push(token.id);
        }
        let tokenizer = preparer.processor.tokenizer();
        let piece = choice.text.push(token.id, tokenizer, stops)?;
        pending.text.push_str(&piece.text);
        let mut stopped = piece.stopped;
        if !stopped && token.finish_reason.is_some() {
            let rest = choice.text.finish(tokenizer, stops)?;
            pending.text.push_str(&rest.text);
            stopped = rest.stopped;
        }
        pending.finish_reason = match token.finish_reason {
            _ if stopped => Some("stop"),
            Some(FinishReason::Stop) => Some("stop"),
            Some(FinishReason::Length) => Some("length"),
            None => None,
        };
        choice.ended = pending.finish_reason.is_some();
        // What shows no text yet is reported with the text that it becomes.
        if !choice.ended && pending.text.is_empty() {
            return Ok(None);
        }
        let next = Delta { index, ..Delta::default() };
        Ok(Some(std::mem::replace(pending, next)))
    }

    /// The `choices` entry of a whole completion.
    pub fn whole(&self, whole: &Delta) -> Value {
        let message = json!({ "role": "assistant", "content": whole.text, "refusal": null });
        self.entry(whole, "message", message)
    }

    /// The `choices` entry of a piece; the first names the role.
    pub fn piece(&self, piece: &Delta) -> Value {
        let mut said = json!({ "content": piece.text });
        if piece.is_first {
            said["role"] = json!("assistant");
        }
        self.entry(piece, "delta", said)
    }

    fn entry(&self, delta: &Delta, key: &str, said: Value) -> Value {
        let logprobs = self.with_logprobs.then(|| json!({ "content": delta.logprobs, "refusal": null }));
        let mut entry = json!({ "index": delta.index, "logprobs": logprobs, "finish_reason": delta.finish_reason });
        entry[key] = said;
        if self.with_token_ids {
            entry["token_ids"] = json!(delta.token_ids);
        }
        entry
    }
}

/// A token and its most likely rivals with their log-probabilities, at temperature 1 without truncation.
fn logprobs_entry(token: &Token, preparer: &Preparer) -> Value {
    let Some(logprobs) = &token.model_logprobs else {
        return Value::Null;
    };
    let mut entry = named(preparer, token.id, logprobs.sampled);
    let rivals = logprobs.top.iter();
    entry["top_logprobs"] = rivals.map(|(id, logprob)| named(preparer, *id, *logprob)).collect();
    entry
}

fn named(preparer: &Preparer, id: u32, logprob: f32) -> Value {
    let bytes = preparer.token_bytes(id);
    json!({ "token": String::from_utf8_lossy(bytes), "bytes": bytes, "logprob": logprob })
}
