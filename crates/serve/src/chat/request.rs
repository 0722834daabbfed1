//! The body of `/v1/chat/completions`, checked field by field. What would change the answer and is not offered is
//! refused; what changes nothing is ignored.

use axum::http::StatusCode;
use diagnostic::{read_json, whole_number};
use serde_json::Value;
use vlm::chat_template::{Variables, is_reserved};

use super::api_error::ApiError;
use super::fields::{Fields, non_empty, wrong};
use super::grammar::Format;
use super::media::Limits;
use super::messages::Dialogue;
use super::sampling::{self, Sampling};

/// Log-probabilities of at most so many of the most likely tokens (OpenAI's bound).
const MOST_TOP_LOGPROBS: usize = 20;
/// At most so many stop strings.
const MOST_STOPS: usize = 16;

/// Fields that change nothing here.
const IGNORED: &[&str] = &[
    "cache_salt",
    "metadata",
    "parallel_tool_calls",
    "priority",
    "prompt_cache_key",
    "request_id",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
];

/// Fields that are offered, beside those of [`sampling`].
const OFFERED: &[&str] = &[
    "chat_template_kwargs",
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
    "top_logprobs",
];

/// Fields that would change the answer, taken only with a value that does not: `[]` and `{}` stand for empty ones.
const NEUTRAL: &[(&str, &[&str])] = &[
    ("add_generation_prompt", &["true"]),
    ("add_special_tokens", &["false"]),
    ("allowed_token_ids", &["[]"]),
    ("audio", &["null"]),
    ("bad_words", &["[]"]),
    ("best_of", &["1"]),
    ("continue_final_message", &["false"]),
    ("documents", &["[]"]),
    ("echo", &["false"]),
    ("function_call", &["\"none\"", "\"auto\""]),
    ("functions", &["[]"]),
    ("include_stop_str_in_output", &["false"]),
    ("length_penalty", &["1"]),
    ("mm_processor_kwargs", &["{}"]),
    ("modalities", &["[\"text\"]"]),
    ("prediction", &["null"]),
    ("skip_special_tokens", &["true"]),
    ("spaces_between_special_tokens", &["true"]),
    ("tool_choice", &["\"none\"", "\"auto\""]),
    ("tools", &["[]"]),
    ("use_beam_search", &["false"]),
];

/// A request.
#[derive(Debug)]
pub struct ChatRequest {
    /// The model's name, if given.
    pub model: Option<String>,
    /// The messages and images so far.
    pub dialogue: Dialogue,
    /// Further variables of the chat template.
    pub template_variables: Variables,
    /// Completions wanted.
    pub n: usize,
    /// The first completion's seed; the others take those that follow.
    pub seed: Option<u64>,
    /// How tokens are sampled.
    pub sampling: Sampling,
    /// At most so many tokens a completion; none: as many as fit.
    pub max_tokens: Option<usize>,
    /// Texts before which a completion ends.
    pub stop: Vec<String>,
    /// Log-probabilities are requested, and those of so many of the most likely tokens.
    pub n_top_logprobs: Option<usize>,
    /// What the answer must look like.
    pub format: Format,
    /// The field that says so.
    pub format_field: &'static str,
    /// Answer piece by piece.
    pub stream: bool,
    /// Close a stream with the count of tokens.
    pub include_usage: bool,
    /// Return the ids of the tokens as well.
    pub return_token_ids: bool,
}

