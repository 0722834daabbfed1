//! `scruple judge`: responses in, verdicts of models behind endpoints out; judges measured against people's labels.

mod people;

use std::path::{Path, PathBuf};

use align::judge::{JudgeSummary, Response, Rubric, Scored, combine, judge, summarise};
use align::progress::Progress;
use align::types::Dialogues;
use benchmarks::{LabeledResponse, SUITES, Suite};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use self::people::{Elsewhere, Measured};
use super::Context;
use crate::config::tables::JudgeSettings;
use crate::config::{self, Loaded};
use crate::errors::Failure;
use crate::lines::write_whole;
use crate::output_folder::OutputFolder;
use crate::roles::{self, RoleCost, Roles, with_costs};
use crate::terminal::print_line;

const AFTER_HELP: &str = "\
Responses are one JSON object a line: {\"id\", \"messages\", \"response\"}, image paths relative to the file;
pictures within it (data URLs) become files in FILE.images. Each line of --out holds `id`, `verdict`
and `unscored`, exactly one of the two null, and `rubric`, with the hash of what was asked; with
several judges also `judges`, what each said. FILE.summary.json holds shares with their intervals,
agreement and costs. Every answer is kept in FILE.journal.sqlite before it is used: the same command goes on
after a stop and asks nothing twice.

Rubrics: mis (perception and safety: ASR, RSR, RR, HR), safer (thinking and answer by dimension),
scale (safety -3 to 3, helpfulness 0 to 3), refusal (compliance, partial or full refusal).

With --labeled, the judge scores responses that people have labeled (msts by `mis`, xstest by
`refusal`), and its agreement with them, each judge's own where there are several, is printed beside
that of a keyword detector. --validation then puts these figures beside those of other responses.

The key is taken from the environment variable that `api_key_env` names, OPENAI_API_KEY by default.

Examples:
  scruple judge --responses r.jsonl --rubric mis --judge-url http://localhost:8000/v1 --judge-model M --out v.jsonl
  scruple judge --responses r.jsonl --config judges.toml --out v.jsonl judge.combination=mean
  scruple judge --labeled msts --data benchmarks --judge-url URL --judge-model M --out msts.jsonl
  scruple judge --responses r.jsonl --judge-url URL --judge-model M --out v.jsonl --validation msts.summary.json";

/// Score responses with models as judges, and judges with people's labels.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The responses
    #[arg(long, value_name = "FILE.jsonl", required_unless_present = "labeled")]
    responses: Option<PathBuf>,
    /// Judge responses to a benchmark that people have labeled instead: msts or xstest
    #[arg(long, value_name = "SUITE", requires = "data", conflicts_with = "responses", value_parser = labeled_suite)]
    labeled: Option<&'static Suite>,
    /// The benchmark's folder, or the folder above
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The summary of the same judges on a labeled set, whose figures stand beside this one's
    #[arg(long, value_name = "FILE.summary.json", conflicts_with = "labeled")]
    validation: Option<PathBuf>,
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

/// A benchmark with responses that people have labeled.
fn labeled_suite(name: &str) -> Result<&'static Suite, String> {
    let names = SUITES.into_iter().filter(|suite| suite.labeled.is_some());
    let mut known = names.clone();
    known.find(|suite| suite.name == name).ok_or_else(|| {
        let names: Vec<&str> = names.map(|suite| suite.name).collect();
        format!("expected {}, got {name}", names.join(" or "))
    })
}

/// One line of the verdicts.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    verdict: Option<&'a Value>,
    unscored: Option<&'a str>,
    /// The rubric's name, version and hash.
    rubric: &'a str,
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
    /// The judges against people, together and each; the keyword detector against them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    validation: Vec<Measured>,
    /// The same, measured before on a labeled set.
    #[serde(skip_serializing_if = "Option::is_none")]
    measured_on: Option<Elsewhere>,
    costs: Vec<RoleCost>,
}

/// Runs the command.
///
/// Errors: of usage for bad settings; of data for bad responses; of model where an endpoint cannot be used; interrupted
/// where the user or the budget ends it; of output where results cannot be written.
pub fn run(arguments: &Arguments, context: &mut Context) -> anyhow::Result<()> {
    let loaded = settings(arguments)?;
    let settings = &loaded.settings;
    let labeled = arguments
        .labeled
        .map(|set| load(set, arguments, settings.rubric))
        .transpose()?;
    let _folder = OutputFolder::make_for(&arguments.out)?;
    let elsewhere = arguments.validation.as_deref().map(Elsewhere::read).transpose()?;
    let responses: Vec<Response> = match (&labeled, &arguments.responses) {
        (Some(labeled), _) => labeled.iter().map(|labeled| labeled.response.clone()).collect(),
        (None, Some(path)) => Dialogues::open(path)?
            .with_embedded_in(&beside(&arguments.out, "images"))
            .collect::<Result<_, _>>()?,
        (None, None) => Vec::new(),
    };
    let journal = beside(&arguments.out, "journal.sqlite");
    let roles = Roles::open(&settings.role, &journal, context.global.device)?;
    if arguments.retry_failed {
        roles.retry_failed()?;
    }
    let material = Material {
        responses: &responses,
        labeled: labeled.as_deref(),
        elsewhere,
    };
    let outcome = judge_all(&arguments.out, settings, material, &roles, context);
    print(&with_costs(&[&roles], outcome)?)
}

