//! Models as a suite's judges.

use std::path::Path;

use align::chat::{ChatError, ChatModel, ChatParams, ChatRequest, Fields, Questions, ReadAnswer, ask};
use align::eval::suite::{PromptUsed, Scored, Scorer};
use align::judge::{JudgeConfig, combine, transcript};
use align::types::{Item, Message, Role, image_paths};
use align::verdict::{Judgement, Unscored};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::find::source_text;
use crate::harm::{is_guard, read_guard, read_safety, safety_schema};
use crate::scoring::{Asked, JudgeQuestion, Reply, Sees, Wording};
use crate::suite::Suite;

/// Under which field a verdict keeps why some of several questions have no answer.
const UNSCORED: &str = "unscored";

/// A question in the wording in which it is put.
pub struct PutQuestion {
    question: &'static JudgeQuestion,
    wording: Wording,
    template: String,
    is_official: bool,
}

/// The suite's questions, each in the authors' wording where a copy of their repository is with the data, else in ours.
pub fn put_questions(suite: &Suite, questions: &'static [JudgeQuestion], data: &Path) -> Vec<PutQuestion> {
    let folders = suite.candidates(data);
    let put = questions.iter().map(|question| {
        let official = question
            .official
            .and_then(|official| Some((official.wording, source_text(&folders, official.files, official.find)?)));
        let is_official = official.is_some();
        let (wording, template) = official.unwrap_or_else(|| (question.ours, question.ours.template.to_owned()));
        PutQuestion { question, wording, template, is_official }
    });
    put.collect()
}

impl PutQuestion {
    /// The prompt as records keep it.
    pub fn used(&self) -> PromptUsed {
        let digest = Sha256::digest(format!("{}\n{}", self.wording.system, self.template));
        PromptUsed {
            question: self.question.name.to_owned(),
            wording: if self.is_official { "official" } else { "ours" }.to_owned(),
            hash: digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// The dialogue in which a judge is asked about a response.
    pub fn request(&self, item: &Item, response: &str, config: &JudgeConfig) -> ChatRequest {
        let question = transcript(item.prompt());
        let asked = Asked { item, question: &question, response };
        let prompt = (self.wording.prompt)(&self.template, &asked);
        let images = match self.question.sees {
            Sees::Images => image_paths(item.prompt()).map(Path::to_owned).collect(),
            Sees::Question | Sees::Response => Vec::new(),
        };
        let mut messages = vec![Message::of_user(images, prompt)];
        if !self.wording.system.is_empty() {
            let system = self.wording.system.replace("{template}", &self.template);
            messages.insert(0, Message::text(Role::System, system));
        }
        let schema = match self.wording.reply {
            Reply::Object { schema, .. } => Some(schema()),
            Reply::Words(_) => None,
            Reply::Safety => Some(safety_schema()),
        };
        let params = ChatParams {
            temperature: config.temperature,
            max_tokens: self.wording.max_tokens,
            seed: config.seed,
            schema,
            ..ChatParams::default()
        };
        ChatRequest { id: item.id.clone(), messages, params }
    }

    /// The dialogue in which a model of this name is asked: a Llama Guard sees what it is to classify, others a prompt.
    pub fn request_to(&self, model: &str, item: &Item, response: &str, config: &JudgeConfig) -> ChatRequest {
        let mut request = self.request(item, response, config);
        if self.is_put_to_guard(model) {
            let messages = [(Role::User, transcript(item.prompt())), (Role::Assistant, response.to_owned())];
            request.messages = messages.map(|(role, text)| Message::text(role, text)).into();
            request.params.schema = None;
        }
        request
    }

    fn is_put_to_guard(&self, model: &str) -> bool {
        matches!(self.question.ours.reply, Reply::Safety) && is_guard(model)
    }

    /// What a judge says of each response.
    fn ask(
        &self,
        model: &dyn ChatModel,
        responses: &[(&Item, &str)],
        config: &JudgeConfig,
    ) -> Result<Vec<Judgement<Value>>, ChatError> {
        let request = |index: usize| {
            let (item, response) = responses[index];
            self.request_to(model.name(), item, response, config)
        };
        let object = |read: fn(&Fields) -> Result<Value, String>| {
            let read = |_: usize, fields: &Fields| read(fields);
            let read = ReadAnswer::Object(&read);
            ask(model, &Questions { speaker: "judge", count: responses.len(), request: &request, read }, &mut || {})
        };
        let words = |read: fn(&str) -> Result<Value, String>| {
            let read = |_: usize, words: &str| read(words);
            let read = ReadAnswer::Words(&read);
            ask(model, &Questions { speaker: "judge", count: responses.len(), request: &request, read }, &mut || {})
        };
        let outcomes = match self.wording.reply {
            _ if self.is_put_to_guard(model.name()) => words(read_guard),
            Reply::Object { read, .. } => object(read),
            Reply::Words(read) => words(read),
            Reply::Safety => object(read_safety),
        };
        Ok(outcomes?.into_iter().map(|outcome| outcome.map_err(Unscored::new)).collect())
    }
}

/// Models that judge together, by a suite's questions.
pub struct JudgeScorer<'a> {
    models: &'a [Box<dyn ChatModel + Send>],
    questions: Vec<PutQuestion>,
    config: JudgeConfig,
}

impl<'a> JudgeScorer<'a> {
    /// These models, asked these questions.
    pub fn new(models: &'a [Box<dyn ChatModel + Send>], questions: Vec<PutQuestion>, config: JudgeConfig) -> Self {
        Self { models, questions, config }
    }
}

impl Scorer for JudgeScorer<'_> {
    fn name(&self) -> String {
        let names = self.models.iter().map(|model| {
            let is_guard = self.questions.iter().any(|put| put.is_put_to_guard(model.name()));
            format!("{}{}", model.name(), if is_guard { ", shown the dialogue alone" } else { "" })
        });
        let questions = self.questions.iter().map(|put| {
            let used = put.used();
            format!("{} {} {}", used.question, used.wording, used.hash)
        });
        format!("{} ({})", names.collect::<Vec<_>>().join(", "), questions.collect::<Vec<_>>().join("; "))
    }

