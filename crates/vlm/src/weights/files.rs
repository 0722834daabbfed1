//! A checkpoint's files: which of them holds which key, to read them and to save a model as it was found.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::foreign::{found_instead, refuse_foreign};
use crate::error::Error;
use crate::stored_file::read_stored;
use crate::tensor_file::{NamedTensor, TensorFile, write_tensors_with_notes};

/// The file of an unsharded checkpoint.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The list of shards of a sharded one.
pub const INDEX_FILE: &str = "model.safetensors.index.json";

#[derive(Deserialize)]
struct ShardIndex {
    #[serde(default)]
    metadata: Map<String, Value>,
    weight_map: BTreeMap<String, String>,
}

/// The opened files of a checkpoint.
#[derive(Debug)]
pub(crate) struct WeightFiles {
    folder: PathBuf,
    files: Vec<TensorFile>,
    file_of_key: BTreeMap<String, usize>,
    // The metadata of the index; none where there is no index.
    index_notes: Option<Map<String, Value>>,
}

impl WeightFiles {
    /// Opens a folder with `model.safetensors`, or with shards listed in `model.safetensors.index.json`.
    ///
    /// Errors: `Io` for an index or an only file that cannot be opened; `File` where there is neither, or for one that
    /// is no index or no safetensors file; `Tensor` for a key whose shard is missing or damaged, that is truncated,
    /// that two shards hold, that is not where the index says, or that is an adapter's or a quantized weight's.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let index = read_index(folder)?;
        if let Some(index) = &index {
            refuse_second_model(folder, index)?;
        }
        let files = match &index {
            Some(index) => open_shards(folder, index)?,
            None => vec![open_only(folder)?],
        };
        let mut file_of_key = BTreeMap::new();
        for (number, file) in files.iter().enumerate() {
            refuse_foreign(file)?;
            for key in file.keys() {
                if let Some(other) = file_of_key.insert(key.clone(), number) {
                    let problem = format!("stored twice: {} holds it too", files[other].path().display());
                    return Err(file.tensor_error(&key, problem));
                }
            }
        }
        Ok(Self { folder: folder.to_owned(), files, file_of_key, index_notes: index.map(|index| index.metadata) })
    }

    /// All files.
    pub fn files(&self) -> &[TensorFile] {
        &self.files
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.file_of_key.keys().map(String::as_str)
    }

    /// The file that holds a key.
    pub fn file(&self, key: &str) -> Option<&TensorFile> {
        self.file_of_key.get(key).map(|file| &self.files[*file])
    }

    /// The error for a key that no file holds.
    pub fn missing(&self, key: &str, shape: &[usize]) -> Error {
        let path = match &self.files[..] {
            [only] => only.path().to_owned(),
            _ => self.folder.join(INDEX_FILE),
        };
        Error::Tensor { path, key: key.to_owned(), problem: format!("missing: expected a tensor of shape {shape:?}") }
    }

    /// The file of every key, with the keys that repeat another.
    pub fn layout(&self, tied: Vec<(String, String)>) -> FileLayout {
        let mut shards = Vec::with_capacity(self.files.len());
        for file in &self.files {
            let name = file.path().file_name().unwrap_or_default();
            shards.push(Shard { name: name.to_string_lossy().into_owned(), notes: file.notes() });
        }
        FileLayout { shards, shard_of_key: self.file_of_key.clone(), index_notes: self.index_notes.clone(), tied }
    }
}

