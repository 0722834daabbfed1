//! One safetensors file: read through a memory map, written whole or not at all.

mod damage;
mod mapped;
mod writing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{AllocationProperty, Bytes, DType, TensorData};
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorInfo};

use crate::error::Error;
use damage::broken_file;
use mapped::{MappedFile, MappedRange};
pub(crate) use writing::write_tensors_with_notes;
pub use writing::{NamedTensor, write_tensors};

/// A safetensors file opened for reading. Opening reads the header only; a tensor's bytes are paged in when it is read.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    map: MappedFile,
    header_bytes: usize,
    metadata: Metadata,
}

impl TensorFile {
    /// Opens `path` and checks that its header and its length agree.
    ///
    /// Errors: `Io` when it cannot be opened; `File` when it is no safetensors file; `Tensor` naming the first key
    /// whose values are truncated or whose place in the file cannot be right.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let map = MappedFile::open(path)?;
        let (header_bytes, metadata) =
            SafeTensors::read_metadata(map.bytes()).map_err(|error| broken_file(path, map.bytes(), &error))?;
        // The header is preceded by its own length, eight bytes.
        Ok(Self { path: path.to_owned(), map, header_bytes: header_bytes + 8, metadata })
    }

    /// The file's path.
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
        self.read_as(key, shape, DType::F32)
    }

    /// Reads a tensor of f32, f16 or bf16 as data of one of these types. Values of two bytes that need no conversion
    /// are not copied: the data are the mapped file's own pages, which are read on first use. All others are copied,
    /// and the pages they were read from released at once.
    ///
    /// Errors: as [`Self::read`].
    pub fn read_as(&self, key: &str, shape: &[usize], dtype: DType) -> Result<TensorData, Error> {
        let stored = self.check(key, shape)?;
        let info = self.info(key)?;
        let range = self.range(info);
        // The values of a foreign file may begin at an odd byte, where they cannot be used as numbers.
        let is_aligned = range.bytes().as_ptr().addr().is_multiple_of(stored.size());
        let keeps_pages = stored == dtype && is_half(dtype);
        let bytes = if is_aligned && (keeps_pages || stored != dtype) {
            Bytes::from_shared(bytes::Bytes::from_owner(range.clone()), AllocationProperty::File)
        } else {
            Bytes::from_bytes_vec(range.bytes().to_vec())
        };
        let data = TensorData::from_bytes(bytes, info.shape.clone(), stored).convert_dtype(dtype);
        if !keeps_pages {
            range.release();
        }
        Ok(data)
    }

    /// Checks that [`Self::read`] can read a tensor; returns its stored type.
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

    /// Whether a tensor holds the same values as one of another file, or of the same.
    ///
    /// Errors: as [`Self::read`].
    pub(crate) fn has_values_of(&self, key: &str, other: &Self, other_key: &str) -> Result<bool, Error> {
        let (info, other_info) = (self.info(key)?, other.info(other_key)?);
        if info.dtype != other_info.dtype {
            let shape = &info.shape;
            return Ok(self.read(key, shape)? == other.read(other_key, shape)?);
        }
        let ranges = [self.range(info), other.range(other_info)];
        let is_same = ranges[0].bytes() == ranges[1].bytes();
        ranges.iter().for_each(MappedRange::release);
        Ok(is_same)
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

    /// The file's own notes, such as `format`.
    pub(crate) fn notes(&self) -> BTreeMap<String, String> {
        self.metadata.metadata().iter().flatten().map(|(name, note)| (name.clone(), note.clone())).collect()
    }

    fn info(&self, key: &str) -> Result<&TensorInfo, Error> {
        self.metadata.info(key).ok_or_else(|| self.tensor_error(key, "missing".to_owned()))
    }

    fn range(&self, info: &TensorInfo) -> MappedRange {
        let (start, end) = info.data_offsets;
        self.map.range(self.header_bytes + start..self.header_bytes + end)
    }

    pub(crate) fn tensor_error(&self, key: &str, problem: String) -> Error {
        Error::Tensor { path: self.path.clone(), key: key.to_owned(), problem }
    }
}

/// Whether numbers of this type take two bytes: f16 or bf16.
pub(crate) fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}
