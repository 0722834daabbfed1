//! `scruple eval --suite`: a model through published benchmarks, each answered and scored as its authors do it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use align::chat::ChatParams;
use align::eval::RefusalBy;
use align::eval::suite::{Protocol, Scorer, SuiteEvaluation, SuiteOutcome, SuiteSummary, run as evaluate};
use align::run_dir::write_json;
use align::verdict::first_reason;
use benchmarks::refusal::{RESPONSE_CLASS, SAFE_COMPLETION};
use benchmarks::responses::Responses;
use benchmarks::scoring::{RuleScorer, Scoring};
use benchmarks::{Generation, Images, JudgeScorer, Loaded as SuiteItems, Suite, put_questions, suites_of};
use report::text_tables;
use serde_json::{Value, json};

use super::deviations::{as_shown, deviations, otherwise_judged, with_authors_limits};
use super::means;
use super::provenance::{Made, OwnModel};
use super::responses::{made_elsewhere, read_responses, responses_deviations};
use crate::commands::job::{self, Job};
use crate::config::tables::{EvalSettings, ModelTable};
use crate::config::{Loaded, required};
use crate::context::Context;
use crate::data::located;
use crate::errors::{Failure, Result};
use crate::output_folder::{OutputFolder, remove_results};
use crate::roles::{Model, Roles, check_any, judging_settings, policy_settings, with_costs};
use crate::terminal::print_line;

/// The folder, among the results, of images that came within a benchmark's files.
const IMAGES: &str = "images";

/// What an evaluation leaves in a benchmark's folder.
const RESULTS: [&str; 3] = ["eval.resolved.json", "responses.jsonl", "summary.json"];

/// So many answers an endpoint may give at once are worked on before what is there is judged.
const ROUNDS_AT_A_TIME: usize = 16;

/// What of an earlier call's answers is not taken from the journal.
#[derive(Clone, Copy)]
pub struct Again {
    /// None of them.
    pub restart: bool,
    /// Not those that failed.
    pub retry_failed: bool,
}

/// Evaluates on benchmarks.
///
/// Errors: as the command's own.
pub fn run(evaluating: &EvaluatingSuites, inspect_logs: Option<&Path>, context: &mut Context) -> Result {
    let (summaries, nothing_scored) = job::run(evaluating, context)?;
    // A mean over suites has no responses to log.
    for summary in summaries.iter().filter(|summary| summary.mean_of.is_empty()) {
        log_for_inspect(&evaluating.folder.join(&summary.suite), inspect_logs)?;
    }
    print_line(&text_tables::suites(&summaries))?;
    check_any("responses could be scored", nothing_scored.as_deref())
}

/// Writes the log of a folder of results that `inspect_ai` reads, where a folder for such logs is given.
///
/// Errors: of data or output, naming the file.
pub fn log_for_inspect(results: &Path, logs: Option<&Path>) -> Result {
    if let Some(logs) = logs {
        let log = report::inspect_log::write(results, logs)?;
        eprintln!("eval: a log for inspect_ai is {}", log.display());
    }
    Ok(())
}

/// The benchmarks without those that stand for a group alone and are not in the folder, which are told.
///
/// Errors: of data where there is no such folder, or none is left.
fn without_absent(mut suites: Vec<&'static Suite>, list: &str, data: &Path) -> Result<Vec<&'static Suite>> {
    if !data.exists() {
        return Err(Failure::data("no such folder").at(&data.display().to_string()));
    }
    let mut absent = Vec::new();
    suites.retain(|suite| {
        let is_wanted = list.split(',').any(|name| name.trim() == suite.name) || suite.folder(data).is_ok();
        absent.extend((!is_wanted).then_some(suite.name));
        is_wanted
    });
    if suites.is_empty() {
        let problem = format!("expected one of the benchmarks of `{list}` in the folder: {}", absent.join(", "));
        let hint = format!("`scruple benchmarks --data {}` says what is there", data.display());
        return Err(Failure::data(problem).at(&data.display().to_string()).hint(hint));
    }
    if !absent.is_empty() {
        eprintln!("eval: left out, since they are not in {}: {}", data.display(), absent.join(", "));
    }
    Ok(suites)
}

/// Makes sure that somebody can score a benchmark's responses.
fn check_scored(suite: &Suite, roles: &Roles) -> Result {
    match suite.scoring {
        Scoring::Unavailable(why) => {
            Err(Failure::settings(format!("`data.suite`: {} cannot be evaluated on: {why}", suite.name)))
        }
        Scoring::Judged { stand_in: None, .. } if !roles.has_judges() => {
            let problem = format!("`data.suite`: {} is scored by a judge, and there is none", suite.name);
            Err(Failure::settings(problem).hint("set role.judge.url and role.judge.model"))
        }
        Scoring::Rule(_) | Scoring::Judged { .. } => Ok(()),
    }
}

/// The evaluation on benchmarks.
pub(super) struct EvaluatingSuites<'a> {
    loaded: &'a Loaded<EvalSettings>,
    /// The benchmarks.
    pub suites: Vec<&'static Suite>,
    folder: &'a Path,
    /// Who answers, and who judges.
    pub roles: Roles<'a>,
    /// What of an earlier call's answers is not taken.
    pub again: Again,
    own: OnceCell<OwnModel>,
}

