//! Answers that must have a form, JSON objects or words: one that does not fit is sent back once with what is wrong, and
//! then given up.

use serde_json::{Map, Value, json};

use super::{ChatAnswer, ChatError, ChatModel, ChatRequest, Fields, Unanswered, json_object};
use crate::tagged::after_thoughts;
use crate::types::{Message, Role};

/// Reads what an answer says, or what is wrong with it, for the model to repair.
pub enum ReadAnswer<'a, T> {
    /// A JSON object: the outermost after the thoughts.
    Object(&'a dyn Fn(usize, &Fields) -> Result<T, String>),
    /// Words: what stands after the thoughts.
    Words(&'a dyn Fn(usize, &str) -> Result<T, String>),
}

/// Questions to one model, whose answers must have a form.
pub struct Questions<'a, T> {
    /// Who answers, for messages: `judge`, `writer` …
    pub speaker: &'a str,
    /// How many there are.
    pub count: usize,
    /// The question of an index.
    pub request: &'a dyn Fn(usize) -> ChatRequest,
    /// What the answer to the question of an index says.
    pub read: ReadAnswer<'a, T>,
}

/// Puts every question to the model. Returns one outcome for each, in order: what the answer says, or why there is none;
/// the text of an answer that could not be read is in the reason. `on_settled` is called as each is settled.
///
/// Errors: [`ChatError`] when the model stops early; its answers are in the journal, so that the same call resumes.
pub fn ask<T>(
    model: &dyn ChatModel,
    questions: &Questions<T>,
    on_settled: &mut dyn FnMut(),
) -> Result<Vec<Result<T, String>>, ChatError> {
    let mut outcomes: Vec<Option<Result<T, String>>> = (0..questions.count).map(|_| None).collect();
    let mut to_repair: Vec<(usize, String, String)> = Vec::new();
    let mut first = (0..questions.count).map(questions.request);
    model.answer(&mut first, &mut |index, answer| {
        match questions.read(index, answer) {
            Ok(read) => outcomes[index] = Some(Ok(read)),
            Err(Misfit::Unanswered(reason)) => outcomes[index] = Some(Err(reason)),
            Err(Misfit::Answered { text, problem }) => {
                to_repair.push((index, text, problem));
                return;
            }
        }
        on_settled();
    })?;
    // Answers come in any order; the second round keeps to that of the questions.
    to_repair.sort_by_key(|(index, ..)| *index);
    let mut second = to_repair.iter().map(|(index, text, problem)| repair((questions.request)(*index), text, problem));
    model.answer(&mut second, &mut |position, answer| {
        let index = to_repair[position].0;
        outcomes[index] = Some(questions.read(index, answer).map_err(|misfit| match misfit {
            Misfit::Unanswered(reason) => reason,
            Misfit::Answered { text, problem } => format!("{problem}; the {} said: {text}", questions.speaker),
        }));
        on_settled();
    })?;
    let outcomes = outcomes.into_iter();
    Ok(outcomes
        .map(|outcome| outcome.unwrap_or_else(|| Err(format!("the {} gave no answer", questions.speaker))))
        .collect())
}

/// Why an answer cannot be read.
enum Misfit {
    Unanswered(String),
    Answered { text: String, problem: String },
}

impl<T> Questions<'_, T> {
    fn read(&self, index: usize, answer: Result<ChatAnswer, Unanswered>) -> Result<T, Misfit> {
        let answer = answer.map_err(|unanswered| Misfit::Unanswered(unanswered.reason))?;
        let read = match &self.read {
            ReadAnswer::Object(read) => {
                let object = json_object(&answer.text, answer.is_truncated());
                object.and_then(|object| read(index, &Fields::new(&object)))
            }
            ReadAnswer::Words(read) => match after_thoughts(&answer.text) {
                Some(words) => read(index, words.trim()),
                None => Err("expected an answer after the thoughts, which are never closed".to_owned()),
            },
        };
        read.map_err(|problem| {
            let truncated = if answer.is_truncated() { " (truncated at max_tokens)" } else { "" };
            Misfit::Answered { problem: format!("{problem}{truncated}"), text: answer.text }
        })
    }
}

/// The question again, with the answer and what was wrong with it.
fn repair(mut request: ChatRequest, answer: &str, problem: &str) -> ChatRequest {
    request.messages.push(Message::text(Role::Assistant, answer));
    let form = if request.params.schema.is_some() { "with the JSON object alone" } else { "with the answer alone" };
    let again = format!("That cannot be used: {problem}. Answer again, {form}.");
    request.messages.push(Message::text(Role::User, again));
    request
}

/// The JSON schema of an object with these properties, all required, and no others.
pub fn object_schema(properties: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": names, "additionalProperties": false })
}
