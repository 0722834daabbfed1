//! Dynamic rotary scaling: a sequence longer than the model was trained for has a larger base, that of its own length.

#[allow(dead_code, reason = "each test file uses its part of what all share")]
mod common;

use std::path::Path;

use common::forward::{hidden_states, load, logits_alone};
use common::{Case, Fixture, assert_close, committed_folder, values};
use serde_json::{Value, json};
use vlm::batch::Batch;
use vlm::config::Config;
use vlm::model::Vlm;

/// Both layouts that know scaling, and where their language model's part of `config.json` is.
const FAMILIES: [(&str, &str); 2] = [("internvl2_5", "llm_config"), ("internvl", "text_config")];
const FACTOR: f64 = 2.5;

/// The fixture's configuration, its language model's part changed.
fn changed(fixture: &Fixture, section: &str, change: impl FnOnce(&mut Value)) -> Result<Config, String> {
    let path = fixture.model_folder().join("config.json");
    let mut fields: Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    change(&mut fields[section]);
    Config::from_json(fields, &path).map_err(|error| error.to_string())
}

/// The fixture's model, its language model's configuration changed.
fn loaded(fixture: &Fixture, section: &str, change: impl FnOnce(&mut Value)) -> Vlm {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs_err::read_dir(fixture.model_folder()).unwrap() {
        let entry = entry.unwrap();
        fs_err::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let config = changed(fixture, section, change).unwrap();
    config.save(folder.path()).unwrap();
    Vlm::load(folder.path(), &common::device()).unwrap()
}

fn scaled(longest: usize) -> impl FnOnce(&mut Value) {
    move |text| {
        text["max_position_embeddings"] = json!(longest);
        text["rope_scaling"] = json!({ "type": "dynamic", "factor": FACTOR });
    }
}

/// What the published code computes, in double precision.
fn expected_base(text: &Value, n_tokens: usize, longest: usize) -> f64 {
    let [width, heads, theta] =
        ["hidden_size", "num_attention_heads", "rope_theta"].map(|name| text[name].as_f64().unwrap());
    let dim = width / heads;
    let growth = (FACTOR * n_tokens as f64 / longest as f64) - (FACTOR - 1.0);
    theta * growth.powf(dim / (dim - 2.0))
}

fn text_fields(fixture: &Fixture, section: &str) -> Value {
    let path = fixture.model_folder().join("config.json");
    serde_json::from_slice::<Value>(&fs_err::read(path).unwrap()).unwrap()[section].clone()
}

#[test]
fn the_base_grows_with_the_length_beyond_the_longest() {
    for (name, section) in FAMILIES {
        let fixture = Fixture::open(committed_folder(name));
        let text = text_fields(&fixture, section);
        let config = changed(&fixture, section, scaled(100)).unwrap();
        for n_tokens in [1, 99, 100] {
            assert_eq!(config.rope_base(n_tokens), text["rope_theta"].as_f64().unwrap());
        }
        for n_tokens in [101, 150, 200, 1000] {
            let (got, expected) = (config.rope_base(n_tokens), expected_base(&text, n_tokens, 100));
            assert!((got / expected - 1.0).abs() < 1e-12, "{n_tokens}: {got}, {expected}");
        }
        // Twice the longest grows the base by `factor + 1`, whatever the length is counted in.
        let twice = config.rope_base(200) / config.rope_base(100);
        assert!((twice - (FACTOR + 1.0).powf(16.0 / 14.0)).abs() < 1e-9, "{twice}");
    }
}

#[test]
fn a_long_sequence_is_scored_by_its_own_base_and_a_short_one_as_ever() {
    for (name, section) in FAMILIES {
        let fixture = Fixture::open(committed_folder(name));
        let plain = load(&fixture);
        let lengths: Vec<usize> = fixture.cases().iter().map(|case| case.ids.len()).collect();
        let longest = (lengths.iter().min().unwrap() + lengths.iter().max().unwrap()) / 2;
        let model = loaded(&fixture, section, scaled(longest));
        for case in fixture.cases() {
            let got = logits_alone(&model, &fixture, fixture.case(&case.id));
            let as_ever = logits_alone(&plain, &fixture, fixture.case(&case.id));
            if case.ids.len() <= longest {
                assert_eq!(got, as_ever, "{name}, {}", case.id);
                continue;
            }
            assert_ne!(got, as_ever, "{name}, {}", case.id);
            let base = expected_base(&text_fields(&fixture, section), case.ids.len(), longest);
            let by_hand = loaded(&fixture, section, |text| text["rope_theta"] = json!(base));
            let expected = logits_alone(&by_hand, &fixture, fixture.case(&case.id));
            assert_close(&case.id, &got, &expected, 1e-6);
        }
    }
}

fn logits(model: &Vlm, batch: &Batch) -> Vec<f32> {
    values(model.logits(model.hidden_states(batch, None).unwrap()))
}

#[test]
fn other_sequences_of_a_batch_change_nothing() {
    let fixture = Fixture::open(committed_folder("internvl2_5"));
    let longest = fixture.case("case1").ids.len();
    let model = loaded(&fixture, "llm_config", scaled(longest));
    let vocab_size = model.config().text.vocab_size;
    let cases: Vec<Case> = fixture.cases();
    assert!(cases.iter().any(|case| case.ids.len() > longest));
    let (batch, hidden) = hidden_states(&model, &fixture, &cases);
    let padded = values(model.logits(hidden));
    for (sequence, case) in cases.into_iter().enumerate() {
        let first = batch.row(sequence, 0) * vocab_size;
        let together = &padded[first..first + case.ids.len() * vocab_size];
        assert_close("padded", together, &logits_alone(&model, &fixture, case), 1e-4);
    }

    // Without images, whose rows would have to be packed too.
    let texts = [longest as u32 + 9, 7, longest as u32 + 20].map(|n| (5..5 + n).collect::<Vec<u32>>());
    let sequences = texts.each_ref().map(|ids| vlm::batch::TokenSequence { ids, grids: &[] });
    let packed = logits(&model, &Batch::packed(&sequences, model.config()).unwrap());
    let alone = sequences.map(|sequence| logits(&model, &Batch::new(&[sequence], model.config()).unwrap()));
    assert_close("packed", &packed, &alone.concat(), 1e-4);
}

/// The base for 20 tokens of a model made for 10, its language model's configuration changed.
fn base(fixture: &Fixture, section: &str, change: impl FnOnce(&mut Value)) -> Result<f64, String> {
    let config = changed(fixture, section, |text| {
        text["max_position_embeddings"] = json!(10);
        change(text);
    });
    config.map(|config| config.rope_base(20))
}

#[test]
fn scaling_is_read_under_every_name_and_no_other_kind_is_taken() {
    for (name, section) in FAMILIES {
        let fixture = Fixture::open(committed_folder(name));
        let theta = text_fields(&fixture, section)["rope_theta"].as_f64().unwrap();
        let old = json!({ "type": "dynamic", "factor": 2.0 });
        let grown = base(&fixture, section, |text| text["rope_scaling"] = old).unwrap();
        assert!(grown > 3.0 * theta);
        let newest = base(&fixture, section, |text| {
            let theta = text["rope_theta"].take();
            text["rope_scaling"] = Value::Null;
            text["rope_parameters"] = json!({ "rope_type": "dynamic", "factor": 2.0, "rope_theta": theta });
        });
        assert_eq!(newest, Ok(grown));
        for (scaling, expected) in [
            (json!({ "rope_type": "dynamic", "factor": 2.0 }), grown),
            (json!({ "rope_type": "default" }), theta),
            (Value::Null, theta),
        ] {
            assert_eq!(base(&fixture, section, |text| text["rope_scaling"] = scaling), Ok(expected));
        }
        for (scaling, expected) in [
            (json!({ "type": "yarn", "factor": 2.0 }), "type`: expected \"default\" or \"dynamic\", got \"yarn\""),
            (json!({ "type": "dynamic" }), "factor`: expected a positive number, got nothing"),
        ] {
            let problem = base(&fixture, section, |text| text["rope_scaling"] = scaling).unwrap_err();
            assert!(problem.ends_with(&format!("field `{section}.rope_scaling.{expected}")), "{problem}");
            assert!(Path::new(problem.split(": ").next().unwrap()).ends_with("config.json"));
        }
    }
}
