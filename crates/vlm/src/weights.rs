//! A model's weights: read from a Hugging Face folder or randomly initialized, one key at a time; written back under
//! the same keys.

mod dtype;
pub(crate) mod files;
mod foreign;

use std::collections::BTreeSet;
use std::path::Path;

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::Error;
use crate::parameter::{Parameter, ParameterGroup};
pub use dtype::WeightType;
use files::{FileLayout, WeightFiles};
pub use files::{INDEX_FILE, WEIGHTS_FILE, shard_names};

/// A module that transformers has moved: its prefix in published checkpoints, and in newer ones.
pub type Moved = (&'static str, &'static str);

/// The prefixes of a family's keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FamilyKeys {
    /// Modules that newer checkpoints name otherwise.
    pub moved: &'static [Moved],
    /// That of the projector; it may extend the vision tower's.
    pub projector: &'static str,
    /// That of the vision tower.
    pub vision: &'static str,
}

impl FamilyKeys {
    /// The group that the parameter of a published key is trained with.
    fn group(self, key: &str) -> ParameterGroup {
        if key.starts_with(self.projector) {
            ParameterGroup::Projector
        } else if key.starts_with(self.vision) {
            ParameterGroup::Vision
        } else {
            ParameterGroup::Language
        }
    }
}

/// How a checkpoint names its parts: as published, or as transformers has nested modules since 4.52. In code, keys are
/// always the published ones.
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

    /// The name of a module or parameter under the newer naming.
    pub(crate) fn nested_name(self, name: &str) -> String {
        self.nested().key(&self.published(name))
    }

    /// The newer naming of the same modules.
    #[must_use]
    pub fn nested(self) -> Self {
        Self { is_nested: true, ..self }
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
    moved.find_map(|(from, to)| Some(format!("{to}{}", key.strip_prefix(from)?))).unwrap_or_else(|| key.to_owned())
}

/// Gives out weights by key, and knows in the end whether any was left over.
#[derive(Debug)]
pub struct WeightReader {
    source: WeightSource,
    naming: Naming,
    keys: FamilyKeys,
    weight_type: WeightType,
    device: Device,
    taken: BTreeSet<String>,
    tied: Vec<(String, String)>,
    is_dry: bool,
}

#[derive(Debug)]
enum WeightSource {
    Folder(WeightFiles),
    Random { seed: u64, deviation: f64 },
}

impl WeightReader {
    /// Opens a folder's weights, to be held as `weight_type` says.
    ///
    /// Errors: as [`WeightFiles::open`].
    pub(crate) fn open(
        folder: &Path,
        keys: FamilyKeys,
        weight_type: WeightType,
        device: &Device,
    ) -> Result<Self, Error> {
        let files = WeightFiles::open(folder)?;
        let naming = Naming::of(keys.moved, files.keys());
        let source = WeightSource::Folder(files);
        Ok(Self::new(source, naming, keys, weight_type, device))
    }

    /// A source of random weights for a model trained from nothing: matrices normal with standard deviation
    /// `deviation`, biases 0, norms 1, all f32. What a key gets depends on it and the seed alone, not on what was read
    /// before.
    pub(crate) fn random(seed: u64, deviation: f64, keys: FamilyKeys, device: &Device) -> Self {
        let naming = Naming { moved: keys.moved, is_nested: false };
        let source = WeightSource::Random { seed, deviation };
        Self::new(source, naming, keys, WeightType::Auto, device)
    }

    fn new(source: WeightSource, naming: Naming, keys: FamilyKeys, weight_type: WeightType, device: &Device) -> Self {
        Self {
            source,
            naming,
            keys,
            weight_type,
            device: device.clone(),
            taken: BTreeSet::new(),
            tied: Vec::new(),
            is_dry: false,
        }
    }

    /// The same, but only keys, shapes and types are looked at: every weight is zero and takes no memory.
    #[must_use]
    pub(crate) fn dry(self) -> Self {
        Self { is_dry: true, ..self }
    }

    /// How the checkpoint names its parts.
    pub fn naming(&self) -> Naming {
        self.naming
    }

    /// Whether the source has a weight of this published key; a random one has every key.
    pub fn contains(&self, key: &str) -> bool {
        match &self.source {
            WeightSource::Folder(files) => files.file(&self.naming.key(key)).is_some(),
            WeightSource::Random { .. } => true,
        }
    }

    /// Takes the weight of a published key as a [`Parameter`] of `shape`, named as in the checkpoint. Matrices are held
    /// in the type that the reader's [`WeightType`] says, anything else in f32 with that type's values.
    ///
    /// Errors: `Tensor` when the key is missing, or its shape or type is another.
    pub fn parameter<const D: usize>(&mut self, key: &str, shape: [usize; D]) -> Result<Parameter<D>, Error> {
        self.reshaped_parameter(key, &shape, shape)
    }

