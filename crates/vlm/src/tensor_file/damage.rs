//! The problem of a safetensors file that cannot be opened, and the key it belongs to.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::SafeTensorError;
use serde_json::Value;

use crate::error::Error;
use crate::stored_file::pointer_problem;

/// The error for a file of these bytes that could not be opened.
pub(super) fn broken_file(path: &Path, bytes: &[u8], error: &SafeTensorError) -> Error {
    if let Some(problem) = other_kind(bytes) {
        return Error::file(path, problem);
    }
    let n_bytes = bytes.len();
    let problem = match error {
        SafeTensorError::InvalidHeaderLength => {
            format!("truncated or damaged: its header alone is longer than its {n_bytes} bytes")
        }
        SafeTensorError::MetadataIncompleteBuffer => {
            format!("truncated or damaged: its header announces another length than its {n_bytes} bytes")
        }
        SafeTensorError::HeaderTooSmall => format!("expected a safetensors file, got {n_bytes} bytes"),
        SafeTensorError::InvalidOffset(key) => {
            return tensor(path, key, "damaged: it begins elsewhere than the one before it ends".to_owned());
        }
        SafeTensorError::TensorInvalidInfo => "damaged: a tensor's shape and its length disagree".to_owned(),
        other => format!("not a readable safetensors file: {other}"),
    };
    match first_problem(bytes) {
        Some((key, of_tensor)) => tensor(path, &key, format!("{of_tensor} ({problem})")),
        None => Error::file(path, problem),
    }
}

/// The problem of a file that is of another kind altogether.
fn other_kind(bytes: &[u8]) -> Option<&'static str> {
    pointer_problem(bytes).or_else(|| {
        bytes.starts_with(b"PK\x03\x04").then_some(
            "a file of PyTorch under the name of safetensors: save the model anew, with `save_pretrained` of \
             transformers",
        )
    })
}

fn tensor(path: &Path, key: &str, problem: String) -> Error {
    Error::Tensor { path: path.to_owned(), key: key.to_owned(), problem }
}

/// The first tensor, in the order of their places, whose entry in the header does not fit the file.
fn first_problem(bytes: &[u8]) -> Option<(String, String)> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (header, data) = rest.split_at_checked(length)?;
    let header: BTreeMap<String, Value> = serde_json::from_slice(header).ok()?;
    header
        .into_iter()
        .filter(|(key, _)| key != "__metadata__")
        .filter_map(|(key, info)| problem_of(&info, data.len()).map(|(start, problem)| (start, key, problem)))
        .min_by_key(|(start, _, _)| *start)
        .map(|(_, key, problem)| (key, problem))
}

fn numbers(info: &Value, field: &str) -> Option<Vec<u64>> {
    info.get(field)?.as_array()?.iter().map(Value::as_u64).collect()
}

/// Where a tensor begins and the problem of its entry, if there is one, in a file with so many bytes of values.
fn problem_of(info: &Value, n_bytes: usize) -> Option<(u64, String)> {
    let Some(&[start, end]) = numbers(info, "data_offsets").as_deref().and_then(<[u64]>::as_array::<2>) else {
        return Some((0, "damaged: expected `data_offsets` of two numbers".to_owned()));
    };
    if end > n_bytes as u64 {
        let there = (n_bytes as u64).saturating_sub(start).min(end.saturating_sub(start));
        let length = end.saturating_sub(start);
        return Some((start, format!("truncated: {there} of its {length} bytes are there")));
    }
    let size = match info.get("dtype").and_then(Value::as_str)? {
        "F64" | "I64" | "U64" => 8,
        "F32" | "I32" | "U32" => 4,
        "F16" | "BF16" | "I16" | "U16" => 2,
        "BOOL" | "I8" | "U8" | "F8_E4M3" | "F8_E5M2" => 1,
        _ => return None,
    };
    let shape = numbers(info, "shape")?;
    let expected = shape.iter().try_fold(size, |size: u64, width| size.checked_mul(*width));
    if expected == end.checked_sub(start) {
        return None;
    }
    Some((start, format!("damaged: shape {shape:?} does not fit its place, {start} to {end}")))
}
