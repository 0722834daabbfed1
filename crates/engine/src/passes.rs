//! One pass through the model: a micro-batch in, scores and gradients out.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use align::engine::{EngineError, TokenLoss, TokenScores};
use burn::tensor::{Tensor, TensorData};
use vlm::batch::{Batch, TokenSequence};
use vlm::model::Vlm;
use vlm::processor::Processor;
use vlm::training::NamedValues;

use crate::engine_error;
use crate::features::encode;
use crate::inputs::Prepared;

/// Where the picture rows of a batch come from.
pub enum Pictures<'a> {
    /// Computed before: the vision tower is frozen.
    Known(HashMap<PathBuf, Tensor<2>>),
    /// Through the vision tower, whose parameters are trained.
    Encode(&'a Processor),
}

/// What one micro-batch gives.
pub struct Part {
    /// Which sequences.
    pub indexes: Vec<usize>,
    /// Their scores.
    pub scores: Vec<TokenScores>,
    /// Their loss, summed.
    pub loss: f64,
    /// Its gradients.
    pub gradients: NamedValues,
}

/// Scores the replies of sequences side by side; the log-probabilities also as one tensor, `[n]`, reply after reply.
pub fn forward(
    model: &Vlm,
    members: &[&Prepared],
    pictures: &Pictures,
) -> Result<(Vec<TokenScores>, Option<Tensor<1>>), EngineError> {
    let sequences: Vec<TokenSequence> = members.iter().map(|one| one.tokens()).collect();
    let batch = Batch::new(&sequences, model.config()).map_err(engine_error)?;
    let (mut rows, mut targets) = (Vec::new(), Vec::new());
    for (index, one) in members.iter().enumerate() {
        rows.extend((one.prompt_length..one.ids.len()).map(|token_idx| batch.row(index, token_idx - 1)));
        targets.extend_from_slice(one.reply());
    }
    let (mut logprobs, mut entropies, mut tensor) = (Vec::new(), Vec::new(), None);
    if !rows.is_empty() {
        let images = picture_rows(model, members, pictures)?;
        let hidden = model.hidden_states(&batch, images).map_err(engine_error)?;
        let scores = model
            .token_scores(hidden, &rows, &targets, true)
            .map_err(engine_error)?;
        logprobs = values(scores.logprobs.clone());
        entropies = scores.entropies.map_or_else(Vec::new, values);
        tensor = Some(scores.logprobs);
    }
    let (mut logprobs, mut entropies) = (logprobs.into_iter(), entropies.into_iter());
    let scores = members.iter().map(|one| {
        let n = one.reply().len();
        TokenScores {
            token_ids: one.reply().to_vec(),
            logprobs: logprobs.by_ref().take(n).collect(),
            entropies: entropies.by_ref().take(n).collect(),
        }
    });
    Ok((scores.collect(), tensor))
}

/// Carries the loss's derivative by each log-probability back to the parameters.
pub fn backward(
    view: &Vlm,
    indexes: &[usize],
    scores: Vec<TokenScores>,
    logprobs: Option<Tensor<1>>,
    loss: &dyn TokenLoss,
) -> Result<Part, EngineError> {
    let mut total = 0.0;
    let mut derivatives = Vec::new();
    for (&index, scores) in indexes.iter().zip(&scores) {
        let evaluated = loss.evaluate(index, scores);
        if !evaluated.loss.is_finite() || !evaluated.gradient.iter().all(|value| value.is_finite()) {
            return Err(EngineError::Numerics(format!(
                "the loss of sequence {index} is {}: expected a finite number and a finite gradient",
                evaluated.loss
            )));
        }
        total += evaluated.loss;
        derivatives.extend(evaluated.gradient);
    }
    // Where no derivative is other than zero there is nothing to carry back.
    let gradients = match logprobs {
        Some(logprobs) if derivatives.iter().any(|&derivative| derivative != 0.0) => {
            let n = derivatives.len();
            let weights = Tensor::from_data(TensorData::new(derivatives, [n]), &view.device());
            view.named_gradients((logprobs * weights).sum().backward())
        }
        _ => NamedValues::new(),
    };
    Ok(Part {
        indexes: indexes.to_vec(),
        scores,
        loss: total,
        gradients,
    })
}

/// The picture rows of sequences, in order; none where there are no pictures.
pub fn picture_rows(model: &Vlm, members: &[&Prepared], pictures: &Pictures) -> Result<Option<Tensor<2>>, EngineError> {
    let files: Vec<&Path> = members
        .iter()
        .flat_map(|one| &one.images)
        .map(PathBuf::as_path)
        .collect();
    if files.is_empty() {
        return Ok(None);
    }
    let rows: Vec<Tensor<2>> = match pictures {
        Pictures::Known(known) => files.iter().map(|file| known[*file].clone()).collect(),
        Pictures::Encode(processor) => {
            let mut distinct = files.clone();
            distinct.sort_unstable();
            distinct.dedup();
            let encoded: HashMap<PathBuf, Tensor<2>> = encode(model, processor, &distinct)?.into_iter().collect();
            files.iter().map(|file| encoded[*file].clone()).collect()
        }
    };
    Ok(Some(Tensor::cat(rows, 0)))
}

fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.without_autodiff().into_data().iter::<f32>().collect()
}
