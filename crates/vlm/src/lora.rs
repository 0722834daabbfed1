//! Low-rank adaptation of a linear layer (Hu et al., arXiv 2106.09685, section 4.1).

use burn::tensor::{Device, Tensor, TensorData};

use crate::linear::linear;
use crate::parameter::{AnyParameter, Group, Parameter, Parameters};
use crate::weights::{generator_for, uniform};

/// The update `x · Aᵀ · Bᵀ · alpha / r` beside a frozen layer; training never forms the product `B · A`.
#[derive(Clone, Debug)]
pub struct Lora {
    a: Parameter<2>,
    b: Parameter<2>,
    scale: f64,
}

impl Lora {
    /// An adapter of given matrices. Shapes: `a` `[r, d_in]`, `b` `[d_out, r]`; `scale` is `alpha / r`.
    pub fn new(module: &str, a: Tensor<2>, b: Tensor<2>, scale: f64) -> Self {
        let a = Parameter::new(&format!("{module}.lora_A.weight"), Group::Adapter, a);
        let b = Parameter::new(&format!("{module}.lora_B.weight"), Group::Adapter, b);
        Self { a, b, scale }
    }

    /// An adapter that changes nothing yet, as PEFT begins one: A is Kaiming-uniform with slope `sqrt(5)`, which is
    /// uniform within `1 / sqrt(d_in)`, and B is zero. A depends on the seed and the module's name alone.
    pub fn random(
        module: &str,
        (d_in, d_out): (usize, usize),
        r: usize,
        scale: f64,
        seed: u64,
        device: &Device,
    ) -> Self {
        let mut generator = generator_for(seed, module);
        let bound = 1.0 / (d_in as f64).sqrt();
        let a: Vec<f32> = (0..r * d_in)
            .map(|_| (bound * (2.0 * uniform(&mut generator) - 1.0)) as f32)
            .collect();
        let a = Tensor::from_data(TensorData::new(a, [r, d_in]), device);
        Self::new(module, a, Tensor::zeros([d_out, r], device), scale)
    }

    /// The update for each row. Shapes: `[n, d_in]` → `[n, d_out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        // Scaled while it is narrow.
        let narrow = linear(x, self.a.value(), None) * self.scale; // [n, r]
        linear(narrow, self.b.value(), None)
    }

    /// The matrix the update amounts to, `B · A · alpha / r`: for merging, not for training. Shape: `[d_out, d_in]`.
    pub fn product(&self) -> Tensor<2> {
        (self.b.value() * self.scale).matmul(self.a.value())
    }
}

impl Parameters for Lora {
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter)) {
        visit(&mut self.a);
        visit(&mut self.b);
    }
}
