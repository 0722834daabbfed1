//! `scruple eval`: a model and items or benchmarks in, a table of rates out.

mod deviations;
mod dry_run;
mod means;
mod provenance;
mod responses;
mod suites;

use std::path::{Component, Path, PathBuf};

use align::eval::{self, EvalConfig, EvalSummary, Evaluation, KeywordRefusal, RefusalBy};
use align::judge::ModelJudge;
use align::types::{Item, read_items};
use align::verdict::{Judge, first_reason};
use clap::Args;
use mini::judge::ExactJudge;
use report::text_tables;

use super::job::{self, Job};
use crate::arguments::{ModelArguments, RestartArguments, flag};
use crate::config::tables::EvalSettings;
use crate::config::{Loaded, required};
use crate::context::Context;
use crate::data::located;
use crate::errors::{Failure, Result};
use crate::output_folder::{OutputFolder, remove_results};
use crate::roles::{self, JOURNAL, Model, Roles, check_any, judging_settings, policy_settings, with_costs};
use crate::terminal::print_line;

/// The evaluation splits of the miniature world, as `scruple mini` names their files.
const WORLD_SPLITS: [&str; 7] = ["easy", "hard", "real", "benign", "verb", "black", "general"];

/// What an evaluation leaves in its folder, but for the journal.
const RESULTS: [&str; 3] = ["eval.resolved.json", "responses.jsonl", "summary.json"];

const AFTER_HELP: &str = "\
Without --suite, --data is a file of items, or the folder that `scruple mini` or `scruple forge`
wrote. Items of the miniature world carry their truth and are judged exactly. Where items carry
none, a keyword detector classifies refusals; it is named `keyword-refusal` in all tables, since it
does not detect harmful content. Models in `[role.NAME]`, remote or local, take precedence as
judges; the one in [role.policy] is evaluated in the place of --model.

With --suite, --data is the benchmark's own folder, or the folder above several. `scruple benchmarks`
lists them: names, groups, terms, judges, and with --data what is there of each.

DIR then holds responses.jsonl, summary.json and eval.resolved.json, with --suite in a folder for
each benchmark; the table is printed. Every answer is in DIR/journal.sqlite before it is used: the
same command resumes after a stop, makes no call twice and ends in the same bytes. The exit code is
4 where a model cannot be used, or where not one response could be scored.

Examples:
  scruple eval --model MODEL --data world --out out/eval/base
  scruple eval --model MODEL --adapter runs/safer/checkpoint-40 --data world --out out/eval/safer
  scruple eval --model MODEL --suite xstest --data benchmarks eval.max_new_tokens=256
  scruple eval --model MODEL --suite xstest --data benchmarks --inspect-log logs
  scruple eval --suite mmstar --responses results.xlsx
  scruple eval --model MODEL --data items.jsonl role.judge.url=http://localhost:8000/v1 role.judge.model=NAME
  scruple eval --data items.jsonl role.policy.url=http://localhost:8000/v1 role.policy.model=NAME";

/// Evaluate a model on the miniature world's splits or on a benchmark.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The items, a file or a folder; short for `data.path=…`
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// A published benchmark in its own files; short for `data.suite=…`
    #[arg(long, value_name = "SUITE")]
    suite: Option<String>,
    /// Responses to the benchmark that were made elsewhere, which are scored in the place of a model's; short for `data.responses=…`
    #[arg(long, value_name = "FILE")]
    responses: Option<String>,
    /// The model's name in tables; short for `eval.model=…` [default: the name of its folder, or of its adapter's, or at its endpoint]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The folder for responses and figures [default: out/eval/NAME, and below it the suite's name]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Say what the benchmarks would take, items, images, calls, tokens and money by role, without asking anyone or writing anything
    #[arg(long)]
    dry_run: bool,
    /// Most money that all roles together may cost, earlier calls on the same results included; short for `budget.max_cost=…`
    #[arg(long, value_name = "X")]
    max_cost: Option<f64>,
    /// Write a log that `inspect view` shows into this folder, one for each benchmark
    #[arg(long, value_name = "DIR")]
    inspect_log: Option<PathBuf>,
    /// Repeat calls of models behind endpoints that failed
    #[arg(long)]
    retry_failed: bool,
    #[command(flatten)]
    restart: RestartArguments,
}

