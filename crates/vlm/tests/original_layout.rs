//! InternVL with Qwen2 in its original layout: the weights of a fixture in transformers' layout under the names that the
//! published checkpoints have, as `convert_internvl_weights_to_hf.py` of transformers pairs them, give the same logits.

#[allow(dead_code, reason = "each test file uses its part of what all share")]
mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::forward::logits_alone;
use common::{Fixture, assert_close, committed_folder};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use vlm::model::Vlm;
use vlm::processor::Processor;

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
    // The vision tower's projections are put end to end in the order of their names' places here.
    ("attention.q_proj", "attn.qkv"),
];

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn original_key(key: &str) -> String {
    if key == "lm_head.weight" {
        return "language_model.lm_head.weight".to_owned();
    }
    RENAMED
        .iter()
        .fold(key.to_owned(), |key, (new, old)| key.replace(new, old))
}

/// Every tensor under its original key; queries, keys and values of the vision tower as one.
fn original_tensors(path: &Path) -> Tensors {
    let bytes = fs_err::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |key: &str| file.tensor(key).unwrap();
    let mut tensors = Tensors::new();
    for key in file.names() {
        let in_tower = key.contains("vision_tower");
        if in_tower && (key.contains("attention.k_proj") || key.contains("attention.v_proj")) {
            continue;
        }
        let view = tensor(key);
        let (mut shape, mut data) = (view.shape().to_vec(), view.data().to_vec());
        if in_tower && key.contains("attention.q_proj") {
            for other in ["attention.k_proj", "attention.v_proj"] {
                data.extend_from_slice(tensor(&key.replace("attention.q_proj", other)).data());
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
    let views = tensors
        .iter()
        .map(|(key, (dtype, shape, data))| (key, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    let bytes = safetensors::serialize(views, None).unwrap();
    fs_err::write(folder.join("model.safetensors"), bytes).unwrap();
}

#[test]
fn qwen2_in_the_original_layout_gives_the_same_logits() {
    for name in ["internvl", "internvl_6b"] {
        let fixture = Fixture::open(committed_folder(name));
        let folder = tempfile::tempdir().unwrap();
        write_original(&fixture, folder.path());
        let model = Vlm::load(folder.path(), &common::device()).unwrap();
        assert_eq!(
            Processor::open(folder.path()).unwrap().image_token(),
            model.config().tokens.image
        );
        for case in fixture.cases() {
            let key = format!("{}.logits", case.id);
            assert_close(&key, &logits_alone(&model, &fixture, case), &fixture.floats(&key), 2e-4);
        }
    }
}
