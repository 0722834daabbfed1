//! A model's weights: read from a Hugging Face folder or drawn at random, one key at a time; written back under the
//! same keys.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use crate::error::Error;
use crate::parameter::Parameter;
use crate::tensor_file::TensorFile;

/// The file of an unsharded checkpoint.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The list of shards of a sharded one.
pub const INDEX_FILE: &str = "model.safetensors.index.json";

/// How a checkpoint names its parts. In code, keys are always written the `Published` way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// `visual.…`, `model.layers.…`: the published checkpoints.
    Published,
    /// `model.visual.…`, `model.language_model.layers.…`: modules as transformers has nested them since 4.52.
    Nested,
}

impl Naming {
    /// A `Published` key under this naming.
    pub fn key(self, published: &str) -> String {
        match (self, published.split_once('.')) {
            (Self::Nested, Some(("visual", rest))) => format!("model.visual.{rest}"),
            (Self::Nested, Some(("model", rest))) => format!("model.language_model.{rest}"),
            _ => published.to_owned(),
        }
    }

    /// The `Published` key of one under this naming.
    pub fn published(self, key: &str) -> String {
        let nested = key.strip_prefix("model.").filter(|_| self == Self::Nested);
        match nested.and_then(|rest| rest.split_once('.')) {
            Some(("visual", rest)) => format!("visual.{rest}"),
            Some(("language_model", rest)) => format!("model.{rest}"),
            _ => key.to_owned(),
        }
    }

    fn of<'a>(mut keys: impl Iterator<Item = &'a String>) -> Self {
        let nested = keys.any(|key| key.starts_with("model.visual.") || key.starts_with("model.language_model."));
        if nested { Self::Nested } else { Self::Published }
    }
}

/// Hands out weights by key, and knows in the end whether any was left over.
#[derive(Debug)]
pub struct WeightReader {
    source: Source,
    naming: Naming,
    taken: BTreeSet<String>,
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
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let files = open_files(folder)?;
        let keys = files
            .iter()
            .enumerate()
            .flat_map(|(index, file)| file.keys().into_iter().map(move |k| (k, index)));
        let file_of_key: BTreeMap<_, _> = keys.collect();
        let naming = Naming::of(file_of_key.keys());
        let source = Source::Folder {
            folder: folder.to_owned(),
            files,
            file_of_key,
        };
        Ok(Self {
            source,
            naming,
            taken: BTreeSet::new(),
        })
    }

    /// A source of random weights for a model trained from nothing: matrices normal with standard deviation
    /// `deviation`, biases 0, norms 1. What a key gets depends on it and the seed alone, not on what was read before.
    pub fn random(seed: u64, deviation: f64) -> Self {
        Self {
            source: Source::Random { seed, deviation },
            naming: Naming::Published,
            taken: BTreeSet::new(),
        }
    }

    /// How the checkpoint names its parts.
    pub fn naming(&self) -> Naming {
        self.naming
    }

    /// Whether the source has a weight of this `Published` key; a random one has every key.
    pub fn contains(&self, key: &str) -> bool {
        match &self.source {
            Source::Folder { file_of_key, .. } => file_of_key.contains_key(&self.naming.key(key)),
            Source::Random { .. } => true,
        }
    }

    /// Takes the weight of a `Published` key as a tensor of `shape`.
    ///
    /// Errors: `Tensor` when the key is missing, or its shape or type is another.
    pub fn take<const D: usize>(&mut self, key: &str, shape: [usize; D], device: &Device) -> Result<Tensor<D>, Error> {
        Ok(Tensor::from_data(self.take_data(key, &shape)?, device))
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
        Ok(Parameter::new(&self.naming.key(key), value))
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
        let (bytes, _, dtype) = self.take_data(key, file_shape)?.into_parts();
        let value = Tensor::from_data(TensorData::from_bytes(bytes, shape, dtype), device);
        Ok(Parameter::reshaped(&self.naming.key(key), file_shape, value))
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

    fn take_data(&mut self, key: &str, shape: &[usize]) -> Result<TensorData, Error> {
        let name = self.naming.key(key);
        let data = match &self.source {
            Source::Random { seed, deviation } => random_weight(*seed, *deviation, &name, shape),
            Source::Folder {
                folder,
                files,
                file_of_key,
            } => match file_of_key.get(&name) {
                Some(file) => files[*file].read(&name, shape)?,
                None => return Err(missing_key(folder, files, &name, shape)),
            },
        };
        self.taken.insert(name);
        Ok(data)
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

fn open_files(folder: &Path) -> Result<Vec<TensorFile>, Error> {
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

/// A stream of random numbers that belongs to one seed and one name (FNV-1a over its bytes).
pub(crate) fn generator_for(seed: u64, name: &str) -> ChaCha8Rng {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ChaCha8Rng::seed_from_u64(seed ^ hash)
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
