//! That the files of configs/ say what their comments promise.

use std::path::Path;

use align::judge;
use endpoint::RoleSettings;
use serde::de::DeserializeOwned;

use super::*;
use crate::config::load;

/// Checks that a file of configs/ can be read, and that but for paths it says the defaults: what the comments in it
/// promise. Also that it leaves no setting out.
fn check<T: DeserializeOwned + Serialize + Default>(name: &str, paths: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs").join(name);
    let table: toml::Table = toml::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
    let mut settings = toml::Table::try_from(load::<T>(Some(&path), Vec::new()).unwrap().settings).unwrap();
    assert_eq!(table, settings, "{name} leaves settings out");
    for key in paths {
        let (table, key) = key.split_once('.').unwrap();
        settings[table].as_table_mut().unwrap().remove(key).unwrap();
    }
    assert_eq!(settings, toml::Table::try_from(T::default()).unwrap(), "{name} differs from the defaults");
}

#[test]
fn every_file_in_configs_says_the_defaults() {
    check::<MiniSettings>("mini.toml", &[]);
    check::<SftSettings>("sft.toml", &["model.path", "data.train", "data.general"]);
    check::<CurateSettings>("curate.toml", &["model.path", "data.prompts"]);
    check::<RlSettings>("grpo.toml", &["model.path", "data.prompts"]);
    check::<EvalSettings>("eval.toml", &["model.path", "data.path"]);
    check::<GenerateSettings>("generate.toml", &["model.path", "data.prompts"]);
    check::<ScoreSettings>("score.toml", &["model.path", "data.dialogues"]);
    check::<ServeSettings>("serve.toml", &["model.path"]);
    check::<ReportSettings>("report.toml", &[]);
    check::<BaseSettings>("base.toml", &[]);
    let files = fs_err::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")).unwrap();
    assert_eq!(files.count(), 11 + FORGES.len() + MIRAGE.len() + SAFER.len(), "a file in configs/ is not checked here");
}

#[test]
fn the_judges_file_says_the_defaults_but_for_the_judge() {
    let settings: JudgeSettings = recipe("judge.toml");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/judge.toml");
    let table: toml::Table = toml::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(table, toml::Table::try_from(&settings).unwrap(), "judge.toml leaves settings out");
    assert_eq!((settings.rubric, settings.judge), (judge::Rubric::default(), JudgeConfig::default()));
    let judge = RoleSettings {
        url: "http://localhost:8000/v1".to_owned(),
        model: "judge".to_owned(),
        ..RoleSettings::default()
    };
    judge.validate("role.judge").unwrap();
    assert_eq!(settings.role, BTreeMap::from([("judge".to_owned(), judge)]));
}

/// Settings of `forge`: real models, and the miniature world.
const FORGES: [&str; 2] = ["forge.toml", "forge_mini.toml"];

#[test]
fn the_forges_files_can_be_used_and_the_first_says_the_defaults() {
    for name in FORGES {
        let settings: ForgeSettings = recipe(name);
        settings.forge.validate("forge").unwrap();
        settings.labels.validate("labels").unwrap();
        for (role, table) in &settings.role {
            table.validate(&format!("role.{role}")).unwrap();
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/forge.toml");
    let mut table: toml::Table = toml::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
    table.remove("role");
    assert_eq!(
        table,
        toml::Table::try_from(ForgeSettings::default()).unwrap(),
        "forge.toml differs from the defaults or leaves settings out"
    );
}

/// Recipes of MIS: file, epochs, learning rate.
const MIRAGE: [(&str, f64, f64); 2] =
    [("mirage_internvl2_5_8b.toml", 2.0, 5e-6), ("mirage_qwen2_vl_7b.toml", 3.0, 2e-6)];
/// Recipes of SaFeR-VLM.
const SAFER: [&str; 2] = ["safer_qwen2_5_vl_3b.toml", "safer_qwen2_5_vl_7b.toml"];

fn recipe<T: DeserializeOwned + Serialize + Default>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs").join(name);
    load::<T>(Some(&path), Vec::new()).unwrap().settings
}

#[test]
fn recipes_hold_the_papers_numbers_and_can_be_used() {
    for (name, epochs, learning_rate) in MIRAGE {
        let settings: SftSettings = recipe(name);
        settings.train.validate("train").unwrap();
        settings.sft.validate("sft").unwrap();
        let sft = &settings.sft;
        assert_eq!((sft.num_train_epochs, sft.learning_rate), (epochs, learning_rate), "{name}");
        assert_eq!((sft.warmup_ratio, sft.train_batch_size, sft.weight_decay), (0.03, 128, 0.05), "{name}");
        assert!((sft.general_ratio - 500.0 / 4500.0).abs() < 1e-12, "{name}");
        assert_eq!(sft.max_length, 8192, "{name}");
    }
    for name in SAFER {
        let settings: RlSettings = recipe(name);
        settings.train.validate_for_rl("train").unwrap();
        settings.rollout.validate("rollout").unwrap();
        settings.reward.validate("reward").unwrap();
        settings.grpo.validate("grpo").unwrap();
        let grpo = &settings.grpo;
        assert_eq!((grpo.epsilon, grpo.epsilon_high, grpo.delta, grpo.beta), (0.2, 0.3, 3.0, 0.01), "{name}");
        assert_eq!((grpo.learning_rate, grpo.weight_decay), (1e-6, 0.01), "{name}");
        assert_eq!((settings.data.max_prompt_length, settings.rollout.max_completion_length), (4096, 2048), "{name}");
    }
}
