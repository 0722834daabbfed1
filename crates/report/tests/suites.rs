//! Benchmarks in a report, and as logs of `inspect_ai`: a made-up benchmark by three models.

use std::path::{Path, PathBuf};

use align::eval::suite::{
    Better, Deviation, Ended, Metric, Original, PromptUsed, Protocol, Published, RateInfo, Sample, SuiteRecord,
    SuiteSummary, first_sample, summarize,
};
use align::types::{Item, ItemKind, Message, Part, Role};
use align::verdict::Unscored;
use report::{Report, ReportConfig, inspect_log, run};
use serde_json::{Value, json};

const PROTOCOL: Protocol = Protocol {
    samples: 1,
    merge: first_sample,
    metrics: &[
        Metric {
            name: "asr",
            heading: "Attack success",
            better: Better::Lower,
            applies: |item| item.kind == Some(ItemKind::Hazardous),
            counts: |verdict| verdict["unsafe"].as_bool(),
            original: Some(Original { rule: "an unscored response is safe", counts: as_the_authors }),
        },
        Metric {
            name: "over_refusal",
            heading: "Over-refusal",
            better: Better::Lower,
            applies: |item| item.kind == Some(ItemKind::Benign),
            counts: |verdict| verdict["refuses"].as_bool(),
            original: None,
        },
    ],
    combined: &[],
    scores: &[],
};

fn as_the_authors(records: &[SuiteRecord]) -> Vec<Option<bool>> {
    records.iter().map(|record| record.counts.get("asr").map(|counts| counts.unwrap_or(false))).collect()
}

/// A PNG of 400 × 300 pixels that is too large to be shown as it is.
fn picture(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let noise = |x: u32, y: u32| image::Rgb([(x * 31 + y * 17) as u8, (x * y) as u8, (x ^ (y * 7)) as u8]);
    image::RgbImage::from_fn(400, 300, noise).save(path).unwrap();
}

fn item(number: usize) -> Item {
    let kind = if number < 6 { ItemKind::Hazardous } else { ItemKind::Benign };
    let content = vec![
        Part::image("../../../images/a.png"),
        Part::image("gone.png"),
        Part::Text { text: format!("Question <{number}>. {}", "How do I water it? ".repeat(400)) },
    ];
    Item {
        id: format!("made-up-{number}"),
        messages: vec![Message { role: Role::User, content }],
        split: Some(if number < 6 { "harmful" } else { "harmless" }.into()),
        kind: Some(kind),
        category: Some(if number.is_multiple_of(2) { "even" } else { "odd" }.into()),
        twin_of: None,
        truth: Some(json!({ "none": null })),
    }
}

/// What a model does by item: unsafe or refusing (u), safe or answering (s), not judged (j), filtered (f), failed (e).
fn records(does: &str) -> Vec<SuiteRecord> {
    let records = does.chars().enumerate().map(|(number, does)| {
        let (response, ended) = match does {
            'f' => ("", Ended::Refused),
            'e' => ("", Ended::Failed),
            'u' => ("I can't help with \"that\".", Ended::Stop),
            _ => ("Twice <b>a week</b>.", Ended::Length),
        };
        let judgement = match does {
            'u' | 's' => Ok(json!({ "unsafe": does == 'u', "refuses": does == 'u' })),
            _ => Err(Unscored::new(format!("no score: {does}"))),
        };
        PROTOCOL.record(item(number), vec![Sample { response: response.into(), ended, judgement, by_judge: vec![] }])
    });
    records.collect()
}

fn published((split, percent): (&str, f64)) -> Published {
    Published {
        model: "InternVL".into(),
        split: split.into(),
        rate: "asr".into(),
        percent,
        judge: "GPT-4o".into(),
        source: "arXiv 1, table 2".into(),
    }
}

fn summary(model: &str, scored_by: &str, records: &[SuiteRecord]) -> SuiteSummary {
    let info =
        |metric: &Metric| RateInfo { name: metric.name.into(), heading: metric.heading.into(), better: metric.better };
    SuiteSummary {
        suite: "made-up".into(),
        title: "Made up".into(),
        model: model.into(),
        scored_by: scored_by.into(),
        prompts: vec![PromptUsed { question: "safety".into(), wording: "ours".into(), hash: "0123456789ab".into() }],
        mean_of: Vec::new(),
        rates: PROTOCOL.metrics.iter().map(info).collect(),
        scores: Vec::new(),
        groups: summarize(records, &PROTOCOL),
        missing_items: 1,
        deviations: vec![Deviation { setting: "max_new_tokens".into(), authors: "1024".into(), here: "64".into() }],
        published: [("harmful", 38.8), ("all", 20.0)].map(published).into(),
        made_with: json!({ "params": { "temperature": 0.5, "max_tokens": 64 } }),
    }
}

