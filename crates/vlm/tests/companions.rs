//! The files beside a model's weights go with them into every folder that the model is saved in, byte for byte.

#[allow(dead_code, reason = "each test file uses its part of what all share")]
mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::committed_folder;
use vlm::model::Vlm;
use vlm::processor::Processor;

/// Files that loaders of a folder need, and some that none does.
const NEEDED: [&str; 6] = [
    "added_tokens.json",
    "configuration_internvl_chat.py",
    "merges.txt",
    "modeling_internvl_chat.py",
    "video_preprocessor_config.json",
    "vocab.json",
];
const NEEDLESS: [&str; 3] = ["README.md", "model.bin", "notes.json"];

fn copied(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs_err::read_dir(committed_folder(name).join("model")).unwrap() {
        let entry = entry.unwrap();
        fs_err::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    for name in NEEDED.iter().chain(&NEEDLESS) {
        fs_err::write(folder.path().join(name), format!("{{ \"name\": \"{name}\" }}\n")).unwrap();
    }
    folder
}

/// The model of a folder, saved in another.
fn saved(folder: &Path) -> tempfile::TempDir {
    let saved = tempfile::tempdir().unwrap();
    Vlm::load(folder, &common::device()).unwrap().save(saved.path()).unwrap();
    Processor::open(folder).unwrap().save(saved.path()).unwrap();
    saved
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs_err::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn the_original_layout_keeps_its_code_and_all_else_that_loaders_read() {
    let folder = copied("internvl2_5");
    let saved = saved(folder.path());
    let expected: BTreeSet<String> =
        names(folder.path()).into_iter().filter(|name| !NEEDLESS.contains(&name.as_str())).collect();
    assert_eq!(names(saved.path()), expected);
    for name in expected {
        if !name.ends_with(".safetensors") && name != "config.json" {
            let [before, after] = [&folder, &saved].map(|folder| fs_err::read(folder.path().join(&name)).unwrap());
            assert_eq!(before, after, "{name}");
        }
    }
}

#[test]
fn code_that_no_settings_name_is_none_of_the_models() {
    let saved = saved(copied("qwen2_5_vl").path());
    assert!(!names(saved.path()).iter().any(|name| name.ends_with(".py")));
    assert!(saved.path().join("merges.txt").exists());
}
