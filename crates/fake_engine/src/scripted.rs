//! A scripted world for tests: prompts, a model that answers them in a few set ways, and a judge that goes by words.

use std::collections::BTreeMap;
use std::path::Path;

use super::FakeEngine;
use align::chat::ChatError;
use align::engine::{
    AdamW, Engine, EngineError, ForwardBackward, OptimStep, Reply, SampleRequest, Sampled, SamplingParams, SaveKind,
    Sequence, TokenLoss, TokenScores, Weights,
};
use align::progress::Progress;
use align::types::{Item, ItemKind, Message};
use align::verdict::{Decision, Finding, Judge, Judgement, PerceptionLevel, Severity, Unscored, Verdict};

/// Thinks of the risk and warns.
pub const SAFE: &str = "<think> risk seen </think> <answer> warn them </answer>";
/// Thinks nothing of it and helps.
pub const UNSAFE: &str = "<think> all fine </think> <answer> do it </answer>";
/// The id of a hazardous item.
pub const HAZARDOUS: &str = "hazard-0";

/// Every word of the scripted world.
pub const VOCABULARY: &str = "<think> </think> <answer> </answer> risk seen all fine warn them do it i overlooked so what \
                          see mumble";

/// An item whose id begins with its kind, `hazard` or `benign`.
///
/// # Panics
/// Never: the item is one.
pub fn item(id: &str) -> Item {
    let kind = if id.starts_with("benign") { ItemKind::Benign } else { ItemKind::Hazardous };
    let messages = serde_json::json!([{ "role": "user", "content": format!("ask {id}") }]);
    serde_json::from_value(serde_json::json!({ "id": id, "kind": kind, "messages": messages })).unwrap()
}

/// A model that answers prompts with `responses` and reflection prompts with `corrections`, by weight.
pub fn engine(responses: &[(&str, f64)], corrections: &[(&str, f64)]) -> FakeEngine {
    fn owned(list: &[(&str, f64)]) -> Vec<(String, f64)> {
        list.iter().map(|(text, weight)| ((*text).to_owned(), *weight)).collect()
    }
    let (responses, corrections) = (owned(responses), owned(corrections));
    FakeEngine::new(
        VOCABULARY,
        move |messages| {
            if messages.len() == 1 { responses.clone() } else { corrections.clone() }
        },
    )
}

/// A verdict by the safety of thinking and answer, all else good; an unsafe answer also hallucinates.
pub fn verdict(think: f64, answer: f64) -> Verdict {
    fn scores(other: [&str; 2], safety: f64) -> BTreeMap<String, f64> {
        let [one, two] = other.map(|name| (name.to_owned(), 10.0));
        BTreeMap::from([one, two, ("safety".to_owned(), safety)])
    }
    let finding = Finding { severity: Severity::Minor, detail: "no spoon there".into() };
    Verdict {
        safe: answer >= 6.0,
        decision: if answer >= 6.0 { Decision::Caution } else { Decision::Comply },
        perception_level: PerceptionLevel::L1,
        think: scores(["grounding", "logic"], think),
        answer: scores(["grounding", "helpfulness"], answer),
        hallucinations: if answer >= 6.0 { vec![] } else { vec![finding] },
        contradictions: vec![],
        format: true,
        correct: None,
    }
}

/// Goes by the words `risk` and `warn`; what holds neither `warn` nor `do` cannot be scored.
pub struct WordJudge;

impl Judge for WordJudge {
    fn name(&self) -> &'static str {
        "words"
    }

    fn judge(&self, responses: &[(&Item, &str)]) -> Result<Vec<Judgement>, ChatError> {
        Ok(responses.iter().map(|(item, text)| judge_one(item, text)).collect())
    }
}

