//! What holds for any causal model with adapters: causality, batch invariance, gradients in parts, adapters that change
//! what they should.

#[allow(dead_code, reason = "each test file uses its part of what all share")]
mod common;

use common::forward::{ALL_GROUPS, gradients, hidden_states, largest, load, logits_alone, reply, summed_loss};
use common::{Case, Fixture, assert_close, values};
use vlm::adapter::{LoraConfig, TargetModules};
use vlm::model::Vlm;
use vlm::parameter::ParameterGroup;
use vlm::training::{NamedValues, sum_gradients};

#[test]
fn entropies_are_those_of_the_whole_distribution() {
    let fixture = Fixture::committed();
    let model = load(&fixture);
    let (_, hidden) = hidden_states(&model, &fixture, &[fixture.case("case4")]);
    let scores = model.token_scores(hidden, &[0, 7], &[1, 2]).unwrap();
    let logits = fixture.floats("case4.logits");
    let by_hand = [0, 7].map(|row: usize| {
        let logits = logits[row * 608..(row + 1) * 608].iter().map(|logit| f64::from(*logit));
        let total: f64 = logits.clone().map(f64::exp).sum();
        -logits.map(|logit| logit.exp() / total * (logit - total.ln())).sum::<f64>() as f32
    });
    assert_close("entropies", &values(scores.entropies), &by_hand, 1e-4);
}

#[test]
fn an_adapter_survives_writing_and_reading_under_the_newer_names() {
    let fixture = Fixture::committed();
    let folder = tempfile::tempdir().unwrap();
    let mut model = load(&fixture);
    let config = model.load_adapter(&fixture.adapter_folder()).unwrap();
    model.save_adapter(&config, "../model", folder.path()).unwrap();
    let text = std::fs::read(folder.path().join("adapter_model.safetensors")).unwrap();
    let nested = b"base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight";
    assert!(text.windows(nested.len()).any(|window| window == nested), "keys follow the newer naming");

    let mut again = load(&fixture);
    let read = again.load_adapter(folder.path()).unwrap();
    // A folder lists the layers by their names alone.
    let target_modules = config.target_modules.clone();
    assert_eq!(LoraConfig { target_modules, ..read }, config);
    let logits = logits_alone(&again, &fixture, fixture.case("case1"));
    assert_eq!(logits, logits_alone(&model, &fixture, fixture.case("case1")));
    again.detach_lora();
    let plain = logits_alone(&again, &fixture, fixture.case("case1"));
    assert_close("logits without the adapter", &plain, &fixture.floats("case1.logits"), 2e-4);
}

