//! One safetensors file: read through a memory map as f32, written whole or not at all.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use memmap2::Mmap;
use safetensors::tensor::{Dtype, Metadata, SafeTensorError, SafeTensors, TensorInfo, View};

use crate::error::Error;

/// A safetensors file opened for reading. Opening reads the header only; a tensor's bytes are paged in when it is read.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    map: Mmap,
    header_bytes: usize,
    metadata: Metadata,
}

impl TensorFile {
    /// Opens `path` and checks that its header and its length agree.
    ///
    /// Errors: `Io` when it cannot be opened, `File` when it is truncated or is no safetensors file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = fs_err::File::open(path)?;
        // SAFETY: the map is read-only and private to this struct. A file rewritten in place by another process while
        // it is mapped would be read in a mixed state; everything this crate writes is renamed into place, so that an
        // open map keeps the old file.
        #[expect(
            unsafe_code,
            reason = "a memory map is what keeps loading a large checkpoint within its own size"
        )]
        let map = unsafe { Mmap::map(&file) }?;
        let (header_bytes, metadata) =
            SafeTensors::read_metadata(&map).map_err(|error| broken_file(path, map.len(), &error))?;
        // The header is preceded by its own length, eight bytes.
        Ok(Self {
            path: path.to_owned(),
            map,
            header_bytes: header_bytes + 8,
            metadata,
        })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys of all tensors, in the order of their bytes.
    pub fn keys(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    /// The shape of a tensor, if the file holds it.
    pub fn shape(&self, key: &str) -> Option<&[usize]> {
        self.metadata.info(key).map(|info| info.shape.as_slice())
    }

    /// Reads a tensor of f32, f16 or bf16 as f32 data of `shape`.
    ///
    /// Errors: `Tensor` when the key is missing, or its shape or type is another.
    pub fn read(&self, key: &str, shape: &[usize]) -> Result<TensorData, Error> {
        let dtype = self.check(key, shape)?;
        let info = self.info(key)?;
        let bytes = self.bytes(info).to_vec();
        Ok(TensorData::from_bytes_vec(bytes, info.shape.clone(), dtype).convert::<f32>())
    }

    /// Makes sure that [`Self::read`] can read a tensor; returns the type it is stored as.
    ///
    /// Errors: as [`Self::read`].
    pub fn check(&self, key: &str, shape: &[usize]) -> Result<DType, Error> {
        let info = self.info(key)?;
        if info.shape != shape {
            return Err(self.tensor_error(key, format!("expected shape {shape:?}, got {:?}", info.shape)));
        }
        match info.dtype {
            Dtype::F32 => Ok(DType::F32),
            Dtype::F16 => Ok(DType::F16),
            Dtype::BF16 => Ok(DType::BF16),
            other => Err(self.tensor_error(key, format!("expected type F32, F16 or BF16, got {other:?}"))),
        }
    }

    /// How many bytes the tensors of each stored type take, by the type's name in the file.
    pub fn bytes_by_type(&self) -> BTreeMap<String, u64> {
        let mut bytes = BTreeMap::new();
        for info in self.metadata.tensors().values() {
            let (start, end) = info.data_offsets;
            *bytes.entry(format!("{:?}", info.dtype)).or_insert(0) += (end - start) as u64;
        }
        bytes
    }

    /// Reads a tensor of 64-bit integers (ids, counters), row by row.
    ///
    /// Errors: `Tensor` when the key is missing or its type is another.
    pub fn read_integers(&self, key: &str) -> Result<Vec<i64>, Error> {
        let info = self.info(key)?;
        if info.dtype != Dtype::I64 {
            return Err(self.tensor_error(key, format!("expected type I64, got {:?}", info.dtype)));
        }
        let (words, _) = self.bytes(info).as_chunks::<8>();
        Ok(words.iter().map(|word| i64::from_le_bytes(*word)).collect())
    }

    fn info(&self, key: &str) -> Result<&TensorInfo, Error> {
        self.metadata
            .info(key)
            .ok_or_else(|| self.tensor_error(key, "missing".to_owned()))
    }

    fn bytes(&self, info: &TensorInfo) -> &[u8] {
        let (start, end) = info.data_offsets;
        &self.map[self.header_bytes + start..self.header_bytes + end]
    }

    pub(crate) fn tensor_error(&self, key: &str, problem: String) -> Error {
        Error::Tensor {
            path: self.path.clone(),
            key: key.to_owned(),
            problem,
        }
    }
}

fn broken_file(path: &Path, bytes: usize, error: &SafeTensorError) -> Error {
    let problem = match error {
        SafeTensorError::MetadataIncompleteBuffer | SafeTensorError::InvalidHeaderLength => {
            format!("truncated or damaged: its header announces another length than its {bytes} bytes")
        }
        SafeTensorError::HeaderTooSmall => format!("expected a safetensors file, got {bytes} bytes"),
        other => format!("not a readable safetensors file: {other}"),
    };
    Error::File {
        path: path.to_owned(),
        problem,
    }
}

/// A tensor on its way into a file: its key, its shape there, and its values, fetched when their turn comes.
pub struct NamedTensor {
    /// The key in the file.
    pub key: String,
    /// The shape in the file; its product is the number of values.
    pub shape: Vec<usize>,
    /// The values, flat.
    pub values: Tensor<1>,
}

impl NamedTensor {
    /// Names a tensor of any rank; the file gets the tensor's own shape.
    pub fn new<const D: usize>(key: &str, tensor: Tensor<D>) -> Self {
        let shape = tensor.dims().to_vec();
        let count: usize = shape.iter().product();
        Self {
            key: key.to_owned(),
            shape,
            values: tensor.without_autodiff().reshape([count]),
        }
    }

    /// Names plain numbers.
    pub fn from_values(key: &str, values: Vec<f32>, device: &Device) -> Self {
        let count = values.len();
        let values = Tensor::from_data(TensorData::new(values, [count]), device);
        Self {
            key: key.to_owned(),
            shape: vec![count],
            values,
        }
    }
}

impl View for &NamedTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.to_data().as_bytes().to_vec())
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * size_of::<f32>()
    }
}

/// Writes tensors as one f32 safetensors file: to a file beside it first, renamed when whole, so that a failure leaves
/// what was there before.
///
/// Errors: `Io` naming `path` when the disk is full or does not let us; `File` when the tensors cannot be laid out.
pub fn write_tensors(path: &Path, tensors: &[NamedTensor]) -> Result<(), Error> {
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let entries = tensors.iter().map(|tensor| (tensor.key.as_str(), tensor));
    safetensors::tensor::serialize_to_file(entries, Some(metadata), path).map_err(|error| unwritten(path, error))?;
    make_readable(path)
}

fn unwritten(path: &Path, error: SafeTensorError) -> Error {
    match error {
        SafeTensorError::IoError(error) => Error::Io(std::io::Error::new(
            error.kind(),
            format!("{}: cannot be written: {error}", path.display()),
        )),
        error => Error::File {
            path: path.to_owned(),
            problem: format!("cannot be written: {error}"),
        },
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
