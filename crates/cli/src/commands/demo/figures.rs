//! The demo's figures as one JSON object.

use align::eval::EvalSummary;
use serde_json::{Map, Value, json};

/// The key of each split in the JSON, the split, and the rates that it is reported by.
const SPLITS: [(&str, &str, &[&str]); 7] = [
    ("easy", "easy", &["asr", "hr", "rsr", "rr"]),
    ("hard", "hard", &["asr", "hr", "rsr", "rr"]),
    ("real", "real", &["asr", "hr", "rsr", "rr"]),
    ("benign", "benign", &["over_refusal"]),
    ("verb", "benign_prompt", &["over_refusal"]),
    ("black", "blank", &["refusal", "hallucination"]),
    ("general", "general", &["accuracy"]),
];

/// Figures by model and split, rates in per cent; a rate is null where nothing was scored.
pub fn figures(summaries: &[EvalSummary]) -> Map<String, Value> {
    let of_model = |summary: &EvalSummary| {
        let splits = SPLITS.iter().filter_map(|(key, name, rates)| {
            let split = summary.split(name)?;
            let mut figures: Map<String, Value> = rates
                .iter()
                .map(|rate| ((*rate).to_owned(), json!(summary.percent(name, rate))))
                .collect();
            figures.insert("n".to_owned(), json!(split.n));
            figures.insert("unscored".to_owned(), json!(split.unscored));
            Some(((*key).to_owned(), Value::Object(figures)))
        });
        Value::Object(splits.collect())
    };
    summaries
        .iter()
        .map(|summary| (summary.model.clone(), of_model(summary)))
        .collect()
}

/// The most memory this process has held resident, in MiB; none where the system does not say.
pub fn peak_rss_mb() -> Option<f64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}
