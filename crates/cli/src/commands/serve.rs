//! `scruple serve`: a model behind OpenAI's chat interface.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use engine::Trainable;
use serve::chat::{self, Capacity, KvCacheSettings, Limits, Notice, Operator, Settings};

use crate::arguments::{ModelArguments, SettingsArguments};
use crate::config::required;
use crate::config::tables::ModelSettings;
use crate::context::Context;
use crate::errors::{Failure, Result};
use crate::interrupt;
use crate::model;
use crate::terminal::print_line;

const AFTER_HELP: &str = "\
Addresses: POST /v1/chat/completions, GET /v1/models, /health, /metrics (Prometheus).
Images come as `image_url` parts: data URLs, or paths beneath --allowed-local-media-path; nothing
is fetched. Answers may be streamed, and held to a JSON schema (`response_format`), a regular
expression or a choice (`structured_outputs`). Beside OpenAI's fields of sampling, vLLM's are taken:
`top_k`, `min_p`, `repetition_penalty`, `min_tokens`, `stop_token_ids`, `ignore_eos`; entries of
`chat_template_kwargs` are variables of the model's chat template. `logprobs` are the model's own,
as `scruple score` gives them, with an entry for every sampled token, the end token included. The
same `seed` gives the same answer, whichever requests run beside it; of `n` answers, answer i takes
the seed plus i.

A request is admitted once the KV cache has space for its prompt and for the longest answers that it
allows, so that a `max_tokens` admits more at once; what could never fit gets 400. Prompts of more
than 512 tokens, and more than --max-num-batched-tokens, are prefilled in chunks, between which the
others continue.

The first line of standard output is `listening on http://ADDRESS`. Beyond --max-waiting requests
are answered with 429. Ctrl-C or SIGTERM: requests that were admitted are finished, others get 503;
the exit code is 0, or 6 when some were truncated after --shutdown-timeout.

Example:
  scruple serve --model MODEL --port 8000
  curl localhost:8000/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{\"messages\": [{\"role\": \"user\", \"content\": \"What is a kettle?\"}], \"max_tokens\": 64}'";

/// Serve a model over HTTP as OpenAI's chat interface.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(flatten)]
    model: ModelArguments,
    /// The address to listen on; another than this machine's own opens the server to the network
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: String,
    /// The port to listen on; 0 takes one that is free
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    port: u16,
    /// What clients must send as `Authorization: Bearer KEY`
    #[arg(long, value_name = "KEY", env = "SCRUPLE_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// What clients call the model [default: --model as typed]
    #[arg(long, value_name = "NAME")]
    served_model_name: Option<String>,
    /// Sequences computed at once; bounds `n`
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_num_seqs: usize,
    /// Tokens of prompts computed between two steps of the others; longer prompts are prefilled in chunks
    #[arg(long, value_name = "N", default_value_t = 2048)]
    max_num_batched_tokens: usize,
    /// Tokens that a prompt may have with its completion [default: as many as the model takes and the KV cache holds]
    #[arg(long, value_name = "N")]
    max_model_len: Option<usize>,
    /// Memory of the KV cache; requests wait for space in it [default: half of what is left with the model loaded]
    #[arg(long, value_name = "BYTES")]
    kv_cache_memory_bytes: Option<usize>,
    /// Requests that may wait; further ones get 429
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_waiting: usize,
    /// The folder beneath which requests may name image files
    #[arg(long, value_name = "DIR")]
    allowed_local_media_path: Option<PathBuf>,
    /// Images a prompt may have
    #[arg(long, value_name = "JSON", default_value = r#"{"image":16}"#, value_parser = image_limit)]
    limit_mm_per_prompt: usize,
    /// Bytes a request may have
    #[arg(long, value_name = "N", default_value_t = 64 << 20)]
    max_request_bytes: usize,
    /// Bytes an image's file may have
    #[arg(long, value_name = "N", default_value_t = 16 << 20)]
    max_image_bytes: usize,
    /// Pixels an image may have
    #[arg(long, value_name = "N", default_value_t = 32 << 20)]
    max_image_pixels: u64,
    /// Seconds that requests under way have to finish when the server should stop
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    shutdown_timeout: u64,
}

