//! Passes over the cases of a fixture, and the gradients of their mean loss.

use burn::tensor::{Gradients, Tensor};
use vlm::batch::Batch;
use vlm::model::Vlm;
use vlm::parameter::ParameterGroup;
use vlm::training::NamedValues;

use super::{Case, Fixture, device, values};

pub const ALL_GROUPS: [ParameterGroup; 3] =
    [ParameterGroup::Vision, ParameterGroup::Projector, ParameterGroup::Language];

pub fn load(fixture: &Fixture) -> Vlm {
    Vlm::load(&fixture.model_folder(), &device()).unwrap()
}

pub fn hidden_states(model: &Vlm, fixture: &Fixture, cases: &[Case]) -> (Batch, Tensor<2>) {
    let sequences: Vec<_> = cases.iter().map(Case::sequence).collect();
    let batch = Batch::new(&sequences, model.config()).unwrap();
    let images = cases.iter().filter_map(|case| {
        let pixel_values = fixture.pixel_values(case, &model.device())?;
        Some(model.encode_images(pixel_values, &case.grids).unwrap())
    });
    let images: Vec<_> = images.collect();
    let images = (!images.is_empty()).then(|| Tensor::cat(images, 0));
    let hidden = model.hidden_states(&batch, images).unwrap();
    (batch, hidden)
}

pub fn logits_alone(model: &Vlm, fixture: &Fixture, case: Case) -> Vec<f32> {
    let (_, hidden) = hidden_states(model, fixture, &[case]);
    values(model.logits(hidden))
}

/// Cross-entropy summed over the tokens a mask marks, and their number.
pub fn summed_loss(model: &Vlm, fixture: &Fixture, cases: &[Case], mask: fn(&Case) -> &[bool]) -> (Tensor<1>, usize) {
    let (batch, hidden) = hidden_states(model, fixture, cases);
    let (mut rows, mut targets) = (Vec::new(), Vec::new());
    for (sequence, case) in cases.iter().enumerate() {
        for (token_idx, marked) in mask(case).iter().enumerate().skip(1) {
            if *marked {
                rows.push(batch.row(sequence, token_idx - 1));
                targets.push(case.ids[token_idx]);
            }
        }
    }
    let scores = model.token_scores(hidden, &rows, &targets).unwrap();
    (-scores.logprobs.sum(), rows.len())
}

pub fn reply(case: &Case) -> &[bool] {
    &case.labels_mask
}

pub fn all_turns(case: &Case) -> &[bool] {
    &case.labels_mask_all
}

pub fn mean_loss(model: &Vlm, fixture: &Fixture, mask: fn(&Case) -> &[bool]) -> f64 {
    let (loss, count) = summed_loss(model, fixture, &fixture.cases(), mask);
    f64::from(loss.into_scalar::<f32>()) / count as f64
}

/// Gradients of the mean loss over the scored replies.
pub fn gradients(model: &Vlm, groups: &[ParameterGroup], fixture: &Fixture) -> NamedValues {
    let view = model.training_view(groups);
    let (loss, count) = summed_loss(&view, fixture, &fixture.cases(), reply);
    let gradients: Gradients = (loss / count as f32).backward();
    view.named_gradients(gradients)
}

pub fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}
