//! `scruple judge`: responses in, verdicts of models behind endpoints out; judges measured against people's labels.

mod people;

use std::path::{Path, PathBuf};

use align::judge::{JudgeSummary, Response, Rubric, combine, judge, summarize};
use align::progress::Progress;
use align::types::Dialogues;
use align::verdict::{Judgement, first_reason};
use benchmarks::{LabeledResponse, SUITES, Suite};
use clap::Args;
use report::text_tables;
use serde::Serialize;
use serde_json::Value;

use self::people::{Elsewhere, Measured};
use super::job::{self, Job};
use crate::arguments::{RestartArguments, SettingsArguments, flag};
use crate::config::required;
use crate::config::tables::{JudgeData, JudgeSettings};
use crate::context::Context;
use crate::errors::{Failure, Result};
use crate::lines::write_whole;
use crate::output_folder::{OutputFolder, remove_results};
use crate::roles::{self, Model, RoleCost, Roles, check_any, with_costs};
use crate::terminal::print_line;

/// The endings of the files beside the verdicts.
const JOURNAL: &str = "journal.sqlite";
const SUMMARY: &str = "summary.json";

const AFTER_HELP: &str = "\
Responses are one JSON object a line: {\"id\", \"messages\", \"response\"}, image paths relative to the
file; images within it (data URLs) become files in FILE.images. Each line of --out holds `id`,
`verdict` and `unscored`, exactly one of the two null, and `rubric`, with the hash of the prompt;
with several judges also `judges`, what each said. FILE.summary.json holds shares with their
intervals, agreement and costs. Every answer is kept in FILE.journal.sqlite before it is used: after
a stop the same command resumes, and no call is made twice. The exit code is 4 where an endpoint
cannot be used, or where not one response could be scored.

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

/// Score responses with models as judges, and validate judges against people's labels.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// The responses; short for `data.responses=…`
    #[arg(long, value_name = "FILE.jsonl")]
    responses: Option<String>,
    /// Judge responses to a benchmark that people have labeled instead, msts or xstest; short for `data.labeled=…`
    #[arg(long, value_name = "SUITE", conflicts_with = "responses")]
    labeled: Option<String>,
    /// The benchmark's folder, or the folder above; short for `data.path=…`
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// The summary of the same judges on a labeled set, whose figures are printed too; short for `data.validation=…`
    #[arg(long, value_name = "FILE.summary.json", conflicts_with = "labeled")]
    validation: Option<String>,
    /// By what is judged: mis, safer, scale or refusal; short for `rubric=…`
    #[arg(long, value_name = "RUBRIC", value_parser = rubric)]
    rubric: Option<Rubric>,
    /// The judges' endpoint, such as http://localhost:8000/v1; short for `role.judge.url=…`
    #[arg(long, value_name = "URL", requires = "judge_model")]
    judge_url: Option<String>,
    /// A judge's name there; short for `role.judge.model=…`; given again for `role.judge-2` …
    #[arg(long, value_name = "NAME", requires = "judge_url")]
    judge_model: Vec<String>,
    /// The file of verdicts
    #[arg(long, value_name = "FILE.jsonl")]
    out: PathBuf,
    /// Repeat calls that failed
    #[arg(long)]
    retry_failed: bool,
    #[command(flatten)]
    restart: RestartArguments,
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
    /// Why the first response is unscored, where all are.
    #[serde(skip)]
    nothing_scored: Option<String>,
}

/// Runs the command.
///
/// Errors: of settings for bad settings; of data for bad responses; of model where an endpoint cannot be used or nothing
/// could be scored; interrupted where the user or the budget ends it; of output where results cannot be written.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let settings = settings(arguments)?;
    let roles = Roles::new(&settings.role, Some(&beside(&arguments.out, JOURNAL)), context.global.device);
    let summary = job::run(&Judging { settings: &settings, roles, arguments }, context)?;
    print(&summary)?;
    check_any("responses could be scored", summary.nothing_scored.as_deref())
}

