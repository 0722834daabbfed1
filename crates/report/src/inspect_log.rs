//! Evaluations as logs of `inspect_ai` (version 2 of its JSON format), which `inspect view` shows: prompts with their
//! images, responses, scores by rate, and what could not be scored as such.
//!
//! A sample has a score under each rate that is over it: 1 where it counts, 0 where it does not, and NaN, which is
//! `inspect_ai`'s own mark for unscored, with the reason, where it is not scored. Figures are ours, with their intervals and
//! bounds; `inspect_ai` would not know them. Records are read and written one at a time.

mod figures;
mod samples;

use std::io::Write;
use std::path::{Path, PathBuf};

use align::eval::suite::{SuiteRecord, SuiteSummary};
use align::eval::{EvalSummary, JudgedResponse};
use align::files::write_streamed;
use align::json_lines::JsonLinesReader;
use align::run_dir::ContentHash;
use diagnostic::from_json_value;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::ReportError;
use crate::folders::{corrupt, read_file};
use samples::Logged;

/// What a log says beside its samples.
struct About {
    task: String,
    title: String,
    model: String,
    config: Value,
    scores: Vec<Value>,
    metadata: Value,
}

/// Writes the log of an evaluation's folder of results, on items or on a benchmark, into a folder of logs; an earlier log
/// of the same evaluation is replaced. Returns the log.
///
/// Errors: `Corrupt`, `Data` and `Io` naming the file.
pub fn write(results: &Path, logs: &Path) -> Result<PathBuf, ReportError> {
    let file = results.join("summary.json");
    let summary: Value = read_file(&file)?.ok_or_else(|| ReportError::Nothing { folder: results.to_owned() })?;
    if summary.get("suite").is_some() {
        let summary: SuiteSummary = from_json_value(&summary).map_err(|problem| corrupt(&file, &problem))?;
        let about = About {
            task: summary.suite.clone(),
            title: summary.title.clone(),
            model: summary.model.clone(),
            config: generate_config(&summary.made_with),
            scores: figures::of_suite(&summary),
            metadata: json!({
                "scored_by": summary.scored_by, "prompts": summary.prompts, "deviations": summary.deviations,
                "published": summary.published, "missing_items": summary.missing_items,
                "made_with": summary.made_with,
            }),
        };
        return write_log(results, logs, &about, &|record: &SuiteRecord| samples::of_suite(record, &summary));
    }
    let summary: EvalSummary = from_json_value(&summary).map_err(|problem| corrupt(&file, &problem))?;
    let about = About {
        task: "scruple-eval".into(),
        title: "scruple eval".into(),
        model: summary.model.clone(),
        config: json!({}),
        scores: figures::of_items(&summary),
        metadata: json!({ "scored_by": summary.judge }),
    };
    write_log(results, logs, &about, &|record: &JudgedResponse| samples::of_items(record, &summary))
}

/// The settings of generation that `inspect_ai` has a place for.
fn generate_config(made_with: &Value) -> Value {
    let params = made_with.get("params");
    let known = ["temperature", "top_p", "max_tokens", "seed"].map(|name| (name, params.and_then(|all| all.get(name))));
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.clone()))).collect()
}

fn write_log<R: DeserializeOwned>(
    results: &Path,
    logs: &Path,
    about: &About,
    samples: &dyn Fn(&R) -> Vec<Logged>,
) -> Result<PathBuf, ReportError> {
    let records = || JsonLinesReader::<R>::open(&results.join("responses.jsonl"));
    let (mut n_items, mut n_samples, mut n_completed) = (0, 0, 0);
    for record in records()? {
        let samples = samples(&record?);
        n_items += 1;
        n_samples += samples.len();
        n_completed += samples.iter().filter(|sample| !sample.has_failed()).count();
    }
    let created = created(&results.join("summary.json"))?;
    let id = identity(results, about)?;
    let header = json!({
        "eval": {
            "eval_id": id, "run_id": id, "task_id": id, "created": created, "task": about.task, "task_version": 0,
            "task_display_name": about.title, "dataset": { "name": about.task, "samples": n_items, "shuffled": false },
            "model": about.model, "model_generate_config": about.config,
            "config": { "epochs": n_samples.checked_div(n_items).unwrap_or(1).max(1), "log_images": true },
            "packages": { "scruple": env!("CARGO_PKG_VERSION") }, "metadata": about.metadata,
        },
        "plan": { "name": "plan", "steps": [{ "solver": "generate", "params": {} }], "config": about.config },
        "results": { "total_samples": n_samples, "completed_samples": n_completed, "scores": about.scores },
        "stats": { "started_at": created, "completed_at": created, "model_usage": {} },
    });
    let name = format!("_{}_{id}.json", about.task.replace('_', "-"));
    fs_err::create_dir_all(logs)?;
    for entry in fs_err::read_dir(logs)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(&name) {
            fs_err::remove_file(entry.path())?;
        }
    }
    let path = logs.join(format!("{}{name}", created.replace([':', '+'], "-")));
    write_streamed(&path, |file| {
        write!(file, "{{\"version\":2,\"status\":\"success\"")?;
        // Readers of the header stop at the samples.
        for key in ["eval", "plan", "results", "stats"] {
            write!(file, ",\"{key}\":{}", header[key])?;
        }
        write!(file, ",\"samples\":[")?;
        let mut separator = "";
        for record in records()? {
            for sample in samples(&record?) {
                write!(file, "{separator}{}", sample.text(results, &about.model))?;
                separator = ",\n";
            }
        }
        Ok::<(), ReportError>(writeln!(file, "]}}")?)
    })?;
    Ok(path)
}

/// When the figures were written, as `inspect_ai` writes times.
fn created(summary: &Path) -> Result<String, ReportError> {
    let modified = fs_err::metadata(summary)?.modified()?;
    let time = Timestamp::try_from(modified).map_err(std::io::Error::other)?;
    Ok(time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string())
}

/// Tells evaluations apart; the same for one that is made again.
fn identity(results: &Path, about: &About) -> Result<String, ReportError> {
    let mut hash = ContentHash::default();
    hash.add(&json!([
        about.task,
        about.model,
        about.metadata,
        read_file::<Value>(&results.join("eval.resolved.json"))?
    ]))?;
    Ok(hash.finish()[..22].to_owned())
}
