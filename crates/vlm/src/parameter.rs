//! A weight with its name in the checkpoint, and the visiting of all weights of a model.

use std::sync::Arc;

use burn::tensor::{DType, FloatDType, Gradients, Tensor};

use crate::error::Error;
use crate::tensor_file::NamedTensor;

/// The parts of a model that are frozen or trained as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParameterGroup {
    /// The vision tower without its merger.
    Vision,
    /// The merger: from patches to the language model's width.
    Projector,
    /// The language model, embeddings and head included.
    Language,
    /// The LoRA matrices.
    Adapter,
}

impl ParameterGroup {
    /// The part's name in transformers, where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vision => "vision_tower",
            Self::Projector => "multi_modal_projector",
            Self::Language => "language_model",
            Self::Adapter => "adapter",
        }
    }
}

/// One weight of rank `D`: its name, shape and type as in the checkpoint, and its values as computed with.
///
/// A matrix is held in its type, anything else in f32; but only ever with values of that type, so that saving loses
/// nothing.
///
/// A clone shares the values, so that copying a model copies names and handles only.
#[derive(Clone, Debug)]
pub struct Parameter<const D: usize> {
    name: Arc<str>,
    group: ParameterGroup,
    file_shape: Arc<[usize]>,
    dtype: DType,
    value: Tensor<D>,
}

impl<const D: usize> Parameter<D> {
    /// A parameter whose shape and type in the checkpoint are the tensor's own.
    pub fn new(name: &str, group: ParameterGroup, value: Tensor<D>) -> Self {
        let (file_shape, dtype) = (value.dims(), value.dtype());
        Self::reshaped(name, group, &file_shape, (value, dtype))
    }

    /// A parameter that the checkpoint stores under another shape of the same length and order, and as a type that has
    /// all its values.
    pub(crate) fn reshaped(
        name: &str,
        group: ParameterGroup,
        file_shape: &[usize],
        (value, dtype): (Tensor<D>, DType),
    ) -> Self {
        Self { name: name.into(), group, file_shape: file_shape.into(), dtype, value }
    }

    /// The shape as computed with.
    pub fn dims(&self) -> [usize; D] {
        self.value.dims()
    }

    /// The same parameter with other values, rounded to its type.
    pub(crate) fn with_value(&self, value: Tensor<D>) -> Self {
        let held = self.value.dtype();
        let value = cast(cast(value, self.dtype), held);
        Self { value, ..self.clone() }
    }

    /// The values; a handle, not a copy.
    pub fn value(&self) -> Tensor<D> {
        self.value.clone()
    }
}

/// A parameter of any rank.
pub trait AnyParameter {
    /// The key in the checkpoint.
    fn name(&self) -> &str;

    /// The shape in the checkpoint.
    fn file_shape(&self) -> &[usize];

    /// The values, flat, in the parameter's type and without autodiff.
    fn flat(&self) -> Tensor<1>;

    /// Replaces the values by as many others, flat, rounded to the parameter's type.
    ///
    /// Errors: `Input` naming the parameter when their number is another.
    fn set(&mut self, values: Tensor<1>) -> Result<(), Error>;

    /// Makes the values a fresh leaf of an autodiff graph, shared with no other copy of the model.
    fn track(&mut self);

    /// Makes the values a constant outside autodiff.
    fn freeze(&mut self);

    /// Takes this parameter's gradient out of `gradients`, flat and f32; none when it is frozen or had no part in the
    /// loss.
    fn take_gradient(&self, gradients: &mut Gradients) -> Option<Tensor<1>>;

    /// The group this parameter is trained with.
    fn group(&self) -> ParameterGroup;

    /// The parameter as it is written to a file.
    fn to_named_tensor(&self) -> NamedTensor {
        NamedTensor { key: self.name().to_owned(), shape: self.file_shape().to_vec(), values: self.flat() }
    }
}

impl<const D: usize> AnyParameter for Parameter<D> {
    fn name(&self) -> &str {
        &self.name
    }

    fn group(&self) -> ParameterGroup {
        self.group
    }

    fn file_shape(&self) -> &[usize] {
        &self.file_shape
    }

    fn flat(&self) -> Tensor<1> {
        cast(flatten(self.value().without_autodiff()), self.dtype)
    }

    fn set(&mut self, values: Tensor<1>) -> Result<(), Error> {
        let dims = self.value.dims();
        let (expected, got) = (dims.iter().product::<usize>(), values.dims()[0]);
        if expected != got {
            return Err(Error::Input(format!("parameter `{}`: expected {expected} values, got {got}", self.name)));
        }
        *self = self.with_value(values.reshape(dims));
        Ok(())
    }

    fn track(&mut self) {
        self.value = self.value().without_autodiff().autodiff().require_grad();
    }

    fn freeze(&mut self) {
        self.value = self.value().without_autodiff();
    }

    fn take_gradient(&self, gradients: &mut Gradients) -> Option<Tensor<1>> {
        let gradient = self.value.grad_remove(gradients)?;
        Some(cast(flatten(gradient), DType::F32))
    }
}

/// The same values in a type, rounded to the nearest where it is a narrower one.
pub(crate) fn cast<const D: usize>(tensor: Tensor<D>, dtype: DType) -> Tensor<D> {
    if tensor.dtype() == dtype {
        return tensor;
    }
    match dtype {
        DType::F16 => tensor.cast(FloatDType::F16),
        DType::BF16 => tensor.cast(FloatDType::BF16),
        _ => tensor.cast(FloatDType::F32),
    }
}

fn flatten<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let count: usize = tensor.dims().iter().product();
    tensor.reshape([count])
}

/// Something made of parameters.
pub trait Parameters {
    /// Shows every parameter to `visit`, always in the same order.
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter));
}

impl<const D: usize> Parameters for Parameter<D> {
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter)) {
        visit(self);
    }
}

impl<T: Parameters> Parameters for Option<T> {
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter)) {
        self.iter_mut().for_each(|part| part.visit_parameters(visit));
    }
}

impl<T: Parameters> Parameters for Vec<T> {
    fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn AnyParameter)) {
        self.iter_mut().for_each(|part| part.visit_parameters(visit));
    }
}

/// The parameters of something are those of its parts, in this order.
macro_rules! parameters {
    ($Whole:ty: $($part:ident),*) => {
        impl crate::parameter::Parameters for $Whole {
            fn visit_parameters(&mut self, visit: &mut dyn FnMut(&mut dyn crate::parameter::AnyParameter)) {
                $(self.$part.visit_parameters(visit);)*
            }
        }
    };
}
pub(crate) use parameters;
