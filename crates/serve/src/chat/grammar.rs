//! What an answer must look like, enforced while it is sampled: the tokens that would leave the grammar are never sampled.

use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value, json};
use vlm::generate::Constraint;
use vlm::tokenizer::Tokenizer;

use super::api_error::ApiError;
use super::fields::{Fields, non_empty, wrong};
use crate::error::ServeError;

/// Whitespace between the parts of JSON: a space, or a line's end and some indent. No more, so that a model that likes
/// whitespace cannot repeat it without end.
const WHITESPACE: &str = r" |\n {0,12}";

/// What an answer must look like.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Anything.
    Text,
    /// JSON that satisfies a schema.
    Json(Value),
    /// A text that matches a regular expression as a whole.
    Regex(String),
    /// One of these texts.
    Choice(Vec<String>),
}

impl Format {
    /// Reads OpenAI's `response_format` or vLLM's `structured_outputs`.
    ///
    /// Errors: 400 naming the field that is wrong.
    pub fn read(fields: &Fields) -> Result<Self, ApiError> {
        match (fields.get("response_format"), fields.get("structured_outputs")) {
            (None, None) => Ok(Self::Text),
            (Some(format), None) => Self::of_openai(&Fields::of(format, "response_format")?),
            (None, Some(outputs)) => Self::of_vllm(&Fields::of(outputs, "structured_outputs")?),
            (Some(_), Some(_)) => {
                Err(ApiError::field("structured_outputs", "expected either it or `response_format`, got both"))
            }
        }
    }

    fn of_openai(fields: &Fields) -> Result<Self, ApiError> {
        fields.refuse_others(&[&["type", "json_schema"]])?;
        let expected = "\"text\", \"json_object\" or \"json_schema\"";
        let kind = fields.required("type", expected)?;
        match kind.as_str() {
            Some("text") => Ok(Self::Text),
            Some("json_object") => Ok(Self::Json(json!({ "type": "object" }))),
            Some("json_schema") => {
                let expected = "an object with `schema`";
                let value = fields.required("json_schema", expected)?;
                let named = Fields::of(value, &fields.path_of("json_schema"))?;
                named.refuse_others(&[&["name", "description", "schema", "strict"]])?;
                schema(named.required("schema", "a JSON schema")?, &named.path_of("schema"))
            }
            _ => Err(wrong(&fields.path_of("type"), expected, kind)),
        }
    }

    fn of_vllm(fields: &Fields) -> Result<Self, ApiError> {
        fields.refuse_others(&[&["json", "regex", "choice"]])?;
        let expected = "an array of strings, none empty";
        let choice = fields.typed("choice", expected, |value| {
            let texts = value.as_array().filter(|texts| !texts.is_empty())?;
            texts.iter().map(non_empty).collect()
        })?;
        match (fields.get("json"), fields.text("regex")?, choice) {
            (Some(value), None, None) => schema(value, &fields.path_of("json")),
            (None, Some(regex), None) => Ok(Self::Regex(regex.to_owned())),
            (None, None, Some(texts)) => Ok(Self::Choice(texts)),
            _ => Err(ApiError::field("structured_outputs", "expected one of `json`, `regex` and `choice`")),
        }
    }

    fn grammar(&self) -> Option<TopLevelGrammar> {
        match self {
            Self::Text => None,
            Self::Json(schema) => {
                let mut schema = schema.clone();
                if let Some(fields) = schema.as_object_mut() {
                    // The library reads its own settings here; they are not the client's to make.
                    fields.insert("x-guidance".to_owned(), json!({ "whitespace_pattern": WHITESPACE }));
                }
                Some(TopLevelGrammar::from_json_schema(schema))
            }
            Self::Regex(regex) => Some(TopLevelGrammar::from_regex(regex)),
            Self::Choice(texts) => {
                // The grammar's string literals are JSON's.
                let quoted: Vec<String> = texts.iter().map(|text| json!(text).to_string()).collect();
                Some(TopLevelGrammar::from_lark(format!("start: {}", quoted.join(" | "))))
            }
        }
    }
}

