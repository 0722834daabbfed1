//! Models by the roles they play: the tables `[role.NAME]` of a configuration, opened as endpoints or on this machine,
//! and the model on this machine that a command names itself. One journal keeps what they all answer.

pub mod forecast;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use align::chat::{ChatModel, EngineModel};
use align::judge::{JudgeConfig, ModelJudge};
use align::paint::PaintModel;
use align::verdict::Judge;
use diagnostic::excerpt;
use endpoint::settings::{Thinking, is_policy};
use endpoint::{Endpoint, Journal, Journalled, RoleSettings, Spending};
use engine::{LocalEngine, Trainable};
use mini::judge::ExactJudge;
use mini::model::MiniModel;
use mini::painter::MiniPainter;
use report::text_tables;
use serde::Serialize;
use serde_json::{Value, json};

use crate::arguments::Device;
use crate::config::Loaded;
use crate::config::tables::{ModelTable, RoleTables};
use crate::errors::{Failure, Result};
use crate::interrupt;
use crate::model;
use crate::terminal::print_line;
use crate::unused_options::Telling;

/// A model that answers, wherever it runs.
pub type Model = Box<dyn ChatModel + Send>;

/// The journal's name in a folder of results.
pub const JOURNAL: &str = "journal.sqlite";

/// The name in records and journals of the model that a command names itself.
const OWN: &str = "model";

/// The models of a run, and the journal that keeps what they answer. It is opened with the first of them.
pub struct Roles<'a> {
    tables: &'a RoleTables,
    path: Option<PathBuf>,
    journal: OnceCell<Arc<Journal>>,
    device: Device,
    max_cost: f64,
}

/// What a role has cost, earlier runs on the same journal included.
#[derive(Debug, Serialize)]
pub struct RoleCost {
    role: String,
    model: String,
    answered_from_journal: u64,
    #[serde(flatten)]
    spending: Spending,
}

/// Checks that roles can be opened as their tables say.
///
/// Errors: of settings naming the setting.
pub fn check<T>(loaded: &Loaded<T>, tables: &RoleTables) -> Result {
    for (name, role) in tables {
        loaded.check(role.validate(&format!("role.{name}")))?;
    }
    Ok(())
}

/// Checks that every role judges, for commands whose answers come from the model that they train.
///
/// Errors: of settings naming the first that does not.
pub fn check_all_judge(tables: &RoleTables) -> Result {
    match tables.keys().find(|role| is_policy(role)) {
        None => Ok(()),
        Some(role) => Err(Failure::settings(format!("`role.{role}`: expected judges alone, such as `role.judge`"))),
    }
}

/// Who answers, for settings that are kept: the model on this machine, if there is one, and the roles that answer. A
/// model behind an endpoint may move.
pub fn policy_settings(own: &ModelTable, tables: &RoleTables) -> Value {
    let mut policies = serde_json::Map::new();
    if own.path.is_some() {
        policies.insert(OWN.to_owned(), json!(own));
    }
    for (role, settings) in tables.iter().filter(|(role, _)| is_policy(role)) {
        let is_usual = settings.thinking == Thinking::Auto;
        let named = json!({ "model": settings.model, "thinking": settings.thinking });
        policies.insert(role.clone(), if is_usual { json!(settings.model) } else { named });
    }
    Value::Object(policies)
}

/// What of the tables decides about answers, for records that a resumed run is held to: pace, prices and budget may
/// change, and a model may move.
pub fn deciding(tables: &RoleTables) -> Value {
    tables.iter().map(|(name, role)| (name.clone(), decides(role))).collect()
}

/// Who judges and how, for settings that are kept: null where no role does.
pub fn judging_settings(judge: &JudgeConfig, tables: &RoleTables) -> Value {
    let judges: serde_json::Map<String, Value> = tables
        .iter()
        .filter(|(role, _)| !is_policy(role))
        .map(|(role, settings)| (role.clone(), decides(settings)))
        .collect();
    if judges.is_empty() { Value::Null } else { json!({ "judge": judge, "roles": judges }) }
}

