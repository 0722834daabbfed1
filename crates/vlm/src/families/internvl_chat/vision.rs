//! InternViT: tiles of images in, one row per four patches out.
//!
//! Source: `modeling_intern_vit.py` of OpenGVLab/InternVL: a plain vision transformer with a class token, learned
//! positions and a learned scale on each residual branch.

use burn::tensor::{Tensor, activation};

use super::config::VisionConfig;
use super::projector::Projector;
use crate::attention::{QkvLayout, QkvProjection, full_attention};
use crate::error::Error;
use crate::families::family::{VisionModel, check_patches};
use crate::kernels::Qkv;
use crate::linear::Linear;
use crate::norm::{Norm, NormKind};
use crate::parameter::{Parameter, parameters};
use crate::weights::WeightReader;

/// A checkpoint's names of the tower's parts.
#[derive(Clone, Copy, Debug)]
pub struct VisionLayout {
    /// The class token.
    pub cls_token: &'static str,
    /// The patch embedding, here and below without `.weight` and `.bias`.
    pub patch_embedding: &'static str,
    /// The learned positions.
    pub position_embedding: &'static str,
    /// What precedes a block's number; the names that follow here come after it.
    pub layers: &'static str,
    /// The norm before attention.
    pub norm1: &'static str,
    /// The projections to queries, keys and values.
    pub qkv: QkvLayout,
    /// The norms of queries and keys, where there are any.
    pub qk_norms: [&'static str; 2],
    /// The projection of the attention's output.
    pub proj: &'static str,
    /// The scale of the attention branch.
    pub ls1: &'static str,
    /// The norm before the feed-forward layer, whose own parts are `mlp.fc1` and `mlp.fc2` everywhere.
    pub norm2: &'static str,
    /// The scale of the feed-forward branch.
    pub ls2: &'static str,
    /// The projector's norm and its two layers.
    pub projector: [&'static str; 3],
}

/// Patch embedding, blocks, and the projector to the language model's width.
#[derive(Clone, Debug)]
pub struct InternVit {
    class_embedding: Parameter<3>,
    patch_embedding: Linear,
    position_embedding: Parameter<3>,
    blocks: Vec<Block>,
    projector: Projector,
    config: VisionConfig,
}

impl InternVit {
    /// Reads the weights; `d` is the language model's width.
    ///
    /// Errors: as [`WeightReader::parameter`].
    pub fn load(
        reader: &mut WeightReader,
        config: &VisionConfig,
        layout: &VisionLayout,
        d: usize,
    ) -> Result<Self, Error> {
        let (width, patch, n_patches) = (config.hidden_size, config.patch_size, config.grid_side().pow(2));
        let weight = reader.reshaped_parameter(
            &format!("{}.weight", layout.patch_embedding),
            &[width, 3, patch, patch],
            [width, 3 * patch * patch],
        )?;
        let bias = reader.parameter(&format!("{}.bias", layout.patch_embedding), [width])?;
        let class_embedding = reader.parameter(layout.cls_token, [1, 1, width])?;
        let position_embedding = reader.parameter(layout.position_embedding, [1, n_patches + 1, width])?;
        let blocks = (0..config.num_hidden_layers)
            .map(|index| Block::load(reader, &format!("{}.{index}", layout.layers), config, layout))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            class_embedding,
            patch_embedding: Linear::from_weight(weight, Some(bias)),
            position_embedding,
            blocks,
            projector: Projector::load(reader, layout.projector, config, d)?,
            config: config.clone(),
        })
    }

    fn check(&self, patches: [usize; 2], grids: &[[usize; 3]]) -> Result<(), Error> {
        let side = self.config.grid_side();
        if let Some(grid) = grids.iter().find(|[tiles, height, width]| *tiles == 0 || (*height, *width) != (side, side))
        {
            return Err(Error::Input(format!("image grid {grid:?}: expected tiles of {side} x {side} patches")));
        }
        check_patches(patches, grids, self.patch_embedding.widths().0)
    }
}

impl VisionModel for InternVit {
    fn features(&self, pixel_values: Tensor<2>, grids: &[[usize; 3]]) -> Result<Tensor<2>, Error> {
        self.check(pixel_values.dims(), grids)?;
        let (side, width) = (self.config.grid_side(), self.config.hidden_size);
        let tiles: usize = grids.iter().map(|grid| grid[0]).sum();
        let patches = self.patch_embedding.forward(pixel_values);
        let patches = patches.reshape([tiles, side * side, width]);
        let class = self.class_embedding.value().expand([tiles, 1, width]);
        let mut hidden = Tensor::cat(vec![class, patches], 1) + self.position_embedding.value(); // [tiles, side² + 1, d]
        for block in &self.blocks[..self.config.num_used_layers] {
            hidden = block.forward(hidden);
        }
        Ok(hidden.narrow(1, 1, side * side).reshape([tiles * side * side, width]))
    }

