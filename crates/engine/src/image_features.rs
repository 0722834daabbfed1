//! Images through the frozen parts of a model.

use align::engine::EngineError;
use burn::tensor::{Tensor, TensorData};
use vlm::image_processor::ImageFile;
use vlm::model::Vlm;
use vlm::processor::Processor;

use crate::errors::engine_error;

/// The last part of the model that images have gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The vision tower.
    VisionTower,
    /// The projector, whose output takes the place of image tokens.
    Projector,
}

/// Runs images through the model up to a stage; one tensor `[m, d]` for each.
///
/// Errors: `Data` naming an image that cannot be read.
pub fn encode(
    model: &Vlm,
    processor: &Processor,
    files: &[&ImageFile],
    stage: Stage,
) -> Result<Vec<(ImageFile, Tensor<2>)>, EngineError> {
    let images = processor.images(files).map_err(engine_error)?;
    let mut values = Vec::new();
    for image in &images {
        image.append_pixel_values(&mut values);
    }
    let grids: Vec<[usize; 3]> = images.iter().map(|image| image.grid()).collect();
    let n_patches = images.iter().map(|image| image.n_patches()).sum();
    let row_length = images.first().map_or(0, |image| image.row_length());
    let pixel_values = Tensor::from_data(TensorData::new(values, [n_patches, row_length]), &model.device());
    let all = match stage {
        Stage::VisionTower => model.vision_features(pixel_values, &grids),
        Stage::Projector => model.encode_images(pixel_values, &grids),
    }
    .map_err(engine_error)?;
    let (mut start, mut features) = (0, Vec::new());
    for (image, file) in images.iter().zip(files) {
        let n_rows = match stage {
            Stage::VisionTower => image.n_patches(),
            Stage::Projector => image.n_tokens(),
        };
        features.push((ImageFile::clone(file), all.clone().narrow(0, start, n_rows)));
        start += n_rows;
    }
    Ok(features)
}
