//! InternVL with Qwen2 in its original layout: the weights of a fixture in transformers' layout under the names that
//! the published checkpoints have, as `convert_internvl_weights_to_hf.py` of transformers pairs them, give the same
//! ids, tiles, logits, loss and gradients, and take the same adapter.

#[allow(dead_code, reason = "each test file uses its part of what all share")]
mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use common::forward::{ALL_GROUPS, gradients, largest, load, logits_alone, mean_loss, reply};
use common::{Fixture, assert_close, assert_relative, committed_folder, values};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use vlm::image_processor::{ImageFile, ImagePatches};
use vlm::model::Vlm;
use vlm::parameter::ParameterGroup;
use vlm::processor::Processor;
use vlm::training::NamedValues;

/// Parts of keys in transformers' layout and in the original one, in the order of replacement.
const RENAMED: [(&str, &str); 17] = [
    ("model.language_model.", "language_model.model."),
    ("model.vision_tower.", "vision_model."),
    ("model.multi_modal_projector.layer_norm.", "mlp1.0."),
    ("model.multi_modal_projector.linear_1.", "mlp1.1."),
    ("model.multi_modal_projector.linear_2.", "mlp1.3."),
    ("embeddings.cls_token", "embeddings.class_embedding"),
    ("patch_embeddings.projection.", "patch_embedding."),
    ("position_embeddings", "position_embedding"),
    ("encoder.layer.", "encoder.layers."),
    ("layernorm_before", "norm1"),
    ("layernorm_after", "norm2"),
    ("lambda_1", "ls1"),
    ("lambda_2", "ls2"),
    ("attention.projection_layer", "attn.proj"),
    ("attention.q_norm", "attn.q_norm"),
    ("attention.k_norm", "attn.k_norm"),
    // The vision tower's projections are put end to end, queries first.
    ("attention.q_proj", "attn.qkv"),
];

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn original_key(key: &str) -> String {
    if key == "lm_head.weight" {
        return "language_model.lm_head.weight".to_owned();
    }
    RENAMED.iter().fold(key.to_owned(), |key, (new, old)| key.replace(new, old))
}

/// Every tensor under its original key; queries, keys and values of the vision tower as one.
fn original_tensors(path: &Path) -> Tensors {
    let bytes = fs_err::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = Tensors::new();
    for key in file.names() {
        let in_tower = key.contains("vision_tower");
        if in_tower && (key.contains("attention.k_proj") || key.contains("attention.v_proj")) {
            continue;
        }
        let view = file.tensor(key).unwrap();
        let (mut shape, mut data) = (view.shape().to_vec(), view.data().to_vec());
        if in_tower && key.contains("attention.q_proj") {
            for other in ["attention.k_proj", "attention.v_proj"] {
                let other = file.tensor(&key.replace("attention.q_proj", other)).unwrap();
                data.extend_from_slice(other.data());
            }
            shape[0] *= 3;
        }
        tensors.insert(original_key(key), (view.dtype(), shape, data));
    }
    tensors
}

fn original_config(published: &Value) -> Value {
    let mut text = published["text_config"].clone();
    text["rope_scaling"] = json!({ "type": "dynamic", "factor": 2.0 });
    let vision = &published["vision_config"];
    json!({
        "model_type": "internvl_chat", "ps_version": "v2", "template": "internvl2_5", "downsample_ratio": 0.5,
        "select_layer": -1, "dynamic_image_size": true, "use_thumbnail": true, "max_dynamic_patch": 5,
        "force_image_size": vision["image_size"][0], "llm_config": text,
        "vision_config": {
            "hidden_act": "gelu", "hidden_size": vision["hidden_size"], "image_size": vision["image_size"][0],
            "intermediate_size": vision["intermediate_size"], "layer_norm_eps": vision["layer_norm_eps"],
            "norm_type": vision["norm_type"], "num_attention_heads": vision["num_attention_heads"],
            "num_hidden_layers": vision["num_hidden_layers"], "patch_size": vision["patch_size"][0],
            "qk_normalization": vision["use_qk_norm"], "qkv_bias": vision["attention_bias"],
        },
    })
}

