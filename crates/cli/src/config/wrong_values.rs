//! Every key of every command's settings is given values of every type: whatever is refused is told by key, expectation
//! and value, in words of the field. The keys are the settings' own, found by writing down their defaults.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::tables::{
    BaseSettings, CurateSettings, EvalSettings, ForgeSettings, GenerateSettings, JudgeSettings, MiniSettings,
    ModelSettings, ReportSettings, RlSettings, ScoreSettings, ServeSettings, SftSettings,
};
use super::*;
use crate::errors::render;

/// One of each type, and what else people write.
const VALUES: [&str; 16] = [
    "\"text\"",
    "7",
    "-7",
    "2.5",
    "3.0",
    "1e300",
    "nan",
    "true",
    "[]",
    "[1, \"a\"]",
    "{}",
    "{ a = 1 }",
    "2024-01-01",
    "99999999999999999999",
    "null",
    "\"\\u001b[31m\"",
];

/// Phrases of parsers and names of types.
const FOREIGN: [&str; 28] = [
    "invalid type",
    "invalid value",
    "unknown variant",
    "unknown field",
    "missing field",
    "untagged",
    "tagged enum",
    "enum ",
    "struct ",
    "any variant",
    "unit variant",
    "variant identifier",
    "exactly 1 element",
    "usize",
    "u64",
    "u32",
    "i64",
    "f64",
    "f32",
    "PathBuf",
    "Option",
    "serde",
    "sequence",
    "a map",
    "unit",
    "EOF",
    "at line",
    "::",
];

/// What a message on a wrong value lacks.
fn fault(path: &Path, key: &str, value: &str, failure: &Failure) -> Option<String> {
    let message = render(failure, false).replace(path.to_str()?, "FILE");
    let (told, _) = message.split_once("\n\nhint: ").unwrap_or((&message, ""));
    // What was typed is repeated as it is.
    let told = told.replace(value, "VALUE").replace(key, "KEY");
    let is_syntax = typed(value).is_none();
    let is_told = told.contains("KEY")
        && told.contains("expected ")
        && (told.contains("got ") || told.contains("unknown key"))
        && !told.contains('\u{1b}');
    let foreign = FOREIGN.iter().any(|foreign| told.contains(foreign));
    (foreign || !(is_told || is_syntax)).then(|| format!("{key} = {value}: {message}"))
}

/// Tries all keys of a command's settings that no command before it had; every command has a table `data` of its own.
fn sweep<T: DeserializeOwned + Serialize + Default>(seen: &mut HashSet<String>, faults: &mut Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    for (setup, key) in &keys::<T>() {
        if !seen.insert(key.clone()) && !key.starts_with("data") {
            continue;
        }
        for value in VALUES {
            let mut overrides: Vec<Override> = setup.iter().map(|text| Override::parse(text).unwrap()).collect();
            let setup_table = load::<T>(None, overrides.clone())
                .map(|loaded| toml::Table::try_from(&loaded.settings).unwrap())
                .unwrap();
            overrides.push(Override::parse(&format!("{key}={value}")).unwrap());
            faults.extend(load::<T>(None, overrides).err().and_then(|failure| fault(&path, key, value, &failure)));
            fs_err::write(&path, file(&setup_table, key, value)).unwrap();
            let read = load::<T>(Some(&path), Vec::new());
            faults.extend(read.err().and_then(|failure| fault(&path, key, value, &failure)));
        }
    }
}

/// A file that holds one setting, beside the type of its table where that has one.
fn file(settings: &toml::Table, key: &str, value: &str) -> String {
    let (mut text, mut table) = (String::new(), Some(settings));
    let parts: Vec<&str> = key.split('.').collect();
    for (depth, part) in parts.iter().enumerate().take(parts.len() - 1) {
        table = table.and_then(|table| table.get(*part)?.as_table());
        if let Some(kind) = table.and_then(|table| table.get("type"))
            && parts[depth + 1..] != ["type"]
        {
            text.push_str(&format!("{}.type = {kind}\n", parts[..=depth].join(".")));
        }
    }
    text + &format!("{key} = {value}\n")
}

