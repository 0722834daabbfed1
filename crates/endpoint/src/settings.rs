//! How a role's model is reached: the tables `[role.judge]`, `[role.writer]` … of a configuration.

use align::settings::{SettingError, check_at_least_zero, check_count, check_setting};
use align::{check_each, settings_table};
use serde::{Deserialize, Serialize};

use crate::address::{Address, shown};

settings_table! {
    /// A model behind an endpoint, for one role.
    pub struct RoleSettings {
        /// Where the endpoint's `/v1` is, such as `http://localhost:8000/v1` (an address without a path gets `/v1`, and a closing
        /// `/chat/completions` is taken off); or `local`, where the model runs in this process; or `mini`, where the
        /// miniature world itself answers.
        pub url: String = String::new(),
        /// The model's name there; of a local one its folder, or its name on the hub.
        pub model: String = String::new(),
        /// The environment variable that holds the key; it may be unset for a server that needs none. The key itself
        /// stands in no file, log or journal; where an endpoint repeats it, `***` is kept.
        pub api_key_env: String = "OPENAI_API_KEY".to_owned(),
        /// Calls in flight at once; of a local model, prompts answered at once.
        pub concurrency: usize = 16,
        /// Most calls a minute; 0 for no limit.
        pub requests_per_minute: usize = 0,
        /// Most tokens a minute, read and written; 0 for no limit. Before an answer its tokens are taken to be those of the
        /// last answers, and before the first its prompt's length and `max_tokens`.
        pub tokens_per_minute: usize = 0,
        /// Seconds until a call is given up, its answer's last byte included.
        pub timeout: f64 = 120.0,
        /// How often a call at which the endpoint failed is tried again. After that it is the request's own failure where other
        /// requests are answered meanwhile, and an outage where none is.
        pub max_retries: usize = 5,
        /// Seconds that a call waits in all for an endpoint that takes no further calls at the moment (429, or 503 with
        /// `Retry-After`); such tries are no failures.
        pub max_wait: f64 = 600.0,
        /// Seconds that an endpoint which answers nobody is waited for before the work stops.
        pub max_outage: f64 = 60.0,
        /// How a JSON schema is requested.
        pub structured_output: StructuredOutput = StructuredOutput::ResponseFormat,
        /// What the most tokens of an answer are called.
        pub max_tokens_name: MaxTokensName = MaxTokensName::MaxTokens,
        /// Parameters that are not sent, for endpoints that refuse them.
        pub omit: Vec<Parameter> = Vec::new(),
        /// Whether thinking that the endpoint returns beside the text (`reasoning_content`, `reasoning`) is put before it.
        pub thinking: Thinking = Thinking::Auto,
        /// Price of a million tokens read, in the currency of `max_cost`.
        pub price_input: f64 = 0.0,
        /// Price of a million tokens written.
        pub price_output: f64 = 0.0,
        /// Price of an image, for painters.
        pub price_image: f64 = 0.0,
        /// No further call is made once the role has cost this much, or beside calls in flight that may cost the rest; 0
        /// for no limit.
        pub max_cost: f64 = 0.0,
        /// The same for tokens, read and written; 0 for no limit.
        pub max_total_tokens: u64 = 0,
    }
}

/// How the JSON schema of an answer is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StructuredOutput {
    /// `response_format` of the OpenAI interface.
    ResponseFormat,
    /// `structured_outputs` of vLLM.
    StructuredOutputs,
    /// Not at all: the prompt alone describes it.
    Off,
}

/// What becomes of thinking that an endpoint returns beside the text. The journal keeps it in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thinking {
    /// It is joined where the role is a policy, whose thinking is judged too; others answer by their text alone.
    Auto,
    /// It stands before the text, as `<think>…</think>`.
    Joined,
    /// It is no part of the text.
    Apart,
}

/// What the most tokens of an answer are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensName {
    /// The name that most servers know.
    MaxTokens,
    /// The name that newer models of OpenAI insist on.
    MaxCompletionTokens,
}