fn read_index(folder: &Path) -> Result<Option<ShardIndex>, Error> {
    let path = folder.join(INDEX_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = read_stored(&path)?;
    let index: ShardIndex = diagnostic::read_json(&bytes)
        .map_err(|problem| Error::file(&path, format!("not a shard index: {}", problem.with_line())))?;
    for shard in index.weight_map.values() {
        // Shards are read, and written when the model is saved: nothing outside the folder may be among them.
        let components: Vec<Component> = Path::new(shard).components().collect();
        if !matches!(components[..], [Component::Normal(_)]) {
            let problem = format!("expected names of files beside it, got `{shard}`");
            return Err(Error::file(&path, problem));
        }
    }
    Ok(Some(index))
}

/// The names of a sharded checkpoint's files; none for an unsharded one.
///
/// Errors: `Io` or `File` when there is an index that cannot be read.
pub fn shard_names(folder: &Path) -> Result<Option<BTreeSet<String>>, Error> {
    Ok(read_index(folder)?.map(|index| index.weight_map.into_values().collect()))
}

/// Fails for a folder with a file of all weights beside shards that do not name it: transformers takes the file, and
/// vLLM the shards.
fn refuse_second_model(folder: &Path, index: &ShardIndex) -> Result<(), Error> {
    let path = folder.join(WEIGHTS_FILE);
    if !path.exists() || index.weight_map.values().any(|name| name == WEIGHTS_FILE) {
        return Ok(());
    }
    let problem = format!("a second set of weights, beside the shards that {INDEX_FILE} lists: remove one of the two");
    Err(Error::file(&path, problem))
}

fn open_only(folder: &Path) -> Result<TensorFile, Error> {
    let path = folder.join(WEIGHTS_FILE);
    if !path.exists() {
        let got = found_instead(folder).unwrap_or_else(|| "got no file".to_owned());
        let problem = format!("expected the weights, here or in shards that {INDEX_FILE} lists, {got}");
        return Err(Error::file(&path, problem));
    }
    TensorFile::open(&path)
}

fn open_shards(folder: &Path, index: &ShardIndex) -> Result<Vec<TensorFile>, Error> {
    let names: BTreeSet<&String> = index.weight_map.values().collect();
    let mut files = BTreeMap::new();
    for name in names {
        // A file that is not there, or whose header cannot be read, names no key; the index knows those lost with it.
        let file = TensorFile::open(&folder.join(name)).map_err(|error| {
            let (path, problem) = match error {
                Error::File { path, problem } => (path, problem),
                Error::Io(error) if error.kind() == ErrorKind::NotFound => {
                    (folder.join(name), format!("{INDEX_FILE} places it in this file, which is missing: download it"))
                }
                Error::Io(error) => {
                    (folder.join(name), format!("{INDEX_FILE} places it in a file that cannot be opened: {error}"))
                }
                error => return error,
            };
            let key = first_key(index, name);
            Error::Tensor { path, key, problem }
        })?;
        files.insert(name, file);
    }
    for (key, shard) in &index.weight_map {
        if files[shard].shape(key).is_none() {
            return Err(files[shard].tensor_error(key, format!("missing, though {INDEX_FILE} places it here")));
        }
    }
    Ok(files.into_values().collect())
}

fn first_key(index: &ShardIndex, shard: &String) -> String {
    let mut keys = index.weight_map.iter().filter(|(_, of)| *of == shard);
    keys.next().map(|(key, _)| key.clone()).unwrap_or_default()
}

/// Which file holds which key of a checkpoint: what saving keeps. That of a new model is one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileLayout {
    shards: Vec<Shard>,
    shard_of_key: BTreeMap<String, usize>,
    index_notes: Option<Map<String, Value>>,
    // Keys that are stored though the model computes with the values of another, each with that other: a tied head.
    tied: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
struct Shard {
    name: String,
    notes: BTreeMap<String, String>,
}

impl FileLayout {
    /// Writes tensors into a folder, each into the file that its key was read from; with an index where there was one.
    ///
    /// Errors: as [`write_tensors_with_notes`].
    pub fn save(&self, mut tensors: Vec<NamedTensor>, folder: &Path) -> Result<(), Error> {
        for (key, of) in &self.tied {
            if let Some(original) = tensors.iter().find(|tensor| tensor.key == *of).cloned() {
                let key = key.clone();
                tensors.push(NamedTensor { key, ..original });
            }
        }
        let Some(index_notes) = &self.index_notes else {
            let notes = self.shards.first().map(|shard| shard.notes.clone()).unwrap_or_default();
            return write_tensors_with_notes(&folder.join(WEIGHTS_FILE), &tensors, notes);
        };
        let mut notes = index_notes.clone();
        let total_size: usize = tensors.iter().map(NamedTensor::size).sum();
        notes.insert("total_size".to_owned(), json!(total_size));
        let mut weight_map = BTreeMap::new();
        for (number, shard) in self.shards.iter().enumerate() {
            // A key that no file held goes into the first.
            let (here, elsewhere): (Vec<_>, Vec<_>) = tensors
                .into_iter()
                .partition(|tensor| self.shard_of_key.get(&tensor.key).copied().unwrap_or(0) == number);
            tensors = elsewhere;
            write_tensors_with_notes(&folder.join(&shard.name), &here, shard.notes.clone())?;
            weight_map.extend(here.into_iter().map(|tensor| (tensor.key, shard.name.clone())));
        }
        let index = json!({ "metadata": notes, "weight_map": weight_map });
        Ok(fs_err::write(folder.join(INDEX_FILE), format!("{index:#}\n"))?)
    }
}
