//! `scruple judge`: responses in, verdicts of models behind endpoints out; judges measured against people's labels.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use align::chat::{ChatError, ChatModel};
use align::eval::{Refusal, Table, detect_refusal};
use align::judge::{
    JudgeSummary, Labelled, LabelledResponse, Response, Rubric, Scored, Validation, combine, judge, summarise, validate,
};
use align::progress::Progress;
use align::types::read_dialogues;
use clap::Args;
use endpoint::{Endpoint, Journal, RoleSettings, Spending};
use serde::Serialize;
use serde_json::Value;

use super::Context;
use crate::config;
use crate::config::tables::JudgeSettings;
use crate::errors::Failure;
use crate::interrupt;
use crate::lines::write_whole;
use crate::terminal::print_line;

const AFTER_HELP: &str = "\
Responses are one JSON object a line: {\"id\", \"messages\", \"response\"}, image paths relative to the file.
Each line of --out holds `id`, `verdict` and `unscored`, exactly one of the two null; with several
judges also `judges`, what each said. FILE.summary.json holds shares with their intervals, agreement
and costs. Every answer is kept in FILE.journal.sqlite before it is used: the same command goes on
after a stop and asks nothing twice.

Rubrics: mis (perception and safety: ASR, RSR, RR, HR), safer (thinking and answer by dimension),
scale (safety -3 to 3, helpfulness 0 to 3), refusal (compliance, partial or full refusal).

With --labelled, the judge scores a published set that people have labelled (msts, xstest), and its
agreement with them is printed beside that of a keyword detector.

The key is taken from the environment variable that `api_key_env` names, OPENAI_API_KEY by default.

Examples:
  scruple judge --responses r.jsonl --rubric mis --judge-url http://localhost:8000/v1 --judge-model M --out v.jsonl
  scruple judge --responses r.jsonl --config judges.toml --out v.jsonl combination=mean
  scruple judge --labelled msts --data benchmarks --judge-url URL --judge-model M --out msts.jsonl";

/// Score responses with models as judges, and judges with people's labels.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The responses
    #[arg(long, value_name = "FILE.jsonl", required_unless_present = "labelled")]
    responses: Option<PathBuf>,
    /// Judge a set that people have labelled instead: msts or xstest
    #[arg(long, value_name = "SET", requires = "data", conflicts_with = "responses")]
    labelled: Option<Labelled>,
    /// The labelled set's folder, or the folder above
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What is judged: mis, safer, scale or refusal
    #[arg(long, value_name = "RUBRIC", value_parser = rubric)]
    rubric: Option<Rubric>,
    /// The judges' endpoint, such as http://localhost:8000/v1
    #[arg(long, value_name = "URL", requires = "judge_model")]
    judge_url: Option<String>,
    /// A judge's name there; may be given several times
    #[arg(long, value_name = "NAME", requires = "judge_url")]
    judge_model: Vec<String>,
    /// Settings as TOML, judges as `[role.NAME]`; configs/judge.toml lists them all
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The file of verdicts
    #[arg(long, value_name = "FILE.jsonl")]
    out: PathBuf,
    /// Ask again where a judge gave no answer
    #[arg(long)]
    retry_failed: bool,
    /// Settings that win over the file's, such as `role.judge.concurrency=64`
    #[arg(value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

fn rubric(name: &str) -> Result<Rubric, String> {
    let found = Rubric::ALL.into_iter().find(|rubric| rubric.name() == name);
    found.ok_or_else(|| format!("expected mis, safer, scale or refusal, got {name}"))
}

/// One line of the verdicts.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    verdict: Option<&'a Value>,
    unscored: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    judges: Vec<JudgeLine<'a>>,
}

/// What one of several judges says.
#[derive(Serialize)]
struct JudgeLine<'a> {
    judge: &'a str,
    verdict: Option<&'a Value>,
    unscored: Option<&'a str>,
}

/// The summary beside the verdicts.
#[derive(Serialize)]
struct Summary {
    #[serde(flatten)]
    figures: JudgeSummary,
    /// The judge against people; the keyword detector against them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    validation: Vec<Measured>,
    costs: Vec<RoleCost>,
}

#[derive(Serialize)]
struct Measured {
    judge: String,
    #[serde(flatten)]
    figures: Validation,
}

#[derive(Serialize)]
struct RoleCost {
    role: String,
    model: String,
    answered_from_journal: u64,
    #[serde(flatten)]
    spending: Spending,
}

