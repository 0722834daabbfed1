//! The door to models that answer in words: judges, writers and policies, behind an endpoint or on this machine.
//!
//! Unlike [`crate::engine::Engine`] it knows no tokens and no weights, only dialogues and texts; that is all a remote
//! model shows.

mod ask;
mod engine_model;
mod fields;
pub mod scripted;

use diagnostic::{Diagnosis, Diagnostic, Kind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::types::Message;

pub use ask::{Questions, ask, json_object, object_schema};
pub use engine_model::EngineModel;
pub use fields::Fields;

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

/// How a dialogue is to be answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChatParams {
    /// 0 takes the likeliest token.
    pub temperature: f64,
    /// At most this many tokens.
    pub max_tokens: usize,
    /// Sets the model's chance, and tells samples of the same dialogue apart.
    pub seed: u64,
    /// The JSON that the answer must be; none for free text.
    pub schema: Option<AnswerSchema>,
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
    /// Whether a token limit cut it off.
    pub is_cut_off: bool,
    /// Tokens read, as the model counts them; 0 where it does not say.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
}

/// Why there is no answer to a request, whatever was tried. What depends on it is unscored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct Unanswered {
    /// What went wrong last.
    pub reason: String,
}

/// Why a batch of requests was left before all were answered. What has been answered is kept.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The user asked to stop.
    #[error("stopped on request; answers so far are kept")]
    Interrupted,
    /// The budget is spent.
    #[error("stopped: {0}")]
    Budget(String),
    /// Answers cannot be kept, or the model cannot be used at all.
    #[error("{0}")]
    Model(String),
}

impl Diagnostic for ChatError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Interrupted => Kind::Interrupted.into(),
            Self::Budget(_) => Kind::Interrupted.hint(
                "raise the budget and repeat the command to resume: answers so far are kept and cost nothing again",
            ),
            Self::Model(_) => Kind::Model.into(),
        }
    }
}

/// A model that answers dialogues.
pub trait ChatModel {
    /// The model's name, for records.
    fn name(&self) -> &str;

    /// Answers requests, many at a time, and hands each answer over with the request's index as it comes, in whatever
    /// order. Requests are drawn from the iterator as there is room for them, so that memory stays bounded.
    ///
    /// Errors: [`ChatError`] when it stops early; a request that fails for itself alone is handed over as
    /// [`Unanswered`].
    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError>;
}