/// The judging of responses.
struct Judging<'a> {
    settings: &'a JudgeSettings,
    roles: Roles<'a>,
    arguments: &'a Arguments,
}

/// What is judged, and what is known of judges like these.
struct Material {
    responses: Vec<Response>,
    labeled: Option<Vec<LabeledResponse>>,
    elsewhere: Option<Elsewhere>,
}

impl Job for Judging<'_> {
    type Data = Material;
    type Models = Vec<Model>;
    type Product = Summary;

    fn data(&self) -> Result<Material> {
        let data = &self.settings.data;
        let labeled = match labeled_suite(data)? {
            Some(set) => Some(load(set, data, self.settings.rubric)?),
            None => None,
        };
        let responses = match &labeled {
            Some(labeled) => labeled.iter().map(|labeled| labeled.response.clone()).collect(),
            None => Dialogues::open(required(data.responses.as_ref(), "data.responses")?)?
                .with_embedded_in(&beside(&self.arguments.out, "images"))
                .collect::<Result<_, _>>()?,
        };
        let elsewhere = data.validation.as_deref().map(Elsewhere::read).transpose()?;
        Ok(Material { responses, labeled, elsewhere })
    }

    fn folder(&self, _: &Material, _: &Context) -> Result<OutputFolder> {
        OutputFolder::make_for(&self.arguments.out)
    }

    fn models(&self, _: &Context) -> Result<Vec<Model>> {
        self.roles.models()
    }

    fn work(&self, material: Material, judges: Vec<Model>, context: &mut Context) -> Result<Summary> {
        let Arguments { out, restart, retry_failed, .. } = self.arguments;
        if restart.restart {
            remove_results(Path::new(""), &[out, &beside(out, SUMMARY)])?;
        }
        self.roles.begin(restart.restart, *retry_failed)?;
        with_costs(&self.roles, self.judge_all(material, &judges, context))
    }
}

impl Judging<'_> {
    /// Has every judge score every response, and writes verdicts and summary.
    fn judge_all(&self, material: Material, judges: &[Model], context: &mut Context) -> Result<Summary> {
        let (out, settings) = (&self.arguments.out, self.settings);
        let names: Vec<String> = judges.iter().map(|model| model.name().to_owned()).collect();
        if let Some(elsewhere) = &material.elsewhere {
            elsewhere.check(settings.rubric, &names)?;
        }
        let responses = &material.responses;
        let progress = &mut context.progress;
        let mut by_judge: Vec<Vec<Judgement<Value>>> = vec![Vec::new(); responses.len()];
        for model in judges {
            progress.begin(&format!("judge {}", model.name()), responses.len());
            let scored = judge(&**model, responses, settings.rubric, &settings.judge, &mut || {
                progress.advance(1);
            })?;
            progress.end();
            by_judge.iter_mut().zip(scored).for_each(|(all, scored)| all.push(scored));
        }
        let judged: Vec<Judgement<Value>> =
            by_judge.iter().map(|scored| combine(scored, settings.judge.combination)).collect();

        let rubric = settings.rubric.identity();
        let lines = responses.iter().zip(&judged).zip(&by_judge);
        let lines: Vec<Line> =
            lines.map(|((response, judged), scored)| line(response, judged, &rubric, &names, scored)).collect();
        write_whole(out, &lines)?;
        let validation = match &material.labeled {
            Some(labeled) => people::measure(labeled, settings.rubric, &names, &judged, &by_judge),
            None => Vec::new(),
        };
        let summary = Summary {
            validation,
            measured_on: material.elsewhere,
            nothing_scored: first_reason(&judged),
            figures: summarize(settings.rubric, names, &judged, &by_judge),
            costs: self.roles.costs()?,
        };
        write_whole(&beside(out, SUMMARY), &[&summary])?;
        Ok(summary)
    }
}

