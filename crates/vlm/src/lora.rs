//! Low-rank adaptation of a linear layer (Hu et al., arXiv 2106.09685, section 4.1).

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use crate::kernels::{self, DropoutMask};
use crate::parameter::{Parameter, ParameterGroup, parameters};
use crate::weights::{generator_for, hash_of_name, uniform};

/// How strongly adapters act on their layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strength {
    /// The update is scaled by `alpha / r`, or by `alpha / sqrt(r)` where `rank_stabilized`.
    pub alpha: f64,
    /// Whether the scale is that of rank-stabilized LoRA (Kalajdzievski, arXiv 2312.03732).
    pub rank_stabilized: bool,
}

impl Strength {
    fn scale(self, r: usize) -> f64 {
        let r = r as f64;
        self.alpha / if self.rank_stabilized { r.sqrt() } else { r }
    }
}

/// The update `x · Aᵀ · Bᵀ · alpha / r` beside a frozen layer; training never forms the product `B · A`.
#[derive(Clone, Debug)]
pub struct Lora {
    a: Parameter<2>,
    b: Parameter<2>,
    alpha: f64,
    scale: f64,
    // Tells the layer from others where dropout masks are computed.
    layer: u64,
    // None but in training.
    dropout: Option<DropoutMask>,
}

impl Lora {
    /// An adapter of given matrices. Shapes: `a` `[r, d_in]`, `b` `[d_out, r]`.
    pub fn new(module: &str, a: Tensor<2>, b: Tensor<2>, strength: Strength) -> Self {
        Self {
            alpha: strength.alpha,
            scale: strength.scale(a.dims()[0]),
            a: Parameter::new(&format!("{module}.lora_A.weight"), ParameterGroup::Adapter, a),
            b: Parameter::new(&format!("{module}.lora_B.weight"), ParameterGroup::Adapter, b),
            layer: hash_of_name(module),
            dropout: None,
        }
    }

    /// Drops a share `rate` of the input's values from now on, each row's by its key and the layer's name alone.
    pub(crate) fn set_dropout(&mut self, rate: f64, row_keys: &Arc<[u64]>) {
        self.dropout = Some(DropoutMask { rate, row_keys: row_keys.clone(), layer: self.layer });
    }

    /// An adapter that changes nothing yet, as PEFT initializes one: A is Kaiming-uniform with slope `sqrt(5)`, which
    /// is uniform within `1 / sqrt(d_in)`, and B is zero. A depends on the seed and the module's name alone.
    pub fn random(
        module: &str,
        (d_in, d_out): (usize, usize),
        r: usize,
        strength: Strength,
        seed: u64,
        device: &Device,
    ) -> Self {
        let mut generator = generator_for(seed, module);
        let bound = 1.0 / (d_in as f64).sqrt();
        let a: Vec<f32> = (0..r * d_in).map(|_| (bound * (2.0 * uniform(&mut generator) - 1.0)) as f32).collect();
        let a = Tensor::from_data(TensorData::new(a, [r, d_in]), device);
        Self::new(module, a, Tensor::zeros([d_out, r], device), strength)
    }

    /// The rank.
    pub fn rank(&self) -> usize {
        self.a.dims()[0]
    }

    /// The `alpha` of its scale.
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// The update for each row. Shapes: `[n, d_in]` → `[n, d_out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        // Scaled while it is narrow.
        kernels::linear(self.down(x) * self.scale, self.b.value(), None)
    }

    /// The down projection, dropout applied. Shapes: `[n, d_in]` → `[n, r]`.
    pub fn down(&self, x: Tensor<2>) -> Tensor<2> {
        kernels::linear(self.drop(x), self.a.value(), None)
    }

    fn drop(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.dropout {
            Some(mask) => kernels::dropout(x, mask),
            None => x,
        }
    }

    /// The matrix the update amounts to, `B · A · alpha / r`: for merging, not for training. Shape: `[d_out, d_in]`.
    pub fn product(&self) -> Tensor<2> {
        (self.b.value() * self.scale).matmul(self.a.value())
    }
}

parameters!(Lora: a, b);
