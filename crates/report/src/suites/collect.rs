//! Reads the benchmarks' results of a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use align::eval::suite::{ComparedRecord, Flip, SuiteSummary, compare_suites};
use align::json_lines::read_json_lines;

use crate::contents::ReportConfig;
use crate::error::ReportError;
use crate::folders::{Named, folders_in, read_file, tell_apart};
use crate::suites::contents::{ComparedModels, FlipCounts, SuiteReport};
use crate::suites::flips::{Flipped, shown};

/// A model's results on a benchmark, and where they are.
struct Evaluated {
    summary: SuiteSummary,
    results: PathBuf,
}

/// Every benchmark that is in `eval/<model>/<suite>`, by name; models in the report's order.
///
/// Errors: `Corrupt`, `Data` and `Io` naming the file.
pub fn read_suites(
    folder: &Path,
    config: &ReportConfig,
    order: &[String],
    missing: &mut Vec<String>,
) -> Result<Vec<SuiteReport>, ReportError> {
    let mut all = Vec::new();
    for (name, model) in folders_in(&folder.join("eval"))? {
        for (_, results) in folders_in(&model)? {
            if let Some(summary) = read_file::<SuiteSummary>(&results.join("summary.json"))? {
                all.push((Evaluated { summary, results }, name.clone()));
            }
        }
    }
    tell_apart(all.iter_mut().map(|(Evaluated { summary, .. }, folder)| Named {
        model: &mut summary.model,
        suite: summary.suite.clone(),
        folder: folder.clone(),
    }));
    let mut by_suite: BTreeMap<String, Vec<Evaluated>> = BTreeMap::new();
    for (model, _) in all {
        by_suite.entry(model.summary.suite.clone()).or_default().push(model);
    }
    let mut suites = Vec::with_capacity(by_suite.len());
    for (suite, mut models) in by_suite {
        models.sort_by_key(|model| config.place(&model.summary.model, order));
        suites.push(report_of(suite, models, folder, config, missing)?);
    }
    Ok(suites)
}

fn report_of(
    suite: String,
    models: Vec<Evaluated>,
    folder: &Path,
    config: &ReportConfig,
    missing: &mut Vec<String>,
) -> Result<SuiteReport, ReportError> {
    let title = models.first().map_or_else(String::new, |model| model.summary.title.clone());
    let pairs = pairs(&suite, &models, config, missing);
    let (mut comparisons, mut flipped) = (Vec::new(), Vec::new());
    let mut read: BTreeMap<&Path, Vec<ComparedRecord>> = BTreeMap::new();
    for (before, after) in pairs {
        for model in [before, after] {
            if !read.contains_key(&*model.results) {
                read.insert(&model.results, records(model, missing)?);
            }
        }
        let comparison = compare_suites(&read[&*before.results], &read[&*after.results]);
        comparisons.push(ComparedModels {
            baseline: before.summary.model.clone(),
            model: after.summary.model.clone(),
            splits: comparison.splits,
            flips: counts(&comparison.flips),
        });
        flipped.push(Flipped {
            baseline: (&before.summary, &before.results),
            model: (&after.summary, &after.results),
            flips: comparison.flips,
        });
    }
    let flips = shown(folder, &flipped, config.num_flips)?;
    Ok(SuiteReport {
        suite,
        title,
        comparisons,
        flips,
        models: models.into_iter().map(|model| model.summary).collect(),
    })
}

/// Every model with the baseline, and with the other model named, where they were scored alike.
fn pairs<'a>(
    suite: &str,
    models: &'a [Evaluated],
    config: &ReportConfig,
    missing: &mut Vec<String>,
) -> Vec<(&'a Evaluated, &'a Evaluated)> {
    let mut pairs = Vec::new();
    // A mean over suites has no responses.
    if models.iter().any(|model| !model.summary.mean_of.is_empty()) {
        return pairs;
    }
    if models.len() > 1 && models.iter().all(|model| model.summary.model != config.baseline) {
        missing.push(format!("{suite}: a model named {}: differences from it", config.baseline));
    }
    for baseline in config.baselines() {
        let Some(before) = models.iter().find(|model| model.summary.model == baseline) else { continue };
        for after in models.iter().filter(|model| config.is_compared(&model.summary.model, baseline)) {
            if before.summary.scored_by == after.summary.scored_by {
                pairs.push((before, after));
            } else {
                let model = &after.summary.model;
                missing.push(format!(
                    "{suite}: differences of {model} from {baseline}: they are scored by different judges"
                ));
            }
        }
    }
    pairs
}

fn records(model: &Evaluated, missing: &mut Vec<String>) -> Result<Vec<ComparedRecord>, ReportError> {
    let records: Vec<ComparedRecord> = read_json_lines(&model.results.join("responses.jsonl"))?;
    if records.is_empty() {
        let SuiteSummary { suite, model, .. } = &model.summary;
        missing.push(format!("{suite}: the responses of {model}: its paired differences"));
    }
    Ok(records)
}

fn counts(flips: &[Flip]) -> BTreeMap<String, FlipCounts> {
    let mut counts: BTreeMap<String, FlipCounts> = BTreeMap::new();
    for flip in flips {
        let of_rate = counts.entry(flip.rate.clone()).or_default();
        if flip.counts { of_rate.model_only += 1 } else { of_rate.baseline_only += 1 }
    }
    counts
}
