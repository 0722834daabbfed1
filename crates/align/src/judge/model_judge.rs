//! Models as the judge of rollouts, curation and evaluation: their verdicts as [`Judgement`]s.

use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::Value;

use super::{JudgeConfig, Response, Rubric, Scored, combine, judge};
use crate::chat::{ChatError, ChatModel};
use crate::tagged::Tagged;
use crate::types::Item;
use crate::verdict::{Judge, Judgement, Verdict};

/// One model or several that score responses by the rubric `safer` (P2), the one that tells all a reward needs.
pub struct ModelJudge {
    name: String,
    // A model answers for one caller at a time.
    models: Mutex<Vec<Box<dyn ChatModel + Send>>>,
    config: JudgeConfig,
}

impl ModelJudge {
    /// Puts models together as one judge.
    pub fn new(models: Vec<Box<dyn ChatModel + Send>>, config: JudgeConfig) -> Self {
        let names: Vec<&str> = models.iter().map(|model| model.name()).collect();
        Self {
            name: format!(
                "{} ({} {})",
                names.join(", "),
                Rubric::Safer.name(),
                Rubric::Safer.hash()
            ),
            models: Mutex::new(models),
            config,
        }
    }
}

impl Judge for ModelJudge {
    /// The models' names, and the rubric with its hash, so that verdicts asked for in other words are told apart.
    fn name(&self) -> &str {
        &self.name
    }

    fn judge(&self, responses: &[(&Item, &str)]) -> Result<Vec<Judgement>, ChatError> {
        let asked: Vec<Response> = responses.iter().map(response).collect();
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_model = Vec::with_capacity(models.len());
        for model in models.iter() {
            by_model.push(judge(&**model, &asked, Rubric::Safer, &self.config, &mut || {})?.into_iter());
        }
        let judgement = |(_, text): &(&Item, &str)| {
            let scored: Vec<Scored> = by_model.iter_mut().filter_map(Iterator::next).collect();
            judgement(combine(&scored, self.config.combination), text)
        };
        Ok(responses.iter().map(judgement).collect())
    }
}

fn response((item, text): &(&Item, &str)) -> Response {
    Response {
        id: item.id.clone(),
        messages: item.prompt().to_vec(),
        response: (*text).to_owned(),
    }
}

/// The rubric's JSON as a verdict. Whether the form was kept to needs no judge.
fn judgement(scored: Scored, response: &str) -> Judgement {
    let complete = |mut verdict: Value| {
        if verdict["think"].is_null() {
            verdict["think"] = Value::Object(serde_json::Map::new());
        }
        verdict["format"] = Tagged::of(response).is_some_and(|tagged| tagged.is_alone).into();
        Verdict::deserialize(verdict).map_err(|error| format!("the judges' verdict cannot be used: {error}"))
    };
    scored
        .and_then(complete)
        .map_or_else(Judgement::Unscored, Judgement::Verdict)
}
