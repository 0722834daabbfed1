//! Image features of a frozen vision tower: computed once for each file, kept in memory within a limit, and on disk on
//! request.

use std::collections::HashMap;

use align::engine::EngineError;
use burn::tensor::Tensor;
use vlm::image_processor::ImageFile;
use vlm::model::Vlm;
use vlm::processor::Processor;

use crate::feature_store::FeatureStore;
use crate::image_features::{Stage, encode};
use crate::job_queue::run_in_order;

/// Features by file and size. When the cache is full, further features are computed each time, or read from disk.
#[derive(Debug)]
pub struct FeatureCache {
    /// The stage of the features.
    pub stage: Stage,
    rows: HashMap<ImageFile, Tensor<2>>,
    bytes: usize,
    store: Option<FeatureStore>,
}

impl FeatureCache {
    /// An empty cache of features of one stage. A store keeps features beyond this run; it is only for a vision tower
    /// and projector that do not change.
    pub fn new(stage: Stage, store: Option<FeatureStore>) -> Self {
        Self { stage, rows: HashMap::new(), bytes: 0, store }
    }

    /// Empties the cache, as after the vision tower has changed.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.bytes = 0;
    }

    /// The features of all these files, `[m, d]` each. Files not yet known are computed on all threads, each alone:
    /// in a batch, sums may be taken in another order, and a resumed run, which begins with an empty cache, must end in
    /// the same bits.
    ///
    /// Errors: `Data` naming an image that cannot be read.
    pub fn features(
        &mut self,
        model: &Vlm,
        processor: &Processor,
        pools: &[rayon::ThreadPool],
        files: &[&ImageFile],
        byte_limit: usize,
    ) -> Result<HashMap<ImageFile, Tensor<2>>, EngineError> {
        let mut distinct: Vec<&ImageFile> = files.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let (mut found, mut missing) = (HashMap::new(), Vec::new());
        for file in distinct {
            match self.rows.get(file) {
                Some(features) => _ = found.insert(file.clone(), features.clone()),
                None => missing.push(file),
            }
        }
        let (store, stage) = (self.store.as_ref(), self.stage);
        run_in_order(
            pools,
            &missing,
            |file| match store {
                Some(store) => read_or_encode(store, model, processor, file, stage),
                None => encode(model, processor, &[*file], stage),
            },
            |rows| {
                for (file, features) in rows {
                    let size = features.dims().iter().product::<usize>() * size_of::<f32>();
                    if self.bytes + size <= byte_limit {
                        self.bytes += size;
                        self.rows.insert(file.clone(), features.clone());
                    }
                    found.insert(file, features);
                }
            },
        )?;
        Ok(found)
    }
}

fn read_or_encode(
    store: &FeatureStore,
    model: &Vlm,
    processor: &Processor,
    file: &ImageFile,
    stage: Stage,
) -> Result<Vec<(ImageFile, Tensor<2>)>, EngineError> {
    if let Some(features) = store.read(file, &model.device())? {
        return Ok(vec![(file.clone(), features)]);
    }
    let encoded = encode(model, processor, &[file], stage)?;
    for (file, features) in &encoded {
        store.write(file, features)?;
    }
    Ok(encoded)
}
