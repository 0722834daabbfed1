//! How stages ask models: JSON by a schema, repaired once; the answer's fields are read with errors that a model can
//! repair them by.

use std::path::PathBuf;

use serde_json::Value;

use super::draft::{Draft, Maker};
use super::job::{Forge, ForgeError};
use super::prompt::PromptTemplate;
use crate::chat::{
    AnswerSchema, ChatModel, ChatParams, ChatRequest, Fields, Questions, ReadAnswer, ask, object_schema,
};
use crate::decontamination::text::words;
use crate::progress::Progress;
use crate::seeds::derive_seed;
use crate::types::Message;

/// A question: what it is about, its images, its words.
pub(super) struct Question {
    pub id: String,
    pub images: Vec<PathBuf>,
    pub text: String,
}

impl Question {
    /// A question about a draft with its images.
    pub(super) fn about(draft: &Draft, text: String) -> Self {
        Self { id: draft.id.clone(), images: draft.images.clone(), text }
    }
}

/// Who is asked, in which stage and in which form.
pub(super) struct Asked<'a> {
    stage: &'static str,
    role: &'static str,
    model: &'a dyn ChatModel,
    schema: AnswerSchema,
    temperature: f64,
}

impl<'a> Asked<'a> {
    /// The writer is asked, at the settings' temperature, for an object of these fields.
    pub(super) fn writer(forge: &Forge<'a>, stage: &'static str, name: &'static str, fields: &[(&str, Value)]) -> Self {
        Self {
            stage,
            role: "writer",
            model: forge.writer,
            schema: AnswerSchema { name, schema: object_schema(fields) },
            temperature: forge.config.temperature,
        }
    }

    /// The judge is asked, at temperature 0.
    pub(super) fn judge(forge: &Forge<'a>, stage: &'static str, name: &'static str, fields: &[(&str, Value)]) -> Self {
        Self { role: "judge", model: forge.judge, temperature: 0.0, ..Self::writer(forge, stage, name, fields) }
    }

    /// The note of the model's part in a draft.
    pub(super) fn maker(&self, prompt: PromptTemplate) -> Maker {
        Maker {
            stage: self.stage.to_owned(),
            model: self.model.name().to_owned(),
            prompt: Some(prompt.identity()),
            said: None,
        }
    }

    /// The reason of drafts that the model had no usable answer to.
    pub(super) fn unanswered(&self) -> String {
        format!("no usable answer of the {}", self.role)
    }
}

impl Forge<'_> {
    /// Asks every question; one outcome for each, in order: what `read` makes of the answer's JSON object, or why there
    /// is nothing.
    pub(super) fn ask<T>(
        &self,
        asked: &Asked,
        questions: &[Question],
        read: &dyn Fn(usize, &Fields) -> Result<T, String>,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Result<T, String>>, ForgeError> {
        progress.begin(&format!("{}: {}", asked.stage, asked.role), questions.len());
        let asking = Questions {
            speaker: asked.role,
            count: questions.len(),
            request: &|index| self.request(asked, &questions[index]),
            read: ReadAnswer::Object(read),
        };
        let outcomes = ask(asked.model, &asking, &mut || progress.advance(1))?;
        progress.end();
        Ok(outcomes)
    }

    fn request(&self, asked: &Asked, question: &Question) -> ChatRequest {
        let images = question.images.iter().map(|image| self.folder.join(image)).collect();
        ChatRequest {
            id: question.id.clone(),
            messages: vec![Message::of_user(images, question.text.clone())],
            params: ChatParams {
                temperature: asked.temperature,
                max_tokens: self.config.max_tokens,
                seed: derive_seed(self.config.seed, &format!("{} {}", asked.stage, question.id), &[]),
                schema: Some(asked.schema.clone()),
                ..ChatParams::default()
            },
        }
    }
}

/// Most letters of a thing's name.
const LONGEST_OBJECT: usize = 60;

/// Checks the things of an item.
pub(super) fn check_objects(objects: &[String], most: usize) -> Result<(), String> {
    if !(2..=most).contains(&objects.len()) {
        return Err(format!("field `objects`: expected 2 to {most} things, got {}", objects.len()));
    }
    for (index, object) in objects.iter().enumerate() {
        if object.chars().count() > LONGEST_OBJECT {
            return Err(format!("field `objects`: expected a thing in a few words, got \"{object}\""));
        }
        if objects[..index].iter().any(|other| other.eq_ignore_ascii_case(object)) {
            return Err(format!("field `objects`: expected different things, got \"{object}\" twice"));
        }
    }
    Ok(())
}

/// How images are counted in words.
const ORDINALS: [&str; 9] = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"];

/// Checks that a query speaks of every image and names no thing.
pub(super) fn check_query(field: &str, query: &str, objects: &[String]) -> Result<(), String> {
    let words = spaced(query);
    for ordinal in &ORDINALS[..objects.len().min(ORDINALS.len())] {
        if !words.contains(&format!(" {ordinal} image ")) {
            return Err(format!(
                "field `{field}`: expected \"the object in the {ordinal} image\" in it, got \"{query}\""
            ));
        }
    }
    match objects.iter().find(|object| words.contains(&spaced(object))) {
        Some(object) => Err(format!("field `{field}`: expected no thing to be named, got \"{object}\" in \"{query}\"")),
        None => Ok(()),
    }
}

/// The words of a text in small letters, a space around each.
pub(super) fn spaced(text: &str) -> String {
    format!(" {} ", words(text).join(" "))
}

/// Notes in each draft who worked on it, and applies the outcome or rejects it as unanswered.
pub(super) fn apply<T>(
    drafts: &mut [Draft],
    asked: &Asked,
    prompt: PromptTemplate,
    outcomes: Vec<Result<T, String>>,
    mut on_answer: impl FnMut(&mut Draft, T),
) {
    for (draft, outcome) in drafts.iter_mut().zip(outcomes) {
        draft.made_by.push(asked.maker(prompt));
        match outcome {
            Ok(answer) => on_answer(draft, answer),
            Err(reason) => draft.reject(asked.stage, &asked.unanswered(), reason),
        }
    }
}
