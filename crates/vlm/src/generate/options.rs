//! How to sample.

use std::fmt::Display;

use crate::error::Error;

/// How to sample.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOptions {
    /// Scores are divided by this; 0 is greedy and reports the token's log-probability at temperature 1.
    pub temperature: f64,
    /// Only the smallest set of most likely tokens whose probability reaches this is sampled from; 1 keeps all.
    pub top_p: f64,
    /// At most this many tokens a completion.
    pub max_new_tokens: usize,
    /// A completion ends with the first of these, which is part of it.
    pub stop_tokens: Vec<u32>,
    /// Do not end at a stop token.
    pub ignore_eos: bool,
    /// Tokens never sampled: placeholders of images, above all.
    pub banned_tokens: Vec<u32>,
    /// Sequences computed at once by a worker; bounds memory.
    pub batch_size: usize,
    /// Threads that compute chunks side by side. 1 on anything but a CPU.
    pub workers: usize,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            max_new_tokens: 128,
            stop_tokens: Vec::new(),
            ignore_eos: false,
            banned_tokens: Vec::new(),
            batch_size: 64,
            workers: 1,
        }
    }
}

impl GenerateOptions {
    /// Makes sure that every option is in range.
    ///
    /// Errors: `Input` naming the first that is not.
    pub(super) fn check(&self) -> Result<(), Error> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return out_of_range("temperature", "a number from 0", self.temperature);
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return out_of_range("top_p", "a number above 0 and at most 1", self.top_p);
        }
        for (name, value) in
            [("max_new_tokens", self.max_new_tokens), ("batch_size", self.batch_size), ("workers", self.workers)]
        {
            if value == 0 {
                return out_of_range(name, "at least 1", value);
            }
        }
        Ok(())
    }

    /// Makes sure that a prompt of so many tokens can be completed by a model of so many positions.
    ///
    /// Errors: what is wrong, in words.
    pub(super) fn check_length(&self, n_tokens: usize, max_positions: usize) -> Result<(), String> {
        if n_tokens < 2 {
            Err(format!("expected at least 2 tokens, got {n_tokens}"))
        } else if n_tokens.saturating_add(self.max_new_tokens) > max_positions {
            Err(format!(
                "expected at most {max_positions} tokens with its completion, got {n_tokens} and up to {} more",
                self.max_new_tokens
            ))
        } else {
            Ok(())
        }
    }
}

/// The refusal of an option's value.
pub(super) fn out_of_range(name: &str, expected: &str, got: impl Display) -> Result<(), Error> {
    Err(Error::Input(format!("sampling option `{name}`: expected {expected}, got {got}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_refused() {
        let options = GenerateOptions::default();
        for (wrong, expected) in [
            (
                GenerateOptions { temperature: -1.0, ..options.clone() },
                "sampling option `temperature`: expected a number from 0, got -1",
            ),
            (
                GenerateOptions { top_p: 0.0, ..options.clone() },
                "sampling option `top_p`: expected a number above 0 and at most 1, got 0",
            ),
            (GenerateOptions { batch_size: 0, ..options }, "sampling option `batch_size`: expected at least 1, got 0"),
        ] {
            assert_eq!(wrong.check().unwrap_err().to_string(), expected);
        }
    }
}
