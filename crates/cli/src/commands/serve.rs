//! `scruple serve`: a model behind OpenAI's chat interface.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use engine::Trainable;
use serve::chat::{self, Capacity, KvCacheSettings, Limits, Notice, Operator, Settings};

use crate::arguments::{ModelArguments, flag, flag_of};
use crate::config::tables::{ServeSettings, ServeTable};
use crate::config::{Override, required};
use crate::context::Context;
use crate::errors::{Failure, Result};
use crate::interrupt;
use crate::model;
use crate::terminal::print_line;

const AFTER_HELP: &str = "\
Addresses: POST /v1/chat/completions, GET /v1/models, /health, /metrics (Prometheus).
Images come as `image_url` parts: data URLs, or paths beneath --allowed-local-media-path; nothing
is fetched. Answers may be streamed, and constrained to a JSON schema (`response_format`), a regular
expression or a choice (`structured_outputs`). vLLM's sampling parameters are accepted too:
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
    model: ModelArguments,
    /// The address to listen on, another than this machine's own opens the server to the network; short for
    /// `serve.host=…` [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,
    /// The port to listen on, 0 takes a free one; short for `serve.port=…` [default: 8000]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// What clients must send as `Authorization: Bearer KEY`; no setting, so that no file holds it
    #[arg(long, value_name = "KEY", env = "SCRUPLE_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// What clients call the model; short for `serve.served_model_name=…` [default: --model as typed]
    #[arg(long, value_name = "NAME")]
    served_model_name: Option<String>,
    /// Sequences computed at once, which bounds `n`; short for `serve.max_num_seqs=…` [default: 64]
    #[arg(long, value_name = "N")]
    max_num_seqs: Option<usize>,
    /// Most prompt tokens prefilled in one step, longer prompts are prefilled in chunks; short for
    /// `serve.max_num_batched_tokens=…` [default: 2048]
    #[arg(long, value_name = "N")]
    max_num_batched_tokens: Option<usize>,
    /// Tokens that a prompt may have with its completion; short for `serve.max_model_len=…` [default: as many as the
    /// model takes and the KV cache holds]
    #[arg(long, value_name = "N")]
    max_model_len: Option<usize>,
    /// Size of the KV cache, requests wait while it is full; short for `serve.kv_cache_memory_bytes=…` [default: half
    /// of the memory that is free once the model is loaded]
    #[arg(long, value_name = "BYTES")]
    kv_cache_memory_bytes: Option<usize>,
    /// Requests that may wait, further ones get 429; short for `serve.max_waiting=…` [default: 256]
    #[arg(long, value_name = "N")]
    max_waiting: Option<usize>,
    /// The folder beneath which requests may name image files; short for `serve.allowed_local_media_path=…`
    #[arg(long, value_name = "DIR")]
    allowed_local_media_path: Option<String>,
    /// Images a prompt may have; short for `serve.limit_mm_per_prompt.image=…` [default: {"image":16}]
    #[arg(long, value_name = "JSON", value_parser = image_limit)]
    limit_mm_per_prompt: Option<usize>,
    /// Bytes a request may have; short for `serve.max_request_bytes=…` [default: 67108864]
    #[arg(long, value_name = "N")]
    max_request_bytes: Option<usize>,
    /// Bytes an image's file may have; short for `serve.max_image_bytes=…` [default: 16777216]
    #[arg(long, value_name = "N")]
    max_image_bytes: Option<usize>,
    /// Pixels an image may have; short for `serve.max_image_pixels=…` [default: 33554432]
    #[arg(long, value_name = "N")]
    max_image_pixels: Option<u64>,
    /// Seconds that requests under way have to finish when the server should stop; short for
    /// `serve.shutdown_timeout=…` [default: 30]
    #[arg(long, value_name = "SECONDS")]
    shutdown_timeout: Option<u64>,
}