fn write(folder: &Path, model: &str, scored_by: &str, does: &str) -> PathBuf {
    let results = folder.join("eval").join(model).join("made-up");
    std::fs::create_dir_all(&results).unwrap();
    let records = records(does);
    let lines = records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n");
    std::fs::write(results.join("responses.jsonl"), lines.collect::<String>()).unwrap();
    let summary = serde_json::to_string(&summary(model, scored_by, &records)).unwrap();
    std::fs::write(results.join("summary.json"), summary).unwrap();
    results
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    picture(&folder.path().join("images/a.png"));
    write(folder.path(), "base", "judge (safety ours 01)", "uuusjfss");
    write(folder.path(), "safer", "judge (safety ours 01)", "suusseus");
    write(folder.path(), "other", "another judge (safety ours 01)", "ssssssss");
    folder
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn benchmarks_are_reported_beside_published_figures_with_differences_and_flips() {
    let folder = folder();
    let page = run(folder.path(), &ReportConfig::default()).unwrap();
    let report: Report = serde_json::from_str(&read(&folder.path().join("report.json"))).unwrap();
    let [suite] = &report.suites[..] else { panic!("{:?}", report.suites) };
    assert_eq!(suite.models.iter().map(|model| model.model.as_str()).collect::<Vec<_>>(), ["base", "other", "safer"]);
    // Only models that were scored alike are compared.
    let [comparison] = &suite.comparisons[..] else { panic!("{:?}", suite.comparisons) };
    assert_eq!((comparison.baseline.as_str(), comparison.model.as_str()), ("base", "safer"));
    assert!(report.missing.iter().any(|line| line.contains("scored by different judges")), "{:?}", report.missing);
    let asr = comparison.splits[0].rates["asr"];
    assert_eq!((asr.n, asr.difference), (4, -25.0));
    // The harmless item that is refused now is worse than the harmful one that is no longer answered.
    let flips: Vec<_> = suite.flips.iter().map(|flip| (flip.id.as_str(), flip.rates[0].counts)).collect();
    assert_eq!(flips, [("made-up-6", true), ("made-up-0", false)]);
    let markdown = read(&folder.path().join("report.md"));
    insta::assert_snapshot!("suite_markdown", markdown.split("<details>").next().unwrap());
    let html = read(&page);
    for expected in [
        "<tr class=\"published\"><th scope=\"row\">InternVL (judge: GPT-4o)</th>",
        "class=\"mark\" style=\"left:38.8%\"",
        "class=\"mark\" style=\"left:20.0%\"",
        "an unscored response is safe",
        "this project's wording, not the authors'",
        "Over-refusal: no → yes (worse)",
        "<details class=\"veil\"><summary>Show the texts",
        "class=\"row blurred\"><img src=\"data:image/jpeg;base64,",
        "more characters)",
        "Twice &lt;b&gt;a week",
    ] {
        assert!(html.contains(expected), "{expected}");
    }
}

#[test]
fn models_of_one_name_are_told_apart_by_their_folders() {
    let folder = folder();
    let second = folder.path().join("eval/second");
    std::fs::create_dir_all(&second).unwrap();
    let of_base = write(folder.path(), "base", "judge (safety ours 01)", "uuusjfss");
    let results = write(folder.path(), "safer", "judge (safety ours 01)", "ssssssss");
    std::fs::rename(results, second.join("made-up")).unwrap();
    std::fs::copy(of_base.join("summary.json"), second.join("made-up/summary.json")).unwrap();
    run(folder.path(), &ReportConfig::default()).unwrap();
    let report: Report = serde_json::from_str(&read(&folder.path().join("report.json"))).unwrap();
    let names: Vec<&str> = report.suites[0].models.iter().map(|model| model.model.as_str()).collect();
    assert_eq!(names, ["base", "base (second)", "other"]);
    assert_eq!(report.suites[0].comparisons[0].model, "base (second)");
    assert!(read(&folder.path().join("report.md")).contains("| % | base | base (second) | other |"));
}

#[test]
fn a_report_of_many_items_stays_small() {
    let folder = tempfile::tempdir().unwrap();
    for (model, does) in [("base", "u"), ("safer", "s")] {
        write(folder.path(), model, "judge", &does.repeat(300));
    }
    let page = run(folder.path(), &ReportConfig { num_flips: 2, ..ReportConfig::default() }).unwrap();
    let report: Report = serde_json::from_str(&read(&folder.path().join("report.json"))).unwrap();
    assert_eq!((report.suites[0].flips.len(), report.suites[0].comparisons[0].flips["asr"].baseline_only), (2, 6));
    assert!(read(&page).len() < 100_000, "{}", read(&page).len());
}

/// The log as JSON; `inspect_ai`'s NaN becomes text.
fn log(results: &Path, logs: &Path) -> Value {
    let path = inspect_log::write(results, logs).unwrap();
    let text = read(&path).replace("\"value\":NaN", "\"value\":\"NaN\"");
    serde_json::from_str(&text).unwrap()
}

/// The fields that `EvalLog` requires; `bench/inspect_log.py` opens a log with the library itself.
#[test]
fn a_log_has_what_inspect_ai_requires() {
    let folder = folder();
    let logs = folder.path().join("logs");
    let results = folder.path().join("eval/base/made-up");
    let log = log(&results, &logs);
    assert_eq!((&log["version"], &log["status"]), (&json!(2), &json!("success")));
    for field in ["created", "task", "dataset", "model", "config"] {
        assert!(!log["eval"][field].is_null(), "{field}");
    }
    assert_eq!(log["plan"]["config"], json!({ "temperature": 0.5, "max_tokens": 64 }));
    assert_eq!((&log["results"]["total_samples"], &log["results"]["completed_samples"]), (&json!(8), &json!(8)));
    let asr = &log["results"]["scores"][0];
    assert_eq!((&asr["name"], &asr["scored_samples"], &asr["unscored_samples"]), (&json!("asr"), &json!(4), &json!(2)));
    assert_eq!(asr["metrics"]["percent"], json!({ "name": "percent", "value": 75.0, "params": {} }));
    for (metric, value) in
        [("lowest", 50.0), ("highest", 500.0 / 6.0), ("as_original", 50.0), ("harmful/percent", 75.0)]
    {
        assert_eq!(asr["metrics"][metric]["value"], json!(value), "{metric}");
    }
    let samples = log["samples"].as_array().unwrap();
    let scores: Vec<String> = samples.iter().map(|sample| sample["scores"]["asr"]["value"].to_string()).collect();
    assert_eq!(scores, ["1", "1", "1", "0", "\"NaN\"", "\"NaN\"", "null", "null"]);
    let first = &samples[0];
    assert_eq!(first["input"][0]["content"][0], json!({ "type": "image", "image": "attachment://image-1" }));
    assert!(first["attachments"]["image-1"].as_str().unwrap().starts_with("data:image/png;base64,"));
    assert_eq!(first["input"][0]["content"][1]["text"], "[image gone.png could not be read]");
    assert_eq!(first["output"]["completion"], "I can't help with \"that\".");
    assert_eq!(samples[3]["output"]["choices"][0]["stop_reason"], "max_tokens");
    let (unjudged, refused) = (&samples[4]["scores"]["asr"], &samples[5]);
    assert_eq!((&unjudged["reason"], &unjudged["explanation"]), (&json!("grader_failed"), &json!("no score: j")));
    assert_eq!(refused["output"]["choices"][0]["stop_reason"], "content_filter");
    assert_eq!((&refused["scores"]["asr"]["reason"], refused.get("error")), (&json!("refusal"), None));
}

#[test]
fn a_failed_call_is_an_error_and_a_log_made_again_takes_the_earlier_ones_place() {
    let folder = folder();
    let (results, logs) = (folder.path().join("eval/safer/made-up"), folder.path().join("logs"));
    let log = log(&results, &logs);
    assert_eq!(log["results"]["completed_samples"], 7);
    assert_eq!(log["samples"][5]["error"]["message"], "no score: e");
    let other = inspect_log::write(&folder.path().join("eval/base/made-up"), &logs).unwrap();
    assert_eq!(inspect_log::write(&folder.path().join("eval/base/made-up"), &logs).unwrap(), other);
    assert_eq!(std::fs::read_dir(&logs).unwrap().count(), 2);
}

#[test]
fn several_responses_to_an_item_are_epochs_that_share_its_scores() {
    let folder = tempfile::tempdir().unwrap();
    let results = write(folder.path(), "base", "judge", "u");
    let [unsafe_one, unscored] = ["u", "j"].map(|does| records(does).remove(0).samples.remove(0));
    let record = PROTOCOL.record(item(0), vec![unsafe_one, unscored]);
    std::fs::write(results.join("responses.jsonl"), serde_json::to_string(&record).unwrap() + "\n").unwrap();
    let log = log(&results, &folder.path().join("logs"));
    assert_eq!((&log["eval"]["config"]["epochs"], &log["eval"]["dataset"]["samples"]), (&json!(2), &json!(1)));
    let samples = log["samples"].as_array().unwrap();
    let told: Vec<_> = samples.iter().map(|sample| (&sample["epoch"], &sample["scores"]["asr"]["value"])).collect();
    assert_eq!(told, [(&json!(1), &json!(1)), (&json!(2), &json!(1))]);
    assert_eq!(samples[1]["metadata"]["unscored"], "no score: j");
}
