//! How a request wants its tokens sampled: OpenAI's fields and vLLM's.

use diagnostic::whole_number;
use serde_json::Value;
use vlm::generate::Adjustments;

use super::api_error::ApiError;
use super::fields::Fields;

/// The fields read here.
pub const FIELDS: &[&str] = &[
    "frequency_penalty",
    "ignore_eos",
    "logit_bias",
    "min_p",
    "min_tokens",
    "presence_penalty",
    "repetition_penalty",
    "stop_token_ids",
    "temperature",
    "top_k",
    "top_p",
];

/// At most so many tokens that end an answer.
const MOST_STOP_TOKENS: usize = 128;

/// How tokens are sampled.
#[derive(Debug)]
pub struct Sampling {
    /// Scores are divided by this.
    pub temperature: f64,
    /// The share of probability that is sampled from.
    pub top_p: f64,
    /// All that is requested beyond that.
    pub adjustments: Adjustments,
    /// Tokens with which an answer ends, beside the model's own.
    pub stop_tokens: Vec<u32>,
    /// Do not end at the model's own end token.
    pub ignore_eos: bool,
}

impl Sampling {
    /// Reads a request's fields.
    ///
    /// Errors: 400 naming the field that is wrong.
    pub fn read(fields: &Fields) -> Result<Self, ApiError> {
        Ok(Self {
            temperature: number(fields, "temperature", [0.0, 100.0], 1.0)?,
            top_p: fields
                .number("top_p", "a number above 0, at most 1", |number| number > 0.0 && number <= 1.0)?
                .unwrap_or(1.0),
            adjustments: Adjustments {
                score_bias: score_bias(fields)?,
                repetition_penalty: number(fields, "repetition_penalty", [0.01, 100.0], 1.0)?,
                frequency_penalty: number(fields, "frequency_penalty", [-2.0, 2.0], 0.0)?,
                presence_penalty: number(fields, "presence_penalty", [-2.0, 2.0], 0.0)?,
                min_p: number(fields, "min_p", [0.0, 1.0], 0.0)?,
                top_k: top_k(fields)?,
                min_new_tokens: fields.count("min_tokens", 0, usize::MAX)?.unwrap_or(0),
            },
            stop_tokens: stop_tokens(fields)?,
            ignore_eos: fields.flag("ignore_eos")?,
        })
    }

    /// Makes sure that tokens named by their ids are some of the model's.
    ///
    /// Errors: 400 naming the first that is not.
    pub fn check_tokens(&self, n_tokens: usize) -> Result<(), ApiError> {
        let biased = self.adjustments.score_bias.iter().map(|(token, _)| *token);
        let biased = biased.map(|token| ("logit_bias", token));
        let stopping = self.stop_tokens.iter().map(|token| ("stop_token_ids", *token));
        match biased.chain(stopping).find(|(_, token)| *token as usize >= n_tokens) {
            Some((field, token)) => {
                Err(ApiError::field(field, format!("expected token ids below {n_tokens}, got {token}")))
            }
            None => Ok(()),
        }
    }
}

fn number(fields: &Fields, key: &str, [least, most]: [f64; 2], neutral: f64) -> Result<f64, ApiError> {
    let expected = format!("a number from {least} to {most}");
    let number = fields.number(key, &expected, |number| (least..=most).contains(&number))?;
    Ok(number.unwrap_or(neutral))
}

/// 0 and -1 stand for all tokens, as in vLLM.
fn top_k(fields: &Fields) -> Result<Option<usize>, ApiError> {
    let expected = "a whole number from 1, or 0 or -1 for all tokens";
    let top_k = fields.typed("top_k", expected, |value| match whole_number(value)?.as_i64()? {
        -1 | 0 => Some(None),
        count => usize::try_from(count).ok().map(Some),
    })?;
    Ok(top_k.flatten())
}

/// In the order of the ids, so that the order of a request's keys changes nothing.
fn score_bias(fields: &Fields) -> Result<Vec<(u32, f64)>, ApiError> {
    let expected = "an object of token ids with numbers from -100 to 100";
    let mut biases = fields.typed("logit_bias", expected, biases)?.unwrap_or_default();
    biases.sort_unstable_by_key(|(id, _)| *id);
    Ok(biases)
}

