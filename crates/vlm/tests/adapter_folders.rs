//! Adapters as folders: what is written names exactly the layers adapted, in PEFT's sense; what PEFT and others write
//! is read, layers of a rank and alpha of their own included.

#[allow(dead_code, reason = "each test file uses its part of what all share")]
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::forward::{load, logits_alone};
use common::{Fixture, assert_close, fixtures};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;
use vlm::adapter::{LoraConfig, TargetModules};
use vlm::model::Vlm;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const PREFIX: &str = "base_model.model.";

/// The matrices of an adapter's file: shapes and values.
type Matrices = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn read_config(folder: &Path) -> Value {
    serde_json::from_slice(&fs_err::read(folder.join(CONFIG)).unwrap()).unwrap()
}

fn read_matrices(folder: &Path) -> Matrices {
    let bytes = fs_err::read(folder.join(WEIGHTS)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut matrices = Matrices::new();
    for (key, view) in file.iter() {
        let (words, _) = view.data().as_chunks::<4>();
        let values = words.iter().map(|bytes| f32::from_le_bytes(*bytes));
        matrices.insert(key.to_owned(), (view.shape().to_vec(), values.collect()));
    }
    matrices
}

fn write(config: &Value, matrices: &Matrices) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join(CONFIG), config.to_string()).unwrap();
    let bytes: Vec<_> = matrices
        .iter()
        .map(|(key, (shape, values))| {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            (key, shape, bytes)
        })
        .collect();
    let views =
        bytes.iter().map(|(key, shape, bytes)| (key, TensorView::new(Dtype::F32, (*shape).clone(), bytes).unwrap()));
    fs_err::write(folder.path().join(WEIGHTS), safetensors::serialize(views, None).unwrap()).unwrap();
    folder
}