/// Runs the command.
///
/// Errors: of usage for bad settings; of data for bad responses; of model where an endpoint cannot be used; interrupted
/// where the user or the budget ends it; of output where results cannot be written.
pub fn run(arguments: &Arguments, context: &mut Context) -> anyhow::Result<()> {
    let settings = settings(arguments)?;
    let labelled = arguments
        .labelled
        .map(|set| load(set, arguments, &settings))
        .transpose()?;
    let responses: Vec<Response> = match (&labelled, &arguments.responses) {
        (Some(labelled), _) => labelled.iter().map(|labelled| labelled.response.clone()).collect(),
        (None, Some(path)) => read_dialogues(path)?,
        (None, None) => Vec::new(),
    };
    let endpoints = endpoints(arguments, &settings)?;
    let progress = &mut context.progress;
    let mut by_judge: Vec<Vec<Scored>> = vec![Vec::new(); responses.len()];
    for endpoint in &endpoints {
        progress.begin(&format!("judge {}", endpoint.name()), responses.len());
        let scored = judge(endpoint, &responses, &settings.judge, &mut || progress.advance(1)).map_err(failure)?;
        progress.end();
        by_judge
            .iter_mut()
            .zip(scored)
            .for_each(|(all, scored)| all.push(scored));
    }
    let judged: Vec<Scored> = by_judge
        .iter()
        .map(|scored| combine(scored, settings.combination))
        .collect();

    let names: Vec<String> = endpoints.iter().map(|endpoint| endpoint.name().to_owned()).collect();
    let lines = responses.iter().zip(&judged).zip(&by_judge);
    let lines: Vec<Line> = lines
        .map(|((response, judged), scored)| line(response, judged, &names, scored))
        .collect();
    write_whole(&arguments.out, &lines)?;
    let summary = Summary {
        validation: labelled
            .map(|labelled| measured(&labelled, settings.judge.rubric, &names, &judged))
            .unwrap_or_default(),
        figures: summarise(settings.judge.rubric, names, &judged, &by_judge),
        costs: endpoints.iter().map(cost).collect(),
    };
    write_whole(&beside(&arguments.out, "summary.json"), &[&summary])?;
    print(&summary)
}

fn settings(arguments: &Arguments) -> anyhow::Result<JudgeSettings> {
    let mut given: Vec<String> = arguments.overrides.clone();
    if let Some(url) = &arguments.judge_url {
        for (number, model) in arguments.judge_model.iter().enumerate() {
            let role = if number == 0 {
                "judge".to_owned()
            } else {
                format!("judge-{}", number + 1)
            };
            given.push(format!("role.{role}.url={}", toml::Value::from(url.as_str())));
            given.push(format!("role.{role}.model={}", toml::Value::from(model.as_str())));
        }
    }
    if let Some(rubric) = arguments.rubric {
        given.push(format!("judge.rubric={}", rubric.name()));
    }
    let loaded = config::load::<JudgeSettings>(arguments.config.as_deref(), &given)?;
    loaded.check(loaded.settings.judge.validate("judge"))?;
    if loaded.settings.role.is_empty() {
        return Err(Failure::usage("expected a judge, got none")
            .hint("give --judge-url and --judge-model, or a table [role.judge] in --config")
            .into());
    }
    for (name, role) in &loaded.settings.role {
        loaded.check(role.validate(&format!("role.{name}")))?;
    }
    Ok(loaded.settings)
}

fn load(set: Labelled, arguments: &Arguments, settings: &JudgeSettings) -> anyhow::Result<Vec<LabelledResponse>> {
    if !set.suits(settings.judge.rubric) {
        let rubrics = if set == Labelled::XsTest {
            "refusal"
        } else {
            "mis, safer or scale"
        };
        return Err(Failure::usage(format!(
            "--rubric: expected {rubrics}, which people labelled {} by, got {}",
            set.name(),
            settings.judge.rubric.name()
        ))
        .into());
    }
    Ok(set.load(arguments.data.as_deref().unwrap_or(Path::new(".")))?)
}

