//! How a role's model is reached: the tables `[role.judge]`, `[role.writer]` … of a configuration.

use align::training::{SettingError, check_count, check_setting};
use serde::{Deserialize, Serialize};

/// A model behind an endpoint, for one role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoleSettings {
    /// Where the endpoint's `/v1` is, such as `http://localhost:8000/v1`; or `local`, where the model runs in this process;
    /// or `mini`, where the miniature world itself answers.
    pub url: String,
    /// The model's name there; of a local one its folder, or its name on the hub.
    pub model: String,
    /// The environment variable that holds the key; it may be unset for a server that asks for none. The key itself
    /// stands in no file, log or journal.
    pub api_key_env: String,
    /// Calls in flight at once; of a local model, prompts answered at once.
    pub concurrency: usize,
    /// Most calls a minute; 0 for no limit.
    pub requests_per_minute: usize,
    /// Most tokens a minute, read and written; 0 for no limit. Before an answer its tokens are taken to be those of the
    /// last answers.
    pub tokens_per_minute: usize,
    /// Seconds until a call is given up, its answer's last byte included.
    pub timeout: f64,
    /// How often a call that failed is tried again.
    pub max_retries: usize,
    /// How a JSON schema is asked for.
    pub structured_output: StructuredOutput,
    /// Price of a million tokens read, in the currency of `max_cost`.
    pub price_input: f64,
    /// Price of a million tokens written.
    pub price_output: f64,
    /// Price of a picture, for painters.
    pub price_image: f64,
    /// No further call is made once the role has cost this much; 0 for no limit.
    pub max_cost: f64,
    /// No further call is made once the role has read and written this many tokens; 0 for no limit.
    pub max_total_tokens: u64,
}

/// How an endpoint is told the JSON schema of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StructuredOutput {
    /// `response_format` of the OpenAI interface.
    ResponseFormat,
    /// `structured_outputs` of vLLM.
    StructuredOutputs,
    /// Not at all: the prompt alone asks for it.
    Off,
}

impl Default for RoleSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            model: String::new(),
            api_key_env: "OPENAI_API_KEY".to_owned(),
            concurrency: 16,
            requests_per_minute: 0,
            tokens_per_minute: 0,
            timeout: 120.0,
            max_retries: 5,
            structured_output: StructuredOutput::ResponseFormat,
            price_input: 0.0,
            price_output: 0.0,
            price_image: 0.0,
            max_cost: 0.0,
            max_total_tokens: 0,
        }
    }
}

impl RoleSettings {
    /// Whether the model runs in this process, behind no endpoint.
    pub fn is_local(&self) -> bool {
        self.url == "local"
    }

    /// Whether the miniature world itself plays the role: its writer, judge or painter, without a model.
    pub fn is_mini(&self) -> bool {
        self.url == "mini"
    }

    /// Whether the model is behind an endpoint.
    pub fn is_remote(&self) -> bool {
        !self.is_local() && !self.is_mini()
    }

    /// Checks that the settings can be used. `table` is where they stand, such as `role.judge`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        let key = |name: &str| format!("{table}.{name}");
        let is_web = self.url.starts_with("http://") || self.url.starts_with("https://");
        check_setting(
            is_web || !self.is_remote(),
            &key("url"),
            "an address that begins with http:// or https://, or \"local\" or \"mini\"",
            &self.url,
        )?;
        let is_named = self.is_mini() || !self.model.is_empty();
        check_setting(is_named, &key("model"), "the model's name", "nothing")?;
        check_count(&key("concurrency"), self.concurrency)?;
        let positive = self.timeout.is_finite() && self.timeout > 0.0;
        check_setting(positive, &key("timeout"), "seconds above 0", self.timeout)?;
        for (name, price) in [
            ("price_input", self.price_input),
            ("price_output", self.price_output),
            ("price_image", self.price_image),
            ("max_cost", self.max_cost),
        ] {
            check_setting(price.is_finite() && price >= 0.0, &key(name), "a number from 0", price)?;
        }
        Ok(())
    }
}
