//! Settings of real folders, changed at random: a folder opens or is refused by a message, and nothing panics or takes
//! memory by what a number claims. `PROPTEST_CASES` sets the number of folders.

#[allow(dead_code, reason = "each test file uses its part of what all share")]
mod common;

use std::path::Path;
use std::sync::LazyLock;

use common::{committed_folder, device};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};
use vlm::config::Config;
use vlm::model::Vlm;
use vlm::processor::Processor;
use vlm::resample::RgbImage;

const FAMILIES: [&str; 5] = ["qwen2_vl", "qwen2_5_vl_tied", "internvl2_5", "internvl", "internvl_6b"];
const CONFIG: &str = "config.json";
const IMAGES: &str = "preprocessor_config.json";
const ADAPTER: &str = "adapter_config.json";

static MODELS: LazyLock<Vec<Vlm>> = LazyLock::new(|| {
    FAMILIES.iter().map(|family| Vlm::load(&committed_folder(family).join("model"), &device()).unwrap()).collect()
});

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

/// What a place in a file may become: numbers at the edges of what is sensible, words that other files have, and
/// anything small.
fn values() -> impl Strategy<Value = Value> {
    let numbers =
        prop::sample::select(vec![0_u64, 1, 2, 3, 7, 13, 28, 448, 1 << 20, 1 << 24, 1 << 31, 1 << 53, u64::MAX]);
    let words = prop::sample::select(vec![
        "",
        "silu",
        "gelu",
        "dynamic",
        "mrope",
        "rms_norm",
        "all-linear",
        "(",
        ".*",
        "pissa",
        "qwen2",
        "llama",
        "nan",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        numbers.prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        prop::sample::select(vec![-1.0, 1e-300, 0.5, 1e18, 1e300]).prop_map(Value::from),
        words.prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec(inner, 0..3).prop_map(|values| {
                let names = ["type", "factor", "height"].map(str::to_owned);
                Value::Object(names.into_iter().zip(values).collect::<Map<String, Value>>())
            }),
        ]
    })
}

/// Every place of a value, outermost first.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match value {
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(name, inner)| places(inner, &format!("{path}/{}", name.replace('/', "~1")), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, inner)| places(inner, &format!("{path}/{index}"), found));
        }
        _ => {}
    }
}

/// A value in another's place, or nothing there any more.
fn change(file: &mut Value, place: Index, new: Option<&Value>) {
    let mut found = Vec::new();
    places(file, "", &mut found);
    let path = &found[place.index(found.len())];
    match (new, path.rsplit_once('/')) {
        (None, Some((parent, name))) => {
            if let Some(fields) = file.pointer_mut(parent).and_then(Value::as_object_mut) {
                fields.shift_remove(name);
            }
        }
        (new, _) => *file.pointer_mut(path).unwrap() = new.cloned().unwrap_or_default(),
    }
}

fn copy(source: &Path, target: &Path) {
    for entry in fs_err::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        fs_err::copy(entry.path(), target.join(entry.file_name())).unwrap();
    }
}

proptest! {
    #[test]
    fn a_changed_folder_opens_or_is_refused(
        family in 0..FAMILIES.len(),
        name in prop::sample::select(vec![CONFIG, CONFIG, IMAGES, ADAPTER]),
        is_nested: bool,
        changes in prop::collection::vec((any::<Index>(), prop::option::weighted(0.8, values())), 1..4),
    ) {
        let fixture = committed_folder(FAMILIES[family]);
        let folder = tempfile::tempdir().unwrap();
        let part = if name == ADAPTER { "adapter" } else { "model" };
        copy(&fixture.join(part), folder.path());
        let mut file = read(&folder.path().join(name));
        for (place, new) in &changes {
            change(&mut file, *place, new.as_ref());
        }
        fs_err::write(folder.path().join(name), file.to_string()).unwrap();
        if name == IMAGES && is_nested {
            let nested = json!({ "image_processor": file });
            fs_err::write(folder.path().join("processor_config.json"), nested.to_string()).unwrap();
        }
        if name == ADAPTER {
            if let Err(error) = MODELS[family].clone().load_adapter(folder.path()) {
                prop_assert!(error.to_string().contains("adapter_"), "{}", error);
            }
            return Ok(());
        }
        if let Ok(config) = Config::load(folder.path()) {
            prop_assert!(config.rope_base(100_000) > 0.0);
            if let Err(error) = Vlm::check(folder.path(), &device()) {
                prop_assert!(error.to_string().contains("tensor `"), "{}", error);
            }
        }
        if let Ok(processor) = Processor::open(folder.path()) {
            let image = RgbImage::new(30, 20, vec![7; 3 * 30 * 20]).unwrap();
            if let Ok(patches) = processor.image_processor().process(&image) {
                prop_assert!(patches.n_tokens() > 0);
            }
        }
    }
}
