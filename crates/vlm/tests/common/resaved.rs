//! A model's folder stored otherwise: in another type, in shards.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize_to_file};
use serde_json::{Value, json};

/// Copies a folder of f32 weights with its tensors in `dtype`, dealt out to `n_shards` files with an index; to one file
/// without an index for 0.
pub fn resaved(source: &Path, dtype: Dtype, n_shards: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "model.safetensors" {
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    let config = folder.path().join("config.json");
    let mut fields: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    let name = match dtype {
        Dtype::BF16 => "bfloat16",
        Dtype::F16 => "float16",
        _ => "float32",
    };
    fields["torch_dtype"] = json!(name);
    std::fs::write(&config, format!("{fields:#}\n")).unwrap();

    let bytes = std::fs::read(source.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    let stored: Vec<_> = names
        .into_iter()
        .map(|name| {
            let view = tensors.tensor(name).unwrap();
            (name, view.shape().to_vec(), converted(view.data(), dtype))
        })
        .collect();
    let total: usize = stored.iter().map(|(_, _, data)| data.len()).sum();
    let mut weight_map = BTreeMap::new();
    let shards = stored.chunks(stored.len().div_ceil(n_shards.max(1)));
    for (number, shard) in shards.enumerate() {
        let file = match n_shards {
            0 => "model.safetensors".to_owned(),
            n => format!("model-{:05}-of-{n:05}.safetensors", number + 1),
        };
        let views =
            shard.iter().map(|(name, shape, data)| (*name, TensorView::new(dtype, shape.clone(), data).unwrap()));
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        serialize_to_file(views, Some(metadata), &folder.path().join(&file)).unwrap();
        weight_map.extend(shard.iter().map(|(name, _, _)| ((*name).to_owned(), file.clone())));
    }
    if n_shards > 0 {
        let index = json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
        let path = folder.path().join("model.safetensors.index.json");
        std::fs::write(path, format!("{index:#}\n")).unwrap();
    }
    folder
}

fn converted(data: &[u8], dtype: Dtype) -> Vec<u8> {
    let values = data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    match dtype {
        Dtype::BF16 => values.flat_map(|value| bf16::from_f32(value).to_le_bytes()).collect(),
        Dtype::F16 => values.flat_map(|value| f16::from_f32(value).to_le_bytes()).collect(),
        _ => data.to_vec(),
    }
}