impl ChatRequest {
    /// Reads a request. `most_sequences` bounds `n`.
    ///
    /// Errors: 400, or 413 for too many images, naming the field, what was expected and what was got.
    pub fn read(body: &[u8], limits: &Limits, most_sequences: usize) -> Result<Self, ApiError> {
        let value: Value = read_json(body).map_err(|problem| {
            let problem = format!("expected JSON: {}", problem.with_line());
            ApiError::request(StatusCode::BAD_REQUEST, "invalid_json", problem)
        })?;
        let fields = Fields::of(&value, "")?;
        refuse_what_is_not_offered(&fields)?;
        let request = Self {
            model: fields.text("model")?.map(str::to_owned),
            dialogue: Dialogue::read(fields.required("messages", "an array of messages")?, limits)?,
            template_variables: template_variables(&fields)?,
            n: fields.count("n", 1, most_sequences)?.unwrap_or(1),
            seed: fields.typed("seed", "a whole number of 64 bits", seed)?,
            sampling: Sampling::read(&fields)?,
            max_tokens: max_tokens(&fields)?,
            stop: stops(&fields)?,
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
        request.check_end()?;
        Ok(request)
    }

    /// Makes sure that what is said of an answer's end agrees with itself.
    fn check_end(&self) -> Result<(), ApiError> {
        let least = self.sampling.adjustments.min_new_tokens;
        let end_is_free = self.format == Format::Text;
        let expected = "since the requested format says where the answer ends";
        if self.sampling.ignore_eos && !end_is_free {
            return Err(ApiError::field("ignore_eos", format!("expected false, {expected}")));
        }
        if least > 0 && !end_is_free {
            let problem = format!("expected 0, {expected}, got {least}");
            return Err(ApiError::field("min_tokens", problem));
        }
        match self.max_tokens {
            Some(most) if least > most => {
                Err(ApiError::field("min_tokens", format!("expected at most `max_tokens`, {most}, got {least}")))
            }
            _ => Ok(()),
        }
    }
}

fn refuse_what_is_not_offered(fields: &Fields) -> Result<(), ApiError> {
    let neutral: Vec<&str> = NEUTRAL.iter().map(|(key, _)| *key).collect();
    fields.refuse_others(&[OFFERED, sampling::FIELDS, IGNORED, &neutral])?;
    for (key, neutral) in NEUTRAL {
        let Some(value) = fields.get(key) else { continue };
        let changes_nothing = neutral.iter().any(|neutral| {
            let neutral: Value = serde_json::from_str(neutral).unwrap_or(Value::Null);
            *value == neutral || value.as_f64().is_some_and(|number| neutral.as_f64() == Some(number))
        });
        if !changes_nothing {
            let neutral = neutral.join(" or ");
            let expected = format!("nothing or {neutral}, since this server does not offer it");
            return Err(ApiError { code: "unsupported", ..wrong(key, &expected, value) });
        }
    }
    Ok(())
}

/// Variables for the chat template, as vLLM and SGLang take them; none may stand for what the server itself sets.
fn template_variables(fields: &Fields) -> Result<Variables, ApiError> {
    let key = "chat_template_kwargs";
    let variables = fields.typed(key, "an object", Value::as_object)?.cloned().unwrap_or_default();
    match variables.iter().find(|(name, _)| is_reserved(name)) {
        Some((name, value)) => {
            let expected = "nothing, since the server sets it";
            Err(wrong(&format!("{key}.{name}"), expected, value))
        }
        None => Ok(variables),
    }
}

fn seed(value: &Value) -> Option<u64> {
    let number = whole_number(value)?;
    number.as_u64().or_else(|| number.as_i64().map(i64::cast_unsigned))
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
    let stops = fields.typed("stop", &expected, |value| {
        let texts = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let texts: Option<Vec<String>> = texts.iter().map(non_empty).collect();
        texts.filter(|texts| texts.len() <= MOST_STOPS)
    })?;
    Ok(stops.unwrap_or_default())
}

fn n_top_logprobs(fields: &Fields) -> Result<Option<usize>, ApiError> {
    let top = fields.count("top_logprobs", 0, MOST_TOP_LOGPROBS)?;
    match (fields.flag("logprobs")?, top) {
        (true, top) => Ok(Some(top.unwrap_or(0))),
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => Err(ApiError::field("top_logprobs", "expected `logprobs` to be true beside it")),
    }
}

fn include_usage(fields: &Fields) -> Result<bool, ApiError> {
    let Some(value) = fields.get("stream_options") else {
        return Ok(false);
    };
    let options = Fields::of(value, "stream_options")?;
    options.refuse_others(&[&["include_usage", "include_obfuscation", "continuous_usage_stats"]])?;
    if options.flag("continuous_usage_stats")? {
        let expected = "expected false, since this server reports the usage once, at the end";
        return Err(ApiError::field("stream_options.continuous_usage_stats", expected));
    }
    if !fields.flag("stream")? {
        return Err(ApiError::field("stream_options", "expected `stream` to be true beside it"));
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
        let request = read(&json!({
            "user": "u", "tools": [], "tool_choice": "auto", "best_of": 1.0, "skip_special_tokens": true,
            "chat_template_kwargs": {}, "presence_penalty": 0.0, "functions": null,
        }))
        .unwrap();
        assert_eq!((request.n, request.sampling.temperature), (1, 1.0));
        assert_eq!((request.max_tokens, request.seed, request.n_top_logprobs), (None, None, None));
        assert!(!request.stream && request.stop.is_empty());
    }

    #[test]
    fn fields_are_read() {
        let request = read(&json!({
            "n": 3, "seed": -1, "stop": "a", "max_completion_tokens": 7, "logprobs": true, "top_logprobs": 2,
            "stream": true, "stream_options": { "include_usage": true }, "temperature": 0,
            "chat_template_kwargs": { "enable_thinking": false, "style": null },
        }))
        .unwrap();
        let variables = json!({ "enable_thinking": false, "style": null });
        assert_eq!(Value::Object(request.template_variables), variables);
        assert_eq!((request.n, request.seed, request.max_tokens), (3, Some(u64::MAX), Some(7)));
        assert_eq!((request.n_top_logprobs, request.sampling.temperature), (Some(2), 0.0));
        assert!(request.stream && request.include_usage && request.stop == ["a"]);
    }

    #[test]
    fn errors_name_the_field_what_was_expected_and_what_was_got() {
        refused(&json!({ "n": 9 }), "`n`: expected a whole number from 1 to 8, got 9");
        refused(&json!({ "n": 1.5 }), "`n`: expected a whole number from 1 to 8, got 1.5");
        refused(&json!({ "max_tokens": 0 }), "`max_tokens`: expected a whole number from 1, got 0");
        refused(
            &json!({ "stop": ["a", ""] }),
            "`stop`: expected a string or an array of at most 16 strings, none empty, got an array of 2",
        );
        refused(&json!({ "top_logprobs": 2 }), "`top_logprobs`: expected `logprobs` to be true beside it");
        refused(
            &json!({ "tools": [{}] }),
            "`tools`: expected nothing or [], since this server does not offer it, got an array of 1",
        );
        refused(
            &json!({ "chat_template_kwargs": ["enable_thinking"] }),
            "`chat_template_kwargs`: expected an object, got an array of 1",
        );
        refused(
            &json!({ "chat_template_kwargs": { "enable_thinking": false, "tools": null } }),
            "`chat_template_kwargs.tools`: expected nothing, since the server sets it, got null",
        );
        refused(
            &json!({ "tool_choice": "required" }),
            "`tool_choice`: expected nothing or \"none\" or \"auto\", since this server does not offer it, got \"required\"",
        );
        refused(&json!({ "min_tokens": 3, "max_tokens": 2 }), "`min_tokens`: expected at most `max_tokens`, 2, got 3");
        let json = json!({ "type": "json_object" });
        refused(
            &json!({ "min_tokens": 3, "response_format": json }),
            "`min_tokens`: expected 0, since the requested format says where the answer ends, got 3",
        );
        refused(
            &json!({ "ignore_eos": true, "response_format": json }),
            "`ignore_eos`: expected false, since the requested format says where the answer ends",
        );
        refused(&json!({ "temprature": 1 }), "`temprature`: a field that this server does not know");
        refused(&json!({ "stream_options": {} }), "`stream_options`: expected `stream` to be true beside it");
    }
}
