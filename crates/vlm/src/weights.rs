//! A model's weights: read from a Hugging Face folder or drawn at random, one key at a time; written back under the
//! same keys.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use crate::error::Error;
use crate::families::Family;
use crate::parameter::Parameter;
use crate::tensor_file::TensorFile;

/// The file of an unsharded checkpoint.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The list of shards of a sharded one.
pub const INDEX_FILE: &str = "model.safetensors.index.json";

/// A module that transformers has moved: where published checkpoints have it, and where newer ones do.
pub type Moved = (&'static str, &'static str);

/// How a checkpoint names its parts: as published, or as transformers has nested modules since 4.52. In code, keys are
/// always written the published way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Naming {
    moved: &'static [Moved],
    is_nested: bool,
}

impl Naming {
    /// A published key under this naming.
    pub fn key(self, published: &str) -> String {
        let moved = self.moved.iter().filter(|_| self.is_nested);
        renamed(published, moved.copied())
    }

    /// The published key of one under this naming.
    pub fn published(self, key: &str) -> String {
        let moved = self.moved.iter().filter(|_| self.is_nested);
        renamed(key, moved.map(|(published, nested)| (*nested, *published)))
    }

    /// The newer naming of the same modules.
    #[must_use]
    pub fn nested(self) -> Self {
        Self {
            is_nested: true,
            ..self
        }
    }

    /// The naming that a checkpoint or adapter with these keys follows.
    pub(crate) fn of<'a>(moved: &'static [Moved], mut keys: impl Iterator<Item = &'a str>) -> Self {
        let is_nested = keys.any(|key| moved.iter().any(|(_, nested)| key.starts_with(nested)));
        Self { moved, is_nested }
    }

    /// The naming that one key of the same family follows.
    pub(crate) fn of_key(self, key: &str) -> Self {
        Self::of(self.moved, std::iter::once(key))
    }
}

fn renamed(key: &str, mut moved: impl Iterator<Item = (&'static str, &'static str)>) -> String {
    moved
        .find_map(|(from, to)| Some(format!("{to}{}", key.strip_prefix(from)?)))
        .unwrap_or_else(|| key.to_owned())
}

/// Hands out weights by key, and knows in the end whether any was left over.
#[derive(Debug)]
pub struct WeightReader {
    source: Source,
    naming: Naming,
    family: &'static dyn Family,
    taken: BTreeSet<String>,
    is_dry: bool,
}

#[derive(Debug)]
enum Source {
    Folder {
        folder: PathBuf,
        files: Vec<TensorFile>,
        file_of_key: BTreeMap<String, usize>,
    },
    Random {
        seed: u64,
        deviation: f64,
    },
}

impl WeightReader {
    /// Opens a folder with `model.safetensors`, or with shards listed in `model.safetensors.index.json`.
    ///
    /// Errors: `Io` for a file that cannot be opened, `File` for one that is truncated or no safetensors file, or for
    /// a shard that lacks a key the index promises.
    pub(crate) fn open(folder: &Path, family: &'static dyn Family) -> Result<Self, Error> {
        let files = weight_files(folder)?;
        let keys = files
            .iter()
            .enumerate()
            .flat_map(|(index, file)| file.keys().into_iter().map(move |k| (k, index)));
        let file_of_key: BTreeMap<_, _> = keys.collect();
        let naming = Naming::of(family.moved(), file_of_key.keys().map(String::as_str));
        let source = Source::Folder {
            folder: folder.to_owned(),
            files,
            file_of_key,
        };
        Ok(Self {
            source,
            naming,
            family,
            taken: BTreeSet::new(),
            is_dry: false,
        })
    }

    /// A source of random weights for a model trained from nothing: matrices normal with standard deviation
    /// `deviation`, biases 0, norms 1. What a key gets depends on it and the seed alone, not on what was read before.
    pub(crate) fn random(seed: u64, deviation: f64, family: &'static dyn Family) -> Self {
        Self {
            source: Source::Random { seed, deviation },
            naming: Naming {
                moved: family.moved(),
                is_nested: false,
            },
            family,
            taken: BTreeSet::new(),
            is_dry: false,
        }
    }

    /// A source of shapes alone: every weight is zero and takes no memory.
    pub(crate) fn shapes(family: &'static dyn Family) -> Self {
        Self {
            is_dry: true,
            ..Self::random(0, 0.0, family)
        }
    }

    /// How the checkpoint names its parts.
    pub fn naming(&self) -> Naming {
        self.naming
    }

    /// Whether the source has a weight of this published key; a random one has every key.
    pub fn contains(&self, key: &str) -> bool {
        match &self.source {
            Source::Folder { file_of_key, .. } => file_of_key.contains_key(&self.naming.key(key)),
            Source::Random { .. } => true,
        }
    }

    /// The same, but only keys, shapes and types are looked at: every weight is zero and takes no memory.
    pub(crate) fn check(folder: &Path, family: &'static dyn Family) -> Result<Self, Error> {
        let mut reader = Self::open(folder, family)?;
        reader.is_dry = true;
        Ok(reader)
    }

    /// Takes the weight of a published key as a tensor of `shape`.
    ///
    /// Errors: `Tensor` when the key is missing, or its shape or type is another.
    pub fn take<const D: usize>(&mut self, key: &str, shape: [usize; D], device: &Device) -> Result<Tensor<D>, Error> {
        self.take_as(key, &shape, shape, device)
    }

