//! A safetensors file written tensor by tensor.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::tensor::{DType, Tensor};
use safetensors::tensor::{Dtype, SafeTensorError, View};

use crate::error::Error;

/// A tensor to be written: its key and shape in the file, and its values, fetched when they are written.
#[derive(Clone, Debug)]
pub struct NamedTensor {
    /// The key in the file.
    pub key: String,
    /// The shape in the file; its product is the number of values.
    pub shape: Vec<usize>,
    /// The values, flat; the file gets their type: f32, f16 or bf16.
    pub values: Tensor<1>,
}

impl NamedTensor {
    /// Names a tensor of any rank; the file gets the tensor's own shape.
    pub fn new<const D: usize>(key: &str, tensor: Tensor<D>) -> Self {
        let shape = tensor.dims().to_vec();
        let count: usize = shape.iter().product();
        Self { key: key.to_owned(), shape, values: tensor.without_autodiff().reshape([count]) }
    }

    /// How many bytes the values take in the file.
    pub fn size(&self) -> usize {
        self.shape.iter().product::<usize>() * self.values.dtype().size()
    }
}

impl View for &NamedTensor {
    fn dtype(&self) -> Dtype {
        match self.values.dtype() {
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
            _ => Dtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let (bytes, _, _) = self.values.to_data().into_parts();
        let bytes = bytes.try_into_vec::<u8>().unwrap_or_else(|bytes| bytes.to_vec());
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        self.size()
    }
}

/// Writes tensors as one safetensors file: to a temporary file first, renamed when complete, so that a failure leaves
/// the old file. One tensor at a time is in memory beside the values themselves.
///
/// Errors: `Io` naming `path` when it cannot be written; `File` when the tensors cannot be laid out.
pub fn write_tensors(path: &Path, tensors: &[NamedTensor]) -> Result<(), Error> {
    write_tensors_with_notes(path, tensors, BTreeMap::new())
}

/// The same, with notes for the file's header; `format: pt` (PyTorch's), which transformers requires, is among them in
/// any case.
///
/// Errors: as [`write_tensors`].
pub(crate) fn write_tensors_with_notes(
    path: &Path,
    tensors: &[NamedTensor],
    notes: BTreeMap<String, String>,
) -> Result<(), Error> {
    let mut metadata: HashMap<_, _> = notes.into_iter().collect();
    metadata.insert("format".to_owned(), "pt".to_owned());
    let entries = tensors.iter().map(|tensor| (tensor.key.as_str(), tensor));
    safetensors::tensor::serialize_to_file(entries, Some(metadata), path).map_err(|error| unwritten(path, error))?;
    make_readable(path)
}

fn unwritten(path: &Path, error: SafeTensorError) -> Error {
    match error {
        SafeTensorError::IoError(error) => {
            Error::Io(std::io::Error::new(error.kind(), format!("{}: cannot be written: {error}", path.display())))
        }
        error => Error::file(path, format!("cannot be written: {error}")),
    }
}

// The file begins as a temporary one, which only its owner may read; a checkpoint is for others too.
#[cfg(unix)]
fn make_readable(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o644))?)
}

#[cfg(not(unix))]
fn make_readable(_path: &Path) -> Result<(), Error> {
    Ok(())
}
