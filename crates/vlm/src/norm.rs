//! Root-mean-square normalisation (Zhang and Sennrich, arXiv 1910.07467).

use burn::tensor::{Device, Tensor};

use crate::error::Error;
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
    /// Errors: as [`WeightReader::take`].
    pub fn load(reader: &mut WeightReader, key: &str, d: usize, epsilon: f64, device: &Device) -> Result<Self, Error> {
        Ok(Self {
            weight: reader.parameter(&format!("{key}.weight"), [d], device)?,
            epsilon,
        })
    }

    /// Normalises each row. Shapes: `[…, d]` → `[…, d]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let scale = (x.clone().square().mean_dim(D - 1) + self.epsilon).sqrt().recip();
        x * scale * self.weight.value().unsqueeze()
    }
}

impl Parameters for RmsNorm {
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter)) {
        visit(&mut self.weight);
    }
}
