//! AdamW over named parameters.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, Device, Tensor};

use crate::error::Error;
use crate::parameter::cast;
use crate::tensor_file::{NamedTensor, TensorFile, write_tensors};
use crate::training::NamedValues;

/// The settings of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWSettings {
    /// The learning rate, schedule applied.
    pub learning_rate: f64,
    /// Decay of the first and the second moment.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Share of the weights subtracted in a step, times the learning rate.
    pub weight_decay: f64,
    /// Gradients whose L2 norm over all parameters is larger are scaled down to it; 0 turns clipping off.
    pub max_grad_norm: f64,
}

/// AdamW (Loshchilov and Hutter, arXiv 1711.05101, algorithm 2): Adam with decay apart from the gradient.
///
/// Differs from the paper as PyTorch does: the decay is multiplied by the learning rate. Moments are f32. A parameter
/// without a gradient in a step is unchanged, decay included, and its count of steps too.
///
/// Of a parameter of two bytes a number, a master copy in f32 is stepped from its first step on, since most steps are
/// below its own type's precision; the parameter is that copy, rounded.
#[derive(Clone, Debug, Default)]
pub struct AdamW {
    states: BTreeMap<String, State>,
}

#[derive(Clone, Debug)]
struct State {
    // Moving averages of the gradient and of its square.
    first: Tensor<1>,
    second: Tensor<1>,
    // The values before they were rounded, where they were.
    master: Option<Tensor<1>>,
    steps: u32,
}

impl AdamW {
    /// An optimizer before its first step.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many steps it has made.
    pub fn steps(&self) -> u32 {
        self.states.values().map(|state| state.steps).max().unwrap_or(0)
    }

    /// Makes one step: returns the new values of the parameters that have a gradient, in f32.
    ///
    /// Errors: `Input` when a gradient belongs to no parameter.
    pub fn step(
        &mut self,
        settings: &AdamWSettings,
        mut parameters: NamedValues,
        gradients: NamedValues,
    ) -> Result<NamedValues, Error> {
        let scale = clip_scale(&gradients, settings.max_grad_norm);
        let mut updated = NamedValues::new();
        for (name, gradient) in gradients {
            let Some(value) = parameters.remove(&name) else {
                return Err(Error::Input(format!("gradient of `{name}`: there is no such parameter")));
            };
            let gradient = if scale < 1.0 { gradient * scale } else { gradient };
            let state = self.states.entry(name.clone()).or_insert_with(|| State::new(&value));
            updated.insert(name, state.step(settings, value, gradient));
        }
        Ok(updated)
    }

    /// Writes moments, counts and master copies, so that [`Self::load`] resumes with the same numbers.
    ///
    /// Errors: `File` when `path` cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let tensors = self.states.iter().flat_map(|(name, state)| {
            // A count of steps is exact in f32 up to 2²⁴.
            let steps = Tensor::<1>::from_data([state.steps as f32], &state.first.device());
            let steps = NamedTensor::new(&format!("step.{name}"), steps);
            let first = NamedTensor::new(&format!("exp_avg.{name}"), state.first.clone());
            let second = NamedTensor::new(&format!("exp_avg_sq.{name}"), state.second.clone());
            let master = state.master.clone();
            let master = master.map(|master| NamedTensor::new(&format!("master.{name}"), master));
            [first, second, steps].into_iter().chain(master)
        });
        write_tensors(path, &tensors.collect::<Vec<_>>())
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// Errors: `Io`, `File` or `Tensor`, naming the file and the key.
    pub fn load(path: &Path, device: &Device) -> Result<Self, Error> {
        let file = TensorFile::open(path)?;
        let mut states = BTreeMap::new();
        for key in file.keys() {
            let Some(name) = key.strip_prefix("exp_avg.") else {
                continue;
            };
            let shape = file.shape(&key).unwrap_or_default();
            let (second, master) = (format!("exp_avg_sq.{name}"), format!("master.{name}"));
            let steps = file.read(&format!("step.{name}"), &[1])?;
            let state = State {
                first: Tensor::from_data(file.read(&key, shape)?, device),
                second: Tensor::from_data(file.read(&second, shape)?, device),
                master: match file.shape(&master) {
                    Some(_) => Some(Tensor::from_data(file.read(&master, shape)?, device)),
                    None => None,
                },
                steps: steps.iter::<f32>().next().unwrap_or(0.0) as u32,
            };
            states.insert(name.to_owned(), state);
        }
        Ok(Self { states })
    }
}

impl State {
    fn new(value: &Tensor<1>) -> Self {
        let zeros = Tensor::zeros(value.dims(), &value.device());
        Self {
            first: zeros.clone(),
            second: zeros,
            master: (value.dtype() != DType::F32).then(|| cast(value.clone(), DType::F32)),
            steps: 0,
        }
    }

    fn step(&mut self, settings: &AdamWSettings, value: Tensor<1>, gradient: Tensor<1>) -> Tensor<1> {
        let AdamWSettings { learning_rate, betas: [beta1, beta2], epsilon, weight_decay, .. } = *settings;
        self.steps += 1;
        self.first.inplace(|first| first * beta1 + gradient.clone() * (1.0 - beta1));
        self.second.inplace(|second| second * beta2 + gradient.square() * (1.0 - beta2));
        let unbias1 = 1.0 - beta1.powi(self.steps as i32);
        let unbias2 = (1.0 - beta2.powi(self.steps as i32)).sqrt();
        let root = self.second.clone().sqrt() * (1.0 / unbias2) + epsilon;
        let value = self.master.clone().unwrap_or(value);
        let updated =
            value * (1.0 - learning_rate * weight_decay) - self.first.clone() / root * (learning_rate / unbias1);
        if let Some(master) = &mut self.master {
            *master = updated.clone();
        }
        updated
    }
}

/// L2 norm over all gradients; summed in f64, in the order of the names.
pub fn grad_norm(gradients: &NamedValues) -> f64 {
    let squares = gradients.values().map(|gradient| f64::from(gradient.clone().square().sum().into_scalar::<f32>()));
    squares.sum::<f64>().sqrt()
}

// As PyTorch's `clip_grad_norm_`.
fn clip_scale(gradients: &NamedValues, max_grad_norm: f64) -> f64 {
    if max_grad_norm > 0.0 { (max_grad_norm / (grad_norm(gradients) + 1e-6)).min(1.0) } else { 1.0 }
}