/// Every module of a checkpoint that has a matrix, as newer transformers names it.
fn all_modules(fixture: &Fixture, model: &Vlm) -> BTreeSet<String> {
    let bytes = fs_err::read(fixture.model_folder().join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let modules = file.names().into_iter().filter_map(|key| key.strip_suffix(".weight"));
    let naming = model.naming();
    modules.map(|module| naming.nested().key(&naming.published(module))).collect()
}

/// The modules that PEFT would adapt: a list names whole paths or their ends (`check_target_module_exists`).
fn chosen_by_peft(config: &Value, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let names = config["target_modules"].as_array().expect("a list of names");
    let names: Vec<&str> = names.iter().map(|name| name.as_str().unwrap()).collect();
    let mut chosen = modules.clone();
    chosen.retain(|module| {
        let mut names = names.iter();
        names.any(|name| module == name || module.ends_with(&format!(".{name}")))
    });
    chosen
}

fn adapted(matrices: &Matrices) -> BTreeSet<String> {
    let modules = matrices.keys().filter_map(|key| key.strip_suffix(".lora_A.weight"));
    modules.map(|module| module.strip_prefix(PREFIX).unwrap().to_owned()).collect()
}

fn fresh(target_modules: TargetModules) -> LoraConfig {
    LoraConfig { r: 2, alpha: 4.0, dropout: 0.0, rank_stabilized: false, target_modules }
}

#[test]
fn the_layers_that_are_saved_are_exactly_those_adapted() {
    for fixture in fixtures() {
        let mut model = load(&fixture);
        let all = all_modules(&fixture, &model);
        let last = ["w2", "down_proj"].map(str::to_owned).to_vec();
        for targets in [TargetModules::Pattern("all-linear".to_owned()), TargetModules::Names(last)] {
            let config = fresh(targets);
            let n_layers = model.attach_lora(&config, 7).unwrap();
            let folder = tempfile::tempdir().unwrap();
            model.save_adapter(&config, "base", folder.path()).unwrap();
            let adapted = adapted(&read_matrices(folder.path()));
            assert_eq!(adapted.len(), n_layers);
            assert_eq!(chosen_by_peft(&read_config(folder.path()), &all), adapted);

            let read = LoraConfig::load(folder.path()).unwrap();
            assert_eq!(model.attach_lora(&read, 8).unwrap(), n_layers, "the same layers are chosen");
            model.load_adapter(folder.path()).unwrap();
        }
    }
}

/// Gives one layer of the adapter rank 6 and an alpha that keeps its scale, and every layer that leads out of the
/// feed-forward part twice the alpha and half the matrix: the same update.
fn with_layers_of_their_own(source: &Path) -> (Value, Matrices) {
    let (mut config, mut matrices) = (read_config(source), read_matrices(source));
    let path = adapted(&matrices)
        .into_iter()
        .find(|path| path.ends_with("layers.0.self_attn.q_proj") || path.ends_with("layers.0.attention.wqkv"))
        .unwrap();
    for letter in ["A", "B"] {
        let (shape, values) = matrices.get_mut(&format!("{PREFIX}{path}.lora_{letter}.weight")).unwrap();
        let wider: Vec<Vec<f32>> = match letter {
            "A" => vec![values.clone(), vec![0.0; 2 * shape[1]]],
            _ => values.chunks(4).map(|row| [row, &[0.0; 2]].concat()).collect(),
        };
        shape[usize::from(letter == "B")] = 6;
        *values = wider.concat();
    }
    for (key, (_, values)) in &mut matrices {
        if key.ends_with("down_proj.lora_B.weight") || key.ends_with("w2.lora_B.weight") {
            values.iter_mut().for_each(|value| *value /= 2.0);
        }
    }
    let end = path.split_once("layers.").unwrap().1;
    assert_eq!((&config["r"], &config["lora_alpha"]), (&json!(4), &json!(8)));
    config["rank_pattern"] = json!({ format!("layers.{end}"): 6 });
    config["alpha_pattern"] = json!({ format!("^{path}"): 12, "down_proj|w2": 16.0, ".*": 8 });
    (config, matrices)
}

#[test]
fn layers_may_have_a_rank_and_an_alpha_of_their_own() {
    for fixture in fixtures() {
        let (config, matrices) = with_layers_of_their_own(&fixture.adapter_folder());
        let folder = write(&config, &matrices);
        let expected = fixture.floats("lora.logits.case1");
        let mut model = load(&fixture);
        let read = model.load_adapter(folder.path()).unwrap();
        assert_eq!((read.r, read.alpha), (4, 8.0));
        assert_close("LoRA logits", &logits_alone(&model, &fixture, fixture.case("case1")), &expected, 2e-4);

        // Saved again, each such layer is listed under its own path.
        let saved = tempfile::tempdir().unwrap();
        model.save_adapter(&read, "base", saved.path()).unwrap();
        let written = read_config(saved.path());
        assert_eq!(written["rank_pattern"].as_object().unwrap().len(), 1);
        assert_eq!(written["alpha_pattern"].as_object().unwrap().len(), 1 + 3);
        let mut again = load(&fixture);
        again.load_adapter(saved.path()).unwrap();
        let [again, model] = [&again, &model].map(|model| logits_alone(model, &fixture, fixture.case("case1")));
        assert_eq!(again, model);
    }
}

#[test]
fn patterns_that_do_not_fit_the_matrices_or_are_none_are_refused() {
    let fixture = Fixture::committed();
    let (config, matrices) = with_layers_of_their_own(&fixture.adapter_folder());
    for (field, value, expected) in [
        ("rank_pattern", json!({}), "expected shape [4, 64], got [6, 64]"),
        ("rank_pattern", json!({ "q_proj": 0 }), "field `rank_pattern.q_proj`: expected a positive integer, got 0"),
        ("alpha_pattern", json!({ "q_proj": "8" }), "field `alpha_pattern.q_proj`: expected a number, got \"8\""),
        ("alpha_pattern", json!({ "(": 8 }), "field `alpha_pattern.(`: "),
        ("alpha_pattern", json!([8]), "field `alpha_pattern`: expected an object, got [8]"),
        ("modules_to_save", json!(["lm_head"]), "field `modules_to_save`: expected null, got [\"lm_head\"]"),
    ] {
        let mut config = config.clone();
        config[field] = value;
        let folder = write(&config, &matrices);
        let message = load(&fixture).load_adapter(folder.path()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn an_empty_list_is_none_and_the_default_name_may_be_in_keys() {
    let fixture = Fixture::committed();
    let source = fixture.adapter_folder();
    let (mut config, matrices) = (read_config(&source), read_matrices(&source));
    for field in ["modules_to_save", "trainable_token_indices", "layer_replication"] {
        config[field] = json!([]);
    }
    let named: Matrices =
        matrices.iter().map(|(key, matrix)| (key.replace(".weight", ".default.weight"), matrix.clone())).collect();
    let mut model = load(&fixture);
    model.load_adapter(write(&config, &named).path()).unwrap();
    let logits = logits_alone(&model, &fixture, fixture.case("case1"));
    assert_close("LoRA logits", &logits, &fixture.floats("lora.logits.case1"), 2e-4);

    let both = matrices.into_iter().chain(named).collect();
    let message = model.load_adapter(write(&config, &both).path()).unwrap_err().to_string();
    assert!(message.contains("names the same layer"), "{message}");
}

#[test]
fn settings_that_change_what_the_matrices_mean_are_refused_by_name() {
    let fixture = Fixture::committed();
    let (config, matrices) = (read_config(&fixture.adapter_folder()), read_matrices(&fixture.adapter_folder()));
    let mut model = load(&fixture);
    for (field, value, expected) in [
        ("init_lora_weights", json!("pissa"), "others change the base model's weights"),
        ("init_lora_weights", json!("pissa_niter_16"), "got \"pissa_niter_16\""),
        ("init_lora_weights", json!("olora"), "got \"olora\""),
        ("init_lora_weights", json!("corda"), "got \"corda\""),
        ("init_lora_weights", json!("loftq"), "got \"loftq\""),
        ("init_lora_weights", json!("lora_ga"), "got \"lora_ga\""),
        ("init_lora_weights", json!(["gaussian"]), "got [\"gaussian\"]"),
        ("peft_type", json!("LOHA"), "expected \"LORA\", got \"LOHA\""),
        ("bias", json!("lora_only"), "expected \"none\", got \"lora_only\""),
        ("lora_bias", json!(true), "expected false, got true"),
        ("use_dora", json!(true), "expected false, got true"),
        ("use_qalora", json!(true), "expected false, got true"),
        ("fan_in_fan_out", json!(true), "expected false, got true"),
        ("target_parameters", json!(["mlp.experts.gate_up_proj"]), "expected null, got [\"mlp.experts.gate_up_proj\"]"),
        ("trainable_token_indices", json!([5]), "expected null, got [5]"),
        ("alora_invocation_tokens", json!([5]), "expected null, got [5]"),
        ("layer_replication", json!([[0, 2], [1, 3]]), "expected null, got [[0,2],[1,3]]"),
        ("arrow_config", json!({ "top_k": 3 }), "expected null, got {\"top_k\":3}"),
        ("kasa_config", json!({ "beta": 1.0 }), "expected null, got"),
        ("megatron_config", json!({ "a": 1 }), "expected null, got"),
        ("monteclora_config", json!({ "num_samples": 8 }), "expected null, got"),
        ("use_bdlora", json!({ "nblocks": 2 }), "expected null, got"),
        ("velora_config", json!({ "num_groups": 64 }), "expected null, got"),
        ("use_new_variant", json!(true), "not known here, and may change what the model computes: true"),
        ("r", json!(1_000_000), "expected at most 65536, got 1000000"),
        ("r", json!(0), "expected a positive integer, got 0"),
        ("lora_alpha", json!("16"), "expected a number, got \"16\""),
        ("lora_dropout", json!(1.5), "expected a number from 0 to below 1, got 1.5"),
        ("target_modules", Value::Null, "expected names of linear layers"),
        ("target_modules", json!(7), "expected names or an expression, got 7"),
        ("layers_to_transform", json!("first"), "expected numbers of layers, got \"first\""),
    ] {
        let mut config = config.clone();
        config[field] = value;
        let message = model.load_adapter(write(&config, &matrices).path()).unwrap_err().to_string();
        assert!(message.contains(&format!("adapter_config.json: field `{field}`: ")), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn settings_that_count_for_nothing_once_the_matrices_are_read_are_taken() {
    let fixture = Fixture::committed();
    let (config, matrices) = (read_config(&fixture.adapter_folder()), read_matrices(&fixture.adapter_folder()));
    let mut model = load(&fixture);
    for (field, value) in [
        ("init_lora_weights", json!(false)),
        ("init_lora_weights", json!("gaussian")),
        ("init_lora_weights", json!("eva")),
        ("init_lora_weights", json!("orthogonal")),
        ("init_lora_weights", json!("mica")),
        ("eva_config", json!({ "rho": 2.0 })),
        ("corda_config", json!({ "cache_file": "c" })),
        ("auto_mapping", json!({ "base_model_class": "X", "unsloth_fixed": true })),
        ("task_type", json!("CAUSAL_LM")),
        ("lora_dropout", json!(0.05)),
        ("exclude_modules", json!(["lm_head"])),
        ("modules_to_save", json!([])),
        ("use_new_variant", json!(false)),
        ("ensure_weight_tying", json!(true)),
    ] {
        let mut config = config.clone();
        config[field] = value;
        model.load_adapter(write(&config, &matrices).path()).unwrap_or_else(|error| panic!("{error}"));
    }
    // What a sparse file leaves out has PEFT's defaults.
    let sparse = json!({ "peft_type": "LORA", "target_modules": config["target_modules"], "r": 4 });
    model.load_adapter(write(&sparse, &matrices).path()).unwrap();
    assert_close(
        "alpha",
        &logits_alone(&model, &fixture, fixture.case("case1")),
        &fixture.floats("lora.logits.case1"),
        2e-4,
    );
}

#[test]
fn matrices_of_layers_that_the_settings_leave_out_are_refused() {
    let fixture = Fixture::committed();
    let (config, matrices) = (read_config(&fixture.adapter_folder()), read_matrices(&fixture.adapter_folder()));
    let mut model = load(&fixture);
    let projections = json!(["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]);
    for (changes, expected) in [
        (json!({ "target_modules": ["q_proj"] }), "belongs to a layer that `target_modules` does not choose"),
        (json!({ "target_modules": projections, "exclude_modules": ["down_proj"] }), "that `exclude_modules` excludes"),
        (json!({ "exclude_modules": r".*\.layers\.1\..*" }), "that `exclude_modules` excludes"),
        (
            json!({ "target_modules": projections, "layers_to_transform": [0, 1] }),
            "that `layers_to_transform` leaves out",
        ),
        (json!({ "target_modules": projections, "layers_to_transform": [0, 1, 2] }), ""),
        (json!({ "target_modules": "all-linear" }), ""),
    ] {
        let mut config = config.clone();
        for (name, value) in changes.as_object().unwrap() {
            config[name] = value.clone();
        }
        match model.load_adapter(write(&config, &matrices).path()) {
            Ok(_) => assert_eq!(expected, "", "{changes}"),
            Err(error) => assert!(!expected.is_empty() && error.to_string().contains(expected), "{changes}: {error}"),
        }
    }
}

#[test]
fn a_folder_of_another_kind_is_told_as_such() {
    let fixture = Fixture::committed();
    let mut model = load(&fixture);
    let mut message = |folder: &Path| model.load_adapter(folder).unwrap_err().to_string();
    assert!(message(&fixture.model_folder()).contains("expected an adapter's settings, got a model's folder"));
    let folder = tempfile::tempdir().unwrap();
    assert!(message(folder.path()).contains("expected an adapter's settings, got no file"));
    fs_err::copy(fixture.adapter_folder().join(CONFIG), folder.path().join(CONFIG)).unwrap();
    assert!(message(folder.path()).contains("expected the adapter's matrices, got no file"));
    fs_err::write(folder.path().join("adapter_model.bin"), "PK").unwrap();
    assert!(message(folder.path()).contains("got `adapter_model.bin` of PyTorch"));
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
    fs_err::write(folder.path().join(WEIGHTS), pointer).unwrap();
    assert!(message(folder.path()).contains("adapter_model.safetensors: a Git LFS pointer"));

    let message = Vlm::load(folder.path(), &common::device()).unwrap_err().to_string();
    assert!(
        message.contains("a LoRA adapter's folder: give it as the adapter, and its base model, `../model`,"),
        "{message}"
    );
    fs_err::copy(fixture.model_folder().join("config.json"), folder.path().join("config.json")).unwrap();
    let message = Vlm::load(folder.path(), &common::device()).unwrap_err().to_string();
    assert!(message.contains("adapter_config.json: an adapter in a model's folder"), "{message}");
}
