//! One pass through the model: a micro-batch in, scores and gradients out.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use align::engine::{EngineError, TokenLoss, TokenScores};
use burn::tensor::Tensor;
use vlm::batch::{Batch, SequenceGroup};
use vlm::model::Vlm;
use vlm::processor::Processor;
use vlm::scored_pass::{ScoredPass, ScoredTokens};
use vlm::training::NamedValues;

use crate::engine_error;
use crate::features::{Stage, encode};
use crate::inputs::Prepared;

/// Where the picture rows of a batch come from.
pub enum Pictures<'a> {
    /// Computed before: vision tower and projector are frozen.
    Known(HashMap<PathBuf, Tensor<2>>),
    /// Seen before by a frozen vision tower; the projector is trained.
    Seen(HashMap<PathBuf, Tensor<2>>),
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

/// The sequences of a micro-batch, those that reply to one prompt together.
pub struct MicroBatch<'a> {
    /// Which sequences, group after group.
    pub indexes: Vec<usize>,
    groups: Vec<Vec<&'a Prepared>>,
}

impl<'a> MicroBatch<'a> {
    /// Of groups of indexes into all sequences.
    pub fn new(groups: &[Vec<usize>], all: &'a [Prepared]) -> Self {
        let of_group = |group: &Vec<usize>| group.iter().map(|&index| &all[index]).collect();
        Self {
            indexes: groups.concat(),
            groups: groups.iter().map(of_group).collect(),
        }
    }

    /// Its tokens, side by side or end to end, each prompt once.
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

/// Scores the replies of sequences; none where no reply has a token. With `recompute` the way back computes each layer
/// anew.
pub fn forward<'a>(
    model: &'a Vlm,
    batch: &Batch,
    micro_batch: &MicroBatch,
    pictures: &Pictures,
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
    let images = picture_rows(model, &firsts, pictures)?;
    let tokens = ScoredTokens { rows: &rows, ids: &ids };
    model
        .score(batch, images, tokens, recompute)
        .map(Some)
        .map_err(engine_error)
}

/// What a pass says of each sequence's reply.
pub fn reply_scores(micro_batch: &MicroBatch, pass: Option<&ScoredPass>) -> Vec<TokenScores> {
    let of_pass = pass.map(ScoredPass::scores);
    let logprobs = of_pass.map_or_else(Vec::new, |scores| values(scores.logprobs.clone()));
    let entropies = of_pass.map_or_else(Vec::new, |scores| values(scores.entropies.clone()));
    let (mut logprobs, mut entropies) = (logprobs.into_iter(), entropies.into_iter());
    let scores = micro_batch.members().map(|one| {
        let n = one.reply().len();
        TokenScores {
            token_ids: one.reply().to_vec(),
            logprobs: logprobs.by_ref().take(n).collect(),
            entropies: entropies.by_ref().take(n).collect(),
        }
    });
    scores.collect()
}

/// Carries the loss's derivative by each log-probability back to the parameters.
pub fn backward(
    MicroBatch { indexes, .. }: MicroBatch,
    scores: Vec<TokenScores>,
    pass: Option<ScoredPass>,
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
    let gradients = match pass {
        Some(pass) if derivatives.iter().any(|&derivative| derivative != 0.0) => {
            pass.backward(derivatives).map_err(engine_error)?
        }
        _ => NamedValues::new(),
    };
    Ok(Part {
        indexes,
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
        // Each alone: a picture's bits do not depend on those beside it.
        Pictures::Seen(seen) => files
            .iter()
            .map(|file| model.project_features(seen[*file].clone()))
            .collect(),
        Pictures::Encode(processor) => {
            let mut distinct = files.clone();
            distinct.sort_unstable();
            distinct.dedup();
            let encoded: HashMap<PathBuf, Tensor<2>> = encode(model, processor, &distinct, Stage::Projected)?
                .into_iter()
                .collect();
            files.iter().map(|file| encoded[*file].clone()).collect()
        }
    };
    Ok(Some(Tensor::cat(rows, 0)))
}

fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.without_autodiff().into_data().iter::<f32>().collect()
}
