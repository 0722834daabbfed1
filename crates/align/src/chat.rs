//! The interface of models that only answer: judges, writers and policies, behind an endpoint or on this machine.
//!
//! Unlike [`crate::engine::Engine`] it knows no weights, only dialogues and texts; that is all a remote model shows.

mod answers;
mod ask;
mod engine_model;
mod fields;
mod json_answer;
pub mod scripted;

use diagnostic::{Diagnosis, Diagnostic, Kind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::{EngineError, FinishReason};
use crate::tagged::THINK;
use crate::types::{Item, Message};

pub use answers::{answer_in_order, answers};
pub use ask::{Questions, ReadAnswer, ask, object_schema};
pub use engine_model::EngineModel;
pub use fields::Fields;
pub use json_answer::json_object;

/// A dialogue to answer once.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRequest {
    /// What it is for; errors and records name it.
    pub id: String,
    /// The dialogue, ending before the answer.
    pub messages: Vec<Message>,
    /// How to answer.
    pub params: ChatParams,
}

impl ChatRequest {
    /// An item's prompt to answer once.
    pub fn of_item(item: &Item, params: ChatParams) -> Self {
        Self { id: item.id.clone(), messages: item.prompt().to_vec(), params }
    }
}

/// How a dialogue is to be answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChatParams {
    /// 0 is greedy.
    pub temperature: f64,
    /// Keep the smallest set of tokens whose probability reaches this; 1 keeps all.
    pub top_p: f64,
    /// At most this many tokens.
    pub max_tokens: usize,
    /// Do not stop at the end token. Of servers, vLLM and SGLang know it.
    pub ignore_eos: bool,
    /// Seeds the sampling, and tells samples of the same dialogue apart.
    pub seed: u64,
    /// The JSON that the answer must be; none for free text.
    pub schema: Option<AnswerSchema>,
    /// Whether the answer is to hold token ids, where the model gives them.
    pub token_ids: bool,
}

impl Default for ChatParams {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_p: 1.0,
            max_tokens: 1024,
            ignore_eos: false,
            seed: 0,
            schema: None,
            token_ids: false,
        }
    }
}

/// A JSON schema by name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnswerSchema {
    /// The name that endpoints want.
    pub name: &'static str,
    /// The schema.
    pub schema: Value,
}

/// What a model said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatAnswer {
    /// The text.
    pub text: String,
    /// The thinking that an endpoint returned beside the text; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub thinking: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens read, as the model counts them; 0 where it does not report them.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// The prompt as the model saw it, image tokens expanded; empty where that was not requested or is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompt_ids: Vec<u32>,
    /// The tokens written, under the same condition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output_ids: Vec<u32>,
}

impl ChatAnswer {
    /// A complete text whose tokens nobody counts.
    pub fn of(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            thinking: String::new(),
            finish_reason: FinishReason::Stop,
            prompt_tokens: 0,
            completion_tokens: 0,
            prompt_ids: Vec::new(),
            output_ids: Vec::new(),
        }
    }

    /// The same with the thinking at the head of the text, where local models write it and judges look for it.
    #[must_use]
    pub fn with_thinking_joined(mut self) -> Self {
        let [open, close] = THINK;
        if !self.thinking.is_empty() && !self.text.trim_start().starts_with(open) {
            self.text = format!("{open}{}{close}\n{}", self.thinking.trim(), self.text);
            self.thinking.clear();
        }
        self
    }

    /// Whether the token limit truncated it.
    pub fn is_truncated(&self) -> bool {
        self.finish_reason == FinishReason::Length
    }
}

/// Why there is no answer to a request, whatever was tried. What depends on it is unscored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct Unanswered {
    /// What went wrong last.
    pub reason: String,
    /// Whether the endpoint refused the request, or broke the answer off, as harmful.
    #[serde(default)]
    pub is_refused: bool,
}

impl Unanswered {
    /// No answer for this reason, which is no refusal.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_refused: false }
    }

    /// No answer, since the endpoint refuses the request, or broke the answer off, as harmful.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_refused: true }
    }
}

/// Why a batch of requests was left before all were answered. What has been answered is kept.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The user stopped the work.
    #[error("stopped on request; answers so far are kept")]
    Interrupted,
    /// The budget is spent.
    #[error("stopped: {0}")]
    Budget(String),
    /// Answers cannot be kept, or the model cannot be used at all.
    #[error("{0}")]
    Model(String),
    /// The model cannot be used before something is changed.
    #[error("{problem}")]
    Unusable {
        /// What is wrong.
        problem: String,
        /// What to change.
        hint: String,
    },
    /// The engine of a model on this machine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Diagnostic for ChatError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Interrupted => Kind::Interrupted.into(),
            Self::Budget(_) => Kind::Interrupted.hint(
                "raise the budget and repeat the command to resume: answers so far are kept and cost nothing again",
            ),
            Self::Model(_) => Kind::Model.into(),
            Self::Unusable { hint, .. } => Kind::Model.hint(hint),
            Self::Engine(error) => error.diagnosis(),
        }
    }
}

/// A model that answers dialogues.
pub trait ChatModel {
    /// The model's name, for records.
    fn name(&self) -> &str;

    /// Answers requests, many at a time, and hands each answer over with the request's index as it comes, in whatever
    /// order. Requests are taken from the iterator as they can be worked on, so that memory stays bounded.
    ///
    /// Errors: [`ChatError`] when it stops early; a request that fails for itself alone is handed over as
    /// [`Unanswered`].
    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError>;
}