fn biases(value: &Value) -> Option<Vec<(u32, f64)>> {
    let mut biases = Vec::new();
    for (id, bias) in value.as_object()? {
        let bias = bias.as_f64().filter(|bias| (-100.0..=100.0).contains(bias))?;
        biases.push((id.parse().ok()?, bias));
    }
    Some(biases)
}

fn stop_tokens(fields: &Fields) -> Result<Vec<u32>, ApiError> {
    let expected = format!("an array of at most {MOST_STOP_TOKENS} token ids");
    let ids = fields.typed("stop_token_ids", &expected, |value| {
        let ids = value.as_array().filter(|ids| ids.len() <= MOST_STOP_TOKENS)?;
        ids.iter().map(|id| u32::try_from(whole_number(id)?.as_u64()?).ok()).collect()
    })?;
    Ok(ids.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(fields: &Value) -> Result<Sampling, ApiError> {
        Sampling::read(&Fields::of(fields, "")?)
    }

    #[test]
    fn what_changes_nothing_is_read_as_the_default() {
        let neutral = json!({
            "top_k": -1, "min_p": 0, "repetition_penalty": 1, "frequency_penalty": 0, "presence_penalty": 0.0,
            "logit_bias": {}, "stop_token_ids": [], "min_tokens": 0, "ignore_eos": false, "temperature": null,
        });
        for fields in [neutral, json!({ "top_k": 0 }), json!({})] {
            let sampling = read(&fields).unwrap();
            assert_eq!(sampling.adjustments, Adjustments::default());
            assert_eq!((sampling.temperature, sampling.top_p), (1.0, 1.0));
            assert!(sampling.stop_tokens.is_empty() && !sampling.ignore_eos);
        }
    }

    #[test]
    fn every_field_is_read() {
        let fields = json!({
            "top_k": 5, "min_p": 0.1, "repetition_penalty": 1.5, "frequency_penalty": -1, "presence_penalty": 2,
            "logit_bias": { "7": -100, "3": 0.5 }, "stop_token_ids": [4, 9], "min_tokens": 6, "ignore_eos": true,
        });
        let sampling = read(&fields).unwrap();
        let expected = Adjustments {
            score_bias: vec![(3, 0.5), (7, -100.0)],
            repetition_penalty: 1.5,
            frequency_penalty: -1.0,
            presence_penalty: 2.0,
            min_p: 0.1,
            top_k: Some(5),
            min_new_tokens: 6,
        };
        assert_eq!(sampling.adjustments, expected);
        assert_eq!((sampling.stop_tokens.as_slice(), sampling.ignore_eos), (&[4, 9][..], true));
        assert!(sampling.check_tokens(10).is_ok());
        for (n_tokens, expected) in [
            (9, "`stop_token_ids`: expected token ids below 9, got 9"),
            (7, "`logit_bias`: expected token ids below 7, got 7"),
        ] {
            assert_eq!(sampling.check_tokens(n_tokens).unwrap_err().message, expected);
        }
    }

    #[test]
    fn errors_name_the_field_what_was_expected_and_what_was_got() {
        for (fields, expected) in [
            (json!({ "temperature": "hot" }), "`temperature`: expected a number from 0 to 100, got \"hot\""),
            (json!({ "top_p": 0 }), "`top_p`: expected a number above 0, at most 1, got 0"),
            (json!({ "top_k": -2 }), "`top_k`: expected a whole number from 1, or 0 or -1 for all tokens, got -2"),
            (json!({ "repetition_penalty": 0 }), "`repetition_penalty`: expected a number from 0.01 to 100, got 0"),
            (json!({ "presence_penalty": 3 }), "`presence_penalty`: expected a number from -2 to 2, got 3"),
            (
                json!({ "logit_bias": { "cat": 1 } }),
                "`logit_bias`: expected an object of token ids with numbers from -100 to 100, got an object",
            ),
            (
                json!({ "stop_token_ids": [-1] }),
                "`stop_token_ids`: expected an array of at most 128 token ids, got an array of 1",
            ),
        ] {
            assert_eq!(read(&fields).unwrap_err().message, expected);
        }
    }
}