fn decides(role: &RoleSettings) -> Value {
    let mut decides = json!({ "model": role.model, "structured_output": role.structured_output });
    if role.thinking != Thinking::Auto {
        decides["thinking"] = json!(role.thinking);
    }
    decides
}

impl<'a> Roles<'a> {
    /// The models of these tables, whose answers go into the journal at this path; where there is none, answers are
    /// kept as long as the process lasts.
    pub fn new(tables: &'a RoleTables, journal: Option<&Path>, device: Device) -> Self {
        Self { tables, path: journal.map(Path::to_owned), journal: OnceCell::new(), device, max_cost: 0.0 }
    }

    /// The same within a budget over all roles together; 0 for no limit.
    #[must_use]
    pub fn within_cost(self, max_cost: f64) -> Self {
        Self { max_cost, ..self }
    }

    fn journal(&self) -> Result<&Arc<Journal>, Failure> {
        if self.journal.get().is_none() {
            let journal = match &self.path {
                Some(path) => Journal::open(path),
                None => Journal::in_memory(),
            };
            let journal = journal.map_err(Failure::output)?;
            journal.limit_cost(self.max_cost);
            let _ = self.journal.set(Arc::new(journal));
        }
        self.journal.get().ok_or_else(|| Failure::output("no journal is open"))
    }

    /// Whether any model is behind an endpoint.
    pub fn has_remote(&self) -> bool {
        self.tables.values().any(RoleSettings::is_remote)
    }

    /// Whether any role judges.
    pub fn has_judges(&self) -> bool {
        self.judges().next().is_some()
    }

    /// Forgets failed calls, so that they are made again.
    ///
    /// Errors: of output naming the journal.
    fn forget_failures(&self, journal: &Journal) -> Result<(), Failure> {
        for (role, _) in self.tables.iter().filter(|(_, settings)| !settings.is_mini()) {
            journal.forget_failures(role).map_err(Failure::output)?;
        }
        Ok(())
    }

    /// Whether any answer is kept.
    ///
    /// Errors: of output naming the journal.
    pub fn has_answers(&self) -> Result<bool> {
        if !self.path.as_ref().is_some_and(|path| path.exists()) {
            return Ok(false);
        }
        Ok(!self.journal()?.is_empty().map_err(Failure::output)?)
    }

    /// Whether neither an answer nor this file is there: settings without either bind nobody.
    ///
    /// Errors: of output naming the journal.
    pub fn has_nothing(&self, results: &Path) -> Result<bool> {
        Ok(!self.has_answers()? && !results.exists())
    }

    /// Forgets what a command should not take from the journal: every answer where it starts over, failed calls where
    /// it repeats them.
    ///
    /// Errors: of output naming the journal.
    pub fn begin(&self, restart: bool, retry_failed: bool) -> Result<(), Failure> {
        if restart {
            self.forget_all()?;
        }
        if retry_failed {
            self.forget_failures(self.journal()?)?;
        }
        Ok(())
    }

    /// Forgets every answer.
    ///
    /// Errors: of output naming the journal.
    fn forget_all(&self) -> Result<(), Failure> {
        if self.path.as_ref().is_some_and(|path| path.exists()) {
            self.journal()?.clear().map_err(Failure::output)?;
        }
        Ok(())
    }

    /// Opens every role's model.
    ///
    /// Errors: of model where one cannot be used.
    pub fn models(&self) -> Result<Vec<Model>> {
        self.tables.iter().map(|(role, settings)| self.model(role, settings)).collect()
    }

    /// All models that answer prompts, each with its name in records: the model on this machine where one is named or
    /// nobody else answers, then the roles `policy`, `policy-2` … The model on this machine answers `batch_size` dialogues
    /// at once.
    ///
    /// Errors: of settings where nobody answers; of model where one cannot be used.
    pub fn policies(&self, own: &ModelTable, batch_size: usize) -> Result<Vec<(String, Model)>> {
        let mut policies = Vec::new();
        if own.path.is_some() || !self.tables.keys().any(|role| is_policy(role)) {
            policies.push((OWN.to_owned(), self.own(own, batch_size)?));
        }
        for (role, settings) in self.tables.iter().filter(|(role, _)| is_policy(role)) {
            policies.push((role.clone(), self.model(role, settings)?));
        }
        Ok(policies)
    }

