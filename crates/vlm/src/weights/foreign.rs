//! Weights of another kind than those of a model: told by their keys and files, with what to do.

use std::path::Path;

use crate::error::Error;
use crate::tensor_file::TensorFile;

/// Parts of keys that a LoRA adapter leaves in a checkpoint.
const ADAPTED: [&str; 4] = ["base_model.model.", ".base_layer.", ".lora_A.", ".lora_B."];

/// Endings of keys that quantization leaves in a checkpoint, and what wrote them.
const QUANTIZED: [(&str, &str); 12] = [
    (".qweight", "GPTQ or AWQ"),
    (".qzeros", "GPTQ or AWQ"),
    (".scales", "GPTQ or AWQ"),
    (".g_idx", "GPTQ"),
    (".absmax", "bitsandbytes"),
    (".quant_map", "bitsandbytes"),
    (".SCB", "bitsandbytes"),
    (".weight_packed", "compressed-tensors"),
    (".weight_shape", "compressed-tensors"),
    (".weight_scale", "FP8 or compressed-tensors"),
    (".weight_scale_inv", "FP8"),
    (".input_scale", "FP8"),
];

/// Refuses a checkpoint whose adapter is not merged, or whose weights are quantized.
///
/// Errors: `Tensor` naming the first such key.
pub(super) fn refuse_foreign(file: &TensorFile) -> Result<(), Error> {
    for key in file.keys() {
        if ADAPTED.iter().any(|part| key.contains(part)) {
            let problem = "belongs to a checkpoint whose LoRA adapter is not merged: merge it first, with \
                           `merge_lora.py` of InternVL's tools or `merge_and_unload` of PEFT";
            return Err(file.tensor_error(&key, problem.to_owned()));
        }
        let quantized = QUANTIZED.iter().find(|(ending, _)| key.ends_with(ending));
        if let Some((_, method)) = quantized.or_else(|| key.contains(".quant_state.").then_some(&QUANTIZED[4])) {
            let problem =
                format!("weights quantized by {method} are not supported: use the checkpoint that it was made from");
            return Err(file.tensor_error(&key, problem));
        }
    }
    Ok(())
}

/// What a folder without `model.safetensors` holds in its place, for a message.
pub(super) fn found_instead(folder: &Path) -> Option<String> {
    let mut names: Vec<String> =
        fs_err::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    let find = |is: fn(&str) -> bool| names.iter().find(|name| is(name));
    let other = |name: &String, what: &str| Some(format!("got `{name}`, {what}"));
    if let Some(name) = find(|name| name == "adapter_model.safetensors" || name == "adapter_model.bin") {
        return other(name, "a LoRA adapter's: give the folder as the adapter, and its base model as the model");
    }
    if let Some(name) = find(|name| name.ends_with(".safetensors") && name.contains("-of-")) {
        return other(name, "which no index lists: the checkpoint is sharded, and its index is missing");
    }
    if let Some(name) = find(|name| name.ends_with(".gguf")) {
        return other(name, "of llama.cpp: use the checkpoint that it was made from");
    }
    if let Some(name) = find(|name| [".bin", ".pt", ".pth", ".ckpt"].iter().any(|ending| name.ends_with(ending))) {
        return other(name, "of PyTorch: save the model anew as safetensors, with `save_pretrained` of transformers");
    }
    find(|name| name.ends_with(".distcp") || name.starts_with("global_step"))
        .and_then(|name| other(name, "a trainer's checkpoint: convert it to safetensors with the trainer's tool"))
}
