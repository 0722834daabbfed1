//! The models of a run's roles as such that make no calls: what a run would take, before anything is paid.

use std::sync::{Arc, Mutex, PoisonError};

use endpoint::settings::is_policy;
use endpoint::{Forecast, Forecaster, Journal, Measure, RoleSettings};
use engine::Inspector;

use super::{Model, OWN, Roles};
use crate::config::required;
use crate::config::tables::ModelTable;
use crate::errors::{Failure, Result};
use crate::hub::{self, Kind};
use crate::model;

/// Models that make no calls.
pub struct Forecasters {
    /// The journal as it is, which stays as it is.
    journal: Arc<Journal>,
    /// All roles that judge.
    pub judges: Vec<Model>,
    /// What judges count.
    pub counted: Vec<Counted>,
}

/// Where a role's model counts.
#[derive(Clone)]
pub struct Counted {
    /// The role.
    pub role: String,
    /// The model's name.
    pub model: String,
    /// What is assumed of tokens.
    pub assumes: String,
    forecast: Arc<Mutex<Forecast>>,
}

impl Counted {
    /// What was counted since this was last called.
    pub fn take(&self) -> Forecast {
        std::mem::take(&mut *self.forecast.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Roles<'_> {
    /// The roles' judges as such that make no calls. What [`Roles::begin`] would forget they do not know.
    ///
    /// Errors: of model where one cannot be used; of output where the journal cannot be read.
    pub fn forecasters(&self, restart: bool, retry_failed: bool) -> Result<Forecasters> {
        let journal = match &self.path {
            Some(path) if !restart => Journal::snapshot(path),
            _ => Journal::in_memory(),
        };
        let journal = Arc::new(journal.map_err(Failure::output)?);
        if retry_failed {
            self.forget_failures(&journal)?;
        }
        let (mut judges, mut counted) = (Vec::new(), Vec::new());
        for (role, settings) in self.judges().filter(|(_, settings)| !settings.is_mini()) {
            let (forecaster, count) = forecaster(role, settings, None, &journal)?;
            judges.push(Box::new(forecaster) as Model);
            counted.push(count);
        }
        Ok(Forecasters { journal, judges, counted })
    }

    /// The model that answers, as [`Roles::policy`] finds it.
    ///
    /// Errors: as there.
    pub fn forecasting_policy(&self, own: &ModelTable, with: &Forecasters) -> Result<(Model, Counted)> {
        self.check_one_policy(own)?;
        let remote = self.tables.iter().find(|(role, _)| is_policy(role));
        let (forecaster, counted) = match remote {
            Some((role, settings)) => forecaster(role, settings, None, &with.journal)?,
            None => forecaster(OWN, &RoleSettings::default(), Some(own), &with.journal)?,
        };
        Ok((Box::new(forecaster.making_up()), counted))
    }
}

/// A role's model; `own` is the one that the command names itself.
fn forecaster(
    role: &str,
    settings: &RoleSettings,
    own: Option<&ModelTable>,
    journal: &Arc<Journal>,
) -> Result<(Forecaster, Counted)> {
    if settings.is_mini() {
        let problem = format!("`role.{role}.url`: \"mini\" costs nothing, and a dry run has nothing to say of it");
        return Err(Failure::settings(problem).hint("name an endpoint, or a model on this machine"));
    }
    let (local, settings, model) = if settings.is_remote() && own.is_none() {
        (None, settings.clone(), settings.model.clone())
    } else {
        let table = ModelTable { path: Some(settings.model.clone().into()), ..ModelTable::default() };
        let table = own.unwrap_or(&table);
        let name = required(table.path.as_ref(), "model.path")?.display().to_string();
        // Bodies only make keys, as in the journal before models on this machine.
        (Some(local(table)?), RoleSettings::default(), name)
    };
    let forecaster = Forecaster::new(role, settings, &model, local, journal.clone()).map_err(Failure::output)?;
    let counted =
        Counted { role: role.to_owned(), model, assumes: forecaster.assumes(), forecast: forecaster.counted() };
    Ok((forecaster, counted))
}

/// What tells a model on this machine from others, and its own count of a prompt's tokens.
fn local(table: &ModelTable) -> Result<(String, Measure)> {
    let weights = model::identity(table)?;
    let folder = hub::folder(required(table.path.as_ref(), "model.path")?, Kind::Model)?;
    let inspector = Inspector::open(&folder, &table.image_limits(), usize::MAX)?;
    let measure: Measure = Box::new(move |request| Ok(inspector.measure_prompt(&request.messages)?.tokens as u64));
    Ok((weights, measure))
}
