//! Models by the roles they play: the tables `[role.NAME]` of a configuration, opened as endpoints or on this machine.

use std::path::Path;
use std::sync::Arc;

use align::chat::{ChatModel, EngineModel};
use align::judge::{JudgeConfig, ModelJudge};
use align::paint::PaintModel;
use align::verdict::Judge;
use endpoint::{Endpoint, Journal, Journalled, RoleSettings, Spending};
use engine::Trainable;
use mini::judge::ExactJudge;
use mini::model::MiniModel;
use mini::painter::MiniPainter;
use report::text_tables;
use serde::Serialize;
use serde_json::json;

use crate::arguments::Device;
use crate::config::Loaded;
use crate::config::tables::{ModelTable, RoleTables};
use crate::errors::{Failure, Result};
use crate::interrupt;
use crate::model;
use crate::terminal::print_line;

/// The journal's name in a run's folder.
pub const JOURNAL: &str = "judge.journal.sqlite";

/// The roles of a run, and the journal that keeps what they answer.
pub struct Roles<'a> {
    tables: &'a RoleTables,
    journal: Option<Arc<Journal>>,
    device: Device,
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
/// Errors: of usage naming the setting.
pub fn check<T>(loaded: &Loaded<T>, tables: &RoleTables) -> Result {
    let mut tables = tables.iter();
    tables.try_for_each(|(name, role)| loaded.check(role.validate(&format!("role.{name}"))))
}

/// What of the tables decides about answers, for records that a resumed run is held to: pace, prices and budget may
/// change, and a model may move.
pub fn deciding(tables: &RoleTables) -> serde_json::Value {
    let deciding = |(name, role): (&String, &RoleSettings)| {
        let decides = json!({ "model": role.model, "structured_output": role.structured_output });
        (name.clone(), decides)
    };
    serde_json::Value::Object(tables.iter().map(deciding).collect())
}

