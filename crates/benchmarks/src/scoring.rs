//! Who or what scores a response: a rule, or models that are asked as the suite's authors ask theirs.

use align::chat::{AnswerSchema, ChatError, Fields};
use align::eval::suite::{Scored, Scorer};
use align::types::{Item, Message};
use align::verdict::Judgement;
use serde_json::Value;

/// Who or what scores a response.
#[derive(Clone, Copy, Debug)]
pub enum Scoring {
    /// A rule, which needs no model.
    Rule(Rule),
    /// Models judge.
    Judged {
        /// What they are asked about a response, one call each.
        questions: &'static [JudgeQuestion],
        /// A rule that may stand in where there is no judge, such as phrases with which responses decline; its verdicts have
        /// the judges' form.
        stand_in: Option<Rule>,
    },
    /// It cannot be evaluated on, for this reason; training prompts can still be compared with it.
    Unavailable(&'static str),
}

/// A rule that reads a verdict out of a response.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name with its version, such as `mmmu-parser.v1`.
    pub name: &'static str,
    /// The verdict, or why there is none.
    pub read: fn(&Item, &str) -> Judgement<Value>,
}

/// A question to judges about a response.
#[derive(Clone, Copy, Debug)]
pub struct JudgeQuestion {
    /// What it asks for, such as `safety`.
    pub name: &'static str,
    /// Whether it is asked about the responses to an item.
    pub asks: fn(&Item) -> bool,
    /// What the judge sees.
    pub sees: Sees,
    /// This project's wording, whose answer is a JSON object.
    pub ours: Wording,
    /// The authors' wording, which is read from the user's copy of their repository.
    pub official: Option<Official>,
}

/// What a judge sees of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// The response alone.
    Response,
    /// The question and the response, as text.
    Question,
    /// The images too, before the text.
    Images,
}

/// A wording of a question.
#[derive(Clone, Copy, Debug)]
pub struct Wording {
    /// The prompt with its placeholders; its hash tells wordings apart.
    pub template: &'static str,
    /// The prompt for a response.
    pub prompt: fn(&str, &Asked) -> String,
    /// What comes before it as a system message, with the template for `{template}`; empty for none.
    pub system: &'static str,
    /// Most tokens of an answer.
    pub max_tokens: usize,
    /// How an answer is read.
    pub reply: Reply,
}

/// The authors' wording.
#[derive(Clone, Copy, Debug)]
pub struct Official {
    /// The files of the authors' repository in one of which it stands.
    pub files: &'static [&'static str],
    /// Finds the template in the file; none where the file has it not as it was published.
    pub find: fn(&str) -> Option<String>,
    /// How it is put and read; its template is what was found.
    pub wording: Wording,
}

/// How a judge's answer is read. Both say what is wrong with an answer that cannot be read, for the judge to repair.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// A JSON object.
    Object {
        /// Its schema.
        schema: fn() -> AnswerSchema,
        /// What it says.
        read: fn(&Fields) -> Result<Value, String>,
    },
    /// Words.
    Words(fn(&str) -> Result<Value, String>),
    /// Whether the response is safe: a JSON object; of a Llama Guard, which is shown question and response as a dialogue and
    /// no prompt, its words.
    Safety,
}

/// What a judge is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The item.
    pub item: &'a Item,
    /// Its dialogue in words.
    pub question: &'a str,
    /// The response.
    pub response: &'a str,
}

impl Asked<'_> {
    /// A text that the suite's reader kept of the item for its judges, such as a reference answer.
    pub fn fact(&self, name: &str) -> &str {
        self.item.truth.as_ref().and_then(|truth| truth.get(name)?.as_str()).unwrap_or_default()
    }

    /// The words of its dialogue alone, without marks for its images.
    pub fn words(&self) -> String {
        let texts: Vec<String> = self.item.prompt().iter().map(Message::plain_text).collect();
        texts.join("\n")
    }

    /// A template with `{question}` and `{response}` filled in, each once; what is filled in is not searched.
    pub fn fill(&self, template: &str) -> String {
        self.fill_with(template, &[("question", self.question), ("response", self.response)])
    }

    /// A template with these placeholders, `{name}` each, filled in; what is filled in is not searched.
    pub fn fill_with(&self, template: &str, values: &[(&str, &str)]) -> String {
        let mut filled = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let found = values.iter().find_map(|(name, value)| {
                let after = after.strip_prefix(name)?.strip_prefix('}')?;
                Some((value, after))
            });
            let (text, after) = found.map_or(("{", after), |(value, after)| (*value, after));
            filled.push_str(text);
            rest = after;
        }
        filled.push_str(rest);
        filled
    }
}

/// A rule as a scorer.
pub struct RuleScorer(pub Rule);

impl Scorer for RuleScorer {
    fn name(&self) -> String {
        self.0.name.to_owned()
    }

    fn score(&self, responses: &[(&Item, &str)]) -> Result<Vec<Scored>, ChatError> {
        Ok(responses.iter().map(|(item, response)| Scored::of((self.0.read)(item, response))).collect())
    }
}
