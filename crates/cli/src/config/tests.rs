//! What bad settings are answered with.

use serde::Deserialize;

use super::*;
use crate::errors::Result;

/// Settings of the shape that commands have: tables of libraries.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    model: Model,
    sft: Sft,
    train: Train,
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
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Train {
    Full { freeze: bool },
    Lora { r: usize },
}

impl Default for Train {
    fn default() -> Self {
        Self::Full { freeze: true }
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
    match given(overrides).and_then(|overrides| load::<Settings>(Some(&path), overrides)) {
        Ok(loaded) => format!("{:?}", loaded.settings),
        Err(error) => crate::errors::render(&error, false).replace(&format!("{}/", folder.path().display()), ""),
    }
}

fn given(overrides: &[&str]) -> Result<Vec<Override>> {
    overrides.iter().map(|text| Override::parse(text)).collect()
}

#[test]
fn overrides_win_over_the_file_and_the_file_over_defaults() {
    let text = "[sft]\nlearning_rate = 0.5\nmax_steps = 7\n";
    let settings = message(text, &["sft.max_steps=8", "model.path=runs/a", "sft.lr_scheduler_type = linear"]);
    insta::assert_snapshot!(settings, @r#"Settings { model: Model { path: "runs/a" }, sft: Sft { learning_rate: 0.5, max_steps: 8, lr_scheduler_type: Linear, betas: [0.9, 0.95] }, train: Full { freeze: true } }"#);
}

#[test]
fn a_number_serves_where_a_string_is_wanted() {
    assert!(message("", &["model.path=7"]).contains("path: \"7\""));
}

#[test]
fn a_variant_is_overridden_by_its_type_or_by_its_keys() {
    let file = "[train]\ntype = \"full\"\nfreeze = true\n";
    assert!(message("", &["train.freeze=false"]).contains("train: Full { freeze: false }"));
    assert!(message(file, &["train.freeze=false"]).contains("train: Full { freeze: false }"));
    insta::assert_snapshot!(message(file, &["train.type=lora"]), @"error: override `train.type=lora`: `train.type`: expected a key `r` in the table, got none");
    insta::assert_snapshot!(message("[train]\nfreeze = false\n", &[]), @"error: sft.toml:1: `train`: expected a key `type` in the table, got none");
    insta::assert_snapshot!(message("[train]\ntype = \"lora\"\nfreeze = false\n", &[]), @"error: sft.toml:3: unknown key `train.freeze`: expected `r`");
}

#[test]
fn unknown_keys_name_line_key_and_what_was_meant() {
    insta::assert_snapshot!(message("[model]\npath = \"m\"\n\n[sft]\nlerning_rate = 1\n", &[]), @r#"
    error: sft.toml:5: unknown key `sft.lerning_rate`: expected one of `learning_rate`, `max_steps`, `lr_scheduler_type`, `betas`

    hint: did you mean `sft.learning_rate`?
    "#);
    insta::assert_snapshot!(message("[sftt]\nmax_steps = 1\n", &[]), @r#"
    error: sft.toml:1: unknown key `sftt`: expected one of `model`, `sft`, `train`

    hint: did you mean `sft`?
    "#);
    insta::assert_snapshot!(message("[model]\nmax_steps = 1\n", &[]), @r#"
    error: sft.toml:2: unknown key `model.max_steps`: expected `path`

    hint: there is a key `sft.max_steps`; did you mean that?
    "#);
    insta::assert_snapshot!(message("", &["sft.max_step=3"]), @r#"
    error: override `sft.max_step=3`: unknown key `sft.max_step`: expected one of `learning_rate`, `max_steps`, `lr_scheduler_type`, `betas`

    hint: did you mean `sft.max_steps`?
    "#);
    insta::assert_snapshot!(message("", &["sft.optimizer.rate=3"]), @"error: override `sft.optimizer.rate=3`: unknown key `sft.optimizer`: expected one of `learning_rate`, `max_steps`, `lr_scheduler_type`, `betas`");
}

#[test]
fn wrong_types_name_what_is_expected_and_what_was_found() {
    insta::assert_snapshot!(message("[sft]\nlearning_rate = \"fast\"\n", &[]), @r#"error: sft.toml:2: `sft.learning_rate`: expected a number, got "fast""#);
    insta::assert_snapshot!(message("sft.max_steps = -1\n", &[]), @"error: sft.toml:1: `sft.max_steps`: expected a whole number of at least 0, got `-1`");
    insta::assert_snapshot!(message("[sft]\nlr_scheduler_type = \"cosin\"\n", &[]), @r#"
    error: sft.toml:2: `sft.lr_scheduler_type`: expected one of "linear", "cosine", got "cosin"

    hint: did you mean `cosine`?
    "#);
    insta::assert_snapshot!(message("[sft]\nbetas = [0.9]\n", &[]), @"error: sft.toml:2: `sft.betas`: expected an array of length 2, got length 1");
    insta::assert_snapshot!(message("sft = 3\n", &[]), @"error: sft.toml:1: `sft`: expected a table, got `3`");
    insta::assert_snapshot!(message("", &["sft.max_steps=many"]), @r#"error: override `sft.max_steps=many`: `sft.max_steps`: expected a whole number of at least 0, got "many""#);
    insta::assert_snapshot!(message("", &["sft.max_steps.inner=3"]), @"error: override `sft.max_steps.inner=3`: `max_steps` is a value, not a table");
}

#[test]
fn what_is_no_toml_and_no_override_is_said_so() {
    insta::assert_snapshot!(message("[sft]\nlearning_rate 3\n", &[]), @"error: sft.toml:2: key with no value, expected `=`");
    insta::assert_snapshot!(message("[sft]\nmax_steps = 1\nmax_steps = 2\n", &[]), @"error: sft.toml:3: duplicate key `max_steps`");
    insta::assert_snapshot!(message("", &["learning_rate"]), @r#"
    error: override `learning_rate`: expected `key=value` with a dotted key

    hint: for example `sft.learning_rate=1e-4`
    "#);
    insta::assert_snapshot!(message("", &["sft..x=1"]), @"error: override `sft..x=1`: expected a dotted key before `=`, got `sft..x`");
}

#[test]
fn a_flag_is_short_for_its_setting_and_is_named_in_messages() {
    fn flagged(value: &str) -> Result<usize> {
        let flag = Override::flag("--max-steps", &["sft", "max_steps"], value.to_owned());
        load::<Settings>(None, vec![flag]).map(|loaded| loaded.settings.sft.max_steps)
    }

    assert_eq!(flagged("7").unwrap(), 7);
    insta::assert_snapshot!(flagged("many").unwrap_err(), @r#"--max-steps many: `sft.max_steps`: expected a whole number of at least 0, got "many""#);
}

#[test]
fn a_missing_file_is_a_failure_of_settings() {
    let error = load::<Settings>(Some(Path::new("no/such.toml")), Vec::new()).unwrap_err();
    assert_eq!(error.kind(), diagnostic::Kind::Settings);
    insta::assert_snapshot!(crate::errors::render(&error, false), @r#"
    error: cannot read the settings
      caused by: failed to open file `no/such.toml`: No such file or directory (os error 2)

    hint: `--config` takes a TOML file; the repository's configs/ folder has commented ones
    "#);
}

#[test]
fn a_setting_that_a_library_refuses_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sft.toml");
    fs_err::write(&path, "[model]\npath = \"m\"\n\n[sft]\nmax_steps = 3\nlearning_rate = -1.0\n").unwrap();
    let refused = |overrides: &[&str], key: &str| {
        let loaded = load::<Settings>(Some(&path), given(overrides).unwrap()).unwrap();
        let outcome = align::settings::check_setting(false, key, "a number above 0", "-1");
        let message = loaded.check(outcome).unwrap_err().to_string();
        message.replace(&format!("{}/", folder.path().display()), "")
    };
    insta::assert_snapshot!(refused(&[], "sft.learning_rate"), @"sft.toml:6: `sft.learning_rate`: expected a number above 0, got -1");
    insta::assert_snapshot!(refused(&["sft.learning_rate=-1"], "sft.learning_rate"), @"override `sft.learning_rate=-1`: `sft.learning_rate`: expected a number above 0, got -1");
    insta::assert_snapshot!(refused(&[], "sft.betas"), @"default settings: `sft.betas`: expected a number above 0, got -1");
}