fn settings(arguments: &Arguments) -> Result<JudgeSettings> {
    let mut flags = vec![
        flag("--responses", &["data", "responses"], arguments.responses.as_ref()),
        flag("--labeled", &["data", "labeled"], arguments.labeled.as_ref()),
        flag("--data", &["data", "path"], arguments.data.as_ref()),
        flag("--validation", &["data", "validation"], arguments.validation.as_ref()),
        flag("--rubric", &["rubric"], arguments.rubric.map(Rubric::name)),
    ];
    for (index, model) in arguments.judge_model.iter().enumerate() {
        let role = match index {
            0 => "judge".to_owned(),
            _ => format!("judge-{}", index + 1),
        };
        let url = arguments.judge_url.as_ref();
        flags.push(flag("--judge-url", &["role", &role, "url"], url));
        flags.push(flag("--judge-model", &["role", &role, "model"], Some(model)));
    }
    let mut loaded = arguments.settings.load::<JudgeSettings>(flags)?;
    let suite = labeled_suite(&loaded.settings.data)?;
    if let Some(labeled) = suite.and_then(|suite| suite.labeled.as_ref())
        && !labeled.rubrics.contains(&loaded.settings.rubric)
    {
        // The settings' rubric is for responses; a labeled benchmark has its own.
        loaded.settings.rubric = arguments.rubric.unwrap_or(labeled.rubrics[0]);
    }
    loaded.check(loaded.settings.judge.validate("judge"))?;
    if loaded.settings.role.is_empty() {
        return Err(Failure::settings("expected a judge, got none")
            .hint("give --judge-url and --judge-model, or a table [role.judge] in --config"));
    }
    roles::check(&loaded, &loaded.settings.role)?;
    Ok(loaded.settings)
}

/// The labeled benchmark that settings name.
fn labeled_suite(data: &JudgeData) -> Result<Option<&'static Suite>> {
    let Some(name) = &data.labeled else {
        return Ok(None);
    };
    let labeled = SUITES.iter().copied().filter(|suite| suite.labeled.is_some());
    let found = labeled.clone().find(|suite| suite.name == name);
    found.map(Some).ok_or_else(|| {
        let names: Vec<&str> = labeled.map(|suite| suite.name).collect();
        Failure::settings(format!("`data.labeled`: expected {}, got {name}", names.join(" or ")))
    })
}

fn load(suite: &Suite, data: &JudgeData, rubric: Rubric) -> Result<Vec<LabeledResponse>> {
    let rubrics = suite.labeled.as_ref().map_or(&[][..], |labeled| labeled.rubrics);
    if !rubrics.contains(&rubric) {
        let names: Vec<&str> = rubrics.iter().map(|rubric| rubric.name()).collect();
        return Err(Failure::settings(format!(
            "`rubric`: expected {}, which people labeled {} by, got {}",
            names.join(" or "),
            suite.name,
            rubric.name()
        )));
    }
    Ok(suite.load_labeled(required(data.path.as_ref(), "data.path")?)?)
}

/// `verdicts.jsonl` → `verdicts.<ending>`.
fn beside(out: &Path, ending: &str) -> PathBuf {
    out.with_extension(ending)
}

fn line<'a>(
    response: &'a Response,
    judged: &'a Judgement<Value>,
    rubric: &'a str,
    names: &'a [String],
    scored: &'a [Judgement<Value>],
) -> Line<'a> {
    let each = names.iter().zip(scored).map(|(judge, scored)| JudgeLine {
        judge,
        verdict: scored.as_ref().ok(),
        unscored: scored.as_ref().err().map(|unscored| unscored.reason.as_str()),
    });
    Line {
        id: &response.id,
        verdict: judged.as_ref().ok(),
        unscored: judged.as_ref().err().map(|unscored| unscored.reason.as_str()),
        rubric,
        judges: if names.len() > 1 { each.collect() } else { Vec::new() },
    }
}

fn print(summary: &Summary) -> Result {
    let JudgeSummary { n, unscored, .. } = summary.figures;
    print_line(&format!("{}\n", text_tables::judged(&summary.figures)))?;
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
