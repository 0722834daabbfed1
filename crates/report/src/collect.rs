//! Reads a folder into a [`Report`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use align::eval::{Comparison, EvalSummary, JudgedResponse, compare};
use align::json_lines::read_json_lines;
use align::rollout::RolloutRecord;
use align::types::Part;
use diagnostic::from_json_value;
use serde::Deserialize;
use serde_json::Value;

use crate::contents::{About, CurationReport, Report, ReportConfig, SCHEMA, ShownRollout, TrainingRun};
use crate::error::ReportError;
use crate::folders::{Named, corrupt, folders_in, read_file, tell_apart};
use crate::suites::collect::read_suites;
use crate::{curves, images, pick};

/// A model's summary and the responses it was made from.
struct Evaluated {
    summary: EvalSummary,
    responses: Vec<JudgedResponse>,
}

/// The part of `config.resolved.json` that a report reads.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ResolvedConfig {
    seed: Option<u64>,
    git_commit: Option<String>,
    config: Value,
}

/// Reads everything a report shows.
///
/// Errors: `Nothing` for a folder without anything to show; `Corrupt`, `Data` and `Io` naming the file.
pub fn collect(folder: &Path, config: &ReportConfig) -> Result<Report, ReportError> {
    let mut missing = Vec::new();
    let demo: Option<Value> = read_file(&folder.join("demo.json"))?;
    let order = model_order(demo.as_ref());
    let evaluated = read_models(folder, config, &order, &mut missing)?;
    let suites = read_suites(folder, config, &order, &mut missing)?;
    let folders = run_folders(folder)?;
    let (runs, rollouts) = read_runs(&folders, &mut missing)?;
    let curations = read_curations(folder, &mut missing)?;
    if evaluated.is_empty() && suites.is_empty() && runs.is_empty() && curations.is_empty() {
        return Err(ReportError::Nothing { folder: folder.to_owned() });
    }
    if demo.is_none() {
        missing.push("demo.json: seed, time and memory".into());
    }
    Ok(Report {
        schema: SCHEMA,
        title: config.title.clone(),
        about: about(folder, demo)?,
        comparisons: comparisons(&evaluated, config, &mut missing),
        models: evaluated.into_iter().map(|model| model.summary).collect(),
        suites,
        runs,
        curations,
        rollouts: choose_rollouts(folder, &folders, rollouts, config.num_rollouts),
        missing,
    })
}

fn about(folder: &Path, demo: Option<Value>) -> Result<About, ReportError> {
    let Some(demo) = demo else { return Ok(About::default()) };
    from_json_value(&demo).map_err(|problem| corrupt(&folder.join("demo.json"), &problem))
}