    /// A [`Parameter`] computed with as `shape` that the checkpoint stores as `file_shape`, of the same length and
    /// order: a convolution kernel used as a matrix.
    ///
    /// Errors: as [`Self::parameter`].
    pub fn reshaped_parameter<const D: usize>(
        &mut self,
        key: &str,
        file_shape: &[usize],
        shape: [usize; D],
    ) -> Result<Parameter<D>, Error> {
        let name = self.naming.key(key);
        let value = self.take(&name, file_shape, shape)?;
        self.taken.insert(name.clone());
        Ok(Parameter::reshaped(&name, self.keys.group(key), file_shape, value))
    }

    /// Counts the key of a tied head as read, if the checkpoint stores it all the same: the model computes with the
    /// weight of `of` in its place, of `shape`, and saves that under both keys.
    ///
    /// Errors: `Tensor` when what is stored has another shape or type, or other values: transformers 4 computes with
    /// those of `of` then, and transformers 5 with each for itself.
    pub fn tie(&mut self, key: &str, of: &str, shape: [usize; 2]) -> Result<(), Error> {
        let (key, of) = (self.naming.key(key), self.naming.key(of));
        if let WeightSource::Folder(files) = &self.source
            && let Some(file) = files.file(&key)
        {
            file.check(&key, &shape)?;
            if let Some(of_file) = files.file(&of)
                && !file.has_values_of(&key, of_file, &of)?
            {
                let problem = format!(
                    "other values than `{of}`, though config.json ties them: set `tie_word_embeddings` to false there, or \
                     remove this tensor"
                );
                return Err(file.tensor_error(&key, problem));
            }
            self.taken.insert(key.clone());
            self.tied.push((key, of));
        }
        Ok(())
    }

    /// Ends the reading; returns the layout of the files, to save the model as it was found.
    ///
    /// Errors: `Tensor` naming a key of the checkpoint that was not taken: it is not the model of its config.
    pub(crate) fn finish(self) -> Result<FileLayout, Error> {
        let WeightSource::Folder(files) = &self.source else {
            return Ok(FileLayout::default());
        };
        let mut left_over = files.keys().filter(|key| !self.taken.contains(*key));
        if let Some((key, file)) = left_over.next().and_then(|key| Some((key, files.file(key)?))) {
            let more = left_over.count();
            let problem = format!("unexpected: the config describes no such tensor ({more} more)");
            return Err(file.tensor_error(key, problem));
        }
        Ok(files.layout(self.tied))
    }

    // The values, and the type that they have in files.
    fn take<const D: usize>(
        &self,
        name: &str,
        file_shape: &[usize],
        shape: [usize; D],
    ) -> Result<(Tensor<D>, DType), Error> {
        let device = &self.device;
        let dtype = match &self.source {
            WeightSource::Random { .. } => DType::F32,
            WeightSource::Folder(files) => {
                let file = files.file(name).ok_or_else(|| files.missing(name, file_shape))?;
                let dtype = self.weight_type.of(file.check(name, file_shape)?);
                // Some GPUs have no bf16.
                if device.supports_dtype(dtype) { dtype } else { DType::F32 }
            }
        };
        if self.is_dry {
            return Ok((Tensor::<1>::zeros([1], device).reshape([1; D]).expand(shape), dtype));
        }
        let data = match &self.source {
            WeightSource::Random { seed, deviation } => random_weight(*seed, *deviation, name, file_shape),
            WeightSource::Folder(files) => {
                let file = files.file(name).ok_or_else(|| files.missing(name, file_shape))?;
                file.read_as(name, file_shape, dtype)?
            }
        };
        let data = if D == 2 { data } else { data.convert_dtype(DType::F32) };
        let (bytes, _, held) = data.into_parts();
        let data = TensorData::from_bytes(bytes, shape, held);
        Ok((Tensor::from_data(data, (device, held)), dtype))
    }
}

// As transformers initializes this model, but each tensor from its own stream.
fn random_weight(seed: u64, deviation: f64, name: &str, shape: &[usize]) -> TensorData {
    let count = shape.iter().product();
    let values = if name.ends_with(".bias") {
        vec![0.0; count]
    } else if shape.len() == 1 {
        vec![1.0; count]
    } else {
        let mut generator = generator_for(seed, name);
        (0..count).map(|_| (deviation * standard_normal(&mut generator)) as f32).collect()
    };
    TensorData::new(values, shape.to_vec())
}

/// A stream of random numbers that belongs to one seed and one name.
pub(crate) fn generator_for(seed: u64, name: &str) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed ^ hash_of_name(name))
}

/// FNV-1a over the name's bytes.
pub(crate) fn hash_of_name(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
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
