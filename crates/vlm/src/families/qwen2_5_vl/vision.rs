//! The vision tower of Qwen2.5-VL, and with other norms and feed-forward layers that of Qwen2-VL: patches of several
//! images in, one row per merged patch out.
//!
//! Source: Qwen2.5-VL technical report (arXiv 2502.13923), section 2.1, and `Qwen2_5_VisionTransformerPretrainedModel`
//! of transformers 4.57. Most blocks attend within windows of an image, a few within the whole image. Differs: windows
//! of equal size are one dense batch across images (see `arrangement`), instead of a loop or a mask over all patches;
//! every result is the same.

mod arrangement;
mod block;
mod merger;

use burn::tensor::{Int, Tensor};

use super::config::VisionConfig;
use crate::error::Error;
use crate::families::family::{VisionModel, check_patches};
use crate::linear::{Linear, indexes};
use crate::parameter::parameters;
use crate::rope::Rotary;
use crate::weights::WeightReader;
use arrangement::Arrangement;
use block::{Attended, VisionBlock};
use merger::PatchMerger;

/// Patch embedding, blocks, and the merger to the language model's width.
#[derive(Clone, Debug)]
pub struct VisionTower {
    patch_embedding: Linear,
    blocks: Vec<VisionBlock>,
    merger: PatchMerger,
    config: VisionConfig,
}

impl VisionTower {
    /// Reads the weights under `visual.`.
    ///
    /// Errors: as [`WeightReader::parameter`].
    pub fn load(reader: &mut WeightReader, config: &VisionConfig) -> Result<Self, Error> {
        let kernel = [config.in_channels, config.temporal_patch_size, config.patch_size, config.patch_size];
        let file_shape = [&[config.hidden_size][..], &kernel].concat();
        let shape = [config.hidden_size, config.patch_length()];
        let weight = reader.reshaped_parameter("visual.patch_embed.proj.weight", &file_shape, shape)?;
        let blocks = (0..config.depth)
            .map(|index| VisionBlock::load(reader, &format!("visual.blocks.{index}"), config))
            .collect::<Result<_, _>>()?;
        let merger = PatchMerger::load(reader, config)?;
        Ok(Self { patch_embedding: Linear::from_weight(weight, None), blocks, merger, config: config.clone() })
    }

    fn check(&self, patches: [usize; 2], grids: &[[usize; 3]]) -> Result<(), Error> {
        let merge = self.config.spatial_merge_size;
        if let Some(grid) = grids.iter().find(|[time, height, width]| {
            time * height * width == 0 || !height.is_multiple_of(merge) || !width.is_multiple_of(merge)
        }) {
            return Err(Error::Input(format!("image grid {grid:?}: expected multiples of {merge} patches, none zero")));
        }
        check_patches(patches, grids, self.patch_embedding.widths().0)
    }

    fn arrangements(&self, grids: &[[usize; 3]]) -> (Arrangement, Arrangement) {
        let merge = self.config.spatial_merge_size;
        if self.config.fullatt_block_indexes.len() == self.config.depth {
            let frames = arrangement::frames(grids, merge);
            return (frames.clone(), frames);
        }
        let window = self.config.window_size / merge / self.config.patch_size;
        (arrangement::windows(grids, merge, window), arrangement::frames(grids, merge))
    }

    fn attended(&self, arrangement: &Arrangement, grids: &[[usize; 3]]) -> Attended {
        let merge = self.config.spatial_merge_size;
        let patches_per_unit = merge * merge;
        let reading_order = arrangement::coordinates(grids, merge);
        let coordinates: Vec<[usize; 2]> = arrangement
            .order
            .iter()
            .flat_map(|unit| &reading_order[unit * patches_per_unit..(unit + 1) * patches_per_unit])
            .copied()
            .collect();
        let head_dim = self.config.hidden_size / self.config.num_heads;
        let (cosines, sines) = arrangement::rotary_angles(&coordinates, head_dim);
        Attended {
            runs: arrangement.runs.clone(),
            patches_per_unit,
            rotary: Rotary::from_angles(cosines, sines, [1, coordinates.len()], head_dim),
        }
    }

    /// The output of the last block, and the order of its merge units.
    fn run_blocks(&self, pixel_values: Tensor<2>, grids: &[[usize; 3]]) -> Result<(Tensor<2>, Arrangement), Error> {
        self.check(pixel_values.dims(), grids)?;
        let device = pixel_values.device();
        let (windows, frames) = self.arrangements(grids);
        let within_windows = self.attended(&windows, grids);
        let within_frames = self.attended(&frames, grids);
        let [to_windows, to_frames] = [windows.indexes_in(&frames), frames.indexes_in(&windows)]
            .map(|order| order.map(|order| indexes(order.into_iter(), &device)));

        let mut hidden = self.patch_embedding.forward(pixel_values); // [p, d_vision]
        let reading_order = (!windows.is_reading_order()).then(|| indexes(windows.order.iter().copied(), &device));
        hidden = reorder(hidden, reading_order.as_ref());
        let mut is_in_frames = false;
        for (index, block) in self.blocks.iter().enumerate() {
            let attends_frames = self.config.fullatt_block_indexes.contains(&index);
            if attends_frames != is_in_frames {
                let order = if attends_frames { &to_frames } else { &to_windows };
                hidden = reorder(hidden, order.as_ref());
                is_in_frames = attends_frames;
            }
            let attended = if attends_frames { &within_frames } else { &within_windows };
            hidden = block.forward(hidden, attended);
        }
        Ok((hidden, if is_in_frames { frames } else { windows }))
    }
}

/// Puts merge units in another order; the rows of a unit stay together.
fn reorder(hidden: Tensor<2>, order: Option<&Tensor<1, Int>>) -> Tensor<2> {
    let Some(order) = order else { return hidden };
    let ([n_rows, width], [n_units]) = (hidden.dims(), order.dims());
    let units = hidden.reshape([n_units, n_rows / n_units * width]);
    units.select(0, order.clone()).reshape([n_rows, width])
}

/// Puts merge units that are in this order in reading order.
fn in_reading_order(hidden: Tensor<2>, order: &Arrangement) -> Tensor<2> {
    let order = order.indexes_in_reading_order();
    let order = order.map(|order| indexes(order.into_iter(), &hidden.device().without_autodiff()));
    reorder(hidden, order.as_ref())
}

impl VisionModel for VisionTower {
    fn forward(&self, pixel_values: Tensor<2>, grids: &[[usize; 3]]) -> Result<Tensor<2>, Error> {
        let (hidden, order) = self.run_blocks(pixel_values, grids)?;
        let merged = self.merger.forward(hidden); // [p / merge², d]
        // Rows are put in reading order once they are fewest.
        Ok(in_reading_order(merged, &order))
    }

    fn features(&self, pixel_values: Tensor<2>, grids: &[[usize; 3]]) -> Result<Tensor<2>, Error> {
        let (hidden, order) = self.run_blocks(pixel_values, grids)?;
        Ok(in_reading_order(hidden, &order))
    }

    fn project(&self, features: Tensor<2>) -> Tensor<2> {
        self.merger.forward(features)
    }

    fn boxed(&self) -> Box<dyn VisionModel> {
        Box::new(self.clone())
    }
}

parameters!(VisionTower: patch_embedding, blocks, merger);
