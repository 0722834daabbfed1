//! The settings of `serve`. Names as in vLLM where it has them.

use std::path::PathBuf;

use align::settings::{SettingError, check_count};
use serde::{Deserialize, Serialize};

use super::ModelTable;

/// Settings of `scruple serve`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeSettings {
    /// The model.
    pub model: ModelTable,
    /// The server.
    pub serve: ServeTable,
}

/// The address, and what is bounded; the table `[serve]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeTable {
    /// The address to listen on.
    pub host: String,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// What clients call the model; `model.path` where none is given.
    pub served_model_name: Option<String>,
    /// Sequences computed at once.
    pub max_num_seqs: usize,
    /// Tokens of prompts computed between two steps of the others.
    pub max_num_batched_tokens: usize,
    /// Tokens that a prompt may have with its completion; as many as the model takes and the KV cache holds where none is
    /// given.
    pub max_model_len: Option<usize>,
    /// Memory of the KV cache; half of what is left with the model loaded where none is given.
    pub kv_cache_memory_bytes: Option<usize>,
    /// Requests that may wait.
    pub max_waiting: usize,
    /// The folder beneath which requests may name image files.
    pub allowed_local_media_path: Option<PathBuf>,
    /// Files a prompt may have.
    pub limit_mm_per_prompt: MediaLimits,
    /// Bytes a request may have.
    pub max_request_bytes: usize,
    /// Bytes an image's file may have.
    pub max_image_bytes: usize,
    /// Pixels an image may have.
    pub max_image_pixels: u64,
    /// Seconds that requests under way have to finish when the server should stop.
    pub shutdown_timeout: u64,
}

/// Files a prompt may have, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaLimits {
    /// Images.
    pub image: usize,
}

impl Default for MediaLimits {
    fn default() -> Self {
        Self { image: 16 }
    }
}

impl Default for ServeTable {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8000,
            served_model_name: None,
            max_num_seqs: 64,
            max_num_batched_tokens: 2048,
            max_model_len: None,
            kv_cache_memory_bytes: None,
            max_waiting: 256,
            allowed_local_media_path: None,
            limit_mm_per_prompt: MediaLimits::default(),
            max_request_bytes: 64 << 20,
            max_image_bytes: 16 << 20,
            max_image_pixels: 32 << 20,
            shutdown_timeout: 30,
        }
    }
}

impl ServeTable {
    /// Checks that the numbers can be used. `table` is where they stand in the settings.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        for (key, count) in [
            ("max_num_seqs", self.max_num_seqs),
            ("max_num_batched_tokens", self.max_num_batched_tokens),
            ("max_model_len", self.max_model_len.unwrap_or(1)),
            ("max_waiting", self.max_waiting),
            ("max_request_bytes", self.max_request_bytes),
        ] {
            check_count(&format!("{table}.{key}"), count)?;
        }
        Ok(())
    }
}