fn endpoints(arguments: &Arguments, settings: &JudgeSettings) -> anyhow::Result<Vec<Endpoint>> {
    let path = beside(&arguments.out, "journal.sqlite");
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs_err::create_dir_all(folder)?;
    }
    let journal = Rc::new(Journal::open(&path).map_err(Failure::output)?);
    let open = |(role, settings): (&String, &RoleSettings)| {
        if arguments.retry_failed {
            journal.forget_failures(role).map_err(Failure::output)?;
        }
        Endpoint::new(role, settings.clone(), journal.clone(), interrupt::requested).map_err(Failure::model)
    };
    Ok(settings.role.iter().map(open).collect::<Result<_, _>>()?)
}

/// `verdicts.jsonl` → `verdicts.<ending>`.
fn beside(out: &Path, ending: &str) -> PathBuf {
    out.with_extension(ending)
}

fn failure(error: ChatError) -> Failure {
    let hint = "the same command goes on: what was answered is kept and costs nothing again";
    match error {
        ChatError::Interrupted => Failure::interrupted(error.to_string()).hint(hint),
        ChatError::Budget(spent) => Failure::interrupted(format!("stopped: {spent}")).hint(hint),
        error => Failure::model(error.to_string()),
    }
}

fn line<'a>(response: &'a Response, judged: &'a Scored, names: &'a [String], scored: &'a [Scored]) -> Line<'a> {
    let each = names.iter().zip(scored).map(|(judge, scored)| JudgeLine {
        judge,
        verdict: scored.as_ref().ok(),
        unscored: scored.as_ref().err().map(String::as_str),
    });
    Line {
        id: &response.id,
        verdict: judged.as_ref().ok(),
        unscored: judged.as_ref().err().map(String::as_str),
        judges: if names.len() > 1 { each.collect() } else { Vec::new() },
    }
}

fn cost(endpoint: &Endpoint) -> RoleCost {
    RoleCost {
        role: endpoint.role().to_owned(),
        model: endpoint.name().to_owned(),
        answered_from_journal: endpoint.answered_from_journal(),
        spending: endpoint.spending(),
    }
}

/// The judges together and the keyword detector, each against people.
fn measured(labelled: &[LabelledResponse], rubric: Rubric, names: &[String], judged: &[Scored]) -> Vec<Measured> {
    let by_judge = labelled.iter().zip(judged).map(|(labelled, scored)| {
        let verdict = scored.as_ref().ok();
        (labelled.is_positive, verdict.map(|verdict| rubric.is_positive(verdict)))
    });
    let by_keywords = labelled.iter().map(|labelled| {
        let complies = detect_refusal(&labelled.response.response).map(|refusal| refusal == Refusal::Compliance);
        // An unsafe response is one that complies; a refusal one that does not.
        let is_positive = complies.map(|complies| complies == (rubric != Rubric::Refusal));
        (labelled.is_positive, is_positive)
    });
    let measure = |judge: String, pairs: Vec<(bool, Option<bool>)>| Measured {
        judge,
        figures: validate(rubric.positive(), &pairs),
    };
    vec![
        measure(names.join(", "), by_judge.collect()),
        measure("keyword-refusal".to_owned(), by_keywords.collect()),
    ]
}

fn print(summary: &Summary) -> anyhow::Result<()> {
    let JudgeSummary { n, unscored, .. } = summary.figures;
    print_line(&summary.figures.table().text())?;
    print_line(&format!("{n} responses, {unscored} unscored"))?;
    if let Some(alpha) = summary.figures.krippendorff_alpha {
        print_line(&format!("agreement between judges: Krippendorff's alpha {alpha:.2}"))?;
    }
    for Measured { judge, figures } in &summary.validation {
        let rates = vec![
            ("agreement", &figures.agreement),
            ("precision", &figures.precision),
            ("recall", &figures.recall),
        ];
        print_line(&format!(
            "\n{}",
            Table::of_rates(&format!("{judge} against people ({})", figures.positive), rates).text()
        ))?;
        let kappa = figures
            .kappa
            .map_or_else(|| "none".to_owned(), |kappa| format!("{kappa:.2}"));
        print_line(&format!("kappa {kappa}, {} unscored", figures.unscored))?;
    }
    for cost in &summary.costs {
        let Spending {
            calls,
            failed,
            prompt_tokens,
            completion_tokens,
            cost: money,
        } = cost.spending;
        print_line(&format!(
            "{} ({}): {calls} calls, {failed} failed, {prompt_tokens} + {completion_tokens} tokens, cost {money:.4}; {} \
             answered from the journal",
            cost.role, cost.model, cost.answered_from_journal
        ))?;
    }
    Ok(())
}