    /// An empty response is unscored without asking: what it is worth is the authors' rule, not a judge's opinion.
    fn score(&self, responses: &[(&Item, &str)]) -> Result<Vec<Scored>, ChatError> {
        let spoken: Vec<(&Item, &str)> =
            responses.iter().copied().filter(|(_, response)| !response.trim().is_empty()).collect();
        let mut by_model = Vec::with_capacity(self.models.len());
        for model in self.models {
            let mut answers = Vec::with_capacity(self.questions.len());
            for put in &self.questions {
                let asked: Vec<(&Item, &str)> =
                    spoken.iter().copied().filter(|(item, _)| (put.question.asks)(item)).collect();
                answers.push(put.ask(&**model, &asked, &self.config)?.into_iter());
            }
            let verdicts = spoken.iter().map(|(item, _)| {
                let said = answers.iter_mut().zip(&self.questions).filter(|(_, put)| (put.question.asks)(item));
                joined(said.filter_map(|(answers, put)| Some((put.question.name, answers.next()?))).collect())
            });
            by_model.push(verdicts.collect::<Vec<_>>().into_iter());
        }
        let scored = responses.iter().map(|(_, response)| {
            if response.trim().is_empty() {
                return Scored::of(Err(Unscored::new("the response is empty")));
            }
            let each: Vec<Judgement<Value>> = by_model.iter_mut().filter_map(Iterator::next).collect();
            let judgement = combine(&each, self.config.combination);
            Scored { judgement, by_judge: if each.len() > 1 { self.by_judge(&each) } else { Vec::new() } }
        });
        Ok(scored.collect())
    }
}

impl JudgeScorer<'_> {
    fn by_judge(&self, each: &[Judgement<Value>]) -> Vec<Value> {
        let said = self.models.iter().zip(each).map(|(model, judgement)| match judgement {
            Ok(verdict) => json!({ "judge": model.name(), "verdict": verdict }),
            Err(unscored) => json!({ "judge": model.name(), "unscored": unscored }),
        });
        said.collect()
    }
}

/// The answers to the questions that are asked about an item as one verdict, which is empty where none is. Where only some
/// have an answer, the others' fields are absent, and the reasons are kept.
fn joined(answers: Vec<(&str, Judgement<Value>)>) -> Judgement<Value> {
    let (mut fields, mut reasons) = (Map::new(), Map::new());
    for (question, answer) in answers {
        match answer {
            Ok(Value::Object(said)) => fields.extend(said),
            Ok(said) => {
                fields.insert(question.to_owned(), said);
            }
            Err(unscored) => {
                reasons.insert(question.to_owned(), unscored.reason.into());
            }
        }
    }
    if fields.is_empty() && !reasons.is_empty() {
        let reasons: Vec<&str> = reasons.values().filter_map(Value::as_str).collect();
        return Err(Unscored::new(reasons.join("; ")));
    }
    if !reasons.is_empty() {
        fields.insert(UNSCORED.to_owned(), Value::Object(reasons));
    }
    Ok(Value::Object(fields))
}