#[test]
fn adapters_of_every_naming_are_read_and_of_no_layer_refused() {
    let fixture = Fixture::committed();
    let source = fixture.adapter_folder();
    let bytes = std::fs::read(source.join("adapter_model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = std::fs::read_to_string(source.join("adapter_config.json")).unwrap();
    let config = config.replace("\"lora_dropout\": 0.0", "\"lora_dropout\": 0.05");
    assert!(config.contains("0.05"), "{config}");
    std::fs::write(folder.path().join("adapter_config.json"), config).unwrap();
    for (layers, is_known) in [
        ("base_model.model.model.layers", true),
        ("base_model.model.model.language_model.layers", true),
        ("base_model.model.language_model.layers", true),
        ("base_model.model.transformer.layers", false),
    ] {
        let renamed = tensors.tensors().into_iter().map(|(key, view)| {
            let (_, place) = key.split_once(".layers.").unwrap();
            (format!("{layers}.{place}"), view)
        });
        let path = folder.path().join("adapter_model.safetensors");
        safetensors::serialize_to_file(renamed.collect::<Vec<_>>(), None, &path).unwrap();
        let mut model = load(&fixture);
        match model.load_adapter(folder.path()) {
            Ok(_) => {
                assert!(is_known, "{layers}");
                let logits = logits_alone(&model, &fixture, fixture.case("case1"));
                assert_close(layers, &logits, &fixture.floats("lora.logits.case1"), 2e-4);
            }
            Err(error) => {
                let message = error.to_string();
                assert!(!is_known && message.contains("belongs to no adaptable layer"), "{message}");
            }
        }
    }
}

fn attach(model: &mut Vlm, target_modules: TargetModules) -> Result<usize, String> {
    let config = LoraConfig { r: 2, alpha: 4.0, dropout: 0.0, rank_stabilized: false, target_modules };
    model.attach_lora(&config, 7).map_err(|error| error.to_string())
}

#[test]
fn a_fresh_adapter_changes_nothing_and_must_match_a_layer() {
    let fixture = Fixture::committed();
    let mut model = load(&fixture);
    let plain = logits_alone(&model, &fixture, fixture.case("case1"));
    let [projections, unknown] =
        [["q_proj", "v_proj"], ["proj", "query"]].map(|names| names.map(str::to_owned).to_vec());
    let all = "all-linear".to_owned();
    let pattern = r"model\.language_model\.layers\.\d+\.mlp\.(?!up).*".to_owned();
    assert_eq!(attach(&mut model, TargetModules::Names(projections)), Ok(6));
    assert_eq!(attach(&mut model, TargetModules::Pattern(all)), Ok(21));
    assert_eq!(attach(&mut model, TargetModules::Pattern(pattern)), Ok(6));
    assert_eq!(logits_alone(&model, &fixture, fixture.case("case1")), plain);

    let message = attach(&mut model, TargetModules::Names(unknown)).unwrap_err();
    assert!(message.contains("match none of 21 layers") && message.contains("query"), "{message}");
}

#[test]
fn no_token_attends_to_a_later_one() {
    let fixture = Fixture::committed();
    let model = load(&fixture);
    let case = fixture.case("case2");
    let changed_from = case.ids.len() - 5;
    let mut changed = fixture.case("case2");
    for id in &mut changed.ids[changed_from..] {
        *id = (*id + 1) % 500;
    }
    let (before, after) = (logits_alone(&model, &fixture, case), logits_alone(&model, &fixture, changed));
    let first = changed_from * model.config().text.vocab_size;
    assert_eq!(before[..first], after[..first]);
    assert_ne!(before[first..], after[first..]);
}

#[test]
fn a_sequence_alone_is_the_same_as_in_a_padded_batch() {
    let fixture = Fixture::committed();
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

fn summed_gradients(model: &Vlm, fixture: &Fixture, cases: &[Case]) -> NamedValues {
    let view = model.training_view(&ALL_GROUPS);
    let (loss, _) = summed_loss(&view, fixture, cases, reply);
    view.named_gradients(loss.backward())
}

#[test]
fn two_threads_give_the_gradients_of_one() {
    let fixture = Fixture::committed();
    let model = load(&fixture);
    let together = summed_gradients(&model, &fixture, &fixture.cases());
    let cases = fixture.cases();
    let halves = std::thread::scope(|scope| {
        let first = scope.spawn(|| summed_gradients(&model, &fixture, &cases[..3]));
        let second = scope.spawn(|| summed_gradients(&model, &fixture, &cases[3..]));
        [first.join().unwrap(), second.join().unwrap()]
    });
    let summed = sum_gradients(halves);
    assert_eq!(summed.keys().collect::<Vec<_>>(), together.keys().collect::<Vec<_>>());
    for (name, expected) in together {
        let expected = values(expected);
        let got = values(summed[&name].clone());
        assert_close(&format!("gradient of {name}"), &got, &expected, 1e-5 * largest(&expected).max(1e-3));
    }
}

#[test]
fn only_the_trained_groups_have_gradients() {
    let fixture = Fixture::committed();
    let gradients = gradients(&load(&fixture), &[ParameterGroup::Projector], &fixture);
    let names: Vec<&str> = gradients.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["ln_q.weight", "mlp.0.bias", "mlp.0.weight", "mlp.2.bias", "mlp.2.weight"]
            .map(|n| format!("visual.merger.{n}"))
    );
}
