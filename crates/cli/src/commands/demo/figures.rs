//! The demo's figures as one JSON object.

use align::eval::EvalSummary;
use serde_json::{Map, Value, json};

/// The splits, and the rates that each is reported by.
const SPLITS: [(&str, &[&str]); 7] = [
    ("easy", &["asr", "hr", "rsr", "rr"]),
    ("hard", &["asr", "hr", "rsr", "rr"]),
    ("real", &["asr", "hr", "rsr", "rr"]),
    ("benign", &["over_refusal"]),
    ("verb", &["over_refusal"]),
    ("black", &["refusal", "hallucination"]),
    ("general", &["accuracy"]),
];

/// Figures by model and split, rates in %; a rate is null where nothing was scored.
pub fn figures(summaries: &[EvalSummary]) -> Map<String, Value> {
    let mut models = Map::new();
    for summary in summaries {
        let mut splits = Map::new();
        for (name, rates) in SPLITS {
            let Some(split) = summary.split(name) else {
                continue;
            };
            let mut figures = Map::new();
            for rate in rates {
                figures.insert((*rate).to_owned(), json!(summary.percent(name, rate)));
            }
            figures.insert("n".to_owned(), json!(split.n));
            figures.insert("unscored".to_owned(), json!(split.unscored));
            splits.insert(name.to_owned(), Value::Object(figures));
        }
        models.insert(summary.model.clone(), Value::Object(splits));
    }
    models
}

/// The most memory this process has held resident, in MiB; none where the system does not say.
pub fn peak_rss_mb() -> Option<f64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}
