//! How many tokens' keys and values the server holds, and so how long a prompt with its completions may be.

use vlm::config::TextConfig;
use vlm::generate::held;

use super::error::ApiError;
use super::memory;
use crate::errors::Failure;

/// Keys and values may take this share of the memory that is left once the model is loaded: prompts on their way,
/// scores and pictures take some too.
const SHARE: usize = 2;
/// What they may take where the system does not tell what is left.
const UNKNOWN: usize = 4 << 30;
/// With room for fewer tokens there is nothing to serve.
const LEAST_TOKENS: usize = 256;

/// What was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Tokens of a prompt with one completion; none: as many as the model takes and fit.
    pub max_model_len: Option<usize>,
    /// Bytes of keys and values; none: a share of what is left.
    pub kv_cache_bytes: Option<usize>,
}

/// The room there is.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    n_tokens: usize,
    max_model_len: usize,
}

impl Room {
    /// The room for a model's keys and values. `on_processor` tells whether they are in this machine's own memory.
    ///
    /// Errors: of usage when a sequence is to be longer than the model takes or than what there is room for.
    pub fn new(config: &TextConfig, wanted: Wanted, on_processor: bool) -> Result<Self, Failure> {
        let left = || memory::available().filter(|_| on_processor).map(|left| left / SHARE);
        let bytes = wanted.kv_cache_bytes.or_else(left).unwrap_or(UNKNOWN);
        let n_tokens = bytes / held::bytes_per_token(config);
        Self::of(n_tokens, config.max_position_embeddings, wanted.max_model_len)
    }

    fn of(n_tokens: usize, longest: usize, wanted: Option<usize>) -> Result<Self, Failure> {
        if n_tokens < LEAST_TOKENS {
            let problem = format!("--kv-cache-memory-bytes: expected room for {LEAST_TOKENS} tokens, got {n_tokens}");
            return Err(Failure::usage(problem));
        }
        if let Some(wanted) = wanted.filter(|wanted| *wanted > longest) {
            let problem = format!("--max-model-len: expected at most {longest}, which the model takes, got {wanted}");
            return Err(Failure::usage(problem));
        }
        let fitting = held::longest(n_tokens);
        let hint = "--kv-cache-memory-bytes says how much memory there is";
        match wanted {
            Some(wanted) if wanted > fitting => Err(Failure::usage(format!(
                "--max-model-len: expected at most {fitting}, for which there is memory, got {wanted}"
            ))
            .hint(hint)),
            _ => Ok(Self {
                n_tokens,
                max_model_len: wanted.unwrap_or(longest.min(fitting)),
            }),
        }
    }

    /// Tokens whose keys and values are held at most.
    pub fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// Tokens that a prompt and a completion have together at most.
    pub fn max_model_len(&self) -> usize {
        self.max_model_len
    }

    /// The tokens that each of `n` completions of a prompt may have: as many as `wanted`, or else as many as there is
    /// room for.
    ///
    /// Errors: 400 when there is not so much room, however empty the server.
    pub fn completion(&self, n_prompt: usize, n: usize, wanted: Option<usize>) -> Result<usize, ApiError> {
        let longest = self.max_model_len.saturating_sub(n_prompt);
        let fitting = || held::longest_completion(n_prompt, n, self.n_tokens);
        let wanted = wanted.unwrap_or_else(|| longest.min(fitting()).max(1));
        let refused = |param: &str, problem: String| ApiError {
            code: "context_length_exceeded",
            ..ApiError::field(param, problem)
        };
        if wanted > longest {
            let most = self.max_model_len;
            let got = format!("got {n_prompt} and up to {wanted} more");
            let problem = format!("expected at most {most} tokens with its completion, {got}");
            return Err(refused("messages", problem));
        }
        let taken = held::tokens(n_prompt, n, wanted);
        if taken > self.n_tokens {
            let most = self.n_tokens;
            let got = format!("got {n} of up to {wanted} tokens after a prompt of {n_prompt}, which may take {taken}");
            let problem = format!("expected completions that fit the memory for keys and values, {most} tokens; {got}");
            return Err(refused("n", problem));
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_as_long_as_the_model_and_the_memory_allow() {
        let length = |n_tokens, wanted| Room::of(n_tokens, 4096, wanted).map(|room| room.max_model_len());
        assert_eq!(length(100_000, None).unwrap(), 4096);
        assert_eq!(length(100_000, Some(512)).unwrap(), 512);
        assert_eq!(length(1056, None).unwrap(), 800);
        let message = |n_tokens, wanted| length(n_tokens, wanted).unwrap_err().to_string();
        assert_eq!(
            message(100_000, Some(5000)),
            "--max-model-len: expected at most 4096, which the model takes, got 5000"
        );
        assert_eq!(
            message(1056, Some(801)),
            "--max-model-len: expected at most 800, for which there is memory, got 801"
        );
        assert_eq!(
            message(255, None),
            "--kv-cache-memory-bytes: expected room for 256 tokens, got 255"
        );
    }

    #[test]
    fn completions_fit_or_are_refused_and_are_cut_only_where_no_length_is_asked_for() {
        let room = Room::of(2000, 4096, Some(1000)).unwrap();
        assert_eq!(room.completion(100, 1, None).unwrap(), 900);
        assert_eq!(room.completion(100, 4, Some(300)).unwrap(), 300);
        let shared = room.completion(100, 4, None).unwrap();
        assert!((200..474).contains(&shared), "{shared}");
        let message = |n_prompt, n, wanted| room.completion(n_prompt, n, wanted).unwrap_err().message;
        assert_eq!(
            message(100, 1, Some(901)),
            "`messages`: expected at most 1000 tokens with its completion, got 100 and up to 901 more"
        );
        assert_eq!(
            message(1000, 1, None),
            "`messages`: expected at most 1000 tokens with its completion, got 1000 and up to 1 more"
        );
        let refused = message(100, 8, Some(300));
        assert!(
            refused
                .starts_with("`n`: expected completions that fit the memory for keys and values, 2000 tokens; got 8"),
            "{refused}"
        );
    }
}