    /// The one model that answers, as [`Self::policies`] finds it.
    ///
    /// Errors: of settings where there are several or none; of model where it cannot be used.
    pub fn policy(&self, own: &ModelTable, batch_size: usize) -> Result<Model> {
        self.check_one_policy(own)?;
        let policy = self.policies(own, batch_size)?.pop();
        policy.map(|(_, model)| model).ok_or_else(|| Failure::model("no model is open"))
    }

    fn check_one_policy(&self, own: &ModelTable) -> Result {
        match self.n_policies(own) {
            1 => Ok(()),
            0 => Err(Failure::settings("expected a policy model, got none")
                .hint("give `--model`, or the role `policy`: role.policy.url and role.policy.model")),
            n_policies => {
                let problem = format!("expected one policy model, got {n_policies}");
                Err(Failure::settings(problem).hint("give either `--model` or the role `policy`"))
            }
        }
    }

    /// How many models answer prompts.
    pub fn n_policies(&self, own: &ModelTable) -> usize {
        usize::from(own.path.is_some()) + self.tables.keys().filter(|role| is_policy(role)).count()
    }

    /// The roles that judge.
    fn judges(&self) -> impl Iterator<Item = (&String, &RoleSettings)> {
        self.tables.iter().filter(|(role, _)| !is_policy(role))
    }

    /// The models of all roles that judge.
    ///
    /// Errors: of model where one cannot be used.
    pub fn judge_models(&self) -> Result<Vec<Model>> {
        self.judges().map(|(role, settings)| self.model(role, settings)).collect()
    }

    /// The models of all roles that judge as one judge.
    ///
    /// Errors: as [`Self::judge_models`].
    pub fn judge(&self, config: &JudgeConfig) -> Result<ModelJudge> {
        Ok(ModelJudge::new(self.judge_models()?, config.clone()))
    }

    /// As [`Self::judge`]; where no role judges, the miniature world's exact judge.
    ///
    /// Errors: as [`Self::judge`].
    pub fn judge_or_exact(&self, config: &JudgeConfig) -> Result<Box<dyn Judge>> {
        if !self.has_judges() {
            return Ok(Box::new(ExactJudge));
        }
        Ok(Box::new(self.judge(config)?))
    }

    /// Opens the model of one role; none where there is no such role.
    ///
    /// Errors: of model where it cannot be used.
    pub fn one(&self, role: &str) -> Result<Option<Model>> {
        let settings = self.tables.get(role);
        settings.map(|settings| self.model(role, settings)).transpose()
    }

    /// Opens the painter of a role; none where there is no such role.
    ///
    /// Errors: of settings where the role's model runs on this machine, which paints nothing; of model where it cannot be
    /// used.
    pub fn painter(&self, role: &str) -> Result<Option<Box<dyn PaintModel>>> {
        let Some(settings) = self.tables.get(role) else {
            return Ok(None);
        };
        if settings.is_mini() {
            return Ok(Some(Box::new(MiniPainter)));
        }
        if settings.is_local() {
            let problem = format!("`role.{role}.url`: expected an endpoint or \"mini\", which paint, got \"local\"");
            return Err(Failure::settings(problem));
        }
        Ok(Some(Box::new(self.endpoint(role, settings)?)))
    }

    fn endpoint(&self, role: &str, settings: &RoleSettings) -> Result<Endpoint, Failure> {
        let endpoint = Endpoint::new(role, settings.clone(), self.journal()?.clone(), interrupt::requested);
        endpoint.map_err(Failure::model)
    }

    fn model(&self, role: &str, settings: &RoleSettings) -> Result<Model> {
        if settings.is_mini() {
            return Ok(Box::new(MiniModel));
        }
        if settings.is_remote() {
            return Ok(Box::new(Telling::remote(role, self.endpoint(role, settings)?)));
        }
        let table = ModelTable { path: Some(settings.model.clone().into()), ..ModelTable::default() };
        let batch_size = settings.concurrency;
        let engine = model::open(&table, Trainable::Frozen, 0, self.device)?;
        let model = EngineModel::new(&settings.model, engine, batch_size, interrupt::requested);
        self.journalled(role, &table, model, batch_size)
    }

