//! The parity fixtures: models, adapters, and what the original Python code computes for them.

pub mod forward;
pub mod settings_files;

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors};
use vlm::batch::TokenSequence;
use vlm::device::{DEVICES, open_device};
use vlm::tensor_file::TensorFile;

/// The fixtures to compare with: one of each family, of Qwen2.5-VL with an untied and a tied head; or the one that
/// `SCRUPLE_PARITY_DIR` names.
pub fn fixtures() -> Vec<Fixture> {
    fixture_folders().into_iter().map(Fixture::open).collect()
}

/// Where the tests compute: the processor, or the device that `SCRUPLE_TEST_DEVICE` names, compiled in by its feature.
pub fn device() -> Device {
    let name = std::env::var("SCRUPLE_TEST_DEVICE").unwrap_or_else(|_| "flex".to_owned());
    open_device(&name).unwrap_or_else(|| panic!("this build has no device `{name}`, only {DEVICES:?}"))
}

/// The folders of [`fixtures`].
pub fn fixture_folders() -> Vec<PathBuf> {
    match std::env::var_os("SCRUPLE_PARITY_DIR") {
        Some(folder) => vec![folder.into()],
        None => ["qwen2_vl", "qwen2_5_vl", "qwen2_5_vl_tied", "internvl2_5", "internvl", "internvl_6b"]
            .map(committed_folder)
            .to_vec(),
    }
}

/// A fixture of this repository.
pub fn committed_folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity").join(name)
}

/// Side of a patch of a tile, in pixels.
const TILE_PATCH: usize = 14;

/// One fixture folder with its expected tensors.
pub struct Fixture {
    pub folder: PathBuf,
    expected: TensorFile,
}

/// One of its cases.
pub struct Case {
    pub id: String,
    pub ids: Vec<u32>,
    pub grids: Vec<[usize; 3]>,
    pub labels_mask: Vec<bool>,
    pub labels_mask_all: Vec<bool>,
}

impl Fixture {
    pub fn open(folder: PathBuf) -> Self {
        let expected = TensorFile::open(&folder.join("expected.safetensors")).unwrap();
        Self { folder, expected }
    }

    /// The repository's own with an untied head.
    pub fn committed() -> Self {
        Self::open(committed_folder("qwen2_5_vl"))
    }

    pub fn model_folder(&self) -> PathBuf {
        self.folder.join("model")
    }

    pub fn adapter_folder(&self) -> PathBuf {
        self.folder.join("adapter")
    }

    /// Keys that begin with `prefix`, without it.
    pub fn keys_under(&self, prefix: &str) -> Vec<String> {
        let keys = self.expected.keys();
        keys.iter().filter_map(|key| key.strip_prefix(prefix)).map(str::to_owned).collect()
    }

    pub fn floats(&self, key: &str) -> Vec<f32> {
        let shape = self.expected.shape(key).unwrap_or_else(|| panic!("fixture has no `{key}`")).to_vec();
        self.expected.read(key, &shape).unwrap().iter::<f32>().collect()
    }

    pub fn has(&self, key: &str) -> bool {
        self.expected.shape(key).is_some()
    }

    pub fn float(&self, key: &str) -> f64 {
        f64::from(self.floats(key)[0])
    }

    pub fn integers(&self, key: &str) -> Vec<i64> {
        let bytes = std::fs::read(self.expected.path()).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = file.tensor(key).unwrap();
        assert_eq!(tensor.dtype(), Dtype::I64, "{key}");
        tensor.data().as_chunks::<8>().0.iter().map(|word| i64::from_le_bytes(*word)).collect()
    }

    pub fn cases(&self) -> Vec<Case> {
        let listed = std::fs::read_to_string(self.folder.join("cases.jsonl")).unwrap();
        let n_cases = listed.lines().count();
        assert!(n_cases >= 6, "the fixture lists {n_cases} cases");
        (1..=n_cases).map(|index| self.case(&format!("case{index}"))).collect()
    }

    pub fn case(&self, id: &str) -> Case {
        let [ids, reply, all_turns] =
            ["input_ids", "labels_mask", "labels_mask_all"].map(|name| self.integers(&format!("{id}.{name}")));
        Case {
            id: id.to_owned(),
            ids: ids.iter().map(|id| *id as u32).collect(),
            grids: self.grids(id),
            labels_mask: reply.iter().map(|bit| *bit == 1).collect(),
            labels_mask_all: all_turns.iter().map(|bit| *bit == 1).collect(),
        }
    }

    /// The grids of a case's images; of tiles, their number and the patches in one.
    fn grids(&self, id: &str) -> Vec<[usize; 3]> {
        let key = format!("{id}.image_grid_thw");
        if self.has(&key) {
            let grids = self.integers(&key);
            let (grids, _) = grids.as_chunks::<3>();
            return grids.iter().map(|grid| grid.map(|side| side as usize)).collect();
        }
        let Some(pixels) = self.expected.shape(&format!("{id}.pixel_values")) else {
            return Vec::new();
        };
        let side = pixels[2] / TILE_PATCH;
        let tiles = self.integers(&format!("{id}.num_patches"));
        tiles.into_iter().map(|tiles| [tiles as usize, side, side]).collect()
    }

    /// The patches of a case's images, `[p, values]`; none where it has no images. Tiles are cut into theirs.
    pub fn pixel_values(&self, case: &Case, device: &Device) -> Option<Tensor<2>> {
        let key = format!("{}.pixel_values", case.id);
        let shape = self.expected.shape(&key)?.to_vec();
        let values = TensorData::new(self.floats(&key), shape.clone());
        let [tiles, channels, side, _] = shape[..] else {
            return Some(Tensor::from_data(values, device));
        };
        let n = side / TILE_PATCH;
        let pixels = Tensor::<4>::from_data(values, device).reshape([tiles, channels, n, TILE_PATCH, n, TILE_PATCH]);
        let patches = pixels.permute([0, 2, 4, 1, 3, 5]);
        Some(patches.reshape([tiles * n * n, channels * TILE_PATCH * TILE_PATCH]))
    }
}

impl Case {
    pub fn sequence(&self) -> TokenSequence<'_> {
        TokenSequence { ids: &self.ids, grids: &self.grids }
    }
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Fails unless all numbers agree within `tolerance`.
#[track_caller]
pub fn assert_close(what: &str, got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{what}: number of values");
    let differences = got.iter().zip(expected).map(|(got, expected)| (got - expected).abs());
    let worst = differences.fold(0.0, |worst: f32, difference| if difference <= worst { worst } else { difference });
    assert!(worst <= tolerance, "{what}: off by {worst:e}, allowed {tolerance:e}");
}

/// Fails unless two numbers agree within `tolerance` of the expected one.
#[track_caller]
pub fn assert_relative(what: &str, got: f64, expected: f64, tolerance: f64) {
    let off = (got - expected).abs() / expected.abs();
    assert!(off <= tolerance, "{what}: got {got}, expected {expected}, off by {off:e} of it, allowed {tolerance:e}");
}
