//! Weights of two bytes a number: the same results as f32 weights of the same values, saved as they were found.

#[allow(dead_code, reason = "each test file uses its part of what all share")]
mod common;
#[path = "common/resaved.rs"]
mod resaved;

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, Device, Tensor};
use common::forward::{ALL_GROUPS, gradients, largest, logits_alone};
use common::{Case, Fixture, assert_close, fixtures, values};
use resaved::resaved;
use safetensors::tensor::Dtype;
use vlm::generate::{GenerateOptions, Generated, Prompt, generate};
use vlm::model::Vlm;
use vlm::optim::{AdamW, AdamWSettings};
use vlm::parameter::ParameterGroup;
use vlm::weights::WeightType;

const TYPES: [(Dtype, DType); 2] = [(Dtype::BF16, DType::BF16), (Dtype::F16, DType::F16)];

/// A fixture's model stored in a type of two bytes, and the same loaded as f32.
fn pair(fixture: &Fixture, stored: Dtype) -> (Vlm, Vlm) {
    let folder = resaved(&fixture.model_folder(), stored, 3);
    let [half, single] = [WeightType::Auto, WeightType::Float32]
        .map(|weight_type| Vlm::load_as(folder.path(), weight_type, &Device::flex()).unwrap());
    (half, single)
}

fn types(model: &Vlm) -> Vec<DType> {
    let parameters = model.parameters(&ALL_GROUPS);
    parameters.values().map(Tensor::dtype).collect()
}

#[test]
fn logits_are_those_of_the_same_values_in_f32() {
    for fixture in fixtures() {
        for (stored, held) in TYPES {
            let (half, single) = pair(&fixture, stored);
            assert!(types(&half).iter().all(|dtype| *dtype == held));
            assert!(types(&single).iter().all(|dtype| *dtype == DType::F32));
            for case in ["case1", "case4"] {
                let [half, single] = [&half, &single].map(|model| logits_alone(model, &fixture, fixture.case(case)));
                assert_close(case, &half, &single, 1e-5 * largest(&single).max(1.0));
            }
        }
    }
}

#[test]
fn gradients_are_those_of_the_same_values_in_f32() {
    for fixture in fixtures() {
        let (half, single) = pair(&fixture, Dtype::BF16);
        let [half, single] = [&half, &single].map(|model| gradients(model, &ALL_GROUPS, &fixture));
        assert_eq!(half.len(), single.len());
        for (name, single) in single {
            assert_eq!(half[&name].dtype(), DType::F32, "{name}");
            let (half, single) = (values(half[&name].clone()), values(single));
            assert_close(&name, &half, &single, 1e-4 * largest(&single).max(1e-3));
        }
    }
}

#[test]
fn an_adapter_is_trained_on_weights_of_two_bytes() {
    let fixture = Fixture::committed();
    let (mut half, mut single) = pair(&fixture, Dtype::F16);
    for model in [&mut half, &mut single] {
        model.load_adapter(&fixture.adapter_folder()).unwrap();
    }
    let [half, single] = [&half, &single].map(|model| gradients(model, &[ParameterGroup::Adapter], &fixture));
    for (name, single) in single {
        let single = values(single);
        assert_close(&name, &values(half[&name].clone()), &single, 1e-4 * largest(&single));
    }
}

fn greedy(model: &Vlm, fixture: &Fixture, cases: &[Case]) -> Vec<Vec<Generated>> {
    let images: Vec<_> = cases
        .iter()
        .map(|case| {
            let pixels = fixture.pixel_values(case, &Device::flex())?;
            Some(model.encode_images(pixels, &case.grids).unwrap())
        })
        .collect();
    let prompts =
        cases.iter().zip(images).map(|(case, images)| Prompt { sequence: case.sequence(), images, seeds: &[0] });
    let options = GenerateOptions { temperature: 0.0, max_new_tokens: 12, ..GenerateOptions::default() };
    generate(model, &prompts.collect::<Vec<_>>(), &options).unwrap()
}