    /// The model on this machine that a command names itself. Data that it cannot use end the work.
    fn own(&self, table: &ModelTable, batch_size: usize) -> Result<Model> {
        let engine = model::open(table, Trainable::Frozen, 0, self.device)?;
        self.of_engine(table, engine, batch_size)
    }

    /// As a model that [`Self::policies`] opens, of an engine that is open.
    ///
    /// Errors: of model where its folder cannot be read; of output naming the journal.
    pub fn of_engine(&self, table: &ModelTable, engine: LocalEngine, batch_size: usize) -> Result<Model> {
        let name = table.path.as_deref().unwrap_or(Path::new(OWN)).display().to_string();
        let model = EngineModel::new(name, engine, batch_size, interrupt::requested).strict();
        self.journalled(OWN, table, model, batch_size)
    }

    /// Puts the journal before a model on this machine.
    ///
    /// Errors: as [`Self::of_engine`].
    pub fn journalled<M: ChatModel + Send + 'static>(
        &self,
        role: &str,
        table: &ModelTable,
        model: M,
        batch_size: usize,
    ) -> Result<Model> {
        let weights = model::identity(table)?;
        let journal = self.journal()?.clone();
        Ok(Box::new(Telling::local(role, Journalled::new(role, weights, journal, model, batch_size))))
    }

    /// What each role that a model plays has cost.
    ///
    /// Errors: of output naming the journal.
    pub fn costs(&self) -> Result<Vec<RoleCost>, Failure> {
        let Some(journal) = self.journal.get() else {
            return Ok(Vec::new());
        };
        let mut costs = Vec::new();
        for (role, settings) in self.tables.iter().filter(|(_, settings)| !settings.is_mini()) {
            costs.push(RoleCost {
                role: role.clone(),
                model: settings.model.clone(),
                answered_from_journal: journal.answered(role),
                spending: journal.spent(role).map_err(Failure::output)?,
            });
        }
        Ok(costs)
    }
}

/// Makes sure that something was scored or answered: a run without any must not pass for one that went well. Its results
/// are written. `first` is why the first has nothing, where all have nothing.
///
/// Errors: of model naming that reason.
pub fn check_any(done: &str, first: Option<&str>) -> Result {
    let Some(first) = first else {
        return Ok(());
    };
    Err(Failure::model(format!("none of the {done}; the first: {}", excerpt(first))).hint(
        "the results are written and say why for each; once the cause is mended, `--retry-failed` repeats the calls that \
         failed",
    ))
}

/// Prints what roles have cost, however the work ended that they did: what a budget or an error stopped is paid for
/// too.
///
/// Errors: the work's own; of output where the journal or standard output cannot be used.
pub fn with_costs<T>(roles: &Roles, outcome: Result<T>) -> Result<T> {
    let printed = print_costs(roles);
    let value = outcome?;
    printed?;
    Ok(value)
}

/// Prints a table with a row for each role that a model plays; nothing where there are none. Figures with tokens that
/// are estimated, since the endpoint does not count them, begin with `~`.
fn print_costs(roles: &Roles) -> Result {
    let rows: Vec<_> = roles.costs()?.iter().map(RoleCost::row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let header = ["Role", "Model", "Calls", "Failed", "From journal", "Prompt tokens", "Completion tokens", "Cost"];
    Ok(print_line(&text_tables::table(header.map(str::to_owned), rows, 2))?)
}

impl RoleCost {
    fn row(&self) -> [String; 8] {
        let Spending { calls, failed, estimated, prompt_tokens, completion_tokens, cost } = self.spending;
        let about = if estimated > 0 { "~" } else { "" };
        [
            self.role.clone(),
            self.model.clone(),
            calls.to_string(),
            failed.to_string(),
            self.answered_from_journal.to_string(),
            format!("{about}{prompt_tokens}"),
            format!("{about}{completion_tokens}"),
            format!("{about}{cost:.4}"),
        ]
    }
}