/// Runs the command.
///
/// Errors: of settings for bad settings, of data for bad items, and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let loaded = load(arguments)?;
    let settings = &loaded.settings;
    let folder = arguments.out.clone().map_or_else(|| default_folder(&settings.eval.model), Ok)?;
    let roles = Roles::new(&settings.role, Some(&folder.join(JOURNAL)), context.global.device)
        .within_cost(settings.budget.max_cost);
    if settings.data.responses.is_some() {
        responses::check(settings, arguments.dry_run)?;
    }
    if let Some(list) = &settings.data.suite {
        let again = suites::Again { restart: arguments.restart.restart, retry_failed: arguments.retry_failed };
        let evaluating = suites::EvaluatingSuites::new(&loaded, list, &folder, roles, again)?;
        if arguments.dry_run {
            return dry_run::run(&evaluating, context);
        }
        let _logs = log_folder(arguments)?;
        return suites::run(&evaluating, arguments.inspect_log.as_deref(), context);
    }
    if arguments.dry_run {
        return Err(Failure::settings("`--dry-run`: expected benchmarks, got none").hint("name them with `--suite`"));
    }
    let _logs = log_folder(arguments)?;
    if settings.eval.refusal == RefusalBy::Judge {
        let failure = Failure::settings("`eval.refusal`: \"judge\" is of benchmarks, and there is none");
        return Err(failure.hint("name them with `--suite`"));
    }
    let evaluating = Evaluating { settings, folder: &folder, roles, arguments };
    let (summary, nothing_scored) = job::run(&evaluating, context)?;
    suites::log_for_inspect(&folder, arguments.inspect_log.as_deref())?;
    print_line(&text_tables::summaries(&[summary]))?;
    check_any("responses could be scored", nothing_scored.as_deref())
}

/// The folder of results where none is given.
///
/// Errors: of settings for a name that is no folder's.
fn default_folder(name: &str) -> Result<PathBuf> {
    let mut parts = Path::new(name).components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
        let problem = format!("`eval.model`: expected a name that a folder can have, without `--out`, got `{name}`");
        return Err(Failure::settings(problem).hint("choose another `--name`, or give `--out`"));
    }
    Ok(Path::new("out/eval").join(name))
}

/// Makes the folder of logs, so that one that cannot be is known before anything is paid.
///
/// Errors: of output naming the folder.
fn log_folder(arguments: &Arguments) -> Result<Option<OutputFolder>> {
    let made = arguments.inspect_log.as_deref().map(OutputFolder::make).transpose();
    made.map_err(|failure| failure.hint("choose another `--inspect-log`"))
}

/// The evaluation of a model.
struct Evaluating<'a> {
    settings: &'a EvalSettings,
    folder: &'a Path,
    roles: Roles<'a>,
    arguments: &'a Arguments,
}

/// Who answers, and who judges; without the latter the items decide.
struct Models {
    policy: Model,
    judge: Option<ModelJudge>,
}

impl Job for Evaluating<'_> {
    /// The items, and the files that hold them.
    type Data = (Vec<Item>, Vec<PathBuf>);
    type Models = Models;
    /// The figures; and why the first response is unscored, where all are.
    type Product = (EvalSummary, Option<String>);

    fn data(&self) -> Result<Self::Data> {
        let data = required(self.settings.data.path.as_ref(), "data.path")?;
        read_all(data)
    }

    fn folder(&self, _: &Self::Data, _: &Context) -> Result<OutputFolder> {
        OutputFolder::make(self.folder)
    }

    fn models(&self, _: &Context) -> Result<Models> {
        let EvalSettings { model, eval, judge, .. } = self.settings;
        let policy = self.roles.policy(model, eval.batch_size)?;
        let judge = self.roles.has_judges().then(|| self.roles.judge(judge)).transpose()?;
        Ok(Models { policy, judge })
    }

    fn work(&self, (items, files): Self::Data, models: Models, context: &mut Context) -> Result<Self::Product> {
        let Evaluating { settings, folder, roles, .. } = self;
        let judge = models.judge.map_or_else(|| judge_for(&items), |judge| Box::new(judge));
        let restart = self.arguments.restart.restart;
        if restart || roles.has_nothing(&folder.join(RESULTS[1]))? {
            remove_results(folder, &RESULTS)?;
        }
        roles.begin(restart, self.arguments.retry_failed)?;
        let evaluation = Evaluation {
            items: &items,
            judge: &*judge,
            config: &settings.eval,
            policy: &policy_settings(&settings.model.relative_to(folder), &settings.role),
            judging: &judging_settings(&settings.judge, &settings.role),
        };
        let outcome = eval::run(&*models.policy, &evaluation, folder, &mut context.progress);
        let outcome = with_costs(roles, outcome.map_err(|error| located(error, &files)))?;
        eprintln!("eval: judged by {}; responses and figures are in {}", judge.name(), folder.display());
        let nothing_scored = first_reason(outcome.responses.iter().map(|response| &response.judgement));
        Ok((outcome.summary, nothing_scored))
    }
}

