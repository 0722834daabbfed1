//! Models as judges: dialogues with responses in; verdicts out, or *unscored* with the reason.
//!
//! A rubric ([`Rubric`]) is a prompt in a file with its version in its name, the JSON schema of a verdict, and the
//! rules that a verdict must keep. An answer that does not keep them is sent back once with what is wrong; if the
//! second does not either, the response is unscored. Several judges may score the same response; what they agree on
//! becomes the verdict ([`combine()`]), and each one's own is kept beside it.

mod combine;
mod means;
mod model_judge;
mod rubric;
mod summary;
mod validation;
mod verdicts;

use crate::chat::{ChatError, ChatModel, ChatParams, ChatRequest, Questions, ask};
use crate::training::{SettingError, check_count, check_setting};
use crate::types::{Dialogue, Message, Part, Role, id_as_text, image_paths};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use combine::{Combination, combine};
pub use means::Mean;
pub use model_judge::ModelJudge;
pub use rubric::Rubric;
pub use summary::{JudgeSummary, summarise};
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
    fn id(&self) -> &str {
        &self.id
    }

    fn messages(&mut self) -> &mut [Message] {
        &mut self.messages
    }
}

/// How a model is asked to judge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgeConfig {
    /// 0, so that a judge asked twice says the same (P1).
    pub temperature: f64,
    /// Most tokens of a verdict.
    pub max_tokens: usize,
    /// Sets the judge's chance where the temperature is above 0.
    pub seed: u64,
    /// How several judges' numbers are put together.
    pub combination: Combination,
}

impl JudgeConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `judge`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        let is_temperature = self.temperature.is_finite() && self.temperature >= 0.0;
        check_setting(
            is_temperature,
            &format!("{table}.temperature"),
            "a number from 0",
            self.temperature,
        )?;
        check_count(&format!("{table}.max_tokens"), self.max_tokens)
    }
}

impl Default for JudgeConfig {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            max_tokens: 1024,
            seed: 0,
            combination: Combination::Majority,
        }
    }
}

/// What one judge makes of one response: a verdict in the rubric's JSON, or why there is none.
pub type Scored = Result<Value, String>;

/// Lets a model judge responses. Returns one outcome for each, in order; `on_scored` is called as each is settled.
///
/// Errors: [`ChatError`] when the judge stops early; what was answered is kept by whoever answers, so that the same
/// call goes on where this one stopped.
pub fn judge(
    model: &dyn ChatModel,
    responses: &[Response],
    rubric: Rubric,
    config: &JudgeConfig,
    on_scored: &mut dyn FnMut(),
) -> Result<Vec<Scored>, ChatError> {
    let questions = Questions {
        speaker: "judge",
        count: responses.len(),
        request: &|index| request(&responses[index], rubric, config),
        read: &|_, answer| rubric.read(answer),
    };
    ask(model, &questions, on_scored)
}

/// The dialogue in which a response is judged.
fn request(response: &Response, rubric: Rubric, config: &JudgeConfig) -> ChatRequest {
    let mut content: Vec<Part> = image_paths(&response.messages)
        .map(|image| Part::Image {
            image: image.to_owned(),
        })
        .collect();
    content.push(Part::Text {
        text: rubric.prompt(&transcript(&response.messages), &response.response),
    });
    ChatRequest {
        id: response.id.clone(),
        messages: vec![Message {
            role: Role::User,
            content,
        }],
        params: ChatParams {
            temperature: config.temperature,
            max_tokens: config.max_tokens,
            seed: config.seed,
            schema: Some(rubric.schema()),
        },
    }
}

/// The dialogue in words; pictures are numbered as they are shown to the judge. A single question stands alone.
fn transcript(messages: &[Message]) -> String {
    let mut shown = 0;
    let mut said = |message: &Message| -> String {
        let parts = message.content.iter().map(|part| match part {
            Part::Text { text } => text.clone(),
            Part::Image { .. } => {
                shown += 1;
                format!("[image {shown}]")
            }
        });
        parts.collect::<Vec<_>>().join(" ")
    };
    if let [only] = messages {
        return said(only);
    }
    let speaker = |role| match role {
        Role::System => "System",
        Role::User => "User",
        Role::Assistant => "Assistant",
    };
    let turns = messages
        .iter()
        .map(|message| format!("{}: {}", speaker(message.role), said(message)));
    turns.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
