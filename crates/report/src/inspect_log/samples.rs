//! Responses as `inspect_ai`'s samples.

use std::path::Path;

use align::eval::suite::{Ended, SuiteRecord, SuiteSummary};
use align::eval::{EvalSummary, JudgedResponse, RATES};
use align::types::{Item, Message, Part, Role};
use align::verdict::Judgement;
use serde_json::{Map, Value, json};

use crate::images;

/// A response as it is logged.
pub struct Logged {
    item: Item,
    epoch: usize,
    response: String,
    ended: Ended,
    judgement: Judgement<Value>,
    scores: Vec<(String, Option<f64>)>,
    unscored_reason: &'static str,
    metadata: Value,
}

/// The samples of a benchmark's item. Several are scored together, so each has the item's scores, and what is said of it
/// alone beside them.
pub fn of_suite(record: &SuiteRecord, summary: &SuiteSummary) -> Vec<Logged> {
    let counts = record.counts.iter().map(|(rate, counts)| (rate.clone(), counts.map(share)));
    let values = summary.scores.iter().filter_map(|info| {
        let score = record.scores.get(&info.name).copied();
        (score.is_some() || record.judgement.is_err()).then(|| (info.name.clone(), score))
    });
    let scores: Vec<(String, Option<f64>)> = counts.chain(values).collect();
    let samples = record.samples.iter().enumerate().map(|(index, sample)| Logged {
        item: record.item.clone(),
        epoch: index + 1,
        response: sample.response.clone(),
        ended: sample.ended,
        judgement: sample.judgement.clone(),
        scores: scores.clone(),
        unscored_reason: match sample.ended {
            Ended::Refused => "refusal",
            Ended::Failed => "no_response",
            Ended::Stop | Ended::Length if summary.prompts.is_empty() => "invalid_response_format",
            Ended::Stop | Ended::Length => "grader_failed",
        },
        metadata: json!({
            "refusal_by_words": record.refusal, "by_judge": sample.by_judge, "n_samples": record.samples.len(),
        }),
    });
    samples.collect()
}

/// The sample of an item with its rates.
pub fn of_items(record: &JudgedResponse, summary: &EvalSummary) -> Vec<Logged> {
    let names = summary.rate_names();
    let applied = RATES.iter().filter(|rate| (rate.applies)(record.item.kind));
    let applied = applied.filter(|rate| names.iter().any(|name| name == rate.name));
    let is_unscored = record.judgement.is_err();
    let scores = applied.filter_map(|rate| {
        let outcome = rate.outcome(record);
        (outcome.is_some() || is_unscored).then(|| (rate.name.to_owned(), outcome.map(share)))
    });
    // Records of items do not say how a response ended.
    let ended = if record.response.is_empty() && is_unscored { Ended::Failed } else { Ended::Stop };
    let judgement = match &record.judgement {
        Ok(verdict) => Ok(json!(verdict)),
        Err(unscored) => Err(unscored.clone()),
    };
    vec![Logged {
        scores: scores.collect(),
        item: record.item.clone(),
        epoch: 1,
        response: record.response.clone(),
        ended,
        judgement,
        unscored_reason: if ended == Ended::Failed { "no_response" } else { "grader_failed" },
        metadata: json!({}),
    }]
}

fn share(counts: bool) -> f64 {
    f64::from(u8::from(counts))
}

impl Logged {
    /// Whether there is no response for a reason that is not a refusal.
    pub fn has_failed(&self) -> bool {
        self.ended == Ended::Failed
    }

    /// The sample as JSON. Images are read from the folder of results.
    pub fn text(&self, results: &Path, model: &str) -> String {
        let mut attachments = Map::new();
        let prompt = self.item.prompt().iter().map(|message| message_of(message, results, &mut attachments));
        let input: Vec<Value> = prompt.collect();
        let reply = json!({ "role": "assistant", "content": self.response, "source": "generate", "model": model });
        let (mut messages, mut choices) = (input.clone(), Vec::new());
        if !self.has_failed() {
            messages.push(reply.clone());
            choices.push(json!({ "message": reply, "stop_reason": self.stop_reason() }));
        }
        let mut sample = json!({
            "id": self.item.id, "epoch": self.epoch, "input": input, "target": "", "messages": messages,
            "output": { "model": model, "choices": choices, "completion": self.response },
            "metadata": self.metadata(), "attachments": attachments,
        });
        if self.has_failed() {
            let reason = self.judgement.as_ref().err().map(ToString::to_string).unwrap_or_default();
            sample["error"] = json!({ "message": reason, "traceback": reason, "traceback_ansi": reason });
        }
        let sample = sample.to_string();
        let scores: Vec<String> = self.scores.iter().map(|(rate, value)| self.score(rate, *value)).collect();
        format!("{},\"scores\":{{{}}}}}", sample.strip_suffix('}').unwrap_or(&sample), scores.join(","))
    }

    /// A score under its rate. JSON knows no NaN, so that it is written by hand.
    fn score(&self, rate: &str, value: Option<f64>) -> String {
        let mut rest = json!({ "answer": self.response, "explanation": self.explanation() });
        if value.is_none() {
            rest["reason"] = self.unscored_reason.into();
            rest["metadata"] = json!({ "unscored": self.explanation() });
        }
        let value = value.map_or_else(|| "NaN".to_owned(), |value| value.to_string());
        format!("{}:{{\"value\":{value},{}", json!(rate), &rest.to_string()[1..])
    }

    fn explanation(&self) -> String {
        match &self.judgement {
            Ok(verdict) => verdict.to_string(),
            Err(unscored) => unscored.to_string(),
        }
    }

    fn stop_reason(&self) -> &'static str {
        match self.ended {
            Ended::Stop => "stop",
            Ended::Length => "max_tokens",
            Ended::Refused => "content_filter",
            Ended::Failed => "unknown",
        }
    }

    fn metadata(&self) -> Value {
        let Item { split, category, kind, twin_of, truth, .. } = &self.item;
        let mut metadata = json!({
            "split": split, "category": category, "kind": kind, "twin_of": twin_of, "truth": truth, "ended": self.ended,
        });
        match &self.judgement {
            Ok(verdict) => metadata["verdict"] = verdict.clone(),
            Err(unscored) => metadata["unscored"] = unscored.to_string().into(),
        }
        if let (Value::Object(all), Value::Object(more)) = (&mut metadata, &self.metadata) {
            all.extend(more.clone());
        }
        metadata
    }
}

/// A message; its images become attachments.
fn message_of(message: &Message, results: &Path, attachments: &mut Map<String, Value>) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let content: Vec<Value> = message.content.iter().map(|part| part_of(part, results, attachments)).collect();
    json!({ "role": role, "content": content, "source": "input" })
}

fn part_of(part: &Part, results: &Path, attachments: &mut Map<String, Value>) -> Value {
    let image = match part {
        Part::Text { text } => return json!({ "type": "text", "text": text }),
        Part::Image { image, .. } => image,
    };
    let Some(uri) = images::embedded(&results.join(image), LARGEST_IMAGE) else {
        return json!({ "type": "text", "text": format!("[image {} could not be read]", image.display()) });
    };
    let key = format!("image-{}", attachments.len() + 1);
    let part = json!({ "type": "image", "image": format!("attachment://{key}") });
    attachments.insert(key, uri.into());
    part
}

/// Images larger than this many bytes are not embedded.
const LARGEST_IMAGE: u64 = 32 << 20;