/// Every key, each with the overrides that make it one: a table's keys depend on its `type`.
fn keys<T: DeserializeOwned + Serialize + Default>() -> Vec<(Vec<String>, String)> {
    let mut keys = Vec::new();
    let mut setups: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(setup) = setups.pop() {
        let overrides = setup.iter().map(|text| Override::parse(text).unwrap()).collect();
        // A variant without defaults cannot be chosen by its type alone.
        let Ok(loaded) = load::<T>(None, overrides) else { continue };
        let Value::Object(settings) = serde_json::to_value(&loaded.settings).unwrap() else {
            panic!("settings are tables")
        };
        for key in dotted(&settings, "") {
            if setup.is_empty() && key.ends_with(".type") {
                setups.extend(types::<T>(&key).into_iter().map(|kind| vec![format!("{key}={kind}")]));
            }
            if !keys.iter().any(|(_, known)| *known == key) {
                keys.push((setup.clone(), key));
            }
        }
        if setup.is_empty() && load::<T>(None, vec![Override::parse("role.judge.model=m").unwrap()]).is_ok() {
            setups.push(vec!["role.judge.model=m".to_owned()]);
        }
    }
    keys
}

fn dotted(table: &Map<String, Value>, prefix: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for (key, value) in table {
        if let Value::Object(inner) = value {
            keys.extend(dotted(inner, &format!("{prefix}{key}.")));
        }
        keys.push(format!("{prefix}{key}"));
    }
    keys
}

/// What a key `type` can be, from the message on what it cannot.
fn types<T: DeserializeOwned + Serialize + Default>(key: &str) -> Vec<String> {
    let given = Override::parse(&format!("{key}=?")).unwrap();
    let message = load::<T>(None, vec![given]).err().unwrap().to_string();
    let choices = message.split_once("expected ").unwrap().1.split_once(", got").unwrap().0;
    choices.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_wrong_value_of_every_setting_is_told_by_key_expectation_and_value() {
    let (mut seen, mut faults) = (HashSet::new(), Vec::new());
    sweep::<BaseSettings>(&mut seen, &mut faults);
    sweep::<CurateSettings>(&mut seen, &mut faults);
    sweep::<EvalSettings>(&mut seen, &mut faults);
    sweep::<ForgeSettings>(&mut seen, &mut faults);
    sweep::<GenerateSettings>(&mut seen, &mut faults);
    sweep::<JudgeSettings>(&mut seen, &mut faults);
    sweep::<MiniSettings>(&mut seen, &mut faults);
    sweep::<ModelSettings>(&mut seen, &mut faults);
    sweep::<ReportSettings>(&mut seen, &mut faults);
    sweep::<RlSettings>(&mut seen, &mut faults);
    sweep::<ScoreSettings>(&mut seen, &mut faults);
    sweep::<ServeSettings>(&mut seen, &mut faults);
    sweep::<SftSettings>(&mut seen, &mut faults);
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(seen.len() > 200, "{seen:?}");
}

/// Pieces that settings are made of, and what people put in their place.
const PIECES: [&str; 30] = [
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\"",
    "'",
    "\n",
    "\r",
    "#",
    " ",
    "model",
    "path",
    "sft",
    "train",
    "type",
    "role",
    "judge",
    "max_steps",
    "\"lora\"",
    "1",
    "-1",
    "1e9",
    "nan",
    "None",
    "\\",
];

proptest! {
    /// Run longer with `PROPTEST_CASES=1000000`.
    #[test]
    fn any_file_and_any_override_are_read_or_told(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..25)) {
        let text = pieces.concat();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        fs_err::write(&path, &text).unwrap();
        let read = load::<RlSettings>(Some(&path), Vec::new()).err();
        let given = Override::parse(&text).and_then(|given| load::<SftSettings>(None, vec![given])).err();
        for failure in [read, given].into_iter().flatten() {
            let message = render(&failure, false).replace(path.to_str().unwrap(), "FILE");
            let ours = message.split(['`', '"']).step_by(2).collect::<String>();
            prop_assert!(!FOREIGN.iter().any(|foreign| ours.contains(foreign)), "{text:?}: {message}");
            prop_assert!(message.chars().count() < 1500, "{message}");
        }
    }
}
