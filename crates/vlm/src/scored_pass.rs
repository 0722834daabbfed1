//! A forward pass that scores chosen tokens, and its backward pass to the parameters.
//!
//! Either one autodiff graph holds every activation until the backward pass, or only the input of each layer is kept,
//! and the layer's activations are recomputed in the backward pass ("sublinear memory cost", Chen et al., arXiv
//! 1604.06174, one checkpoint a layer). The graphs are cut between layers, so that the same operations run in the same
//! order: the gradients are the same, bit for bit.

use burn::tensor::{Tensor, TensorData};

use crate::attention::AttentionContext;
use crate::batch::Batch;
use crate::error::Error;
use crate::model::{TokenScores, Vlm};
use crate::parameter::Parameters;
use crate::training::{NamedValues, sum_gradients};

/// Which tokens a pass scores.
#[derive(Clone, Copy, Debug)]
pub struct ScoredTokens<'a> {
    /// For each, the row of the hidden state that predicts it.
    pub rows: &'a [usize],
    /// Their ids.
    pub ids: &'a [u32],
}

/// What a forward pass computed and kept.
pub struct ScoredPass<'a> {
    view: &'a Vlm,
    /// The scores of the tokens, in their order.
    pub scores: TokenScores,
    layers: Option<LayerInputs>,
}

/// What is kept between layers.
struct LayerInputs {
    context: AttentionContext,
    // Differentiable where the embedding, the vision tower or the projector is trained.
    embedded: Tensor<2>,
    // The input of each layer, without autodiff.
    inputs: Vec<Tensor<2>>,
    // The output of the last layer, the leaf of the head's graph.
    output: Tensor<2>,
}

impl Vlm {
    /// Scores tokens of a batch; entropies too. With `recompute`, activations inside the layers are not kept.
    ///
    /// Errors: `Input` when image tokens and rows of `images` disagree, or rows and ids differ in number.
    pub fn score(
        &self,
        batch: &Batch,
        images: Option<Tensor<2>>,
        tokens: ScoredTokens,
        recompute: bool,
    ) -> Result<ScoredPass<'_>, Error> {
        let (hidden, layers) = if recompute {
            let layers = self.forward_layers(batch, images)?;
            (self.text.norm.forward(layers.output.clone()), Some(layers))
        } else {
            (self.hidden_states(batch, images)?, None)
        };
        Ok(ScoredPass { view: self, scores: self.token_scores(hidden, tokens.rows, tokens.ids)?, layers })
    }

    fn forward_layers(&self, batch: &Batch, images: Option<Tensor<2>>) -> Result<LayerInputs, Error> {
        let context = self.attention_context(batch);
        let embedded = self.embed(batch, images)?;
        let constants = self.training_view(&[]);
        let mut hidden = embedded.clone().without_autodiff();
        let mut inputs = Vec::with_capacity(self.text.layers.len());
        for index in 0..self.text.layers.len() {
            inputs.push(hidden.clone());
            hidden = constants.text.forward_layer(index, hidden, &context);
        }
        Ok(LayerInputs { context, embedded, inputs, output: leaf(hidden) })
    }
}

impl ScoredPass<'_> {
    /// Carries the derivatives by each log-probability, `[n]`, back: the gradients of the view's parameters. Parameters
    /// that had no part in the scores are absent.
    ///
    /// Errors: `Input` when there are not as many derivatives as scores.
    pub fn backward(self, derivatives: Vec<f32>) -> Result<NamedValues, Error> {
        let [n] = self.scores.logprobs.dims();
        if derivatives.len() != n {
            return Err(Error::Input(format!(
                "expected {n} derivatives, one for each score, got {}",
                derivatives.len()
            )));
        }
        let derivatives = Tensor::from_data(TensorData::new(derivatives, [n]), &self.view.device());
        let mut gradients = (self.scores.logprobs * derivatives).sum().backward();
        let Some(layers) = self.layers else {
            return Ok(self.view.named_gradients(gradients));
        };
        let of_output = layers.output.grad_remove(&mut gradients);
        let of_head = self.view.named_gradients(gradients);
        Ok(match of_output {
            Some(gradient) => sum_gradients([of_head, layers.backward(self.view, gradient)]),
            None => of_head,
        })
    }
}

impl LayerInputs {
    /// From the gradient of the last layer's output, `[b·t, d]`, to those of everything below the head.
    fn backward(self, view: &Vlm, of_output: Tensor<2>) -> NamedValues {
        let mut text = view.text.clone();
        let mut of_output = of_output;
        let mut named = NamedValues::new();
        for (index, input) in self.inputs.into_iter().enumerate().rev() {
            // Below the first layer only a differentiable embedding needs a gradient.
            let input = if index > 0 || self.embedded.is_autodiff() { leaf(input) } else { input };
            let output = text.forward_layer(index, input.clone(), &self.context);
            if !output.is_autodiff() {
                return named;
            }
            let mut gradients = (output * of_output).sum().backward();
            text.layers[index].visit_parameters(&mut |parameter| {
                if let Some(gradient) = parameter.take_gradient(&mut gradients) {
                    named.insert(parameter.name().to_owned(), gradient);
                }
            });
            match input.grad_remove(&mut gradients) {
                Some(gradient) => of_output = gradient,
                None => return named,
            }
        }
        if !self.embedded.is_autodiff() {
            return named;
        }
        let gradients = (self.embedded * of_output).sum().backward();
        sum_gradients([named, view.named_gradients(gradients)])
    }
}

fn leaf(tensor: Tensor<2>) -> Tensor<2> {
    tensor.autodiff().require_grad()
}
