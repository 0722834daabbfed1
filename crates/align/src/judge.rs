//! Models as judges: dialogues with responses in; verdicts out, or *unscored* with the reason.
//!
//! A rubric ([`Rubric`]) is a prompt in a file with its version in its name, the JSON schema of a verdict, and the
//! rules that a verdict must keep. An answer that breaks them is sent back once with what is wrong; if the second does
//! too, the response is unscored. Several judges may score the same response; what they agree on becomes the verdict
//! ([`combine()`]), and each one's own is kept beside it.

mod combine;
mod means;
mod model_judge;
mod rubric;
mod summary;
mod validation;
mod verdicts;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chat::{ChatError, ChatModel, ChatParams, ChatRequest, Questions, ReadAnswer, ask};
use crate::settings::{SettingError, check_at_least_zero, check_count};
use crate::settings_table;
use crate::types::{Dialogue, Message, Part, Role, id_as_text};
use crate::verdict::{Judgement, Unscored};

pub use combine::{Combination, combine};
pub use means::Mean;
pub use model_judge::ModelJudge;
pub use rubric::Rubric;
pub use summary::{JudgeSummary, summarize};
pub use validation::{Validation, validate};

/// A response to be judged: a line of a responses file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// Unique in its file; a number there is text here.
    #[serde(deserialize_with = "id_as_text")]
    pub id: String,
    /// The dialogue, ending before the response.
    pub messages: Vec<Message>,
    /// What the model said.
    pub response: String,
}

impl Dialogue for Response {
    const FIELDS: &str = "`id`, `messages` and `response`";

    fn id(&self) -> &str {
        &self.id
    }

    fn messages(&mut self) -> &mut [Message] {
        &mut self.messages
    }
}

settings_table! {
    /// How a model judges.
    pub struct JudgeConfig {
        /// 0, so that a judge gives the same verdict each time (MIS).
        pub temperature: f64 = 0.0,
        /// Most tokens of a verdict.
        pub max_tokens: usize = 1024,
        /// Seeds the judge's sampling where the temperature is above 0.
        pub seed: u64 = 0,
        /// How several judges' numbers are combined.
        pub combination: Combination = Combination::Majority,
    }
}

impl JudgeConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `judge`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        check_at_least_zero(&format!("{table}.temperature"), self.temperature)?;
        check_count(&format!("{table}.max_tokens"), self.max_tokens)
    }
}

/// Lets a model judge responses. Returns for each, in order, a verdict in the rubric's JSON; `on_scored` is called as
/// each is settled.
///
/// Errors: [`ChatError`] when the judge stops early; the model keeps what was answered, so that the same call resumes
/// where this one stopped.
pub fn judge(
    model: &dyn ChatModel,
    responses: &[Response],
    rubric: Rubric,
    config: &JudgeConfig,
    on_scored: &mut dyn FnMut(),
) -> Result<Vec<Judgement<Value>>, ChatError> {
    let questions = Questions {
        speaker: "judge",
        count: responses.len(),
        request: &|index| request(&responses[index], rubric, config),
        read: ReadAnswer::Object(&|_, fields| rubric.read(fields)),
    };
    let scored = ask(model, &questions, on_scored)?;
    Ok(scored.into_iter().map(|outcome| outcome.map_err(Unscored::new)).collect())
}

/// The dialogue in which a response is judged.
fn request(response: &Response, rubric: Rubric, config: &JudgeConfig) -> ChatRequest {
    let parts = response.messages.iter().flat_map(|message| &message.content);
    let mut content: Vec<Part> = parts.filter(|part| matches!(part, Part::Image { .. })).cloned().collect();
    let prompt = rubric.prompt(&transcript(&response.messages), &response.response);
    content.push(Part::Text { text: prompt });
    ChatRequest {
        id: response.id.clone(),
        messages: vec![Message { role: Role::User, content }],
        params: ChatParams {
            temperature: config.temperature,
            max_tokens: config.max_tokens,
            seed: config.seed,
            schema: Some(rubric.schema()),
            ..ChatParams::default()
        },
    }
}

/// The dialogue in words; images are numbered as they are shown to the judge. A single message has no speaker.
pub fn transcript(messages: &[Message]) -> String {
    let mut n_images = 0;
    let mut turns = Vec::new();
    for message in messages {
        let mut words = Vec::new();
        for part in &message.content {
            words.push(match part {
                Part::Text { text } => text.clone(),
                Part::Image { .. } => {
                    n_images += 1;
                    format!("[image {n_images}]")
                }
            });
        }
        let speaker = match message.role {
            _ if messages.len() == 1 => "",
            Role::System => "System: ",
            Role::User => "User: ",
            Role::Assistant => "Assistant: ",
        };
        turns.push(format!("{speaker}{}", words.join(" ")));
    }
    turns.join("\n")
}

#[cfg(test)]
mod tests;
