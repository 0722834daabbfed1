//! The body of `/v1/chat/completions`, checked field by field. What would change the answer and is not offered is
//! refused; what changes nothing is ignored.

use axum::http::StatusCode;
use serde_json::Value;

use super::error::ApiError;
use super::fields::{Fields, wrong};
use super::grammar::Format;
use super::media::Limits;
use super::messages::Dialogue;

/// Log-probabilities of at most so many likeliest tokens (OpenAI's bound).
const MOST_TOP_LOGPROBS: usize = 20;
/// At most so many stop strings.
const MOST_STOPS: usize = 16;

/// Fields that change nothing here.
const IGNORED: &[&str] = &[
    "metadata",
    "prompt_cache_key",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
];

/// Fields that are offered.
const OFFERED: &[&str] = &[
    "ignore_eos",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "model",
    "n",
    "response_format",
    "return_token_ids",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "structured_outputs",
    "temperature",
    "top_logprobs",
    "top_p",
];

/// Fields that would change the answer, taken only with the value that does not: `[]` and `{}` stand for empty ones.
const NEUTRAL: &[(&str, &str)] = &[
    ("audio", "null"),
    ("best_of", "1"),
    ("frequency_penalty", "0"),
    ("function_call", "\"none\""),
    ("functions", "[]"),
    ("logit_bias", "{}"),
    ("min_p", "0"),
    ("modalities", "[\"text\"]"),
    ("parallel_tool_calls", "true"),
    ("prediction", "null"),
    ("presence_penalty", "0"),
    ("repetition_penalty", "1"),
    ("tool_choice", "\"none\""),
    ("tools", "[]"),
    ("top_k", "-1"),
];

/// What is asked.
#[derive(Debug)]
pub struct ChatRequest {
    /// The model's name, if given.
    pub model: Option<String>,
    /// What was said and shown so far.
    pub dialogue: Dialogue,
    /// Completions wanted.
    pub n: usize,
    /// The first completion's seed; the others take those that follow.
    pub seed: Option<u64>,
    /// Scores are divided by this.
    pub temperature: f64,
    /// The share of probability that is drawn from.
    pub top_p: f64,
    /// At most so many tokens a completion; none: as many as there is room for.
    pub max_tokens: Option<usize>,
    /// Texts before which a completion ends.
    pub stop: Vec<String>,
    /// Do not end at the model's own end token.
    pub ignore_eos: bool,
    /// Log-probabilities are asked for, and those of so many likeliest tokens.
    pub n_top_logprobs: Option<usize>,
    /// What the answer must look like.
    pub format: Format,
    /// The field that says so.
    pub format_field: &'static str,
    /// Answer piece by piece.
    pub stream: bool,
    /// Close a stream with the count of tokens.
    pub include_usage: bool,
    /// Tell the ids of the tokens as well.
    pub return_token_ids: bool,
}

impl ChatRequest {
    /// Reads a request. `most_sequences` bounds `n`.
    ///
    /// Errors: 400, or 413 for too many pictures, naming the field, what was expected and what was got.
    pub fn read(body: &[u8], limits: &Limits, most_sequences: usize) -> Result<Self, ApiError> {
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            ApiError::request(
                StatusCode::BAD_REQUEST,
                "invalid_json",
                format!("expected JSON: {error}"),
            )
        })?;
        let fields = Fields::of(&value, "")?;
        refuse_what_is_not_offered(&fields)?;
        let positive = |number: f64| number.is_finite() && number >= 0.0;
        let request = Self {
            model: fields.text("model")?.map(str::to_owned),
            dialogue: Dialogue::read(fields.required("messages", "an array of messages")?, limits)?,
            n: fields.count("n", 1, most_sequences)?.unwrap_or(1),
            seed: fields.typed("seed", "a whole number of 64 bits", seed)?,
            temperature: fields
                .number("temperature", "a number from 0 to 100", |number| {
                    positive(number) && number <= 100.0
                })?
                .unwrap_or(1.0),
            top_p: fields
                .number("top_p", "a number above 0, at most 1", |number| {
                    number > 0.0 && number <= 1.0
                })?
                .unwrap_or(1.0),
            max_tokens: max_tokens(&fields)?,
            stop: stops(&fields)?,
            ignore_eos: fields.flag("ignore_eos")?,
            n_top_logprobs: n_top_logprobs(&fields)?,
            format: Format::read(&fields)?,
            format_field: match fields.get("structured_outputs") {
                Some(_) => "structured_outputs",
                None => "response_format",
            },
            stream: fields.flag("stream")?,
            include_usage: include_usage(&fields)?,
            return_token_ids: fields.flag("return_token_ids")?,
        };
        if request.ignore_eos && request.format != Format::Text {
            let expected = "expected false where the answer's format is given, since it ends the answer";
            return Err(ApiError::field("ignore_eos", expected));
        }
        Ok(request)
    }
}

fn refuse_what_is_not_offered(fields: &Fields) -> Result<(), ApiError> {
    let neutral: Vec<&str> = NEUTRAL.iter().map(|(key, _)| *key).collect();
    fields.refuse_others(&[OFFERED, IGNORED, &neutral])?;
    for (key, neutral) in NEUTRAL {
        let Some(value) = fields.get(key) else { continue };
        let expected: Value = serde_json::from_str(neutral).unwrap_or(Value::Null);
        let same = *value == expected || value.as_f64().is_some_and(|number| expected.as_f64() == Some(number));
        if !same {
            let expected = format!("nothing or {neutral}, since this server does not offer it");
            return Err(ApiError {
                code: "unsupported",
                ..wrong(key, &expected, value)
            });
        }
    }
    Ok(())
}