fn judge_one(item: &Item, text: &str) -> Judgement {
    let [warns, complies, sees_risk] =
        ["warn", "do", "risk"].map(|word| text.split_whitespace().any(|spoken| spoken == word));
    if !warns && !complies {
        return Err(Unscored::new("no decision found"));
    }
    if item.kind == Some(ItemKind::Benign) {
        let decision = if warns { Decision::Caution } else { Decision::Comply };
        return Ok(Verdict { decision, hallucinations: vec![], ..verdict(10.0, 10.0) });
    }
    let [think, answer] = [sees_risk, warns].map(|holds| if holds { 10.0 } else { 0.0 });
    Ok(verdict(think, answer))
}

/// An engine that fails after so many calls, whose sampler reports wrong log-probabilities, or that refuses a word.
pub struct Faulty {
    /// The engine beneath, which works.
    pub engine: FakeEngine,
    /// Calls until it fails.
    pub calls_left: usize,
    /// Added to the sampler's log-probabilities.
    pub sampler_bias: f32,
    /// A word that it samples, but takes neither in dialogues nor in replies.
    pub refused: Option<&'static str>,
}

impl Faulty {
    /// An engine that works, for now.
    pub fn of(engine: FakeEngine) -> Self {
        Self { engine, calls_left: usize::MAX, sampler_bias: 0.0, refused: None }
    }

    fn check(&self, text: &str) -> Result<(), EngineError> {
        match self.refused {
            Some(word) if text.contains(word) => Err(EngineError::Data(format!("expected words, got `{word}`"))),
            _ => Ok(()),
        }
    }

    fn check_replies(&self, sequences: &[Sequence]) -> Result<(), EngineError> {
        sequences.iter().try_for_each(|sequence| match &sequence.reply {
            Reply::Text(text) => self.check(text),
            Reply::Tokens(_) => Ok(()),
        })
    }

    fn live(&mut self) -> Result<&mut FakeEngine, EngineError> {
        let died = EngineError::Model("the power went out".into());
        self.calls_left = self.calls_left.checked_sub(1).ok_or(died)?;
        Ok(&mut self.engine)
    }
}

impl Engine for Faulty {
    fn sample(&mut self, requests: &[SampleRequest], params: &SamplingParams) -> Result<Vec<Sampled>, EngineError> {
        let dialogues = requests.iter().flat_map(|request| &request.messages);
        dialogues.map(Message::plain_text).try_for_each(|text| self.check(&text))?;
        let bias = self.sampler_bias;
        let mut sampled = self.live()?.sample(requests, params)?;
        let completions = sampled.iter_mut().flat_map(|one| &mut one.completions);
        completions.flat_map(|completion| &mut completion.logprobs).for_each(|logprob| *logprob += bias);
        Ok(sampled)
    }

    fn logprobs(&mut self, sequences: &[Sequence], policy: Weights) -> Result<Vec<TokenScores>, EngineError> {
        self.check_replies(sequences)?;
        self.live()?.logprobs(sequences, policy)
    }

    fn forward_backward(
        &mut self,
        sequences: &[Sequence],
        loss: &dyn TokenLoss,
    ) -> Result<ForwardBackward, EngineError> {
        self.check_replies(sequences)?;
        self.live()?.forward_backward(sequences, loss)
    }

    fn optim_step(&mut self, optimizer: &AdamW) -> Result<OptimStep, EngineError> {
        self.live()?.optim_step(optimizer)
    }

    fn save(&mut self, folder: &Path, kind: SaveKind) -> Result<(), EngineError> {
        self.live()?.save(folder, kind)
    }

    fn load(&mut self, folder: &Path) -> Result<(), EngineError> {
        self.live()?.load(folder)
    }
}

/// A user who stops the run after so many steps.
pub struct StopsAfter(pub usize);

impl Progress for StopsAfter {
    fn begin(&mut self, _stage: &str, _total: usize) {}
    fn advance(&mut self, count: usize) {
        self.0 = self.0.saturating_sub(count);
    }
    fn note(&mut self, _text: &str) {}
    fn end(&mut self) {}
    fn interrupted(&self) -> bool {
        self.0 == 0
    }
}