/// vLLM's way to say it: `{"image": N}`.
fn image_limit(text: &str) -> Result<usize, String> {
    let parsed: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let limit = parsed.as_ref().and_then(|value| value.as_object());
    let limit = limit
        .filter(|fields| fields.len() == 1)
        .and_then(|fields| fields.get("image")?.as_u64());
    limit
        .and_then(|limit| usize::try_from(limit).ok())
        .ok_or_else(|| r#"expected {"image": N}"#.to_owned())
}

/// Runs the command.
///
/// Errors: of usage for a setting that cannot be used or an address that cannot be had, of interruption when requests
/// were truncated, and whatever opening the model meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    check(arguments)?;
    let table = arguments
        .settings
        .load::<ModelSettings>(arguments.model.flags())?
        .settings
        .model;
    let path = required(table.path.as_ref(), "model.path")?;
    let settings = Settings {
        model_name: match &arguments.served_model_name {
            Some(name) => name.clone(),
            None => path.display().to_string(),
        },
        api_key: arguments.api_key.clone(),
        max_waiting: arguments.max_waiting,
        max_request_bytes: arguments.max_request_bytes,
    };
    let limits = Limits {
        images_per_prompt: arguments.limit_mm_per_prompt,
        image_bytes: arguments.max_image_bytes,
        image_pixels: arguments.max_image_pixels,
        media_root: media_root(arguments)?,
    };
    let capacity = Capacity {
        max_sequences: arguments.max_num_seqs,
        max_prompt_tokens: arguments.max_num_batched_tokens,
        kv_cache: KvCacheSettings {
            max_model_len: arguments.max_model_len,
            bytes: arguments.kv_cache_memory_bytes,
        },
    };
    let engine = model::open(&table, Trainable::Frozen, 0, context.global.device)?;
    let (model, processor) = engine.into_parts();
    let longest = model.config().text.max_position_embeddings;
    let server = chat::build((model, processor), settings, limits, capacity)?;
    warn_of_short_cache(arguments, server.max_model_len(), longest);
    warn_of_open_address(arguments);
    let shutdown_timeout = Duration::from_secs(arguments.shutdown_timeout);
    let operator = Operator {
        should_stop: &interrupt::requested,
        notify: &|notice| match notice {
            Notice::Listening(address) => print_line(&format!("listening on http://{address}")),
            Notice::ModelFailed(problem) => {
                eprintln!("error: the model's thread ended: {problem}");
                Ok(())
            }
        },
    };
    Ok(chat::run(
        &server,
        (&arguments.host, arguments.port),
        shutdown_timeout,
        &operator,
    )?)
}

fn check(arguments: &Arguments) -> Result<(), Failure> {
    let counts = [
        ("--max-num-seqs", arguments.max_num_seqs),
        ("--max-num-batched-tokens", arguments.max_num_batched_tokens),
        ("--max-model-len", arguments.max_model_len.unwrap_or(1)),
        ("--max-waiting", arguments.max_waiting),
        ("--max-request-bytes", arguments.max_request_bytes),
    ];
    if let Some((flag, _)) = counts.iter().find(|(_, count)| *count == 0) {
        return Err(Failure::settings(format!("{flag}: expected at least 1, got 0")));
    }
    if arguments.api_key.as_deref() == Some("") {
        return Err(Failure::settings("--api-key: expected a key, got an empty one"));
    }
    Ok(())
}

fn media_root(arguments: &Arguments) -> Result<Option<PathBuf>, Failure> {
    let Some(folder) = &arguments.allowed_local_media_path else {
        return Ok(None);
    };
    match fs_err::canonicalize(folder) {
        Ok(resolved) if resolved.is_dir() => Ok(Some(resolved)),
        _ => Err(Failure::settings(format!(
            "--allowed-local-media-path {}: expected a folder",
            folder.display()
        ))),
    }
}

/// Warns when the KV cache is smaller than the model's longest sequence.
fn warn_of_short_cache(arguments: &Arguments, most: usize, longest: usize) {
    if arguments.max_model_len.is_none() && most < longest {
        eprintln!(
            "warning: the KV cache has space for {most} tokens a sequence, of the model's {longest}: \
             --kv-cache-memory-bytes gives it more"
        );
    }
}

/// Warns when others than this machine can send requests and no key keeps them out.
fn warn_of_open_address(arguments: &Arguments) {
    let is_own = arguments.host == "localhost"
        || arguments
            .host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    if !is_own && arguments.api_key.is_none() {
        eprintln!(
            "warning: anyone who can reach {} can send requests: --api-key keeps others out",
            arguments.host
        );
    }
}