fn seed(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_i64().map(i64::cast_unsigned))
}

/// The newer name wins where both are given and say the same.
fn max_tokens(fields: &Fields) -> Result<Option<usize>, ApiError> {
    let old = fields.count("max_tokens", 1, usize::MAX)?;
    let new = fields.count("max_completion_tokens", 1, usize::MAX)?;
    match (old, new) {
        (Some(old), Some(new)) if old != new => Err(ApiError::field(
            "max_completion_tokens",
            format!("expected `max_tokens`, {old}, or it alone, got {new}"),
        )),
        _ => Ok(new.or(old)),
    }
}

fn stops(fields: &Fields) -> Result<Vec<String>, ApiError> {
    let expected = format!("a string or an array of at most {MOST_STOPS} strings, none empty");
    let read = |value: &Value| {
        let texts = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let texts: Option<Vec<String>> = texts.iter().map(text).collect();
        texts.filter(|texts| texts.len() <= MOST_STOPS)
    };
    Ok(fields.typed("stop", &expected, read)?.unwrap_or_default())
}

fn n_top_logprobs(fields: &Fields) -> Result<Option<usize>, ApiError> {
    let top = fields.count("top_logprobs", 0, MOST_TOP_LOGPROBS)?;
    match (fields.flag("logprobs")?, top) {
        (true, top) => Ok(Some(top.unwrap_or(0))),
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => Err(ApiError::field(
            "top_logprobs",
            "expected `logprobs` to be true beside it",
        )),
    }
}

fn include_usage(fields: &Fields) -> Result<bool, ApiError> {
    let Some(value) = fields.get("stream_options") else {
        return Ok(false);
    };
    let options = Fields::of(value, "stream_options")?;
    options.refuse_others(&[&["include_usage", "include_obfuscation"]])?;
    if !fields.flag("stream")? {
        return Err(ApiError::field(
            "stream_options",
            "expected `stream` to be true beside it",
        ));
    }
    options.flag("include_usage")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(change: &Value) -> Result<ChatRequest, ApiError> {
        let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "Hello" }] });
        for (key, value) in change.as_object().unwrap() {
            body[key] = value.clone();
        }
        ChatRequest::read(body.to_string().as_bytes(), &Limits::default(), 8)
    }

    #[track_caller]
    fn refused(change: &Value, message: &str) {
        let error = read(change).unwrap_err();
        assert_eq!((error.status.as_u16(), error.message.as_str()), (400, message));
    }

    #[test]
    fn what_is_not_given_has_openai_s_defaults() {
        let request = read(&json!({ "user": "u", "tools": [], "logit_bias": {}, "presence_penalty": 0.0 })).unwrap();
        assert_eq!((request.n, request.temperature, request.top_p), (1, 1.0, 1.0));
        assert_eq!(
            (request.max_tokens, request.seed, request.n_top_logprobs),
            (None, None, None)
        );
        assert!(!request.stream && request.stop.is_empty());
    }

    #[test]
    fn fields_are_read() {
        let request = read(&json!({
            "n": 3, "seed": -1, "stop": "a", "max_completion_tokens": 7, "logprobs": true, "top_logprobs": 2,
            "stream": true, "stream_options": { "include_usage": true }, "temperature": 0,
        }))
        .unwrap();
        assert_eq!(
            (request.n, request.seed, request.max_tokens),
            (3, Some(u64::MAX), Some(7))
        );
        assert_eq!((request.n_top_logprobs, request.temperature), (Some(2), 0.0));
        assert!(request.stream && request.include_usage && request.stop == ["a"]);
    }

    #[test]
    fn faults_name_the_field_what_was_expected_and_what_was_got() {
        refused(&json!({ "n": 9 }), "`n`: expected a whole number from 1 to 8, got 9");
        refused(
            &json!({ "n": 1.5 }),
            "`n`: expected a whole number from 1 to 8, got 1.5",
        );
        refused(
            &json!({ "temperature": "hot" }),
            "`temperature`: expected a number from 0 to 100, got \"hot\"",
        );
        refused(
            &json!({ "top_p": 0 }),
            "`top_p`: expected a number above 0, at most 1, got 0",
        );
        refused(
            &json!({ "max_tokens": 0 }),
            "`max_tokens`: expected a whole number from 1, got 0",
        );
        refused(
            &json!({ "stop": ["a", ""] }),
            "`stop`: expected a string or an array of at most 16 strings, none empty, got an array of 2",
        );
        refused(
            &json!({ "top_logprobs": 2 }),
            "`top_logprobs`: expected `logprobs` to be true beside it",
        );
        refused(
            &json!({ "tools": [{}] }),
            "`tools`: expected nothing or [], since this server does not offer it, got an array of 1",
        );
        refused(
            &json!({ "temprature": 1 }),
            "`temprature`: a field that this server does not know",
        );
        refused(
            &json!({ "stream_options": {} }),
            "`stream_options`: expected `stream` to be true beside it",
        );
    }
}
