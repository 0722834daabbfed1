//! Normalization: by the root mean square (Zhang and Sennrich, arXiv 1910.07467), and by mean and variance (Ba et al.,
//! arXiv 1607.06450).

use burn::tensor::Tensor;

use crate::error::Error;
use crate::kernels;
use crate::parameter::{Parameter, parameters};
use crate::weights::WeightReader;

/// Which norm a layer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// By mean and variance: `weight * (x - mean(x)) / sqrt(variance(x) + epsilon) + bias`.
    Layer,
    /// By the root mean square: `weight * x / sqrt(mean(x²) + epsilon)`.
    Rms,
}

/// A norm over the last dimension.
#[derive(Clone, Debug)]
pub struct Norm {
    weight: Parameter<1>,
    // That of a layer norm.
    bias: Option<Parameter<1>>,
    epsilon: f64,
}

impl Norm {
    /// Reads `<key>.weight` of shape `[d]`, and `<key>.bias` for a layer norm.
    ///
    /// Errors: as [`WeightReader::parameter`].
    pub fn load(
        reader: &mut WeightReader,
        key: &str,
        d: usize,
        (kind, epsilon): (NormKind, f64),
    ) -> Result<Self, Error> {
        Ok(Self {
            weight: reader.parameter(&format!("{key}.weight"), [d])?,
            bias: match kind {
                NormKind::Layer => Some(reader.parameter(&format!("{key}.bias"), [d])?),
                NormKind::Rms => None,
            },
            epsilon,
        })
    }

    /// Normalizes each row. Shapes: `[…, d]` → `[…, d]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let weight = self.weight.value();
        let Some(bias) = &self.bias else {
            return kernels::rms_norm(x, weight, self.epsilon);
        };
        let centered = x.clone() - x.mean_dim(D - 1);
        let scale = (centered.clone().square().mean_dim(D - 1) + self.epsilon).sqrt().recip();
        centered * scale * weight.unsqueeze() + bias.value().unsqueeze()
    }
}

parameters!(Norm: weight, bias);
