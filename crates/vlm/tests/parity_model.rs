//! The model against what transformers computes (fixtures/parity): positions, image tokens, logits, loss, gradients, an
//! optimizer step, LoRA; and what holds for any causal model: causality, batch invariance, gradients in parts.

mod common;

use burn::tensor::{Device, Gradients, Tensor};
use common::{Case, FIXTURES, Fixture, assert_close, assert_relative, values};
use vlm::adapter::{LoraConfig, TargetModules};
use vlm::batch::Batch;
use vlm::model::Qwen25Vl;
use vlm::optim::{AdamW, AdamWSettings, grad_norm};
use vlm::parameter::Group;
use vlm::rope::position_ids;
use vlm::training::{NamedValues, sum_gradients};

const ALL_GROUPS: [Group; 3] = [Group::Vision, Group::Projector, Group::Language];

fn load(fixture: &Fixture) -> Qwen25Vl {
    Qwen25Vl::load(&fixture.model_folder(), &Device::flex()).unwrap()
}

fn hidden_states(model: &Qwen25Vl, fixture: &Fixture, cases: &[Case]) -> (Batch, Tensor<2>) {
    let sequences: Vec<_> = cases.iter().map(Case::sequence).collect();
    let batch = Batch::new(&sequences, model.config()).unwrap();
    let images = cases.iter().filter_map(|case| {
        let pixel_values = fixture.pixel_values(case, &model.device())?;
        Some(model.encode_images(pixel_values, &case.grids).unwrap())
    });
    let images: Vec<_> = images.collect();
    let images = (!images.is_empty()).then(|| Tensor::cat(images, 0));
    let hidden = model.hidden_states(&batch, images, None).unwrap();
    (batch, hidden)
}

fn logits_alone(model: &Qwen25Vl, fixture: &Fixture, case: Case) -> Vec<f32> {
    let (_, hidden) = hidden_states(model, fixture, &[case]);
    values(model.logits(hidden))
}

/// Cross-entropy summed over the tokens a mask marks, and their number.
fn summed_loss(model: &Qwen25Vl, fixture: &Fixture, cases: &[Case], mask: fn(&Case) -> &[bool]) -> (Tensor<1>, usize) {
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
    let scores = model.token_scores(hidden, &rows, &targets, false).unwrap();
    (-scores.logprobs.sum(), rows.len())
}

fn reply(case: &Case) -> &[bool] {
    &case.labels_mask
}

fn all_turns(case: &Case) -> &[bool] {
    &case.labels_mask_all
}

fn mean_loss(model: &Qwen25Vl, fixture: &Fixture, mask: fn(&Case) -> &[bool]) -> f64 {
    let (loss, count) = summed_loss(model, fixture, &fixture.cases(), mask);
    f64::from(loss.into_scalar::<f32>()) / count as f64
}

