//! Normalization: by the root mean square (Zhang and Sennrich, arXiv 1910.07467), and by mean and variance (Ba et al.,
//! arXiv 1607.06450).

use burn::tensor::Tensor;

use crate::error::Error;
use crate::kernels;
use crate::parameter::{AnyParameter, Parameter, Parameters};
use crate::weights::WeightReader;

/// `weight * x / sqrt(mean(x²) + epsilon)` over the last dimension.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    weight: Parameter<1>,
    epsilon: f64,
}

impl RmsNorm {
    /// Reads `<key>.weight` of shape `[d]`.
    ///
    /// Errors: as [`WeightReader::parameter`].
    pub fn load(reader: &mut WeightReader, key: &str, d: usize, epsilon: f64) -> Result<Self, Error> {
        Ok(Self {
            weight: reader.parameter(&format!("{key}.weight"), [d])?,
            epsilon,
        })
    }

    /// Normalizes each row. Shapes: `[…, d]` → `[…, d]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        kernels::rms_norm(x, self.weight.value(), self.epsilon)
    }
}

impl Parameters for RmsNorm {
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter)) {
        visit(&mut self.weight);
    }
}

/// `weight * (x - mean(x)) / sqrt(variance(x) + epsilon) + bias` over the last dimension.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Parameter<1>,
    bias: Parameter<1>,
    epsilon: f64,
}

impl LayerNorm {
    /// Reads `<key>.weight` and `<key>.bias` of shape `[d]`.
    ///
    /// Errors: as [`WeightReader::parameter`].
    pub fn load(reader: &mut WeightReader, key: &str, d: usize, epsilon: f64) -> Result<Self, Error> {
        Ok(Self {
            weight: reader.parameter(&format!("{key}.weight"), [d])?,
            bias: reader.parameter(&format!("{key}.bias"), [d])?,
            epsilon,
        })
    }

    /// Normalizes each row. Shapes: `[…, d]` → `[…, d]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let centered = x.clone() - x.mean_dim(D - 1);
        let scale = (centered.clone().square().mean_dim(D - 1) + self.epsilon)
            .sqrt()
            .recip();
        centered * scale * self.weight.value().unsqueeze() + self.bias.value().unsqueeze()
    }
}

impl Parameters for LayerNorm {
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter)) {
        visit(&mut self.weight);
        visit(&mut self.bias);
    }
}

/// Either norm, where a family's models differ.
#[derive(Clone, Debug)]
pub(crate) enum Norm {
    /// By mean and variance.
    Layer(LayerNorm),
    /// By the root mean square.
    Rms(RmsNorm),
}

/// Which norm a tower has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// By mean and variance.
    Layer,
    /// By the root mean square.
    Rms,
}

impl Norm {
    /// Reads the norm of that kind.
    ///
    /// Errors: as [`WeightReader::parameter`].
    pub fn load(
        reader: &mut WeightReader,
        key: &str,
        d: usize,
        (kind, epsilon): (NormKind, f64),
    ) -> Result<Self, Error> {
        Ok(match kind {
            NormKind::Layer => Self::Layer(LayerNorm::load(reader, key, d, epsilon)?),
            NormKind::Rms => Self::Rms(RmsNorm::load(reader, key, d, epsilon)?),
        })
    }

    /// Normalizes each row. Shapes: `[…, d]` → `[…, d]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Layer(norm) => norm.forward(x),
            Self::Rms(norm) => norm.forward(x),
        }
    }
}

impl Parameters for Norm {
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter)) {
        match self {
            Self::Layer(norm) => norm.visit_parameters(visit),
            Self::Rms(norm) => norm.visit_parameters(visit),
        }
    }
}
