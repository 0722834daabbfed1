//! Models as the judge of rollouts, curation and evaluation: their verdicts as [`Judgement`]s.

use std::sync::{Mutex, PoisonError};

use diagnostic::from_json_value;
use serde_json::{Value, json};

use super::{JudgeConfig, Response, Rubric, combine, judge};
use crate::chat::{ChatError, ChatModel};
use crate::tagged::Tagged;
use crate::types::Item;
use crate::verdict::{Judge, Judgement, Unscored};

/// One model or several that score responses by the rubric `safer` (SaFeR-VLM), which gives all that a reward needs.
pub struct ModelJudge {
    name: String,
    // A model answers for one caller at a time.
    models: Mutex<Vec<Box<dyn ChatModel + Send>>>,
    config: JudgeConfig,
}

impl ModelJudge {
    /// Combines models into one judge.
    pub fn new(models: Vec<Box<dyn ChatModel + Send>>, config: JudgeConfig) -> Self {
        let names: Vec<&str> = models.iter().map(|model| model.name()).collect();
        let (names, rubric) = (names.join(", "), Rubric::Safer);
        Self { name: format!("{names} ({} {})", rubric.name(), rubric.hash()), models: Mutex::new(models), config }
    }
}

impl Judge for ModelJudge {
    /// The models' names, and the rubric with its hash, so that verdicts by another prompt are distinguished.
    fn name(&self) -> &str {
        &self.name
    }

    fn judge(&self, responses: &[(&Item, &str)]) -> Result<Vec<Judgement>, ChatError> {
        let requests: Vec<Response> = responses
            .iter()
            .map(|(item, text)| Response {
                id: item.id.clone(),
                messages: item.prompt().to_vec(),
                response: (*text).to_owned(),
            })
            .collect();
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_model = Vec::with_capacity(models.len());
        for model in models.iter() {
            by_model.push(judge(&**model, &requests, Rubric::Safer, &self.config, &mut || {})?.into_iter());
        }
        let mut judgements = Vec::with_capacity(responses.len());
        for (_, text) in responses {
            let by_each: Vec<Judgement<Value>> = by_model.iter_mut().filter_map(Iterator::next).collect();
            judgements.push(verdict(combine(&by_each, self.config.combination), text));
        }
        Ok(judgements)
    }
}

/// The rubric's JSON as a verdict. Whether the format was kept to needs no judge.
fn verdict(judgement: Judgement<Value>, response: &str) -> Judgement {
    let mut verdict = judgement?;
    if verdict["think"].is_null() {
        verdict["think"] = json!({});
    }
    verdict["format"] = Tagged::of(response).is_some_and(|tagged| tagged.is_alone).into();
    from_json_value(&verdict).map_err(|problem| Unscored::new(format!("the judges' verdict cannot be used: {problem}")))
}