/// Gradients of the mean loss over the scored replies.
fn gradients(model: &Qwen25Vl, groups: &[Group], fixture: &Fixture) -> NamedValues {
    let view = model.training_view(groups);
    let (loss, count) = summed_loss(&view, fixture, &fixture.cases(), reply);
    let gradients: Gradients = (loss / count as f32).backward();
    view.named_gradients(gradients)
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

#[test]
fn positions_are_equal() {
    for fixture in FIXTURES.map(Fixture::open) {
        let config = load(&fixture).config().clone();
        for case in fixture.cases() {
            let positions =
                position_ids(&case.ids, &case.grids, config.tokens, config.vision.spatial_merge_size).unwrap();
            let got: Vec<i64> = positions.axes.concat().into_iter().map(i64::from).collect();
            assert_eq!(
                got,
                fixture.integers(&format!("{}.position_ids", case.id)),
                "{}",
                case.id
            );
        }
    }
}

#[test]
fn image_tokens_agree() {
    for fixture in FIXTURES.map(Fixture::open) {
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
fn logits_and_logprobs_agree() {
    for fixture in FIXTURES.map(Fixture::open) {
        let model = load(&fixture);
        for case in fixture.cases() {
            let (logits_key, logprobs_key) = (format!("{}.logits", case.id), format!("{}.logprobs", case.id));
            let (targets, rows) = (case.ids[1..].to_vec(), (0..case.ids.len() - 1).collect::<Vec<_>>());
            let (_, hidden) = hidden_states(&model, &fixture, &[case]);
            let logprobs = model
                .token_scores(hidden.clone(), &rows, &targets, false)
                .unwrap()
                .logprobs;
            assert_close(
                &logits_key,
                &values(model.logits(hidden)),
                &fixture.floats(&logits_key),
                2e-4,
            );
            assert_close(&logprobs_key, &values(logprobs), &fixture.floats(&logprobs_key), 2e-4);
        }
    }
}

#[test]
fn entropies_are_those_of_the_whole_distribution() {
    let fixture = Fixture::open("qwen2_5_vl");
    let model = load(&fixture);
    let (_, hidden) = hidden_states(&model, &fixture, &[fixture.case("case4")]);
    let scores = model.token_scores(hidden, &[0, 7], &[1, 2], true).unwrap();
    let logits = fixture.floats("case4.logits");
    let by_hand = [0, 7].map(|row: usize| {
        let logits = logits[row * 608..(row + 1) * 608].iter().map(|logit| f64::from(*logit));
        let total: f64 = logits.clone().map(f64::exp).sum();
        -logits
            .map(|logit| logit.exp() / total * (logit - total.ln()))
            .sum::<f64>() as f32
    });
    assert_close("entropies", &values(scores.entropies.unwrap()), &by_hand, 1e-4);
}

#[test]
fn losses_and_gradients_agree() {
    for fixture in FIXTURES.map(Fixture::open) {
        let model = load(&fixture);
        assert_relative(
            "loss",
            mean_loss(&model, &fixture, reply),
            fixture.float("train.loss"),
            1e-5,
        );
        let loss_all_turns = fixture.float("train.loss_all_turns");
        assert_relative(
            "loss of all turns",
            mean_loss(&model, &fixture, all_turns),
            loss_all_turns,
            1e-5,
        );
        let gradients = gradients(&model, &ALL_GROUPS, &fixture);
        assert_relative(
            "grad norm",
            grad_norm(&gradients),
            fixture.float("train.grad_norm"),
            1e-4,
        );
        let keys = fixture.keys_under("train.grad.");
        assert!(keys.len() >= 9, "the fixture holds {} gradients", keys.len());
        for key in keys {
            let expected = fixture.floats(&format!("train.grad.{key}"));
            let got = values(gradients[&key].clone());
            assert_close(
                &format!("gradient of {key}"),
                &got,
                &expected,
                1e-4 * largest(&expected),
            );
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
    for fixture in FIXTURES.map(Fixture::open) {
        let mut model = load(&fixture);
        let gradients = gradients(&model, &ALL_GROUPS, &fixture);
        let updated = AdamW::new()
            .step(&settings, model.parameters(&ALL_GROUPS), gradients)
            .unwrap();
        for key in fixture.keys_under("train.after.") {
            let expected = fixture.floats(&format!("train.after.{key}"));
            let gradient = fixture.floats(&format!("train.grad.{key}"));
            let got = values(updated[&key].clone());
            let floor = 1e-3 * largest(&gradient);
            for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
                // Near zero Adam's first step is the sign of rounding noise.
                let tolerance = if gradient[index].abs() > floor { 2e-6 } else { 2.1e-3 };
                assert_close(
                    &format!("{key}[{index}] after a step"),
                    &[*got],
                    &[*expected],
                    tolerance,
                );
            }
        }
        model.set_parameters(updated).unwrap();
        assert_relative(
            "loss after",
            mean_loss(&model, &fixture, reply),
            fixture.float("train.loss_after"),
            1e-4,
        );
    }
}

#[test]
fn lora_agrees() {
    for fixture in FIXTURES.map(Fixture::open) {
        let mut model = load(&fixture);
        model.load_adapter(&fixture.adapter_folder()).unwrap();
        let logits = logits_alone(&model, &fixture, fixture.case("case1"));
        assert_close("LoRA logits", &logits, &fixture.floats("lora.logits.case1"), 2e-4);
        assert_relative(
            "LoRA loss",
            mean_loss(&model, &fixture, reply),
            fixture.float("lora.loss"),
            1e-5,
        );
        let gradients = gradients(&model, &[Group::Adapter], &fixture);
        assert_eq!(
            gradients.len(),
            fixture.keys_under("lora.A.").len() * 2,
            "only A and B have gradients"
        );
        assert_relative(
            "LoRA grad norm",
            grad_norm(&gradients),
            fixture.float("lora.grad_norm"),
            1e-4,
        );
        for (letter, name) in [("A", "lora_A"), ("B", "lora_B")] {
            for module in fixture.keys_under(&format!("lora.grad.{letter}.")) {
                let expected = fixture.floats(&format!("lora.grad.{letter}.{module}"));
                let got = values(gradients[&format!("{module}.{name}.weight")].clone());
                assert_close(
                    &format!("gradient of {module}.{name}"),
                    &got,
                    &expected,
                    1e-4 * largest(&expected),
                );
            }
        }
    }
}

#[test]
fn an_adapter_survives_writing_and_reading_under_the_newer_names() {
    let fixture = Fixture::open("qwen2_5_vl");
    let folder = tempfile::tempdir().unwrap();
    let mut model = load(&fixture);
    let config = model.load_adapter(&fixture.adapter_folder()).unwrap();
    model.save_adapter(&config, "../model", folder.path()).unwrap();
    let text = std::fs::read(folder.path().join("adapter_model.safetensors")).unwrap();
    let nested = b"base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight";
    assert!(
        text.windows(nested.len()).any(|window| window == nested),
        "keys follow the newer naming"
    );

    let mut again = load(&fixture);
    assert_eq!(again.load_adapter(folder.path()).unwrap(), config);
    let logits = logits_alone(&again, &fixture, fixture.case("case1"));
    assert_eq!(logits, logits_alone(&model, &fixture, fixture.case("case1")));
    again.detach_lora();
    let plain = logits_alone(&again, &fixture, fixture.case("case1"));
    assert_close(
        "logits without the adapter",
        &plain,
        &fixture.floats("case1.logits"),
        2e-4,
    );
}

#[test]
fn a_fresh_adapter_changes_nothing_and_must_match_a_layer() {
    let fixture = Fixture::open("qwen2_5_vl");
    let mut model = load(&fixture);
    let plain = logits_alone(&model, &fixture, fixture.case("case1"));
    let config = |target_modules| LoraConfig {
        r: 2,
        alpha: 4.0,
        rank_stabilised: false,
        target_modules,
    };
    let names = |names: &[&str]| TargetModules::Names(names.iter().map(|name| (*name).to_owned()).collect());
    let attach = |model: &mut Qwen25Vl, targets| model.attach_lora(&config(targets), 7);
    assert_eq!(attach(&mut model, names(&["q_proj", "v_proj"])).unwrap(), 6);
    assert_eq!(
        attach(&mut model, TargetModules::Pattern("all-linear".to_owned())).unwrap(),
        21
    );
    let pattern = r"model\.language_model\.layers\.\d+\.mlp\.(?!up).*".to_owned();
    assert_eq!(attach(&mut model, TargetModules::Pattern(pattern)).unwrap(), 6);
    assert_eq!(logits_alone(&model, &fixture, fixture.case("case1")), plain);

    let message = attach(&mut model, names(&["proj", "query"])).unwrap_err().to_string();
    assert!(
        message.contains("match none of 21 layers") && message.contains("query"),
        "{message}"
    );
}

#[test]
fn no_token_sees_a_later_one() {
    let fixture = Fixture::open("qwen2_5_vl");
    let model = load(&fixture);
    let case = fixture.case("case2");
    let changed_from = case.ids.len() - 5;
    let mut changed = fixture.case("case2");
    for id in &mut changed.ids[changed_from..] {
        *id = (*id + 1) % 500;
    }
    let (before, after) = (
        logits_alone(&model, &fixture, case),
        logits_alone(&model, &fixture, changed),
    );
    let first = changed_from * model.config().text.vocab_size;
    assert_eq!(before[..first], after[..first]);
    assert_ne!(before[first..], after[first..]);
}

#[test]
fn a_sequence_alone_is_the_same_as_in_a_padded_batch() {
    let fixture = Fixture::open("qwen2_5_vl");
    let model = load(&fixture);
    let vocab_size = model.config().text.vocab_size;
    let cases = fixture.cases();
    let (batch, hidden) = hidden_states(&model, &fixture, &cases);
    let logits = values(model.logits(hidden));
    for (sequence, case) in cases.into_iter().enumerate() {
        let first = batch.row(sequence, 0) * vocab_size;
        let together = &logits[first..first + case.ids.len() * vocab_size];
        assert_close("in a batch", together, &logits_alone(&model, &fixture, case), 1e-4);
    }
}

#[test]
fn two_threads_give_the_gradients_of_one() {
    let fixture = Fixture::open("qwen2_5_vl");
    let model = load(&fixture);
    let part = |cases: Vec<Case>| {
        let view = model.training_view(&ALL_GROUPS);
        let (loss, _) = summed_loss(&view, &fixture, &cases, reply);
        view.named_gradients(loss.backward())
    };
    let together = part(fixture.cases());
    let halves = std::thread::scope(|scope| {
        let first = scope.spawn(|| part(fixture.cases().into_iter().take(3).collect()));
        let second = scope.spawn(|| part(fixture.cases().into_iter().skip(3).collect()));
        [first.join().unwrap(), second.join().unwrap()]
    });
    let summed = sum_gradients(halves);
    assert_eq!(summed.keys().collect::<Vec<_>>(), together.keys().collect::<Vec<_>>());
    for (name, expected) in together {
        let expected = values(expected);
        let got = values(summed[&name].clone());
        assert_close(
            &format!("gradient of {name}"),
            &got,
            &expected,
            1e-5 * largest(&expected).max(1e-3),
        );
    }
}

#[test]
fn only_the_groups_asked_for_have_gradients() {
    let fixture = Fixture::open("qwen2_5_vl");
    let gradients = gradients(&load(&fixture), &[Group::Projector], &fixture);
    let names: Vec<&str> = gradients.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "ln_q.weight",
            "mlp.0.bias",
            "mlp.0.weight",
            "mlp.2.bias",
            "mlp.2.weight"
        ]
        .map(|n| format!("visual.merger.{n}"))
    );
}
