//! `scruple eval --suite … --dry-run`: calls, images, tokens and money by role, before anything is paid or written.

use std::path::Path;

use align::types::image_paths;
use benchmarks::{Images, Loaded as SuiteItems, Suite};
use endpoint::Forecast;
use report::text_tables::table;

use super::deviations::as_shown;
use super::suites::EvaluatingSuites;
use crate::config::tables::ModelTable;
use crate::context::Context;
use crate::data::located;
use crate::errors::{Failure, Result};
use crate::roles::Model;
use crate::roles::forecast::{Counted, Forecasters};
use crate::terminal::print_line;

/// Prints what an evaluation would take. Judges are asked about what the journal knows, and else about responses that
/// are made up as long as they are expected to be.
///
/// Errors: as the evaluation's own, for settings and data that do not fit together.
pub fn run(evaluating: &EvaluatingSuites, context: &mut Context) -> Result {
    // Images that come within files are needed as files while they are hashed and measured.
    let images = tempfile::tempdir()?;
    let forecasters = evaluating.roles.forecasters(evaluating.again.restart, evaluating.again.retry_failed)?;
    let mut planned = Planned::default();
    let mut policy = None;
    for suite in &evaluating.suites {
        let items = suite.load(evaluating.data_folder()?, &mut Images::Kept(images.path().to_owned()))?;
        let table = evaluating.model_table(suite.generation);
        if policy.as_ref().is_none_or(|(opened, _, _): &(ModelTable, Model, Counted)| *opened != table) {
            let (model, counted) = evaluating.roles.forecasting_policy(&table, &forecasters)?;
            policy = Some((table, model, counted));
        }
        let (table, model, counted) = policy.as_ref().ok_or_else(|| Failure::model("no model is open"))?;
        let items = as_shown(suite, &items, table);
        evaluating.rehearse(suite, &items, &**model, &forecasters.judges, context)?;
        planned.add(suite, &items, counted, &forecasters);
    }
    planned.print()
}

/// What the suites take, role by role.
#[derive(Default)]
struct Planned {
    rows: Vec<[String; 10]>,
    /// By role, with its model and what is assumed.
    totals: Vec<(Counted, Forecast)>,
}

impl Planned {
    fn add(&mut self, suite: &Suite, items: &SuiteItems, policy: &Counted, forecasters: &Forecasters) {
        let n_images: usize = items.items.iter().map(|item| image_paths(&item.messages).count()).sum();
        let sizes = format!("{} with {n_images} images", items.items.len());
        for (index, role) in std::iter::once(policy).chain(&forecasters.counted).enumerate() {
            let forecast = role.take();
            let names = if index == 0 { (suite.name, sizes.as_str()) } else { ("", "") };
            if index == 0 || forecast != Forecast::default() {
                self.rows.push(row(names, role, forecast));
            }
            match self.totals.iter_mut().find(|(known, _)| known.role == role.role) {
                Some((_, total)) => *total = total.plus(forecast),
                None => self.totals.push((role.clone(), forecast)),
            }
        }
    }

    fn print(mut self) -> Result {
        for (role, total) in &self.totals {
            self.rows.push(row(("all", ""), role, *total));
        }
        let header = [
            "Suite",
            "Items",
            "Role",
            "Model",
            "Calls",
            "From journal",
            "Images",
            "Prompt tokens",
            "Completion tokens",
            "Cost",
        ];
        print_line(&table(header.map(str::to_owned), self.rows, 4))?;
        for (role, _) in &self.totals {
            eprintln!("{}: {}", role.role, role.assumes);
        }
        eprintln!("nothing was asked and nothing is written; answers that judges must repair take further calls");
        Ok(())
    }
}

fn row((suite, items): (&str, &str), role: &Counted, forecast: Forecast) -> [String; 10] {
    [
        suite.to_owned(),
        items.to_owned(),
        role.role.clone(),
        role.model.clone(),
        forecast.calls.to_string(),
        forecast.answered_from_journal.to_string(),
        forecast.images.to_string(),
        format!("~{}", forecast.prompt_tokens),
        format!("~{}", forecast.completion_tokens),
        format!("~{:.4}", forecast.cost),
    ]
}

impl EvaluatingSuites<'_> {
    fn rehearse(
        &self,
        suite: &'static Suite,
        items: &SuiteItems,
        model: &dyn align::chat::ChatModel,
        judges: &[Model],
        context: &mut Context,
    ) -> Result {
        let scoring = self.scoring(suite, judges)?;
        let params = self.params(suite);
        let evaluation = self.evaluation(suite, items, &*scoring.scorer, &params, &serde_json::Value::Null);
        let rehearsed = align::eval::suite::rehearse(model, &evaluation, &mut context.progress);
        rehearsed.map_err(|error| located(error, &[] as &[&Path]))
    }
}