    fn project(&self, features: Tensor<2>) -> Tensor<2> {
        let (side, [rows, width]) = (self.config.grid_side(), features.dims());
        let patches = features.reshape([rows / (side * side), side * side, width]);
        self.projector.forward(patches, side)
    }

    fn boxed(&self) -> Box<dyn VisionModel> {
        Box::new(self.clone())
    }
}

parameters!(InternVit: class_embedding, patch_embedding, position_embedding, blocks, projector);

/// Norm, attention, norm, feed-forward, each pair on a residual branch with a scale of its own.
#[derive(Clone, Debug)]
struct Block {
    norm1: Norm,
    qkv: QkvProjection,
    qk_norms: Option<Vec<Norm>>,
    proj: Linear,
    ls1: Parameter<1>,
    norm2: Norm,
    fc1: Linear,
    fc2: Linear,
    ls2: Parameter<1>,
    n_heads: usize,
}

impl Block {
    fn load(reader: &mut WeightReader, key: &str, config: &VisionConfig, layout: &VisionLayout) -> Result<Self, Error> {
        let (d, inner) = (config.hidden_size, config.intermediate_size);
        let kind = (config.norm, config.layer_norm_eps);
        let qk_norms = if config.qk_normalization {
            let [q, k] = layout.qk_norms.map(|name| format!("{key}.{name}"));
            let kind = (NormKind::Rms, config.qk_norm_eps);
            Some(vec![Norm::load(reader, &q, d, kind)?, Norm::load(reader, &k, d, kind)?])
        } else {
            None
        };
        Ok(Self {
            norm1: Norm::load(reader, &format!("{key}.{}", layout.norm1), d, kind)?,
            qkv: QkvProjection::load(reader, key, layout.qkv, [d, d], config.qkv_bias)?,
            qk_norms,
            proj: Linear::load(reader, &format!("{key}.{}", layout.proj), [d, d], true)?,
            ls1: reader.parameter(&format!("{key}.{}", layout.ls1), [d])?,
            norm2: Norm::load(reader, &format!("{key}.{}", layout.norm2), d, kind)?,
            fc1: Linear::load(reader, &format!("{key}.mlp.fc1"), [inner, d], true)?,
            fc2: Linear::load(reader, &format!("{key}.mlp.fc2"), [d, inner], true)?,
            ls2: reader.parameter(&format!("{key}.{}", layout.ls2), [d])?,
            n_heads: config.num_attention_heads,
        })
    }

    /// `[tiles, n, d]` → `[tiles, n, d]`.
    fn forward(&self, hidden: Tensor<3>) -> Tensor<3> {
        let attended = self.attend(self.norm1.forward(hidden.clone()));
        let hidden = hidden + attended * self.ls1.value().unsqueeze();
        let inner = activation::gelu(self.fc1.forward(self.norm2.forward(hidden.clone())));
        hidden + self.fc2.forward(inner) * self.ls2.value().unsqueeze()
    }

    fn attend(&self, x: Tensor<3>) -> Tensor<3> {
        let [tiles, n, d] = x.dims();
        let head_dim = d / self.n_heads;
        let [mut queries, mut keys, values] = match &self.qkv {
            QkvProjection::Fused(layer) => {
                let projected = layer.forward(x);
                [0, 1, 2].map(|index| projected.clone().narrow(2, index * d, d))
            }
            QkvProjection::Separate(layers) => [0, 1, 2].map(|index| layers[index].forward(x.clone())),
        };
        if let Some(norms) = &self.qk_norms {
            queries = norms[0].forward(queries);
            keys = norms[1].forward(keys);
        }
        let [queries, keys, values] =
            [queries, keys, values].map(|x| x.reshape([tiles, n, self.n_heads, head_dim]).swap_dims(1, 2));
        let attended = full_attention(Qkv { queries: queries * (head_dim as f64).powf(-0.5), keys, values });
        self.proj.forward(attended.swap_dims(1, 2).reshape([tiles, n, d]))
    }
}

parameters!(Block: norm1, qkv, qk_norms, proj, ls1, norm2, fc1, fc2, ls2);