fn load(arguments: &Arguments) -> Result<Loaded<EvalSettings>> {
    let others = [
        flag("--data", &["data", "path"], arguments.data.as_ref()),
        flag("--suite", &["data", "suite"], arguments.suite.as_ref()),
        flag("--max-cost", &["budget", "max_cost"], arguments.max_cost),
        flag("--responses", &["data", "responses"], arguments.responses.as_ref()),
        flag("--name", &["eval", "model"], arguments.name.as_ref()),
    ];
    let mut loaded = arguments.model.load::<EvalSettings>(others)?;
    loaded.check(loaded.settings.eval.validate("eval"))?;
    loaded.check(loaded.settings.judge.validate("judge"))?;
    roles::check(&loaded, &loaded.settings.role)?;
    loaded.check(loaded.settings.budget.validate(&loaded.settings.role))?;
    let settings = &mut loaded.settings;
    if settings.eval.model == EvalConfig::default().model {
        settings.eval.model = name_of(settings);
    }
    Ok(loaded)
}

/// The items of a file, or of every evaluation split that stands in a folder, in their order; and the files that hold
/// them.
///
/// Errors: of data when there is none.
pub(super) fn read_all(data: &Path) -> Result<(Vec<Item>, Vec<PathBuf>)> {
    let files = if data.is_dir() { world_files(data)? } else { vec![data.to_owned()] };
    let mut items = Vec::new();
    for file in &files {
        items.extend(read_items(file)?);
    }
    Ok((items, files))
}

fn world_files(data: &Path) -> Result<Vec<PathBuf>, Failure> {
    let splits = WORLD_SPLITS.map(|split| data.join(format!("{split}.jsonl")));
    let files: Vec<PathBuf> = splits.into_iter().filter(|path| path.exists()).collect();
    if files.is_empty() {
        let expected = WORLD_SPLITS.join(".jsonl, ");
        let failure = Failure::data(format!("expected at least one of {expected}.jsonl in the folder"));
        let hint = "name the benchmark with `--suite` if this is one's folder";
        return Err(failure.at(&data.display().to_string()).hint(hint));
    }
    Ok(files)
}

/// The exact judge where all items say what is true, and keywords otherwise.
fn judge_for(items: &[Item]) -> Box<dyn Judge> {
    if items.iter().all(|item| item.truth.is_some()) { Box::new(ExactJudge) } else { Box::new(KeywordRefusal) }
}

/// The name of the file of responses; else of the adapter's folder, or of the model's; of a checkpoint, its run's; of a
/// model behind an endpoint, its name there.
fn name_of(settings: &EvalSettings) -> String {
    let EvalSettings { model, data, role, .. } = settings;
    let folder = model.adapter.as_deref().or(model.path.as_deref());
    let mut names = folder.into_iter().flat_map(Path::ancestors).filter_map(|path| path.file_name()?.to_str());
    let made = data.responses.as_deref().and_then(|file| file.file_stem()?.to_str());
    let served = role.get("policy").and_then(|policy| policy.model.rsplit('/').next());
    let name = made.or_else(|| names.find(|name| !name.starts_with("checkpoint-"))).or(served);
    name.filter(|name| !name.is_empty()).unwrap_or("model").to_owned()
}