#[test]
fn samples_are_those_of_the_same_values_in_f32_with_an_adapter_and_without() {
    for fixture in fixtures() {
        let (mut half, mut single) = pair(&fixture, Dtype::BF16);
        let mut cases = fixture.cases();
        for case in &mut cases {
            let length = fixture.integers(&format!("{}.prompt_len", case.id))[0] as usize;
            case.ids.truncate(length);
        }
        for has_adapter in [false, true] {
            if has_adapter {
                half.load_adapter(&fixture.adapter_folder()).unwrap();
                single.load_adapter(&fixture.adapter_folder()).unwrap();
            }
            let [half, single] = [&half, &single].map(|model| greedy(model, &fixture, &cases));
            for (half, single) in half.iter().flatten().zip(single.iter().flatten()) {
                assert_eq!(half.token_ids, single.token_ids);
                assert_close("log-probabilities", &half.logprobs, &single.logprobs, 1e-4);
            }
        }
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.contains("model") {
            files.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    files
}

#[test]
fn a_model_that_was_not_changed_is_saved_in_the_same_bytes_and_files() {
    for fixture in fixtures() {
        for dtype in [Dtype::BF16, Dtype::F16, Dtype::F32] {
            for n_shards in [0, 1, 3] {
                let folder = resaved(&fixture.model_folder(), dtype, n_shards);
                let model = Vlm::load(folder.path(), &Device::flex()).unwrap();
                let saved = tempfile::tempdir().unwrap();
                model.save(saved.path()).unwrap();
                let (before, after) = (files(folder.path()), files(saved.path()));
                assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
                assert_eq!(before.len(), if n_shards == 0 { 1 } else { n_shards + 1 });
                for (name, bytes) in before {
                    assert!(after[&name] == bytes, "{name} of {dtype:?} in {n_shards} shards differs");
                }
            }
        }
    }
}

/// A copy of a model whose head holds the embedding's values.
fn with_the_head_of_the_embedding(source: &Path) -> tempfile::TempDir {
    let folder = resaved(source, Dtype::F32, 0);
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let embedding = tensors.tensor("model.embed_tokens.weight").unwrap();
    let tied = tensors.iter().map(|(key, view)| (key, if key == "lm_head.weight" { embedding.clone() } else { view }));
    std::fs::write(&path, safetensors::serialize(tied, None).unwrap()).unwrap();
    folder
}

#[test]
fn a_tied_head_is_saved_where_it_was_stored_and_nowhere_else() {
    let fixture = Fixture::open(common::committed_folder("qwen2_5_vl"));
    let source = with_the_head_of_the_embedding(&fixture.model_folder());
    let folder = resaved(source.path(), Dtype::BF16, 2);
    let config = folder.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    let tied = text.replace("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
    assert_ne!(text, tied);
    std::fs::write(&config, tied).unwrap();

    // A head of its own contradicts the file.
    let other = resaved(&fixture.model_folder(), Dtype::BF16, 2);
    std::fs::copy(&config, other.path().join("config.json")).unwrap();
    let message = Vlm::load(other.path(), &Device::flex()).unwrap_err().to_string();
    assert!(message.contains("`lm_head.weight`: other values than `model.embed_tokens.weight`"), "{message}");

    let model = Vlm::load(folder.path(), &Device::flex()).unwrap();
    let saved = tempfile::tempdir().unwrap();
    model.save(saved.path()).unwrap();
    let [before, after] =
        [&folder, &saved].map(|folder| std::fs::read(folder.path().join("model.safetensors.index.json")).unwrap());
    assert_eq!(before, after);
    let again = Vlm::load(saved.path(), &Device::flex()).unwrap();
    assert_eq!(
        logits_alone(&model, &fixture, fixture.case("case1")),
        logits_alone(&again, &fixture, fixture.case("case1"))
    );
    let untied = Vlm::load(&common::committed_folder("qwen2_5_vl_tied").join("model"), &Device::flex()).unwrap();
    untied.save(saved.path().join("one").as_path()).unwrap();
    let one = std::fs::read(saved.path().join("one/model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&one).unwrap();
    assert!(tensors.names().iter().all(|name| !name.contains("lm_head")));
}

#[test]
fn a_requested_type_is_held_saved_and_named() {
    let fixture = Fixture::committed();
    let expected = resaved(&fixture.model_folder(), Dtype::BF16, 0);
    let model = Vlm::load_as(&fixture.model_folder(), WeightType::BFloat16, &Device::flex()).unwrap();
    assert!(types(&model).iter().all(|dtype| *dtype == DType::BF16));
    let saved = tempfile::tempdir().unwrap();
    model.save(saved.path()).unwrap();
    assert!(files(saved.path()) == files(expected.path()));
    let config = std::fs::read_to_string(saved.path().join("config.json")).unwrap();
    assert!(config.contains("\"torch_dtype\": \"bfloat16\""), "{config}");
}

#[test]
fn steps_below_the_precision_of_the_type_add_up_in_the_master_copy() {
    let fixture = Fixture::committed();
    let (mut half, mut single) = pair(&fixture, Dtype::BF16);
    let start = half.parameters(&ALL_GROUPS);
    let settings =
        AdamWSettings { learning_rate: 1e-5, betas: [0.9, 0.95], epsilon: 1e-8, weight_decay: 0.0, max_grad_norm: 0.0 };
    let gradients = gradients(&single, &ALL_GROUPS, &fixture);
    let (mut of_half, mut of_single) = (AdamW::new(), AdamW::new());
    for _ in 0..40 {
        for (model, optimizer) in [(&mut half, &mut of_half), (&mut single, &mut of_single)] {
            let parameters = model.parameters(&ALL_GROUPS);
            let updated = optimizer.step(&settings, parameters, gradients.clone()).unwrap();
            model.set_parameters(updated).unwrap();
        }
    }
    let (half, single) = (half.parameters(&ALL_GROUPS), single.parameters(&ALL_GROUPS));
    let mut n_moved = 0;
    for (name, single) in single {
        let rounded = values(single).into_iter().map(half::bf16::from_f32);
        let expected: Vec<f32> = rounded.map(half::bf16::to_f32).collect();
        let got = values(half[&name].clone());
        assert!(got == expected, "{name} is not the rounded copy");
        let start = values(start[&name].clone());
        n_moved += got.iter().zip(start).filter(|(got, start)| *got != start).count();
    }
    assert!(n_moved > 1000, "{n_moved} numbers moved");
}
