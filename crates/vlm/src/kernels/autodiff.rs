//! Whether an operation can be fused, its tensors as slices, and its entry in the autodiff graph.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Device, Tensor, TensorData};

/// An input of a fused operation: its values, contiguous, and its place in the graph if it is in one.
pub(super) struct Input {
    pub value: FlexTensor,
    pub node: Option<NodeGuard>,
}

/// Whether the fused operations can take a tensor: f32 on the CPU back end.
pub(super) fn supported<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.device() == Device::flex() && tensor.dtype() == DType::F32
}

impl Input {
    /// The input a [`supported`] tensor is.
    pub fn new<const D: usize>(tensor: Tensor<D>) -> Self {
        let Self { value, node } = Self::as_it_lies(tensor);
        Self { value: contiguous(value), node }
    }

    /// The same for an operation that takes values in any layout.
    pub fn as_it_lies<const D: usize>(tensor: Tensor<D>) -> Self {
        const SUPPORTED: &str = "operations are fused for supported tensors only";
        if !tensor.is_autodiff() {
            let value = tensor.try_into_primitive::<Flex>().expect(SUPPORTED);
            return Self { value, node: None };
        }
        let (value, node) = tensor.try_into_primitive::<Autodiff<Flex>>().expect(SUPPORTED).into_parts();
        Self { value, node: Some(node) }
    }
}

// Not a copy where none is needed, so that a value that is not shared may be overwritten.
fn contiguous(value: FlexTensor) -> FlexTensor {
    if value.is_contiguous() { value } else { value.to_contiguous() }
}

/// The values of a contiguous tensor, for overwriting; copied first if they are shared.
pub(super) fn values_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    let (start, end) = tensor.layout().contiguous_offsets().unwrap_or_default();
    &mut tensor.storage_mut::<f32>()[start..end]
}

/// The values of a contiguous f32 tensor.
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_default()
}

/// A tensor of given values.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<burn::tensor::Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// Enters an operation's output into the graph its `N` inputs are in, if any is. `gradients` is how gradients pass back:
/// from the output's, which is contiguous, to that of each input that is wanted; it holds what the forward pass kept.
pub(super) fn record<const N: usize, const D: usize>(
    nodes: [Option<NodeGuard>; N],
    output: FlexTensor,
    gradients: impl FnOnce(FlexTensor, [bool; N]) -> [Option<FlexTensor>; N] + Clone + Send + 'static,
) -> Tensor<D> {
    if nodes.iter().all(Option::is_none) {
        return Tensor::from_primitive::<Flex>(output);
    }
    // A constant's node holds no values: nothing ever reads them.
    let nodes =
        nodes.map(|node| node.unwrap_or_else(|| FloatTensor::<Autodiff<Flex>>::new(tensor(Vec::new(), [0])).node()));
    let output = match step(&gradients).prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(operation) => operation.finish(Kept(gradients), output),
        OpsKind::UnTracked(operation) => operation.finish(output),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(output)
}

/// How gradients pass back, and what the forward pass kept for it.
#[derive(Clone)]
struct Kept<F>(F);

impl<F> Debug for Kept<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("Kept")
    }
}

#[derive(Debug)]
struct Step<G>(PhantomData<G>);

fn step<F>(_: &F) -> Step<Kept<F>> {
    Step(PhantomData)
}

impl<const N: usize, F> Backward<Flex, N> for Step<Kept<F>>
where
    F: FnOnce(FlexTensor, [bool; N]) -> [Option<FlexTensor>; N] + Clone + Send + 'static,
{
    type State = Kept<F>;

    fn backward(self, operation: Ops<Kept<F>, N>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let output = gradients.consume::<Flex>(&operation.node).to_contiguous();
        let parents: [Option<NodeId>; N] = operation.parents.map(|parent| parent.map(|parent| parent.id));
        let inputs = (operation.state.0)(output, parents.map(|parent| parent.is_some()));
        for (parent, gradient) in parents.into_iter().zip(inputs) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent, gradient);
            }
        }
    }
}
