//! One pass through the model: a micro-batch in, scores and gradients out.

use std::collections::HashMap;

use align::engine::{EngineError, TokenLoss, TokenScores};
use burn::tensor::Tensor;
use vlm::batch::{Batch, SequenceGroup};
use vlm::image_processor::ImageFile;
use vlm::model::Vlm;
use vlm::processor::Processor;
use vlm::scored_pass::{ScoredPass, ScoredTokens};
use vlm::training::NamedValues;

use crate::errors::engine_error;
use crate::image_features::{Stage, encode};
use crate::prepared::Prepared;

/// Where a pass takes the embeddings of its images from.
pub enum Images<'a> {
    /// Embeddings: vision tower and projector are frozen.
    Projected(HashMap<ImageFile, Tensor<2>>),
    /// Features of a frozen vision tower; the projector is trained.
    Features(HashMap<ImageFile, Tensor<2>>),
    /// Files: the vision tower is trained.
    Files(&'a Processor),
}

/// The result of training on one micro-batch.
pub struct MicroBatchResult {
    /// The indexes of its sequences.
    pub indexes: Vec<usize>,
    /// Their scores.
    pub scores: Vec<TokenScores>,
    /// Their loss, summed.
    pub loss: f64,
    /// The gradients of this loss.
    pub gradients: NamedValues,
}

/// The sequences of a micro-batch, grouped by their prompts.
pub struct MicroBatch<'a> {
    /// The indexes of its sequences, group after group.
    pub indexes: Vec<usize>,
    groups: Vec<Vec<&'a Prepared>>,
}

impl<'a> MicroBatch<'a> {
    /// A micro-batch of groups of indexes into all sequences.
    pub fn new(groups: &[Vec<usize>], all: &'a [Prepared]) -> Self {
        Self {
            indexes: groups.concat(),
            groups: groups.iter().map(|group| group.iter().map(|&index| &all[index]).collect()).collect(),
        }
    }

    /// Its tokens, padded or packed, each prompt once.
    pub fn batch(&self, model: &Vlm, packing: bool) -> Result<Batch, EngineError> {
        let groups: Vec<SequenceGroup> = self
            .groups
            .iter()
            .map(|members| SequenceGroup {
                members: members.iter().map(|one| one.tokens()).collect(),
                n_shared: if members.len() > 1 { members[0].prompt_length } else { 0 },
            })
            .collect();
        Batch::grouped(&groups, packing, model.config()).map_err(engine_error)
    }

    fn members(&self) -> impl Iterator<Item = &'a Prepared> {
        self.groups.iter().flatten().copied()
    }
}

/// Scores the replies of sequences; none where no reply has a token. With `recompute` the backward pass recomputes each
/// layer.
pub fn forward<'a>(
    model: &'a Vlm,
    batch: &Batch,
    micro_batch: &MicroBatch,
    images: &Images,
    recompute: bool,
) -> Result<Option<ScoredPass<'a>>, EngineError> {
    let (mut rows, mut ids) = (Vec::new(), Vec::new());
    for (index, one) in micro_batch.members().enumerate() {
        rows.extend((one.prompt_length..one.ids.len()).map(|token_idx| batch.row(index, token_idx - 1)));
        ids.extend_from_slice(one.reply());
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let firsts: Vec<&Prepared> = micro_batch.groups.iter().map(|group| group[0]).collect();
    let embeddings = image_embeddings(model, &firsts, images)?;
    let tokens = ScoredTokens { rows: &rows, ids: &ids };
    model.score(batch, embeddings, tokens, recompute).map(Some).map_err(engine_error)
}

/// A pass's scores of each sequence's reply.
pub fn reply_scores(micro_batch: &MicroBatch, pass: Option<&ScoredPass>) -> Vec<TokenScores> {
    let (logprobs, entropies) = pass.map_or_else(Default::default, |pass| {
        let scores = &pass.scores;
        (values(scores.logprobs.clone()), values(scores.entropies.clone()))
    });
    let (mut logprobs, mut entropies) = (logprobs.into_iter(), entropies.into_iter());
    micro_batch
        .members()
        .map(|one| {
            let n = one.reply().len();
            TokenScores {
                token_ids: one.reply().to_vec(),
                logprobs: logprobs.by_ref().take(n).collect(),
                entropies: entropies.by_ref().take(n).collect(),
            }
        })
        .collect()
}

/// Propagates the loss's derivative by each log-probability back to the parameters.
///
/// Errors: `Numerics` where loss or gradient is not finite.
pub fn backward(
    MicroBatch { indexes, .. }: MicroBatch,
    scores: Vec<TokenScores>,
    pass: Option<ScoredPass>,
    loss: &dyn TokenLoss,
) -> Result<MicroBatchResult, EngineError> {
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
    // Where every derivative is zero, there is nothing to propagate.
    let gradients = match pass {
        Some(pass) if derivatives.iter().any(|&derivative| derivative != 0.0) => {
            pass.backward(derivatives).map_err(engine_error)?
        }
        _ => NamedValues::new(),
    };
    Ok(MicroBatchResult { indexes, scores, loss: total, gradients })
}

/// The embeddings `[m, d]` of the images of sequences, in order; none where there are no images.
///
/// Errors: `Data` naming an image that cannot be read.
pub fn image_embeddings(model: &Vlm, members: &[&Prepared], images: &Images) -> Result<Option<Tensor<2>>, EngineError> {
    let files: Vec<&ImageFile> = members.iter().flat_map(|one| &one.images).collect();
    if files.is_empty() {
        return Ok(None);
    }
    let rows: Vec<Tensor<2>> = match images {
        Images::Projected(embeddings) => files.iter().map(|file| embeddings[*file].clone()).collect(),
        // Each alone: an image's bits do not depend on those beside it.
        Images::Features(features) => {
            files.iter().map(|file| model.project_features(features[*file].clone())).collect()
        }
        Images::Files(processor) => {
            let mut distinct = files.clone();
            distinct.sort_unstable();
            distinct.dedup();
            let encoded: HashMap<ImageFile, Tensor<2>> =
                encode(model, processor, &distinct, Stage::Projector)?.into_iter().collect();
            files.iter().map(|file| encoded[*file].clone()).collect()
        }
    };
    Ok(Some(Tensor::cat(rows, 0)))
}

fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.without_autodiff().into_data().iter::<f32>().collect()
}
