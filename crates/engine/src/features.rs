//! Picture features of a frozen vision tower: computed once for each file, kept while there is room, and on disk where
//! so asked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use align::engine::EngineError;
use burn::tensor::{Device, Tensor, TensorData};
use vlm::model::Vlm;
use vlm::processor::Processor;

use crate::engine_error;
use crate::feature_store::FeatureStore;
use crate::schedule::in_order;

/// How far pictures have gone through the model: as far as its weights stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Through the vision tower.
    Seen,
    /// Through the projector as well: what stands for the picture among the tokens.
    Projected,
}

/// Features by file. When full, what is asked for next is computed anew each time, or read from disk.
#[derive(Debug)]
pub struct FeatureCache {
    stage: Stage,
    rows: HashMap<PathBuf, Tensor<2>>,
    bytes: usize,
    store: Option<FeatureStore>,
}

impl FeatureCache {
    /// An empty cache of features of one stage.
    pub fn new(stage: Stage) -> Self {
        Self {
            stage,
            rows: HashMap::new(),
            bytes: 0,
            store: None,
        }
    }

    /// How far the features have gone.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Forgets everything, as after the vision tower has changed.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.bytes = 0;
    }

    /// Keeps features in a folder too, beyond this run. Only for a vision tower and projector that stay as they are.
    pub fn keep_in(&mut self, store: FeatureStore) {
        self.store = Some(store);
    }

    /// The features of all these files, `[m, d]` each. Files not yet known are computed on all threads, each alone:
    /// sums may be taken in another order in company, and a resumed run, which begins with nothing known, must end in
    /// the same bits.
    ///
    /// Errors: `Data` naming a picture that cannot be read.
    pub fn features(
        &mut self,
        model: &Vlm,
        processor: &Processor,
        pools: &[rayon::ThreadPool],
        files: &[&Path],
        byte_limit: usize,
    ) -> Result<HashMap<PathBuf, Tensor<2>>, EngineError> {
        let mut wanted: Vec<&Path> = files.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let (known, unknown): (Vec<&Path>, Vec<&Path>) =
            wanted.into_iter().partition(|path| self.rows.contains_key(*path));
        let mut found: HashMap<PathBuf, Tensor<2>> = known
            .into_iter()
            .map(|path| (path.to_owned(), self.rows[path].clone()))
            .collect();
        let (store, stage) = (self.store.as_ref(), self.stage);
        let compute = |file: &&Path| match store {
            Some(store) => stored_or_encoded(store, model, processor, file, stage),
            None => encode(model, processor, &[*file], stage),
        };
        in_order(pools, &unknown, compute, |rows| {
            for (path, features) in rows {
                let size = features.dims().iter().product::<usize>() * size_of::<f32>();
                if self.bytes + size <= byte_limit {
                    self.bytes += size;
                    self.rows.insert(path.clone(), features.clone());
                }
                found.insert(path, features);
            }
        })?;
        Ok(found)
    }
}

fn stored_or_encoded(
    store: &FeatureStore,
    model: &Vlm,
    processor: &Processor,
    file: &Path,
    stage: Stage,
) -> Result<Vec<(PathBuf, Tensor<2>)>, EngineError> {
    if let Some(features) = store.read(file, &model.device())? {
        return Ok(vec![(file.to_owned(), features)]);
    }
    let encoded = encode(model, processor, &[file], stage)?;
    for (file, features) in &encoded {
        store.write(file, features)?;
    }
    Ok(encoded)
}

/// Runs pictures through the model up to a stage; one tensor of rows for each.
pub fn encode(
    model: &Vlm,
    processor: &Processor,
    files: &[&Path],
    stage: Stage,
) -> Result<Vec<(PathBuf, Tensor<2>)>, EngineError> {
    let patches = processor.images(files).map_err(engine_error)?;
    let mut values = Vec::new();
    patches
        .iter()
        .for_each(|patches| patches.append_pixel_values(&mut values));
    let grids: Vec<[usize; 3]> = patches.iter().map(|patches| patches.grid()).collect();
    let n_patches = patches.iter().map(|patches| patches.n_patches()).sum();
    let row_length = patches.first().map_or(0, |patches| patches.row_length());
    let pixel_values = pixels(values, [n_patches, row_length], &model.device());
    let all = match stage {
        Stage::Seen => model.vision_features(pixel_values, &grids),
        Stage::Projected => model.encode_images(pixel_values, &grids),
    }
    .map_err(engine_error)?;
    let mut start = 0;
    let rows = patches.iter().zip(files).map(|(patches, path)| {
        let n_rows = match stage {
            Stage::Seen => patches.n_patches(),
            Stage::Projected => patches.n_tokens(),
        };
        start += n_rows;
        (path.to_path_buf(), all.clone().narrow(0, start - n_rows, n_rows))
    });
    Ok(rows.collect())
}

fn pixels(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), device)
}
