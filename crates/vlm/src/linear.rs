//! A linear layer, with a bias and a low-rank adapter where it has them.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::error::Error;
use crate::kernels;
use crate::lora::Lora;
use crate::parameter::{AnyParameter, Parameter, cast, parameters};
use crate::tensor_file::is_half;
use crate::weights::WeightReader;

/// `x · weightᵀ + bias`, plus the adapter's `x · Aᵀ · Bᵀ · alpha / r`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Parameter<2>,
    bias: Option<Parameter<1>>,
    pub(crate) adapter: Option<Lora>,
}

impl Linear {
    /// Reads `<key>.weight` of shape `[d_out, d_in]`, and `<key>.bias` of shape `[d_out]` when there is to be one.
    ///
    /// Errors: as [`WeightReader::parameter`].
    pub fn load(
        reader: &mut WeightReader,
        key: &str,
        [d_out, d_in]: [usize; 2],
        has_bias: bool,
    ) -> Result<Self, Error> {
        let weight = reader.parameter(&format!("{key}.weight"), [d_out, d_in])?;
        let bias = has_bias.then(|| reader.parameter(&format!("{key}.bias"), [d_out])).transpose()?;
        Ok(Self { weight, bias, adapter: None })
    }

    /// Makes a layer of a weight `[d_out, d_in]` read elsewhere: a convolution kernel flattened to a matrix.
    pub fn from_weight(weight: Parameter<2>, bias: Option<Parameter<1>>) -> Self {
        Self { weight, bias, adapter: None }
    }

    /// Applies the layer to each row. Shapes: `[…, d_in]` → `[…, d_out]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let mut dims = x.dims();
        let [d_out, d_in] = self.weight.dims();
        let rows = dims.iter().product::<usize>() / d_in;
        dims[D - 1] = d_out;
        self.forward_rows(x.reshape([rows, d_in])).reshape(dims)
    }

    // One matrix product over all rows: batched products of few rows each use the machine badly.
    fn forward_rows(&self, x: Tensor<2>) -> Tensor<2> {
        let (weight, bias) = (self.weight.value(), self.bias.as_ref().map(Parameter::value));
        let y = kernels::linear(x.clone(), weight, bias);
        match &self.adapter {
            Some(adapter) => y + adapter.forward(x),
            None => y,
        }
    }

    /// The checkpoint's name of this module: the weight's key without its last part.
    pub fn module_name(&self) -> &str {
        let name = self.weight.name();
        name.strip_suffix(".weight").unwrap_or(name)
    }

    /// Input and output width.
    pub fn widths(&self) -> (usize, usize) {
        let [d_out, d_in] = self.weight.dims();
        (d_in, d_out)
    }

    /// The weight, `[d_out, d_in]`; a handle, not a copy.
    pub(crate) fn weight(&self) -> Tensor<2> {
        self.weight.value()
    }

    /// The adapter, if one is attached.
    pub fn adapter(&self) -> Option<&Lora> {
        self.adapter.as_ref()
    }

    /// Makes the layer fast for passes of few rows: the adapter is merged, and the weight is laid out in memory as the
    /// matrix product reads it. The weight is a copy from then on;
    /// results are equal up to rounding. A weight of two bytes a number is left as it is, adapter included: its copy
    /// would double a large model, and the sum would be rounded to its type.
    pub fn prepare_for_sampling(&mut self) {
        if is_half(self.weight.value().dtype()) {
            return;
        }
        self.merge_adapter();
        let weight = self.weight.value();
        let [d_out, d_in] = weight.dims();
        // Flattening a transposed matrix copies it transposed; viewed by its old shape, it is the same weight.
        let transposed = weight.transpose().reshape([d_in * d_out]).reshape([d_in, d_out]);
        self.weight = self.weight.with_value(transposed.transpose());
    }

    /// Adds the adapter's product to the weight, rounded to the weight's type, and detaches the adapter.
    pub fn merge_adapter(&mut self) {
        if let Some(adapter) = self.adapter.take() {
            let weight = cast(self.weight.value(), DType::F32);
            self.weight = self.weight.with_value(weight + adapter.product());
        }
    }

    /// Attaches an adapter, or detaches it.
    pub fn set_adapter(&mut self, adapter: Option<Lora>) {
        self.adapter = adapter;
    }
}

/// Indexes as a tensor, to select rows by. Shapes: → `[n]`.
pub(crate) fn indexes(values: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i64> = values.map(|value| value as i64).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

parameters!(Linear: weight, bias, adapter);
