//! The model against what transformers computes (fixtures/parity): positions, image tokens, logits, loss, gradients, an
//! optimizer step, LoRA.

#[allow(dead_code, reason = "each test file uses its part of what all share")]
mod common;

use common::forward::{ALL_GROUPS, all_turns, gradients, hidden_states, largest, load, logits_alone, mean_loss, reply};
use common::{assert_close, assert_relative, fixtures, values};
use vlm::batch::Batch;
use vlm::optim::{AdamW, AdamWSettings, grad_norm};
use vlm::parameter::ParameterGroup;

#[test]
fn positions_are_equal() {
    for fixture in fixtures() {
        let config = load(&fixture).config().clone();
        for case in fixture.cases() {
            let batch = Batch::new(&[case.sequence()], &config).unwrap();
            let got: Vec<i64> = batch.positions().concat().into_iter().map(i64::from).collect();
            let key = format!("{}.position_ids", case.id);
            let expected = if fixture.has(&key) {
                fixture.integers(&key)
            } else {
                // The original code of a family that counts all tokens alike returns no positions.
                (0..3).flat_map(|_| 0..case.ids.len() as i64).collect()
            };
            assert_eq!(got, expected, "{}", case.id);
        }
    }
}

#[test]
fn image_tokens_agree() {
    for fixture in fixtures() {
        let model = load(&fixture);
        for case in fixture.cases() {
            let Some(pixel_values) = fixture.pixel_values(&case, &model.device()) else {
                continue;
            };
            let key = format!("{}.image_embeds", case.id);
            let got = values(model.encode_images(pixel_values, &case.grids).unwrap());
            assert_close(&key, &got, &fixture.floats(&key), 2e-4);
        }
    }
}

#[test]
fn tower_and_projector_one_after_the_other_agree_with_both_at_once() {
    for fixture in fixtures() {
        let model = load(&fixture);
        for case in fixture.cases() {
            let Some(pixel_values) = fixture.pixel_values(&case, &model.device()) else {
                continue;
            };
            let features = model.vision_features(pixel_values.clone(), &case.grids).unwrap();
            let got = values(model.project_features(features));
            let expected = values(model.encode_images(pixel_values, &case.grids).unwrap());
            assert_close(&case.id, &got, &expected, 1e-5);
        }
    }
}

#[test]
fn logits_and_logprobs_agree() {
    for fixture in fixtures() {
        let model = load(&fixture);
        for case in fixture.cases() {
            let (logits_key, logprobs_key) = (format!("{}.logits", case.id), format!("{}.logprobs", case.id));
            let (targets, rows) = (case.ids[1..].to_vec(), (0..case.ids.len() - 1).collect::<Vec<_>>());
            let (_, hidden) = hidden_states(&model, &fixture, &[case]);
            let logprobs = model.token_scores(hidden.clone(), &rows, &targets).unwrap().logprobs;
            assert_close(&logits_key, &values(model.logits(hidden)), &fixture.floats(&logits_key), 2e-4);
            assert_close(&logprobs_key, &values(logprobs), &fixture.floats(&logprobs_key), 2e-4);
        }
    }
}

#[test]
fn losses_and_gradients_agree() {
    for fixture in fixtures() {
        let model = load(&fixture);
        assert_relative("loss", mean_loss(&model, &fixture, reply), fixture.float("train.loss"), 1e-5);
        let loss_all_turns = fixture.float("train.loss_all_turns");
        assert_relative("loss of all turns", mean_loss(&model, &fixture, all_turns), loss_all_turns, 1e-5);
        let gradients = gradients(&model, &ALL_GROUPS, &fixture);
        assert_relative("grad norm", grad_norm(&gradients), fixture.float("train.grad_norm"), 1e-4);
        let keys = fixture.keys_under("train.grad.");
        assert!(keys.len() >= 9, "the fixture holds {} gradients", keys.len());
        for key in keys {
            let expected = fixture.floats(&format!("train.grad.{key}"));
            let got = values(gradients[&key].clone());
            assert_close(&format!("gradient of {key}"), &got, &expected, 1e-4 * largest(&expected));
        }
    }
}

#[test]
fn one_step_of_adamw_agrees() {
    let settings = AdamWSettings {
        learning_rate: 1e-3,
        betas: [0.9, 0.999],
        epsilon: 1e-8,
        weight_decay: 0.01,
        max_grad_norm: 0.0,
    };
    for fixture in fixtures() {
        let mut model = load(&fixture);
        let gradients = gradients(&model, &ALL_GROUPS, &fixture);
        let updated = AdamW::new().step(&settings, model.parameters(&ALL_GROUPS), gradients).unwrap();
        for key in fixture.keys_under("train.after.") {
            let expected = fixture.floats(&format!("train.after.{key}"));
            let gradient = fixture.floats(&format!("train.grad.{key}"));
            let got = values(updated[&key].clone());
            let floor = 1e-3 * largest(&gradient);
            for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
                // Near zero Adam's first step is the sign of rounding noise.
                let tolerance = if gradient[index].abs() > floor { 2e-6 } else { 2.1e-3 };
                assert_close(&format!("{key}[{index}] after a step"), &[*got], &[*expected], tolerance);
            }
        }
        model.set_parameters(updated).unwrap();
        assert_relative("loss after", mean_loss(&model, &fixture, reply), fixture.float("train.loss_after"), 1e-4);
    }
}

#[test]
fn lora_agrees() {
    for fixture in fixtures() {
        let mut model = load(&fixture);
        model.load_adapter(&fixture.adapter_folder()).unwrap();
        let logits = logits_alone(&model, &fixture, fixture.case("case1"));
        assert_close("LoRA logits", &logits, &fixture.floats("lora.logits.case1"), 2e-4);
        assert_relative("LoRA loss", mean_loss(&model, &fixture, reply), fixture.float("lora.loss"), 1e-5);
        let gradients = gradients(&model, &[ParameterGroup::Adapter], &fixture);
        assert_eq!(gradients.len(), fixture.keys_under("lora.A.").len() * 2, "only A and B have gradients");
        assert_relative("LoRA grad norm", grad_norm(&gradients), fixture.float("lora.grad_norm"), 1e-4);
        for (letter, name) in [("A", "lora_A"), ("B", "lora_B")] {
            for module in fixture.keys_under(&format!("lora.grad.{letter}.")) {
                let expected = fixture.floats(&format!("lora.grad.{letter}.{module}"));
                let got = values(gradients[&format!("{module}.{name}.weight")].clone());
                assert_close(&format!("gradient of {module}.{name}"), &got, &expected, 1e-4 * largest(&expected));
            }
        }
    }
}
