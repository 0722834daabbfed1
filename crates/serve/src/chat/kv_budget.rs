//! The KV-cache budget: how many tokens' keys and values fit, and so how long a prompt with its completions may be.

use vlm::config::TextConfig;
use vlm::generate::kv_cache;

use super::api_error::ApiError;
use super::memory;
use crate::error::ServeError;

/// The KV cache takes one part in this many of the memory that is left once the model is loaded: prefill, scores and
/// images take some too.
const MEMORY_SHARE: usize = 2;
/// What it takes where the system does not say what is left.
const UNKNOWN_MEMORY: usize = 4 << 30;
/// With fewer tokens there is nothing to serve.
const MIN_TOKENS: usize = 256;

/// What was requested of the KV cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct KvCacheSettings {
    /// Tokens of a prompt with one completion; none: as many as the model takes and fit.
    pub max_model_len: Option<usize>,
    /// Bytes of keys and values; none: a share of what is left.
    pub bytes: Option<usize>,
}

/// The budget.
#[derive(Clone, Copy, Debug)]
pub struct KvBudget {
    /// Tokens whose keys and values fit.
    pub n_tokens: usize,
    /// Tokens that a prompt and a completion have together at most.
    pub max_model_len: usize,
}

impl KvBudget {
    /// The budget for a model. `is_on_cpu` says whether keys and values are in this machine's own memory.
    ///
    /// Errors: `Setting` or `KvCacheTooSmall` when a sequence is to be longer than the model takes or than what fits.
    pub fn new(config: &TextConfig, settings: KvCacheSettings, is_on_cpu: bool) -> Result<Self, ServeError> {
        let bytes = match settings.bytes {
            Some(bytes) => bytes,
            None if is_on_cpu => memory::available().map_or(UNKNOWN_MEMORY, |left| left / MEMORY_SHARE),
            None => UNKNOWN_MEMORY,
        };
        let n_tokens = bytes / kv_cache::bytes_per_token(config);
        Self::of(n_tokens, config.max_position_embeddings, settings.max_model_len)
    }

    fn of(n_tokens: usize, longest: usize, max_model_len: Option<usize>) -> Result<Self, ServeError> {
        if n_tokens < MIN_TOKENS {
            return Err(ServeError::Setting {
                setting: "--kv-cache-memory-bytes",
                expected: format!("space for {MIN_TOKENS} tokens"),
                got: n_tokens,
            });
        }
        let fitting = kv_cache::longest_sequence(n_tokens);
        match max_model_len {
            Some(wanted) if wanted > longest => Err(ServeError::Setting {
                setting: "--max-model-len",
                expected: format!("at most {longest}, which the model takes"),
                got: wanted,
            }),
            Some(wanted) if wanted > fitting => Err(ServeError::KvCacheTooSmall { fitting, wanted }),
            _ => Ok(Self { n_tokens, max_model_len: max_model_len.unwrap_or(longest.min(fitting)) }),
        }
    }

    /// The tokens that each of `n` completions of a prompt may have: `max_tokens`, or else as many as fit.
    ///
    /// Errors: 400 when so many do not fit, however empty the server.
    pub fn completion(&self, n_prompt: usize, n: usize, max_tokens: Option<usize>) -> Result<usize, ApiError> {
        let longest = self.max_model_len.saturating_sub(n_prompt);
        let max_tokens = max_tokens.unwrap_or_else(|| {
            let fitting = kv_cache::longest_completion(n_prompt, n, self.n_tokens);
            longest.min(fitting).max(1)
        });
        let reserved = kv_cache::reserved(n_prompt, n, max_tokens);
        let (param, problem) = if max_tokens > longest {
            let most = self.max_model_len;
            let got = format!("got {n_prompt} and up to {max_tokens} more");
            ("messages", format!("expected at most {most} tokens with its completion, {got}"))
        } else if reserved > self.n_tokens {
            let got =
                format!("got {n} of up to {max_tokens} tokens after a prompt of {n_prompt}, which may take {reserved}");
            let most = self.n_tokens;
            ("n", format!("expected completions that fit the KV cache, {most} tokens; {got}"))
        } else {
            return Ok(max_tokens);
        };
        Err(ApiError { code: "context_length_exceeded", ..ApiError::field(param, problem) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_as_long_as_the_model_and_the_memory_allow() {
        for (n_tokens, max_model_len, expected) in [
            (100_000, None, Ok(4096)),
            (100_000, Some(512), Ok(512)),
            (1056, None, Ok(800)),
            (100_000, Some(5000), Err("--max-model-len: expected at most 4096, which the model takes, got 5000")),
            (1056, Some(801), Err("--max-model-len: expected at most 800, for which there is memory, got 801")),
            (255, None, Err("--kv-cache-memory-bytes: expected space for 256 tokens, got 255")),
        ] {
            let budget = KvBudget::of(n_tokens, 4096, max_model_len);
            let got = budget.map(|budget| budget.max_model_len).map_err(|error| error.to_string());
            assert_eq!(got, expected.map_err(str::to_owned));
        }
    }

    #[test]
    fn completions_fit_or_are_refused_and_are_shortened_only_where_no_length_is_requested() {
        let budget = KvBudget::of(2000, 4096, Some(1000)).unwrap();
        assert_eq!(budget.completion(100, 1, None).unwrap(), 900);
        assert_eq!(budget.completion(100, 4, Some(300)).unwrap(), 300);
        let shared = budget.completion(100, 4, None).unwrap();
        assert!((200..474).contains(&shared), "{shared}");
        for (n_prompt, n, max_tokens, expected) in [
            (
                100,
                1,
                Some(901),
                "`messages`: expected at most 1000 tokens with its completion, got 100 and up to 901 more",
            ),
            (1000, 1, None, "`messages`: expected at most 1000 tokens with its completion, got 1000 and up to 1 more"),
            (100, 8, Some(300), "`n`: expected completions that fit the KV cache, 2000 tokens; got 8"),
        ] {
            let message = budget.completion(n_prompt, n, max_tokens).unwrap_err().message;
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