    /// The same as a [`Parameter`], named as in the checkpoint.
    ///
    /// Errors: as [`Self::take`].
    pub fn parameter<const D: usize>(
        &mut self,
        key: &str,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Parameter<D>, Error> {
        let value = self.take(key, shape, device)?;
        Ok(Parameter::new(&self.naming.key(key), self.family.group(key), value))
    }

    /// A [`Parameter`] computed with as `shape` that the checkpoint stores as `file_shape`, of the same length and
    /// order: a convolution kernel used as a matrix.
    ///
    /// Errors: as [`Self::take`].
    pub fn reshaped_parameter<const D: usize>(
        &mut self,
        key: &str,
        file_shape: &[usize],
        shape: [usize; D],
        device: &Device,
    ) -> Result<Parameter<D>, Error> {
        let value = self.take_as(key, file_shape, shape, device)?;
        Ok(Parameter::reshaped(
            &self.naming.key(key),
            self.family.group(key),
            file_shape,
            value,
        ))
    }

    /// Counts a key as read that the model does not need: a tied head that was stored all the same.
    pub fn skip(&mut self, key: &str) {
        self.taken.insert(self.naming.key(key));
    }

    /// Ends the reading.
    ///
    /// Errors: `Tensor` naming a key of the checkpoint that nobody asked for: it is not the model its config says.
    pub fn finish(self) -> Result<(), Error> {
        let Source::Folder { files, file_of_key, .. } = &self.source else {
            return Ok(());
        };
        let mut left_over = file_of_key.iter().filter(|(key, _)| !self.taken.contains(*key));
        let Some((key, file)) = left_over.next() else {
            return Ok(());
        };
        let more = left_over.count();
        Err(files[*file].tensor_error(
            key,
            format!("unexpected: the config describes no such tensor ({more} more)"),
        ))
    }

    fn take_as<const D: usize>(
        &mut self,
        key: &str,
        file_shape: &[usize],
        shape: [usize; D],
        device: &Device,
    ) -> Result<Tensor<D>, Error> {
        let name = self.naming.key(key);
        let data = match &self.source {
            Source::Random { .. } if self.is_dry => {
                self.taken.insert(name);
                return Ok(Tensor::<1>::zeros([1], device).reshape([1; D]).expand(shape));
            }
            Source::Random { seed, deviation } => random_weight(*seed, *deviation, &name, file_shape),
            Source::Folder {
                folder,
                files,
                file_of_key,
            } => {
                let file = file_of_key.get(&name).map(|file| &files[*file]);
                let file = file.ok_or_else(|| missing_key(folder, files, &name, file_shape))?;
                if self.is_dry {
                    file.check(&name, file_shape)?;
                    self.taken.insert(name);
                    return Ok(Tensor::<1>::zeros([1], device).reshape([1; D]).expand(shape));
                }
                file.read(&name, file_shape)?
            }
        };
        self.taken.insert(name);
        let (bytes, _, dtype) = data.into_parts();
        Ok(Tensor::from_data(TensorData::from_bytes(bytes, shape, dtype), device))
    }
}

fn missing_key(folder: &Path, files: &[TensorFile], key: &str, shape: &[usize]) -> Error {
    let path = match files {
        [only] => only.path().to_owned(),
        _ => folder.join(INDEX_FILE),
    };
    Error::Tensor {
        path,
        key: key.to_owned(),
        problem: format!("missing: expected a tensor of shape {shape:?}"),
    }
}

#[derive(Deserialize)]
struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

/// The files that hold a folder's weights.
///
/// Errors: as [`WeightReader::open`].
pub(crate) fn weight_files(folder: &Path) -> Result<Vec<TensorFile>, Error> {
    let index_path = folder.join(INDEX_FILE);
    if !index_path.exists() {
        return Ok(vec![TensorFile::open(&folder.join(WEIGHTS_FILE))?]);
    }
    let text = fs_err::read_to_string(&index_path)?;
    let index: ShardIndex = serde_json::from_str(&text).map_err(|error| Error::File {
        path: index_path,
        problem: format!("not a shard index: {error}"),
    })?;
    let shards: BTreeSet<&String> = index.weight_map.values().collect();
    let files: BTreeMap<&String, TensorFile> = shards
        .into_iter()
        .map(|shard| Ok((shard, TensorFile::open(&folder.join(shard))?)))
        .collect::<Result<_, Error>>()?;
    for (key, shard) in &index.weight_map {
        if files[shard].shape(key).is_none() {
            return Err(files[shard].tensor_error(key, format!("missing, though {INDEX_FILE} places it here")));
        }
    }
    Ok(files.into_values().collect())
}

// As transformers initialises this model, but each tensor from its own stream.
fn random_weight(seed: u64, deviation: f64, name: &str, shape: &[usize]) -> TensorData {
    let count = shape.iter().product();
    let values = if name.ends_with(".bias") {
        vec![0.0; count]
    } else if shape.len() == 1 {
        vec![1.0; count]
    } else {
        let mut generator = generator_for(seed, name);
        (0..count)
            .map(|_| (deviation * standard_normal(&mut generator)) as f32)
            .collect()
    };
    TensorData::new(values, shape.to_vec())
}

/// A stream of random numbers that belongs to one seed and one name.
pub(crate) fn generator_for(seed: u64, name: &str) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed ^ hash_of_name(name))
}

/// FNV-1a over the name's bytes.
pub(crate) fn hash_of_name(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Uniform in `[0, 1)`, with 53 random bits.
pub(crate) fn uniform(generator: &mut ChaCha8Rng) -> f64 {
    (generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

// Box and Muller's method; the second value of each pair is not used.
fn standard_normal(generator: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - uniform(generator)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(generator)).cos()
}