/// The model that answers, and the limits of images that it was opened with.
struct Policy {
    model: Model,
    table: ModelTable,
    /// How many responses to an item there are, where they were made elsewhere.
    samples: Option<usize>,
}

impl Job for EvaluatingSuites<'_> {
    /// Each benchmark's items, and responses that were made elsewhere.
    type Data = (Vec<SuiteItems>, Option<Responses>);
    /// The judges, where there are any.
    type Models = Vec<Model>;
    /// The figures; and why the first response is unscored, where all are.
    type Product = (Vec<SuiteSummary>, Option<String>);

    fn data(&self) -> Result<Self::Data> {
        // Images that come within files are put there while they are read.
        let _folder = OutputFolder::make(self.folder)?;
        let mut images = Images::Kept(self.folder.join(IMAGES));
        if let Some(file) = &self.loaded.settings.data.responses {
            let data = self.loaded.settings.data.path.as_deref();
            let (items, responses) = read_responses(file, &self.suites, data, images, self.roles.has_judges())?;
            return Ok((vec![items], Some(responses)));
        }
        let data = self.data_folder()?;
        let items: Result<Vec<SuiteItems>> =
            self.suites.iter().map(|suite| Ok(suite.load(data, &mut images)?)).collect();
        Ok((items?, None))
    }

    fn folder(&self, _: &Self::Data, _: &Context) -> Result<OutputFolder> {
        OutputFolder::make(self.folder)
    }

    fn models(&self, _: &Context) -> Result<Self::Models> {
        self.roles.judge_models()
    }

    fn work(&self, data: Self::Data, judges: Self::Models, context: &mut Context) -> Result<Self::Product> {
        let restart = self.again.restart;
        let is_empty = !self.roles.has_answers()?;
        for suite in &self.suites {
            let folder = self.folder.join(suite.name);
            if restart || (is_empty && !folder.join(RESULTS[1]).exists()) {
                remove_results(&folder, &RESULTS)?;
            }
        }
        self.roles.begin(restart, self.again.retry_failed)?;
        let (data, responses) = data;
        let worked = self.evaluate(&data, responses, &judges, context);
        with_costs(&self.roles, worked)
    }
}

impl<'a> EvaluatingSuites<'a> {
    /// The evaluation on the benchmarks that a list names.
    ///
    /// Errors: of settings for an unknown benchmark, and where one needs a judge that is not there.
    pub fn new(
        loaded: &'a Loaded<EvalSettings>,
        list: &str,
        folder: &'a Path,
        roles: Roles<'a>,
        again: Again,
    ) -> Result<Self> {
        let suites = suites_of(list).map_err(|error| Failure::settings(format!("`data.suite`: {error}")))?;
        if suites.is_empty() {
            let problem = format!("`data.suite`: expected a benchmark or a group of them, got `{list}`");
            return Err(Failure::settings(problem).hint("`scruple benchmarks` lists them"));
        }
        let suites = match &loaded.settings.data.path {
            Some(data) => without_absent(suites, list, data)?,
            None => suites,
        };
        if !loaded.settings.eval.rates.is_empty() {
            let problem = "`eval.rates`: expected none beside `data.suite`, whose benchmarks have rates of their own";
            return Err(Failure::settings(problem));
        }
        for suite in &suites {
            check_scored(suite, &roles)?;
        }
        if loaded.settings.eval.refusal == RefusalBy::Judge && !roles.has_judges() {
            let problem = "`eval.refusal`: \"judge\" needs a judge, and there is none";
            return Err(Failure::settings(problem).hint("set role.judge.url and role.judge.model"));
        }
        Ok(Self { loaded, suites, folder, roles, again, own: OnceCell::new() })
    }

