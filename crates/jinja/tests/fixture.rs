//! Templates against what Jinja2 renders, byte for byte: idioms and the published templates of all families
//! (`fixtures/make_template_fixtures.py`).

use std::path::{Path, PathBuf};

use jinja::{Template, Value};
use serde_json::Value as Json;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A case's template.
fn source(case: &Json) -> String {
    let Some(file) = case["file"].as_str() else { return case["template"].as_str().unwrap().to_owned() };
    let text = read(&fixtures().join(file));
    if file.ends_with(".jinja") {
        return text;
    }
    serde_json::from_str::<Json>(&text).unwrap()["chat_template"].as_str().unwrap().to_owned()
}

#[test]
fn every_case_renders_what_jinja2_does_or_is_refused() {
    let context: Json = serde_json::from_str(&read(&fixtures().join("templates/context.json"))).unwrap();
    let cases = read(&fixtures().join("templates/cases.jsonl"));
    let mut problems = Vec::new();
    let mut n_rendered = 0;
    for line in cases.lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let fields = context["variables"].as_object().unwrap();
        let mut variables: Vec<_> =
            fields.iter().map(|(name, value)| (name.clone(), Value::from_json(value).unwrap())).collect();
        for (name, value) in [
            ("messages", &context["dialogues"][case["dialogue"].as_str().unwrap()]),
            ("tools", &Json::Null),
            ("documents", &Json::Null),
            ("add_generation_prompt", &case["add_generation_prompt"]),
        ] {
            variables.push((name.to_owned(), Value::from_json(value).unwrap()));
        }
        let source = source(&case);
        let outcome = Template::parse(&source).and_then(|template| template.render(variables));
        let is_right = match (&outcome, case["expected"].as_str()) {
            (Ok(rendered), Some(expected)) => rendered == expected,
            (Err(error), None) => case["refused"] != true || error.message.ends_with("is not supported"),
            _ => false,
        };
        n_rendered += usize::from(outcome.is_ok());
        if !is_right {
            problems.push(format!("{source}\n  expected {case}\n  got {outcome:?}"));
        }
    }
    assert!(problems.is_empty(), "{} problem(s):\n{}", problems.len(), problems.join("\n"));
    assert!(n_rendered >= 150, "{n_rendered} cases rendered");
}
