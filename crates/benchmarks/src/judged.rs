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

/// How the names of fields end in which judges give their reasons, and the field of a finer class than is counted.
const REASON: &str = "reason";
const LEVEL: &str = "level";

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
        let mut said: Vec<Vec<Said>> = Vec::with_capacity(spoken.len());
        for (item, _) in &spoken {
            let asked = self.questions.iter().filter(|put| (put.question.asks)(item));
            said.push(asked.map(|put| (put.question.name, Vec::new())).collect());
        }
        for model in self.models {
            for put in &self.questions {
                let asked: Vec<(&Item, &str)> =
                    spoken.iter().copied().filter(|(item, _)| (put.question.asks)(item)).collect();
                let answers = put.ask(&**model, &asked, &self.config)?;
                let same = said.iter_mut().flatten().filter(|(question, _)| *question == put.question.name);
                for ((_, by_model), answer) in same.zip(answers) {
                    by_model.push(answer);
                }
            }
        }
        let mut said = said.iter();
        let mut scored = Vec::with_capacity(responses.len());
        for (_, response) in responses {
            let said = if response.trim().is_empty() { None } else { said.next() };
            let empty = || Scored::of(Err(Unscored::new("the response is empty")));
            scored.push(said.map_or_else(empty, |said| self.scored(said)));
        }
        Ok(scored)
    }
}

/// What each model answers to a question of this name.
type Said = (&'static str, Vec<Judgement<Value>>);

impl JudgeScorer<'_> {
    /// The models together, question by question: one that fails at a question has no part in it, and takes no part from
    /// the others.
    fn scored(&self, said: &[Said]) -> Scored {
        let together = said.iter().map(|(question, by_model)| {
            let by_model = if by_model.len() > 1 { deciding(by_model) } else { by_model.clone() };
            (*question, combine(&by_model, self.config.combination))
        });
        let judgement = joined(together.collect());
        let by_judge = if self.models.len() > 1 { self.by_judge(said) } else { Vec::new() };
        Scored { judgement, by_judge }
    }

    fn by_judge(&self, said: &[Said]) -> Vec<Value> {
        let by_judge = self.models.iter().enumerate().map(|(index, model)| {
            let own = said.iter().filter_map(|(question, by_model)| Some((*question, by_model.get(index)?.clone())));
            match joined(own.collect()) {
                Ok(verdict) => json!({ "judge": model.name(), "verdict": verdict }),
                Err(unscored) => json!({ "judge": model.name(), "unscored": unscored }),
            }
        });
        by_judge.collect()
    }
}

/// Verdicts without what decides nothing, on which judges need not agree.
fn deciding(verdicts: &[Judgement<Value>]) -> Vec<Judgement<Value>> {
    let mut verdicts = verdicts.to_vec();
    for fields in verdicts.iter_mut().flatten().filter_map(Value::as_object_mut) {
        fields.retain(|name, _| !name.ends_with(REASON) && name != LEVEL);
    }
    verdicts
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