/// The order of models that `demo.json` gives, as a list of names or by the keys of an object.
fn model_order(demo: Option<&Value>) -> Vec<String> {
    match demo.and_then(|demo| demo.get("models")) {
        Some(Value::Object(models)) => models.keys().cloned().collect(),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// The models evaluated: the baseline, then in the order given, then by name.
fn read_models(
    folder: &Path,
    config: &ReportConfig,
    order: &[String],
    missing: &mut Vec<String>,
) -> Result<Vec<Evaluated>, ReportError> {
    let (mut models, mut with_suites) = (Vec::new(), 0);
    for (name, path) in folders_in(&folder.join("eval"))? {
        match read_file::<EvalSummary>(&path.join("summary.json"))? {
            None if has_suites(&path)? => with_suites += 1,
            None => missing.push(format!("eval/{name}/summary.json: the rates of {name}")),
            Some(summary) => {
                let responses = read_json_lines(&path.join("responses.jsonl"))?;
                models.push((Evaluated { summary, responses }, name));
            }
        }
    }
    if models.is_empty() && with_suites == 0 {
        missing.push("eval: the rates of models by split".into());
    }
    tell_apart(models.iter_mut().map(|(model, folder)| Named {
        model: &mut model.summary.model,
        suite: String::new(),
        folder: folder.clone(),
    }));
    let mut models: Vec<Evaluated> = models.into_iter().map(|(model, _)| model).collect();
    models.sort_by_key(|model| config.place(&model.summary.model, order));
    Ok(models)
}

/// Whether a model was evaluated on benchmarks.
fn has_suites(model: &Path) -> Result<bool, ReportError> {
    Ok(folders_in(model)?.iter().any(|(_, path)| path.join("summary.json").is_file()))
}

/// Every model against the baseline, and against the other model named.
fn comparisons(models: &[Evaluated], config: &ReportConfig, missing: &mut Vec<String>) -> Vec<Comparison> {
    for model in models.iter().filter(|model| model.responses.is_empty()) {
        let name = &model.summary.model;
        missing.push(format!("the responses of {name}: its paired differences"));
    }
    let with_responses: Vec<_> = models.iter().filter(|model| !model.responses.is_empty()).collect();
    let mut comparisons = Vec::new();
    for baseline in config.baselines() {
        let Some(before) = with_responses.iter().find(|model| model.summary.model == baseline) else {
            if models.len() > 1 {
                missing.push(format!("a model named {baseline}: differences from it"));
            }
            continue;
        };
        for after in &with_responses {
            let name = &after.summary.model;
            if config.is_compared(name, baseline) {
                let rates = after.summary.rate_names();
                comparisons.push(compare((baseline, &before.responses), (name, &after.responses), &rates));
            }
        }
    }
    comparisons
}

type Folders = [(String, PathBuf)];

fn read_runs(
    folders: &Folders,
    missing: &mut Vec<String>,
) -> Result<(Vec<TrainingRun>, Vec<ShownRollout>), ReportError> {
    let (mut runs, mut rollouts) = (Vec::new(), Vec::new());
    for (name, path) in folders {
        let (num_steps, curves) = curves::read(&path.join("metrics.jsonl"))?;
        if num_steps == 0 {
            missing.push(format!("runs/{name}/metrics.jsonl: the curves of {name}"));
        }
        let resolved = read_file::<ResolvedConfig>(&path.join("config.resolved.json"))?;
        if resolved.is_none() {
            missing.push(format!("runs/{name}/config.resolved.json: the settings of {name}"));
        }
        let resolved = resolved.unwrap_or_default();
        let records: Vec<RolloutRecord> = read_json_lines(&path.join("rollouts.jsonl"))?;
        rollouts.extend(records.into_iter().map(|record| ShownRollout { run: name.clone(), record }));
        runs.push(TrainingRun {
            name: name.clone(),
            seed: resolved.seed,
            git_commit: resolved.git_commit,
            config: resolved.config,
            num_steps,
            curves,
        });
    }
    if runs.is_empty() {
        missing.push("runs: training curves".into());
    }
    if rollouts.is_empty() {
        missing.push("runs/<name>/rollouts.jsonl: rollouts".into());
    }
    Ok((runs, rollouts))
}

/// The folders of runs: those in `runs`; or where there is no such folder the folder itself, or those in it.
fn run_folders(folder: &Path) -> Result<Vec<(String, PathBuf)>, ReportError> {
    let runs = folder.join("runs");
    if runs.is_dir() {
        return folders_in(&runs);
    }
    let is_run = |path: &Path| path.join("metrics.jsonl").is_file();
    if is_run(folder) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(vec![(name, folder.to_owned())]);
    }
    Ok(folders_in(folder)?.into_iter().filter(|(_, path)| is_run(path)).collect())
}

fn choose_rollouts(folder: &Path, runs: &Folders, rollouts: Vec<ShownRollout>, limit: usize) -> Vec<ShownRollout> {
    let mut chosen = pick::pick(rollouts, limit);
    let folders: HashMap<&String, &PathBuf> = runs.iter().map(|(name, path)| (name, path)).collect();
    for ShownRollout { run, record } in &mut chosen {
        let Some(run) = folders.get(run) else { continue };
        for part in record.messages.iter_mut().flat_map(|message| &mut message.content) {
            if let Part::Image { image, .. } = part {
                *image = images::below(folder, run, image);
            }
        }
    }
    chosen
}

fn read_curations(folder: &Path, missing: &mut Vec<String>) -> Result<Vec<CurationReport>, ReportError> {
    let several = folders_in(&folder.join("curate"))?.into_iter().map(|(name, _)| name);
    let mut curations = Vec::new();
    for name in std::iter::once(String::new()).chain(several) {
        let relative = Path::new("curate").join(&name);
        let Some(summary) = read_file(&folder.join(&relative).join("summary.json"))? else {
            continue;
        };
        let plot = relative.join("qi_box.svg");
        let has_plot = folder.join(&plot).is_file();
        if !has_plot {
            missing.push(format!("{}: the plot of the QI-Box", plot.display()));
        }
        curations.push(CurationReport { name, summary, plot: has_plot.then_some(plot) });
    }
    if curations.is_empty() {
        missing.push("curate/summary.json: the curation of training prompts".into());
    }
    Ok(curations)
}