impl<'a> Roles<'a> {
    /// Gets ready to open roles. Where any is played by a model, behind an endpoint or here, the journal is opened, and
    /// made where there is none.
    ///
    /// Errors: of output naming the journal.
    pub fn open(tables: &'a RoleTables, journal: &Path, device: Device) -> Result<Self> {
        let journal = if tables.values().any(|role| !role.is_mini()) {
            Some(Arc::new(Journal::open(journal).map_err(Failure::output)?))
        } else {
            None
        };
        Ok(Self {
            tables,
            journal,
            device,
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Whether any model is behind an endpoint.
    pub fn has_remote(&self) -> bool {
        self.tables.values().any(RoleSettings::is_remote)
    }

    /// Forgets failed calls, so that they are made again.
    ///
    /// Errors: of output naming the journal.
    pub fn retry_failed(&self) -> Result<(), Failure> {
        let Some(journal) = &self.journal else { return Ok(()) };
        for role in self.tables.keys() {
            journal.forget_failures(role).map_err(Failure::output)?;
        }
        Ok(())
    }

    /// Opens every role's model.
    ///
    /// Errors: of model where one cannot be used.
    pub fn models(&self) -> Result<Vec<Box<dyn ChatModel + Send>>> {
        let open = |(role, settings): (&String, &RoleSettings)| self.model(role, settings);
        self.tables.iter().map(open).collect()
    }

    /// All roles' models together as one judge.
    ///
    /// Errors: of model where one cannot be used.
    pub fn judge(&self, config: &JudgeConfig) -> Result<ModelJudge> {
        Ok(ModelJudge::new(self.models()?, config.clone()))
    }

    /// As [`Self::judge`]; where no role is played, the miniature world's exact judge.
    ///
    /// Errors: as [`Self::judge`].
    pub fn judge_or_exact(&self, config: &JudgeConfig) -> Result<Box<dyn Judge>> {
        if self.is_empty() {
            return Ok(Box::new(ExactJudge));
        }
        Ok(Box::new(self.judge(config)?))
    }

    /// Opens the model of one role; none where there is no such role.
    ///
    /// Errors: of model where it cannot be used.
    pub fn one(&self, role: &str) -> Result<Option<Box<dyn ChatModel + Send>>> {
        let settings = self.tables.get(role);
        settings.map(|settings| self.model(role, settings)).transpose()
    }

    /// Opens the painter of a role; none where there is no such role.
    ///
    /// Errors: of usage where the role's model runs on this machine, which paints nothing; of model where it cannot be
    /// used.
    pub fn painter(&self, role: &str) -> Result<Option<Box<dyn PaintModel>>> {
        let Some(settings) = self.tables.get(role) else {
            return Ok(None);
        };
        if settings.is_mini() {
            return Ok(Some(Box::new(MiniPainter)));
        }
        let Some(journal) = self.journal.as_ref().filter(|_| settings.is_remote()) else {
            let problem = format!("`role.{role}.url`: expected an endpoint or \"mini\", which paint, got \"local\"");
            return Err(Failure::settings(problem));
        };
        let endpoint = Endpoint::new(role, settings.clone(), journal.clone(), interrupt::requested);
        Ok(Some(Box::new(endpoint.map_err(Failure::model)?)))
    }

    fn model(&self, role: &str, settings: &RoleSettings) -> Result<Box<dyn ChatModel + Send>> {
        if settings.is_mini() {
            return Ok(Box::new(MiniModel));
        }
        let Some(journal) = &self.journal else {
            return Err(Failure::model(format!("`role.{role}`: no journal is open")));
        };
        if settings.is_local() {
            let table = ModelTable {
                path: Some(settings.model.clone().into()),
                ..ModelTable::default()
            };
            let origin = model::identity(&table)?;
            let engine = model::open(&table, Trainable::Frozen, 0, self.device)?;
            let batch_size = settings.concurrency;
            let model = EngineModel::new(&settings.model, engine, batch_size, interrupt::requested);
            let journalled = Journalled::new(role, settings.clone(), origin, journal.clone(), model);
            return Ok(Box::new(journalled));
        }
        let endpoint = Endpoint::new(role, settings.clone(), journal.clone(), interrupt::requested);
        Ok(Box::new(endpoint.map_err(Failure::model)?))
    }

    /// What each role that a model plays has cost.
    ///
    /// Errors: of output naming the journal.
    pub fn costs(&self) -> Result<Vec<RoleCost>, Failure> {
        let Some(journal) = &self.journal else {
            return Ok(Vec::new());
        };
        let played = self.tables.iter().filter(|(_, settings)| !settings.is_mini());
        let cost = |(role, settings): (&String, &RoleSettings)| {
            Ok(RoleCost {
                role: role.clone(),
                model: settings.model.clone(),
                answered_from_journal: journal.answered(role),
                spending: journal.spent(role).map_err(Failure::output)?,
            })
        };
        played.map(cost).collect()
    }
}

/// Prints what roles have cost, however the work ended that they did: what a budget or an error stopped is paid for
/// too.
///
/// Errors: the work's own; of output where the journal or standard output cannot be used.
pub fn with_costs<T>(roles: &[&Roles], outcome: Result<T>) -> Result<T> {
    let printed = print_costs(roles);
    let value = outcome?;
    printed?;
    Ok(value)
}

/// Prints a table with a row for each role that a model plays; nothing where there are none. Figures with tokens that
/// are estimated, since the endpoint does not count them, begin with `~`.
fn print_costs(roles: &[&Roles]) -> Result {
    let mut rows = Vec::new();
    for role in roles {
        rows.extend(role.costs()?.iter().map(RoleCost::row));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let header = [
        "Role",
        "Model",
        "Calls",
        "Failed",
        "From journal",
        "Prompt tokens",
        "Completion tokens",
        "Cost",
    ];
    Ok(print_line(&text_tables::table(header.map(str::to_owned), rows, 2))?)
}

impl RoleCost {
    fn row(&self) -> [String; 8] {
        let Spending {
            calls,
            failed,
            estimated,
            prompt_tokens,
            completion_tokens,
            cost,
        } = self.spending;
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