/// A parameter that some endpoints refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    /// How far from greedy an answer may go.
    Temperature,
    /// The nucleus that tokens are sampled from.
    TopP,
    /// The most tokens of an answer, whatever its name.
    MaxTokens,
    /// What seeds the sampling.
    Seed,
    /// How many images are painted.
    N,
    /// An image's size.
    Size,
    /// How a painter returns images.
    ResponseFormat,
}

impl MaxTokensName {
    /// The name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// Whether a role answers prompts, where the others judge, write or paint.
pub fn is_policy(role: &str) -> bool {
    role == "policy" || role.starts_with("policy-")
}

impl RoleSettings {
    /// Whether its calls cost money.
    pub fn is_priced(&self) -> bool {
        self.price_input + self.price_output + self.price_image > 0.0
    }

    /// Whether the thinking of a role's model is put before its text.
    pub fn joins_thinking(&self, role: &str) -> bool {
        match self.thinking {
            Thinking::Auto => is_policy(role),
            Thinking::Joined => true,
            Thinking::Apart => false,
        }
    }

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

    /// The parameters that are not sent, by their names on the wire.
    pub(crate) fn omitted(&self) -> impl Iterator<Item = &'static str> {
        self.omit.iter().map(|parameter| match parameter {
            Parameter::Temperature => "temperature",
            Parameter::TopP => "top_p",
            Parameter::MaxTokens => self.max_tokens_name.name(),
            Parameter::Seed => "seed",
            Parameter::N => "n",
            Parameter::Size => "size",
            Parameter::ResponseFormat => "response_format",
        })
    }

    /// Checks that the settings can be used. `table` is where they stand, such as `role.judge`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        let begins = self.url.starts_with("http://") || self.url.starts_with("https://");
        check_setting(
            !self.is_remote() || (begins && Address::parse(&self.url).is_ok()),
            &format!("{table}.url"),
            "an address that begins with http:// or https://, or \"local\" or \"mini\"",
            shown(&self.url),
        )?;
        let is_named = self.is_mini() || !self.model.is_empty();
        check_setting(is_named, &format!("{table}.model"), "the model's name", "nothing")?;
        check_count(&format!("{table}.concurrency"), self.concurrency)?;
        let positive = self.timeout.is_finite() && self.timeout > 0.0;
        check_setting(positive, &format!("{table}.timeout"), "seconds above 0", self.timeout)?;
        let amounts = check_each!(
            check_at_least_zero,
            table,
            self,
            [max_wait, max_outage, price_input, price_output, price_image, max_cost]
        );
        amounts?;
        check_setting(
            self.max_cost == 0.0 || self.is_priced(),
            &format!("{table}.max_cost"),
            "a price in price_input, price_output or price_image, without which no budget is ever spent",
            format!("max_cost = {} and no price", self.max_cost),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut RoleSettings), expected: &str) {
        let mut settings =
            RoleSettings { url: "http://localhost:8000".to_owned(), model: "m".to_owned(), ..RoleSettings::default() };
        change(&mut settings);
        let outcome = settings.validate("role.judge").map_err(|error| error.to_string());
        let message = outcome.err().unwrap_or_default();
        assert!(message.contains(expected) && message.is_empty() == expected.is_empty(), "{message}");
    }

    #[test]
    fn a_budget_needs_prices_and_no_secret_of_an_address_is_shown() {
        check(|_| {}, "");
        check(|settings| settings.max_cost = 1.0, "role.judge.max_cost");
        check(|settings| settings.max_wait = -1.0, "role.judge.max_wait");
        check(|settings| (settings.max_cost, settings.price_image) = (1.0, 0.1), "");
        let secret = "ftp://me:password@host/v1?key=secret".to_owned();
        check(|settings| settings.url = secret, "got ftp://host/v1");
    }
}
