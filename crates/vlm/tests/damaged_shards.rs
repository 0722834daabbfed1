//! Damaged sharded checkpoints: every message names the file and the key.

#[path = "common/resaved.rs"]
mod resaved;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use resaved::resaved;
use safetensors::tensor::Dtype;
use serde_json::{Value, json};
use tempfile::TempDir;
use vlm::model::Vlm;

const INDEX: &str = "model.safetensors.index.json";

fn model() -> TempDir {
    let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl/model");
    resaved(&fixture, Dtype::BF16, 3)
}

fn shard(folder: &TempDir, number: usize) -> PathBuf {
    folder.path().join(format!("model-0000{number}-of-00003.safetensors"))
}

/// The header of a safetensors file and the values after it.
fn parts(path: &Path) -> (Value, Vec<u8>) {
    let bytes = std::fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    (header, bytes[8 + length..].to_vec())
}

fn write(path: &Path, header: &Value, values: &[u8]) {
    let header = header.to_string();
    let length = (header.len() as u64).to_le_bytes();
    std::fs::write(path, [&length, header.as_bytes(), values].concat()).unwrap();
}

/// The keys of a header in the order of their places.
fn keys(header: &Value) -> Vec<String> {
    let entries = header.as_object().unwrap().iter();
    let mut keys: Vec<_> = entries
        .filter(|(key, _)| *key != "__metadata__")
        .map(|(key, info)| (info["data_offsets"][0].as_u64().unwrap(), key.clone()))
        .collect();
    keys.sort();
    keys.into_iter().map(|(_, key)| key).collect()
}

#[track_caller]
fn check(folder: &TempDir, expected: &[&str]) {
    let message = Vlm::load(folder.path(), &Device::flex()).unwrap_err().to_string();
    for part in expected {
        assert!(message.contains(part), "expected `{part}` in: {message}");
    }
}

#[test]
fn the_first_tensor_that_a_truncated_shard_has_lost_is_named() {
    let folder = model();
    let path = shard(&folder, 2);
    let (header, _) = parts(&path);
    let keys = keys(&header);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let last = format!("model-00002-of-00003.safetensors: tensor `{}`: truncated", keys[keys.len() - 1]);
    check(&folder, &[&last, "truncated or damaged"]);

    // Half of the header is gone: the index knows what was in the shard.
    std::fs::write(&path, &bytes[..100]).unwrap();
    let first = keys.iter().min().unwrap();
    check(&folder, &["model-00002-of-00003.safetensors: tensor `", first, "header alone is longer"]);
    std::fs::write(&path, b"").unwrap();
    check(&folder, &["model-00002-of-00003.safetensors: tensor `", first, "got 0 bytes"]);
}

#[test]
fn a_missing_shard_is_named_with_a_key_that_it_should_hold() {
    let folder = model();
    let path = shard(&folder, 2);
    let (header, _) = parts(&path);
    std::fs::remove_file(&path).unwrap();
    let key = keys(&header).into_iter().min().unwrap();
    let place = format!("model-00002-of-00003.safetensors: tensor `{key}`: {INDEX} places it in this file");
    check(&folder, &[&place, "which is missing: download it"]);
}

#[test]
fn a_tensor_whose_place_cannot_be_right_is_named() {
    let folder = model();
    let path = shard(&folder, 1);
    let (header, values) = parts(&path);
    let key = keys(&header)[1].clone();

    let mut moved = header.clone();
    let start = header[&key]["data_offsets"][0].as_u64().unwrap();
    moved[&key]["data_offsets"][0] = json!(start + 2);
    write(&path, &moved, &values);
    check(&folder, &["model-00001-of-00003.safetensors: tensor `", &key, "damaged"]);

    let mut reshaped = header.clone();
    reshaped[&key]["shape"] = json!([7, 7]);
    write(&path, &reshaped, &values);
    check(&folder, &[&format!("tensor `{key}`: damaged: shape [7, 7] does not fit its place")]);

    let mut huge = header;
    huge[&key]["shape"] = json!([u64::MAX, u64::MAX]);
    write(&path, &huge, &values);
    check(&folder, &[&format!("tensor `{key}`: damaged")]);
}

#[test]
fn a_key_in_two_shards_and_one_that_is_nowhere_are_named() {
    let folder = model();
    let (header, values) = parts(&shard(&folder, 1));
    let key = keys(&header)[0].clone();
    let end = header[&key]["data_offsets"][1].as_u64().unwrap() as usize;
    let third = shard(&folder, 3);
    let (mut other, mut other_values) = parts(&third);
    let place = other_values.len();
    other[&key] = header[&key].clone();
    other[&key]["data_offsets"] = json!([place, place + end]);
    other_values.extend_from_slice(&values[..end]);
    write(&third, &other, &other_values);
    check(&folder, &["model-00003-of-00003.safetensors: tensor `", &key, "stored twice", "model-00001-of"]);

    let folder = model();
    let index = folder.path().join(INDEX);
    let mut fields: Value = serde_json::from_slice(&std::fs::read(&index).unwrap()).unwrap();
    fields["weight_map"]["model.layers.9.mlp.up_proj.weight"] = json!("model-00002-of-00003.safetensors");
    std::fs::write(&index, fields.to_string()).unwrap();
    check(&folder, &["model-00002-of-00003.safetensors: tensor `model.layers.9.mlp.up_proj.weight`: missing"]);
}

#[test]
fn an_index_that_leads_out_of_the_folder_is_refused() {
    for shard in ["../model.safetensors", "/etc/hostname", "a/b.safetensors", ".."] {
        let folder = model();
        let index = json!({ "metadata": {}, "weight_map": { "lm_head.weight": shard } });
        std::fs::write(folder.path().join(INDEX), index.to_string()).unwrap();
        check(&folder, &[INDEX, "expected names of files beside it", shard]);
    }
}
