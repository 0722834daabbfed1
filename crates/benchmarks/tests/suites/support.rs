//! A suite's fixture, evaluated with made-up answers and a made-up judge.

use std::path::{Path, PathBuf};

use align::chat::{ChatAnswer, ChatError, ChatModel, ChatParams, ChatRequest, Unanswered};
use align::eval::suite::{Scorer, SuiteEvaluation, SuiteOutcome, SuiteSummary, run};
use align::judge::JudgeConfig;
use align::progress::Silent;
use align::types::{Role, image_paths};
use benchmarks::responses::Responses;
use benchmarks::scoring::{RuleScorer, Scoring};
use benchmarks::{Images, JudgeScorer, Loaded, Suite, put_questions};
use serde_json::json;

/// What a made-up model says to a request; an error is no answer.
pub type Says = fn(&ChatRequest) -> Result<String, String>;

/// A made-up model.
pub struct MadeUp(pub Says);

impl ChatModel for MadeUp {
    fn name(&self) -> &'static str {
        "made-up"
    }

    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        for (index, request) in requests.enumerate() {
            on_answer(index, (self.0)(&request).map(ChatAnswer::of).map_err(Unanswered::new));
        }
        Ok(())
    }
}

/// A request's words, and how many images it shows. Of a judge's it is the question, not what repairs its answer.
pub fn shown(request: &ChatRequest) -> (String, usize) {
    let user = request.messages.iter().find(|message| message.role == Role::User).unwrap();
    (user.plain_text(), image_paths(std::slice::from_ref(user)).count())
}

/// Where the fixture of this name is.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/benchmarks").join(name)
}

/// A suite's items from a fixture.
pub fn load(suite: &Suite, folder: &Path) -> Loaded {
    suite.load(folder, &mut Images::sized()).unwrap()
}

/// A suite's fixture evaluated: `answers` is the model, `judge` the judge; without one the suite's rule scores.
pub fn evaluate(suite: &Suite, folder: &Path, answers: Says, judge: Option<Says>) -> SuiteOutcome {
    evaluate_model(suite, folder, &load(suite, folder), &MadeUp(answers), judge)
}

/// Responses that were made elsewhere, by the suite's rule. Without the suite's folder the file holds its items.
pub fn evaluate_responses(suite: &Suite, file: &Path, data: Option<&Path>) -> SuiteOutcome {
    let loaded = data.map(|data| load(suite, data));
    let mut responses = Responses::read(file, suite, loaded.as_ref().map(|loaded| &loaded.items[..])).unwrap();
    let items = std::mem::take(&mut responses.items);
    let loaded = loaded.unwrap_or(Loaded { items, ..Loaded::default() });
    evaluate_model(suite, file, &loaded, &responses, None)
}

fn evaluate_model(
    suite: &Suite,
    folder: &Path,
    loaded: &Loaded,
    model: &dyn ChatModel,
    judge: Option<Says>,
) -> SuiteOutcome {
    let judges: Vec<Box<dyn ChatModel + Send>> = judge.into_iter().map(|says| Box::new(MadeUp(says)) as _).collect();
    let scorer: Box<dyn Scorer> = match suite.scoring {
        Scoring::Judged { questions, .. } if !judges.is_empty() => {
            let put = put_questions(suite, questions, folder);
            Box::new(JudgeScorer::new(&judges, put, JudgeConfig::default()))
        }
        Scoring::Rule(rule) | Scoring::Judged { stand_in: Some(rule), .. } => Box::new(RuleScorer(rule)),
        Scoring::Judged { .. } | Scoring::Unavailable(_) => panic!("{} needs a judge", suite.name),
    };
    let evaluation = SuiteEvaluation {
        protocol: &suite.protocol,
        items: &loaded.items,
        scorer: &*scorer,
        params: &ChatParams::default(),
        at_a_time: 3,
        settings: &json!({}),
    };
    let about = SuiteSummary {
        suite: suite.name.into(),
        title: suite.title.into(),
        model: "made-up".into(),
        scored_by: scorer.name(),
        missing_items: loaded.missing.len(),
        deviations: loaded.deviations.clone(),
        published: suite.published(),
        made_with: json!({}),
        ..SuiteSummary::default()
    };
    let results = tempfile::tempdir().unwrap();
    run(model, &evaluation, about, results.path(), &mut Silent).unwrap()
}

/// The figures as lines: `split[/category]: n items, unscored; rate percent of n [lowest to highest] (original percent)`.
pub fn figures(outcome: &SuiteOutcome) -> Vec<String> {
    let mut lines = Vec::new();
    for group in &outcome.summary.groups {
        let category = group.category.as_ref().map_or_else(String::new, |category| format!("/{category}"));
        let mut line = format!("{}{category}: {} items, {} unscored", group.split, group.n, group.unscored);
        for info in &outcome.summary.rates {
            let Some(rate) = group.rates.get(&info.name) else { continue };
            let number = |percent: Option<f64>| percent.map_or("-".to_owned(), |percent| format!("{percent:.1}"));
            line.push_str(&format!("; {} {} of {}", info.name, number(rate.rate.percent), rate.rate.n));
            if rate.items > rate.rate.n {
                line.push_str(&format!(" [{} to {}]", number(rate.lowest), number(rate.highest)));
            }
            if let Some(original) = &rate.as_original {
                line.push_str(&format!(" (original {} of {})", number(original.percent), original.n));
            }
        }
        for info in &outcome.summary.scores {
            let Some(score) = group.scores.get(&info.name) else { continue };
            let mean = score.mean.map_or("-".to_owned(), |mean| format!("{mean:.2}"));
            line.push_str(&format!("; mean {} {mean} of {}", info.name, score.n));
        }
        lines.push(line);
    }
    lines
}
