//! `scruple benchmarks`: every published benchmark, its terms, and which of them a folder holds how completely.

use std::path::{Path, PathBuf};

use benchmarks::scoring::{JudgeQuestion, Scoring};
use benchmarks::{Images, SUITES, Suite, put_questions};
use clap::Args;
use diagnostic::printable;
use report::text_tables::table;
use serde::Serialize;

use crate::errors::{Failure, Result};
use crate::terminal::{print_json, print_line};

const AFTER_HELP: &str = "\
Calls are those of one model and, where models judge, of one judge; more judges multiply the latter.
With --data, they are for the items that were found, and the wording of judges' prompts is told:
`official` is the authors', read from the copy of their repository; `ours` is this project's.
A benchmark of which more than a tenth of the items miss an image is refused by `scruple eval`.
Nothing is written.

Examples:
  scruple benchmarks
  scruple benchmarks --data benchmarks
  scruple benchmarks --data benchmarks --json";

/// List the published benchmarks, and which of them are in a folder.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The folder above the benchmarks' own folders, or one of these
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

/// What is said of a benchmark.
#[derive(Serialize)]
struct Listed {
    suite: &'static str,
    title: &'static str,
    measures: &'static str,
    groups: Vec<&'static str>,
    paper: &'static str,
    license: &'static str,
    forbids_training: bool,
    published_items: usize,
    scored_by: String,
    questions: Vec<&'static str>,
    calls: Calls,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Found>,
}

/// How many calls a run takes, by role.
#[derive(Serialize)]
struct Calls {
    policy: usize,
    judge: usize,
}

/// What of a benchmark is in the folder.
#[derive(Serialize)]
struct Found {
    folder: PathBuf,
    layout: &'static str,
    /// Items with all their images.
    items: usize,
    missing: usize,
    prompts: Vec<Prompt>,
    /// Why it cannot be evaluated on as it is.
    problem: Option<String>,
}

/// The wording in which a question is put to judges.
#[derive(Serialize)]
struct Prompt {
    question: String,
    wording: String,
}

/// Runs the command.
///
/// Errors: of data where the folder is none.
pub fn run(arguments: &Arguments) -> Result {
    let data = arguments.data.as_deref();
    if let Some(folder) = data.filter(|folder| !folder.is_dir()) {
        return Err(Failure::data("no such folder").at(&folder.display().to_string()));
    }
    let listed: Vec<Listed> = SUITES.iter().map(|suite| Listed::of(suite, data)).collect();
    if arguments.json {
        return Ok(print_json(&serde_json::json!({ "suites": listed }))?);
    }
    print_line(&printable(&catalog(&listed)))?;
    match data {
        Some(folder) => Ok(print_line(&printable(&format!("\n{}", holdings(&listed, folder))))?),
        None => Ok(()),
    }
}

impl Listed {
    fn of(suite: &Suite, data: Option<&Path>) -> Self {
        let found = data.and_then(|data| Found::of(suite, data));
        let n_items = found.as_ref().map_or(suite.published_items, |found| found.items);
        let is_available = !matches!(suite.scoring, Scoring::Unavailable(_));
        let policy = if is_available { n_items * suite.protocol.samples } else { 0 };
        let questions: Vec<&str> = questions(suite).iter().map(|question| question.name).collect();
        Self {
            suite: suite.name,
            title: suite.title,
            measures: suite.measures,
            groups: suite.groups.iter().map(|group| group.name()).collect(),
            paper: suite.paper,
            license: suite.license.name,
            forbids_training: suite.license.forbids_training,
            published_items: suite.published_items,
            scored_by: scored_by(suite),
            calls: Calls { policy, judge: policy * questions.len() },
            questions,
            found,
        }
    }

    /// How complete it is, in words.
    fn state(&self) -> String {
        match &self.found {
            None => "not found".to_owned(),
            Some(Found { problem: Some(_), .. }) => "refused".to_owned(),
            Some(Found { missing: 0, items, .. }) if *items == self.published_items => "complete".to_owned(),
            Some(_) => "in part".to_owned(),
        }
    }
}