    /// Where the benchmarks are.
    pub fn data_folder(&self) -> Result<&PathBuf> {
        required(self.loaded.settings.data.path.as_ref(), "data.path")
    }

    fn evaluate(
        &self,
        data: &[SuiteItems],
        responses: Option<Responses>,
        judges: &[Model],
        context: &mut Context,
    ) -> Result<(Vec<SuiteSummary>, Option<String>)> {
        let mut summaries = Vec::new();
        let mut policy = responses.zip(self.suites.first()).map(|(responses, suite)| Policy {
            samples: Some(responses.samples),
            model: Box::new(responses),
            table: self.model_table(suite.generation),
        });
        let (mut is_any_scored, mut reason) = (false, None);
        for (suite, items) in self.suites.iter().zip(data) {
            let policy = self.policy(suite, &mut policy)?;
            let outcome = self.evaluate_suite(suite, items, policy, judges, context)?;
            match first_reason(outcome.records.iter().map(|record| &record.judgement)) {
                None => is_any_scored = true,
                Some(why) => reason = reason.or(Some(format!("{}: {why}", suite.name))),
            }
            eprintln!("eval: {} scored by {}", suite.name, outcome.summary.scored_by);
            summaries.push(outcome.summary);
        }
        let list = self.loaded.settings.data.suite.as_deref().unwrap_or_default();
        for mean in means::of_groups(list, &self.loaded.settings.eval.model, &summaries) {
            let folder = self.folder.join(&mean.suite);
            fs_err::create_dir_all(&folder)?;
            write_json(&folder.join(RESULTS[2]), &mean)?;
            summaries.push(mean);
        }
        eprintln!("eval: responses and figures are in {}", self.folder.display());
        Ok((summaries, reason.filter(|_| !is_any_scored)))
    }