/// Writes the fixture's model in the original layout.
fn write_original(fixture: &Fixture, folder: &Path) {
    let published = fixture.model_folder();
    for name in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
        fs_err::copy(published.join(name), folder.join(name)).unwrap();
    }
    let config = serde_json::from_slice(&fs_err::read(published.join("config.json")).unwrap()).unwrap();
    fs_err::write(folder.join("config.json"), original_config(&config).to_string()).unwrap();
    let tensors = original_tensors(&published.join("model.safetensors"));
    let views =
        tensors.iter().map(|(key, (dtype, shape, data))| (key, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    let bytes = safetensors::serialize(views, None).unwrap();
    fs_err::write(folder.join("model.safetensors"), bytes).unwrap();
}

/// Fixtures in transformers' layout, each with its folder in the original one.
fn pairs() -> impl Iterator<Item = (Fixture, tempfile::TempDir)> {
    ["internvl", "internvl_6b"].into_iter().map(|name| {
        let fixture = Fixture::open(committed_folder(name));
        let folder = tempfile::tempdir().unwrap();
        write_original(&fixture, folder.path());
        (fixture, folder)
    })
}

fn load_original(folder: &tempfile::TempDir) -> Vlm {
    Vlm::load(folder.path(), &common::device()).unwrap()
}

/// The same values under the original keys, flat; queries, keys and values of the vision tower end to end.
fn original_values(named: &NamedValues) -> BTreeMap<String, Vec<f32>> {
    let mut original = BTreeMap::new();
    for key in named.keys() {
        let in_tower = key.contains("vision_tower");
        if in_tower && (key.contains("attention.k_proj") || key.contains("attention.v_proj")) {
            continue;
        }
        let parts = if in_tower && key.contains("attention.q_proj") {
            ["q_proj", "k_proj", "v_proj"].map(|part| values(named[&key.replace("q_proj", part)].clone())).concat()
        } else {
            values(named[key].clone())
        };
        original.insert(original_key(key), parts);
    }
    original
}

#[test]
fn logits_are_the_same() {
    for (fixture, folder) in pairs() {
        let model = load_original(&folder);
        for case in fixture.cases() {
            let key = format!("{}.logits", case.id);
            assert_close(&key, &logits_alone(&model, &fixture, case), &fixture.floats(&key), 2e-4);
        }
    }
}

#[test]
fn loss_and_gradients_are_the_same() {
    for (fixture, folder) in pairs() {
        let model = load_original(&folder);
        let loss = mean_loss(&model, &fixture, reply);
        assert_relative("loss", loss, fixture.float("train.loss"), 1e-5);
        let expected = original_values(&gradients(&load(&fixture), &ALL_GROUPS, &fixture));
        let got = gradients(&model, &ALL_GROUPS, &fixture);
        assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (key, expected) in expected {
            let got = values(got[&key].clone());
            let tolerance = 1e-4 * largest(&expected).max(1e-4);
            assert_close(&format!("gradient of {key}"), &got, &expected, tolerance);
        }
    }
}

#[test]
fn an_adapter_acts_the_same_and_is_written_under_the_original_names() {
    for (fixture, folder) in pairs() {
        let adapter = folder.path().join("adapter");
        fs_err::create_dir(&adapter).unwrap();
        let source = fixture.adapter_folder();
        let mut config: Value =
            serde_json::from_slice(&fs_err::read(source.join("adapter_config.json")).unwrap()).unwrap();
        config["target_modules"] = json!(r"language_model\.model\.layers\..*proj");
        fs_err::write(adapter.join("adapter_config.json"), config.to_string()).unwrap();
        let bytes = fs_err::read(source.join("adapter_model.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let renamed = file.iter().map(|(key, view)| (original_key(key), view));
        let bytes = safetensors::serialize(renamed, None).unwrap();
        fs_err::write(adapter.join("adapter_model.safetensors"), bytes).unwrap();

        let mut model = load_original(&folder);
        let config = model.load_adapter(&adapter).unwrap();
        let expected = fixture.floats("lora.logits.case1");
        let got = logits_alone(&model, &fixture, fixture.case("case1"));
        assert_close("LoRA logits", &got, &expected, 2e-4);
        let loss = mean_loss(&model, &fixture, reply);
        assert_relative("LoRA loss", loss, fixture.float("lora.loss"), 1e-5);
        let mut trained = load(&fixture);
        trained.load_adapter(&source).unwrap();
        let expected = original_values(&gradients(&trained, &[ParameterGroup::Adapter], &fixture));
        for (key, gradient) in gradients(&model, &[ParameterGroup::Adapter], &fixture) {
            let tolerance = 1e-4 * largest(&expected[&key]).max(1e-4);
            assert_close(&key, &values(gradient), &expected[&key], tolerance);
        }

        let saved = folder.path().join("saved");
        model.save_adapter(&config, "base", &saved).unwrap();
        let key = "base_model.model.language_model.model.layers.0.mlp.up_proj.lora_B.weight";
        let bytes = fs_err::read(saved.join("adapter_model.safetensors")).unwrap();
        assert!(SafeTensors::deserialize(&bytes).unwrap().names().contains(&key));
    }
}

/// A case's messages under a system prompt. Transformers' template breaks the line after an image, where upstream
/// leaves that to the text.
fn dialogue(case: &Value, after_image: &str) -> Value {
    let mut messages = vec![];
    if case["messages"][0]["role"] != "system" {
        messages.push(json!({ "role": "system", "content": "Be careful." }));
    }
    for message in case["messages"].as_array().unwrap() {
        let mut message = message.clone();
        if let Some(parts) = message["content"].as_array() {
            let with_break = parts.iter().flat_map(|part| {
                let line_break = (part["type"] == "image").then(|| json!({ "type": "text", "text": after_image }));
                std::iter::once(part.clone()).chain(line_break)
            });
            message["content"] = with_break.collect();
        }
        messages.push(message);
    }
    messages.into()
}

fn images(case: &Value, processor: &Processor, folder: &Path) -> Vec<Arc<ImagePatches>> {
    let messages = case["messages"].as_array().unwrap().iter();
    let parts = messages.filter_map(|message| message["content"].as_array()).flatten();
    let files: Vec<ImageFile> =
        parts.filter_map(|part| Some(folder.join(part.get("image")?.as_str()?).into())).collect();
    processor.images(&files).unwrap()
}

#[test]
fn ids_and_tiles_are_the_same() {
    for (fixture, folder) in pairs() {
        let published = Processor::open(&fixture.model_folder()).unwrap();
        let original = Processor::open(folder.path()).unwrap();
        assert_eq!(original.image_token(), load_original(&folder).config().tokens.image);
        let lines = fs_err::read_to_string(fixture.folder.join("cases.jsonl")).unwrap();
        for case in lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
            let [expected, got] = [&published, &original].map(|processor| {
                let images = images(&case, processor, &fixture.folder);
                let mut pixels = Vec::new();
                images.iter().for_each(|image| image.append_pixel_values(&mut pixels));
                (images, pixels)
            });
            assert_eq!(got.1, expected.1, "{}", case["id"]);
            let expected = published.encode(&dialogue(&case, ""), &expected.0, true).unwrap();
            let got = original.encode(&dialogue(&case, "\n"), &got.0, true).unwrap();
            assert_eq!(got, expected, "{}", case["id"]);
            let reply = case["reply"].as_str().unwrap();
            assert_eq!(original.encode_reply(reply).unwrap(), published.encode_reply(reply).unwrap());
        }
    }
}
