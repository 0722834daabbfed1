//! What bad settings are answered with.

use serde::Deserialize;

use super::*;

/// Settings of the shape that commands have: tables of rooms.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    model: Model,
    sft: Sft,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Model {
    path: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sft {
    learning_rate: f64,
    max_steps: usize,
    lr_scheduler_type: Scheduler,
    betas: [f64; 2],
}

impl Default for Sft {
    fn default() -> Self {
        Self { learning_rate: 1e-3, max_steps: 10, lr_scheduler_type: Scheduler::Cosine, betas: [0.9, 0.95] }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scheduler {
    Linear,
    Cosine,
}

/// What the user sees for these settings, the folder's name taken out.
fn message(text: &str, overrides: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sft.toml");
    fs_err::write(&path, text).unwrap();
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    match load::<Settings>(Some(&path), &overrides) {
        Ok(settings) => format!("{settings:?}"),
        Err(error) => crate::errors::render(&error, false).replace(&format!("{}/", folder.path().display()), ""),
    }
}

#[test]
fn overrides_win_over_the_file_and_the_file_over_defaults() {
    let text = "[sft]\nlearning_rate = 0.5\nmax_steps = 7\n";
    let settings = message(text, &["sft.max_steps=8", "model.path=runs/a", "sft.lr_scheduler_type = linear"]);
    insta::assert_snapshot!(settings, @"");
}

#[test]
fn a_number_serves_where_a_string_is_wanted() {
    assert!(message("", &["model.path=7"]).contains("path: \"7\""));
}

#[test]
fn unknown_keys_name_line_key_and_what_was_meant() {
    insta::assert_snapshot!(message("[model]\npath = \"m\"\n\n[sft]\nlerning_rate = 1\n", &[]), @"");
    insta::assert_snapshot!(message("[sftt]\nmax_steps = 1\n", &[]), @"");
    insta::assert_snapshot!(message("[model]\nmax_steps = 1\n", &[]), @"");
    insta::assert_snapshot!(message("", &["sft.max_step=3"]), @"");
    insta::assert_snapshot!(message("", &["sft.optimizer.rate=3"]), @"");
}

#[test]
fn wrong_types_name_what_is_expected_and_what_was_found() {
    insta::assert_snapshot!(message("[sft]\nlearning_rate = \"fast\"\n", &[]), @"");
    insta::assert_snapshot!(message("sft.max_steps = -1\n", &[]), @"");
    insta::assert_snapshot!(message("[sft]\nlr_scheduler_type = \"cosin\"\n", &[]), @"");
    insta::assert_snapshot!(message("[sft]\nbetas = [0.9]\n", &[]), @"");
    insta::assert_snapshot!(message("sft = 3\n", &[]), @"");
    insta::assert_snapshot!(message("", &["sft.max_steps=many"]), @"");
    insta::assert_snapshot!(message("", &["sft.max_steps.inner=3"]), @"");
}

#[test]
fn what_is_no_toml_and_no_override_is_said_so() {
    insta::assert_snapshot!(message("[sft]\nlearning_rate 3\n", &[]), @"");
    insta::assert_snapshot!(message("[sft]\nmax_steps = 1\nmax_steps = 2\n", &[]), @"");
    insta::assert_snapshot!(message("", &["learning_rate"]), @"");
    insta::assert_snapshot!(message("", &["sft..x=1"]), @"");
}

#[test]
fn a_missing_file_is_a_usage_failure() {
    let error = load::<Settings>(Some(Path::new("no/such.toml")), &[]).unwrap_err();
    assert_eq!(crate::errors::category_of(&error), crate::errors::Category::Usage);
    insta::assert_snapshot!(crate::errors::render(&error, false), @"");
}