    /// The model, opened again where this benchmark's authors limit images otherwise than those before.
    fn policy<'p>(&self, suite: &Suite, open: &'p mut Option<Policy>) -> Result<&'p Policy> {
        let table = self.model_table(suite.generation);
        if open.as_ref().is_none_or(|policy| policy.table != table) {
            *open = None;
            let model = self.roles.policy(&table, self.loaded.settings.eval.batch_size)?;
            *open = Some(Policy { model, table, samples: None });
        }
        open.as_ref().ok_or_else(|| Failure::model("no model is open"))
    }

    /// The model's settings with the authors' limits of images where none are given.
    pub fn model_table(&self, authors: Generation) -> ModelTable {
        with_authors_limits(&self.loaded.settings.model, authors)
    }

    /// What the folder of the model on this machine says; none where another answers.
    fn own_model(&self) -> Result<Option<&OwnModel>> {
        let table = &self.loaded.settings.model;
        if table.path.is_none() {
            return Ok(None);
        }
        if self.own.get().is_none() {
            let _ = self.own.set(OwnModel::open(table)?);
        }
        Ok(self.own.get())
    }

    fn evaluate_suite(
        &self,
        suite: &'static Suite,
        items: &SuiteItems,
        policy: &Policy,
        judges: &[Model],
        context: &mut Context,
    ) -> Result<SuiteOutcome> {
        let settings = &self.loaded.settings;
        let folder = self.folder.join(suite.name);
        let scoring = self.scoring(suite, judges)?;
        let params = self.params(suite);
        let (answered_by, items) = if let Some(file) = &settings.data.responses {
            (made_elsewhere(file)?, Cow::Borrowed(items))
        } else {
            let settings = policy_settings(&policy.table.relative_to(&folder), &settings.role);
            (settings, as_shown(suite, items, &policy.table))
        };
        let items = &*items;
        let mut kept = json!({ "suite": suite.name, "model": settings.eval.model, "policy": answered_by });
        if matches!(suite.scoring, Scoring::Judged { .. }) && !judges.is_empty() {
            kept["judging"] = judging_settings(&settings.judge, &settings.role);
        }
        let evaluation = self.evaluation(suite, items, &*scoring.scorer, &params, &kept);
        let mut metrics = suite.protocol.metrics;
        if self.asks_class(suite) {
            // Once a benchmark and process.
            metrics = [metrics, &[SAFE_COMPLETION]].concat().leak();
        }
        let samples = policy.samples.unwrap_or(suite.protocol.samples);
        let protocol = Protocol { samples, metrics, ..suite.protocol };
        let evaluation = SuiteEvaluation { protocol: &protocol, ..evaluation };
        let generated = match settings.data.responses {
            Some(_) => responses_deviations(suite, &items.items),
            None => deviations(suite, items, &params, policy.model.name(), &policy.table),
        };
        let scored_by = scoring.scorer.name();
        let reworded = otherwise_judged(suite, &scored_by, &scoring.prompts);
        let made = Made { suite, params: &params, table: &policy.table, own: self.own_model()?, settings };
        let made_with = made.record(&kept, &items.items)?;
        let about = SuiteSummary {
            suite: suite.name.to_owned(),
            title: suite.title.to_owned(),
            model: settings.eval.model.clone(),
            scored_by,
            prompts: scoring.prompts,
            missing_items: items.missing.len(),
            deviations: [generated, reworded, items.deviations.clone()].concat(),
            published: suite.published(),
            made_with,
            ..SuiteSummary::default()
        };
        let outcome = evaluate(&*policy.model, &evaluation, about, &folder, &mut context.progress);
        outcome.map_err(|error| located(error, &[] as &[PathBuf]))
    }

    /// Who scores.
    pub fn scoring<'j>(&self, suite: &Suite, judges: &'j [Model]) -> Result<ScoredBy<'j>> {
        match suite.scoring {
            Scoring::Judged { questions, stand_in } => match (judges, stand_in) {
                ([], Some(rule)) => Ok(ScoredBy::of_rule(RuleScorer(rule))),
                ([], None) => Err(Failure::settings(format!("{} needs a judge", suite.name))),
                (judges, _) => {
                    let data = self.loaded.settings.data.path.as_deref().unwrap_or(Path::new(""));
                    let mut put = put_questions(suite, questions, data);
                    if self.asks_class(suite) {
                        put.extend(put_questions(suite, RESPONSE_CLASS, data));
                    }
                    let prompts = put.iter().map(benchmarks::PutQuestion::used).collect();
                    let config = self.loaded.settings.judge.clone();
                    Ok(ScoredBy { scorer: Box::new(JudgeScorer::new(judges, put, config)), prompts })
                }
            },
            Scoring::Rule(rule) => Ok(ScoredBy::of_rule(RuleScorer(rule))),
            Scoring::Unavailable(why) => {
                Err(Failure::settings(format!("{} cannot be evaluated on: {why}", suite.name)))
            }
        }
    }

    /// Whether judges are asked how far responses go along with what could do harm. Of several responses to an item the
    /// benchmark's own way to one verdict knows nothing of it.
    fn asks_class(&self, suite: &Suite) -> bool {
        let is_judged = matches!(suite.scoring, Scoring::Judged { .. }) && self.roles.has_judges();
        self.loaded.settings.eval.refusal == RefusalBy::Judge && is_judged && suite.protocol.samples == 1
    }

    /// How the model answers: as the authors have it, but for what is set here.
    pub fn params(&self, suite: &Suite) -> ChatParams {
        let (eval, generation) = (&self.loaded.settings.eval, suite.generation);
        let is_given = |key: &str| self.loaded.is_given(&format!("eval.{key}"));
        ChatParams {
            temperature: if is_given("temperature") { eval.temperature } else { generation.temperature },
            top_p: eval.top_p,
            max_tokens: if is_given("max_new_tokens") { eval.max_new_tokens } else { generation.max_new_tokens },
            seed: eval.seed,
            ..ChatParams::default()
        }
    }

    /// What to evaluate on, and how.
    pub fn evaluation<'e>(
        &self,
        suite: &'static Suite,
        items: &'e SuiteItems,
        scorer: &'e dyn Scorer,
        params: &'e ChatParams,
        settings: &'e Value,
    ) -> SuiteEvaluation<'e> {
        let at_a_time = self.at_a_time();
        SuiteEvaluation { protocol: &suite.protocol, items: &items.items, scorer, params, at_a_time, settings }
    }

    fn at_a_time(&self) -> usize {
        let settings = &self.loaded.settings;
        let policy = settings.role.get("policy").filter(|policy| policy.is_remote());
        policy.map_or(settings.eval.batch_size, |policy| policy.concurrency) * ROUNDS_AT_A_TIME
    }
}

/// Who scores, and the prompts that judges are put.
pub(super) struct ScoredBy<'j> {
    /// The rule, or the judges.
    pub scorer: Box<dyn Scorer + 'j>,
    prompts: Vec<align::eval::suite::PromptUsed>,
}

impl ScoredBy<'_> {
    fn of_rule(rule: RuleScorer) -> Self {
        Self { scorer: Box::new(rule), prompts: Vec::new() }
    }
}