/// A schema is an object; pydantic and vLLM's clients also send it as a string of JSON.
fn schema(value: &Value, path: &str) -> Result<Format, ApiError> {
    let parsed = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let schema = parsed.as_ref().unwrap_or(value);
    if schema.is_object() {
        Ok(Format::Json(schema.clone()))
    } else {
        Err(wrong(path, "a JSON schema, which is an object", value))
    }
}

/// Turns formats into constraints on a model's tokens.
pub struct Grammars {
    factory: ParserFactory,
}

impl Grammars {
    /// Lays the vocabulary out as a tree of bytes. `n_scores` is the number of scores the model gives, which may exceed
    /// the vocabulary's size.
    ///
    /// Errors: `Vocabulary` when the library refuses it.
    pub fn new(tokenizer: &Tokenizer, token_bytes: &[Vec<u8>], n_scores: usize) -> Result<Self, ServeError> {
        let special: Vec<u32> = tokenizer.special_tokens.iter().map(|(_, id)| *id).collect();
        let words: Vec<Vec<u8>> = (0..n_scores)
            .map(|id| match token_bytes.get(id) {
                Some(bytes) if !bytes.is_empty() && !special.contains(&(id as u32)) => bytes.clone(),
                // Marked, so that no text leads to it.
                _ => [&[TokTrie::SPECIAL_TOKEN_MARKER], format!("<[{id}]>").as_bytes()].concat(),
            })
            .collect();
        let info = TokRxInfo::new(n_scores as u32, tokenizer.end_token);
        let end_tokens = end_tokens_first(tokenizer);
        if end_tokens.iter().any(|token| *token as usize >= n_scores) {
            return Err(ServeError::Vocabulary(format!(
                "the tokens {end_tokens:?} that end a reply: expected ids below {n_scores}, the number of the model's scores"
            )));
        }
        let trie = TokTrie::from(&info, &words).with_eos_tokens(&end_tokens);
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let slices = llguidance::earley::SlicedBiasComputer::general_slices();
        let mut factory = ParserFactory::new(&environment, InferenceCapabilities::default(), &slices)
            .map_err(|error| ServeError::Vocabulary(format!("the vocabulary: {error:#}")))?;
        factory.quiet().limits_mut().verbose_errors = false;
        Ok(Self { factory })
    }

    /// The constraint of a format that `field` requests; none for plain text. A copy serves each completion.
    ///
    /// Errors: 400 saying what the library makes of the schema or expression.
    pub fn compile(&self, format: &Format, field: &str) -> Result<Option<Grammar>, ApiError> {
        let Some(grammar) = format.grammar() else {
            return Ok(None);
        };
        let matcher = Matcher::new(self.factory.create_parser(grammar));
        match matcher.get_error() {
            None => Ok(Some(Grammar { matcher })),
            Some(problem) => Err(ApiError { code: "unsupported_format", ..ApiError::field(field, problem) }),
        }
    }
}

/// The tokens that end a reply, the usual one first.
fn end_tokens_first(tokenizer: &Tokenizer) -> Vec<u32> {
    let others = tokenizer.stop_tokens.iter().copied();
    let usual = tokenizer.end_token;
    std::iter::once(usual).chain(others.filter(|token| *token != usual)).collect()
}

/// A grammar and how far an answer has come in it.
#[derive(Clone)]
pub struct Grammar {
    matcher: Matcher,
}

impl Grammar {
    /// The same grammar, nothing said yet, for another completion.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { matcher: self.matcher.deep_clone() }
    }
}

impl Constraint for Grammar {
    fn ban(&mut self, ban: &mut dyn FnMut(u32)) -> Result<(), String> {
        let allowed = self.matcher.compute_mask_or_eos().map_err(|error| error.to_string())?;
        allowed.iter_unset_entries(|token| ban(token as u32));
        Ok(())
    }

    fn accept(&mut self, token: u32) -> Result<(), String> {
        if self.matcher.is_stopped() {
            return Ok(());
        }
        self.matcher.consume_token(token).map_err(|error| error.to_string())
    }
}