/// What is judged, and what is known of judges like these.
struct Material<'a> {
    responses: &'a [Response],
    labeled: Option<&'a [LabeledResponse]>,
    elsewhere: Option<Elsewhere>,
}

/// Asks every judge about every response, and writes verdicts and summary.
fn judge_all(
    out: &Path,
    settings: &JudgeSettings,
    material: Material,
    roles: &Roles,
    context: &mut Context,
) -> anyhow::Result<Summary> {
    let models = roles.models()?;
    let names: Vec<String> = models.iter().map(|model| model.name().to_owned()).collect();
    if let Some(elsewhere) = &material.elsewhere {
        elsewhere.check(settings.rubric, &names)?;
    }
    let responses = material.responses;
    let progress = &mut context.progress;
    let mut by_judge: Vec<Vec<Scored>> = vec![Vec::new(); responses.len()];
    for model in &models {
        progress.begin(&format!("judge {}", model.name()), responses.len());
        let scored = judge(&**model, responses, settings.rubric, &settings.judge, &mut || {
            progress.advance(1);
        })?;
        progress.end();
        by_judge
            .iter_mut()
            .zip(scored)
            .for_each(|(all, scored)| all.push(scored));
    }
    let judged: Vec<Scored> = by_judge
        .iter()
        .map(|scored| combine(scored, settings.judge.combination))
        .collect();

    let rubric = settings.rubric.identity();
    let lines = responses.iter().zip(&judged).zip(&by_judge);
    let lines: Vec<Line> = lines
        .map(|((response, judged), scored)| line(response, judged, &rubric, &names, scored))
        .collect();
    write_whole(out, &lines)?;
    let against_people = |labeled| people::measure(labeled, settings.rubric, &names, &judged, &by_judge);
    let summary = Summary {
        validation: material.labeled.map(against_people).unwrap_or_default(),
        measured_on: material.elsewhere,
        figures: summarise(settings.rubric, names, &judged, &by_judge),
        costs: roles.costs()?,
    };
    write_whole(&beside(out, "summary.json"), &[&summary])?;
    Ok(summary)
}

fn settings(arguments: &Arguments) -> anyhow::Result<Loaded<JudgeSettings>> {
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
        given.push(format!("rubric={}", rubric.name()));
    }
    let mut loaded = config::load::<JudgeSettings>(arguments.config.as_deref(), &given)?;
    if let Some(labeled) = arguments.labeled.and_then(|suite| suite.labeled.as_ref())
        && !labeled.rubrics.contains(&loaded.settings.rubric)
    {
        // The settings' rubric is for responses; a labeled benchmark has its own.
        loaded.settings.rubric = arguments.rubric.unwrap_or(labeled.rubrics[0]);
    }
    loaded.check(loaded.settings.judge.validate("judge"))?;
    if loaded.settings.role.is_empty() {
        return Err(Failure::usage("expected a judge, got none")
            .hint("give --judge-url and --judge-model, or a table [role.judge] in --config")
            .into());
    }
    roles::check(&loaded, &loaded.settings.role)?;
    Ok(loaded)
}

fn load(suite: &Suite, arguments: &Arguments, rubric: Rubric) -> anyhow::Result<Vec<LabeledResponse>> {
    let rubrics = suite.labeled.as_ref().map_or(&[][..], |labeled| labeled.rubrics);
    if !rubrics.contains(&rubric) {
        let names: Vec<&str> = rubrics.iter().map(|rubric| rubric.name()).collect();
        return Err(Failure::usage(format!(
            "--rubric: expected {}, which people labeled {} by, got {}",
            names.join(" or "),
            suite.name,
            rubric.name()
        ))
        .into());
    }
    Ok(suite.load_labeled(arguments.data.as_deref().unwrap_or(Path::new(".")))?)
}

/// `verdicts.jsonl` → `verdicts.<ending>`.
fn beside(out: &Path, ending: &str) -> PathBuf {
    out.with_extension(ending)
}

fn line<'a>(
    response: &'a Response,
    judged: &'a Scored,
    rubric: &'a str,
    names: &'a [String],
    scored: &'a [Scored],
) -> Line<'a> {
    let each = names.iter().zip(scored).map(|(judge, scored)| JudgeLine {
        judge,
        verdict: scored.as_ref().ok(),
        unscored: scored.as_ref().err().map(String::as_str),
    });
    Line {
        id: &response.id,
        verdict: judged.as_ref().ok(),
        unscored: judged.as_ref().err().map(String::as_str),
        rubric,
        judges: if names.len() > 1 { each.collect() } else { Vec::new() },
    }
}

fn print(summary: &Summary) -> anyhow::Result<()> {
    let JudgeSummary { n, unscored, .. } = summary.figures;
    print_line(&summary.figures.table().text())?;
    if let Some(means) = summary.figures.means_table() {
        print_line(&means.text())?;
    }
    print_line(&format!("{n} responses, {unscored} unscored"))?;
    if let Some(alpha) = summary.figures.krippendorff_alpha {
        print_line(&format!("agreement between judges: Krippendorff's alpha {alpha:.2}"))?;
    }
    for measured in &summary.validation {
        print_line(&measured.text())?;
    }
    if let Some(elsewhere) = &summary.measured_on {
        print_line(&elsewhere.text())?;
    }
    Ok(())
}