impl Arguments {
    /// The settings that they are short for, but for the model's.
    fn flags(&self) -> [Option<Override>; 14] {
        let images = ["serve", "limit_mm_per_prompt", "image"];
        [
            flag_of("serve", "host", self.host.as_ref()),
            flag_of("serve", "port", self.port),
            flag_of("serve", "served_model_name", self.served_model_name.as_ref()),
            flag_of("serve", "max_num_seqs", self.max_num_seqs),
            flag_of("serve", "max_num_batched_tokens", self.max_num_batched_tokens),
            flag_of("serve", "max_model_len", self.max_model_len),
            flag_of("serve", "kv_cache_memory_bytes", self.kv_cache_memory_bytes),
            flag_of("serve", "max_waiting", self.max_waiting),
            flag_of("serve", "allowed_local_media_path", self.allowed_local_media_path.as_ref()),
            flag_of("serve", "max_request_bytes", self.max_request_bytes),
            flag_of("serve", "max_image_bytes", self.max_image_bytes),
            flag_of("serve", "max_image_pixels", self.max_image_pixels),
            flag_of("serve", "shutdown_timeout", self.shutdown_timeout),
            flag("--limit-mm-per-prompt", &images, self.limit_mm_per_prompt),
        ]
    }
}

/// vLLM's way to say it: `{"image": N}`.
fn image_limit(text: &str) -> Result<usize, String> {
    let parsed: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let limit = parsed.as_ref().and_then(|value| value.as_object());
    let limit = limit.filter(|fields| fields.len() == 1).and_then(|fields| fields.get("image")?.as_u64());
    limit.and_then(|limit| usize::try_from(limit).ok()).ok_or_else(|| r#"expected {"image": N}"#.to_owned())
}

/// Runs the command.
///
/// Errors: of settings for one that cannot be used or an address that cannot be had, of interruption when requests were
/// truncated, and whatever opening the model meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let loaded = arguments.model.load::<ServeSettings>(arguments.flags())?;
    let ServeSettings { model: table, serve } = &loaded.settings;
    loaded.check(serve.validate("serve"))?;
    if arguments.api_key.as_deref() == Some("") {
        return Err(Failure::settings("--api-key: expected a key, got an empty one"));
    }
    let path = required(table.path.as_ref(), "model.path")?;
    let settings = Settings {
        model_name: match &serve.served_model_name {
            Some(name) => name.clone(),
            None => path.display().to_string(),
        },
        api_key: arguments.api_key.clone(),
        max_waiting: serve.max_waiting,
        max_request_bytes: serve.max_request_bytes,
    };
    let limits = Limits {
        images_per_prompt: serve.limit_mm_per_prompt.image,
        image_bytes: serve.max_image_bytes,
        image_pixels: serve.max_image_pixels,
        media_root: media_root(serve)?,
    };
    let capacity = Capacity {
        max_sequences: serve.max_num_seqs,
        max_prompt_tokens: serve.max_num_batched_tokens,
        kv_cache: KvCacheSettings { max_model_len: serve.max_model_len, bytes: serve.kv_cache_memory_bytes },
    };
    let engine = model::open(table, Trainable::Frozen, 0, context.global.device)?;
    let (model, processor) = engine.into_parts();
    let longest = model.config().text.max_position_embeddings;
    let server = chat::build((model, processor), settings, limits, capacity)?;
    warn_of_short_cache(serve, server.preparer.kv_budget.max_model_len, longest);
    warn_of_open_address(&serve.host, arguments.api_key.is_some());
    let shutdown_timeout = Duration::from_secs(serve.shutdown_timeout);
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
    Ok(chat::run(&server, (&serve.host, serve.port), shutdown_timeout, &operator)?)
}

fn media_root(serve: &ServeTable) -> Result<Option<PathBuf>> {
    let Some(folder) = &serve.allowed_local_media_path else {
        return Ok(None);
    };
    match fs_err::canonicalize(folder) {
        Ok(resolved) if resolved.is_dir() => Ok(Some(resolved)),
        _ => Err(Failure::settings(format!("--allowed-local-media-path {}: expected a folder", folder.display()))),
    }
}

/// Warns when the KV cache is smaller than the model's longest sequence.
fn warn_of_short_cache(serve: &ServeTable, most: usize, longest: usize) {
    if serve.max_model_len.is_none() && most < longest {
        eprintln!(
            "warning: the KV cache has space for {most} tokens a sequence, of the model's {longest}: \
             --kv-cache-memory-bytes gives it more"
        );
    }
}

/// Warns when others than this machine can send requests and no key keeps them out.
fn warn_of_open_address(host: &str, has_key: bool) {
    let is_own = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if !is_own && !has_key {
        eprintln!("warning: anyone who can reach {host} can send requests: --api-key keeps others out");
    }
}