impl Found {
    /// What is in the folder; none where the benchmark is not there.
    fn of(suite: &Suite, data: &Path) -> Option<Self> {
        let (folder, layout) = suite.folder(data).ok()?;
        let loaded = suite.load_any(data, &mut Images::sized());
        let problem = match &loaded {
            Ok(loaded) => loaded.check_complete().err(),
            Err(_) => None,
        };
        let (items, missing) = loaded.as_ref().map_or((0, 0), |loaded| (loaded.items.len(), loaded.missing.len()));
        let prompts = put_questions(suite, questions(suite), data).into_iter().map(|put| {
            let used = put.used();
            Prompt { question: used.question, wording: used.wording }
        });
        let problem = problem.or(loaded.err()).map(|problem| problem.to_string());
        Some(Self { folder, layout, items, missing, prompts: prompts.collect(), problem })
    }
}

/// What judges are asked about a response.
fn questions(suite: &Suite) -> &'static [JudgeQuestion] {
    match suite.scoring {
        Scoring::Judged { questions, .. } => questions,
        Scoring::Rule(_) | Scoring::Unavailable(_) => &[],
    }
}

fn scored_by(suite: &Suite) -> String {
    match suite.scoring {
        Scoring::Rule(rule) => rule.name.to_owned(),
        Scoring::Judged { questions, stand_in } => {
            let asked = questions.iter().map(|question| question.name).collect::<Vec<_>>().join(", ");
            let without = stand_in.map(|rule| format!("; without a judge {}", rule.name)).unwrap_or_default();
            format!("judge ({asked}){without}")
        }
        Scoring::Unavailable(why) => format!("nobody: {why}"),
    }
}

/// What is published.
fn catalog(listed: &[Listed]) -> String {
    let header = ["Suite", "Group", "Scored by", "Paper", "License", "Items", "Calls", "of judges"];
    let rows = listed.iter().map(|listed| {
        let forbidden = if listed.forbids_training { "; training forbidden" } else { "" };
        [
            listed.suite.to_owned(),
            listed.groups.join(", "),
            if listed.questions.is_empty() { "a rule" } else { "judges" }.to_owned(),
            listed.paper.to_owned(),
            format!("{}{forbidden}", listed.license),
            listed.published_items.to_string(),
            listed.calls.policy.to_string(),
            listed.calls.judge.to_string(),
        ]
    });
    table(header.map(str::to_owned), rows, 5)
}

/// What the folder holds, and what is wrong with it.
fn holdings(listed: &[Listed], folder: &Path) -> String {
    let found: Vec<(&Listed, &Found)> =
        listed.iter().filter_map(|listed| Some((listed, listed.found.as_ref()?))).collect();
    if found.is_empty() {
        return format!("{}: no benchmark is there in a known layout", folder.display());
    }
    let header = ["Found", "State", "Layout", "Folder", "Judge prompts", "Items", "Missing an image"];
    let rows = found.iter().map(|(listed, found)| {
        let wordings = found.prompts.iter().map(|prompt| format!("{} {}", prompt.question, prompt.wording));
        [
            listed.suite.to_owned(),
            listed.state(),
            found.layout.to_owned(),
            found.folder.display().to_string(),
            wordings.collect::<Vec<_>>().join(", "),
            found.items.to_string(),
            found.missing.to_string(),
        ]
    });
    let mut text = table(header.map(str::to_owned), rows, 5);
    for (listed, found) in &found {
        if let Some(problem) = &found.problem {
            text.push_str(&format!("\n{} is refused: {problem}", listed.suite));
        }
    }
    let absent: Vec<&str> = listed.iter().filter(|listed| listed.found.is_none()).map(|listed| listed.suite).collect();
    if !absent.is_empty() {
        text.push_str(&format!("\nnot found: {}", absent.join(", ")));
    }
    text
}
