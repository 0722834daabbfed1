//! What a training pass may be made of without changing what it computes: recomputed layers, packed rows, dropout whose
//! mask belongs to the token.

#[allow(dead_code, reason = "each test file uses its part of what all share")]
mod common;

use std::sync::Arc;

use burn::tensor::Tensor;
use common::forward::{ALL_GROUPS, largest, load};
use common::{Case, Fixture, assert_close, fixtures, values};
use vlm::adapter::{LoraConfig, TargetModules};
use vlm::batch::{Batch, SequenceGroup, TokenSequence};
use vlm::model::Vlm;
use vlm::parameter::ParameterGroup;
use vlm::scored_pass::ScoredTokens;
use vlm::training::NamedValues;

/// How a batch of all cases is run.
#[derive(Clone, Copy)]
struct Run {
    packed: bool,
    recompute: bool,
    dropout: f64,
}

const PLAIN: Run = Run { packed: false, recompute: false, dropout: 0.0 };

/// Log-probabilities of every token but the first of each case, and gradients under uneven derivatives.
fn run(
    model: &Vlm,
    fixture: &Fixture,
    groups: &[ParameterGroup],
    Run { packed, recompute, dropout }: Run,
) -> (Vec<f32>, NamedValues) {
    let cases = fixture.cases();
    let sequences: Vec<TokenSequence> = cases.iter().map(Case::sequence).collect();
    let make = if packed { Batch::packed } else { Batch::new };
    let batch = make(&sequences, model.config()).unwrap();
    let mut view = model.training_view(groups);
    if dropout > 0.0 {
        let keys: Vec<u64> = (0..cases.len() as u64).collect();
        let row_keys: Arc<[u64]> = batch.row_keys(&keys).into();
        view = view.with_lora_dropout(dropout, &row_keys);
    }
    let images = cases.iter().filter_map(|case| {
        let pixel_values = fixture.pixel_values(case, &model.device())?;
        Some(view.encode_images(pixel_values, &case.grids).unwrap())
    });
    let images = Tensor::cat(images.collect::<Vec<_>>(), 0);
    let (mut rows, mut ids) = (Vec::new(), Vec::new());
    for (sequence, case) in cases.iter().enumerate() {
        rows.extend((1..case.ids.len()).map(|token_idx| batch.row(sequence, token_idx - 1)));
        ids.extend_from_slice(&case.ids[1..]);
    }
    let tokens = ScoredTokens { rows: &rows, ids: &ids };
    let pass = view.score(&batch, Some(images), tokens, recompute).unwrap();
    let logprobs = values(pass.scores.logprobs.clone().without_autodiff());
    let derivatives = (0..ids.len()).map(|index| (index % 7) as f32 - 3.0).collect();
    (logprobs, pass.backward(derivatives).unwrap())
}

fn with_adapter(fixture: &Fixture) -> Vlm {
    let mut model = load(fixture);
    model.load_adapter(&fixture.adapter_folder()).unwrap();
    model
}

#[track_caller]
fn assert_same_bits(what: &str, got: &NamedValues, expected: &NamedValues) {
    assert!(!expected.is_empty(), "{what}: no gradients");
    assert_eq!(
        got.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>(),
        "{what}: parameters with a gradient"
    );
    for (name, got) in got {
        assert!(values(got.clone()) == values(expected[name].clone()), "{what}: gradient of {name}");
    }
}

#[track_caller]
fn assert_agree(what: &str, got: &NamedValues, expected: &NamedValues) {
    assert!(!expected.is_empty(), "{what}: no gradients");
    for (name, expected) in expected {
        let expected = values(expected.clone());
        // The gradient of a bias of keys is zero but for rounding: it shifts all of a row's scores alike.
        let tolerance = 1e-4 * largest(&expected).max(1e-2);
        assert_close(&format!("{what}: {name}"), &values(got[name].clone()), &expected, tolerance);
    }
}

#[test]
fn recomputed_layers_give_the_same_bits() {
    let recomputed = Run { recompute: true, ..PLAIN };
    for fixture in fixtures() {
        let model = load(&fixture);
        let choices: [&[ParameterGroup]; 4] = [
            &ALL_GROUPS,
            &[ParameterGroup::Projector, ParameterGroup::Language],
            &[ParameterGroup::Language],
            &[ParameterGroup::Projector],
        ];
        for groups in choices {
            let (logprobs, gradients) = run(&model, &fixture, groups, recomputed);
            let expected = run(&model, &fixture, groups, PLAIN);
            assert!(logprobs == expected.0, "log-probabilities of {groups:?}");
            assert_same_bits(&format!("{groups:?}"), &gradients, &expected.1);
        }
        let model = with_adapter(&fixture);
        for dropout in [0.0, 0.3] {
            let (logprobs, gradients) =
                run(&model, &fixture, &[ParameterGroup::Adapter], Run { dropout, ..recomputed });
            let expected = run(&model, &fixture, &[ParameterGroup::Adapter], Run { dropout, ..PLAIN });
            assert!(logprobs == expected.0, "log-probabilities with dropout {dropout}");
            assert_same_bits("adapter", &gradients, &expected.1);
        }
    }
}

#[test]
fn packed_sequences_agree_with_padded_ones_several_images_each_included() {
    let packed = Run { packed: true, ..PLAIN };
    for fixture in fixtures() {
        assert!(fixture.cases().iter().any(|case| case.grids.len() > 1), "a case has several images");
        let model = load(&fixture);
        let (logprobs, gradients) = run(&model, &fixture, &ALL_GROUPS, packed);
        let expected = run(&model, &fixture, &ALL_GROUPS, PLAIN);
        assert_close("log-probabilities", &logprobs, &expected.0, 5e-5);
        assert_agree("packed", &gradients, &expected.1);
    }
}

/// A sequence long enough for blockwise attention: words without pattern, two images.
fn long_sequence(model: &Vlm, n_words: usize) -> (Vec<u32>, Vec<[usize; 3]>) {
    let config = model.config();
    let merge = config.merge_size;
    let grid = [1, 4 * merge, 6 * merge];
    let image = [config.tokens.image; 24];
    let mut ids = Vec::new();
    for (first, image) in [(0, &image[..]), (700, &image), (1500, &[])] {
        ids.extend((first..first + n_words / 3).map(|index| (index * 131 % 500) as u32));
        ids.extend(image);
    }
    (ids, vec![grid; 2])
}

/// Log-probabilities and gradients of all tokens but the first of each sequence.
fn run_long(model: &Vlm, sequences: &[TokenSequence], packed: bool, recompute: bool) -> (Vec<f32>, NamedValues) {
    let images = Tensor::<2>::ones([96, model.config().text.hidden_size], &model.device()) * 0.1;
    let make = if packed { Batch::packed } else { Batch::new };
    let batch = make(sequences, model.config()).unwrap();
    let view = model.training_view(&[ParameterGroup::Language]);
    let (mut rows, mut ids) = (Vec::new(), Vec::new());
    for (index, sequence) in sequences.iter().enumerate() {
        rows.extend((1..sequence.ids.len()).map(|token_idx| batch.row(index, token_idx - 1)));
        ids.extend_from_slice(&sequence.ids[1..]);
    }
    let tokens = ScoredTokens { rows: &rows, ids: &ids };
    let pass = view.score(&batch, Some(images), tokens, recompute).unwrap();
    let logprobs = values(pass.scores.logprobs.clone().without_autodiff());
    let derivatives = (0..ids.len()).map(|index| (index % 5) as f32 - 2.0).collect();
    (logprobs, pass.backward(derivatives).unwrap())
}

#[test]
fn blockwise_attention_over_long_sequences_gives_what_eager_attention_gives() {
    let model = load(&Fixture::committed());
    let (long, short) = (long_sequence(&model, 900), long_sequence(&model, 300));
    let sequences = [&long, &short].map(|(ids, grids)| TokenSequence { ids, grids });
    let eager = model.clone().eager();
    let expected = run_long(&eager, &sequences, false, false);
    // Packed rows under a mask, as back ends without the kernel compute them.
    let (logprobs, gradients) = run_long(&eager, &sequences, true, false);
    assert_close("log-probabilities under a mask", &logprobs, &expected.0, 1e-4);
    assert_agree("mask", &gradients, &expected.1);
    for (packed, recompute) in [(false, false), (true, false), (true, true)] {
        let (logprobs, gradients) = run_long(&model, &sequences, packed, recompute);
        assert_close("log-probabilities", &logprobs, &expected.0, 1e-4);
        assert_agree("blockwise", &gradients, &expected.1);
    }
}

/// Log-probabilities and gradients of replies to prompts, several to each: every sequence whole, or each prompt once.
fn run_replies(
    model: &Vlm,
    prompts: &[(Vec<u32>, Vec<[usize; 3]>)],
    replies: &[&[u32]],
    grouped: bool,
    packed: bool,
) -> (Vec<f32>, NamedValues) {
    let mut ids: Vec<Vec<Vec<u32>>> = Vec::new();
    for (prompt, _) in prompts {
        ids.push(replies.iter().map(|reply| [prompt, *reply].concat()).collect());
    }
    let groups: Vec<SequenceGroup> = prompts
        .iter()
        .zip(&ids)
        .map(|((prompt, grids), ids)| SequenceGroup { members: members(ids, grids), n_shared: prompt.len() })
        .collect();
    let alone: Vec<TokenSequence> = groups.iter().flat_map(|group| group.members.clone()).collect();
    let config = model.config();
    let batch = match (grouped, packed) {
        (true, packed) => Batch::grouped(&groups, packed, config),
        (false, true) => Batch::packed(&alone, config),
        (false, false) => Batch::new(&alone, config),
    };
    let batch = batch.unwrap();
    let n_times = if grouped { 1 } else { replies.len() };
    let images = prompts.iter().enumerate().flat_map(|(index, (_, grids))| {
        let n_tokens: usize = grids.iter().map(|grid| grid.iter().product::<usize>() / config.merge_size.pow(2)).sum();
        let numbers = Tensor::<2>::ones([n_tokens, config.text.hidden_size], &model.device());
        std::iter::repeat_n(numbers * (0.1 * (index + 1) as f32), n_times)
    });
    let images = Tensor::cat(images.collect::<Vec<_>>(), 0);
    let (mut rows, mut targets) = (Vec::new(), Vec::new());
    for (index, sequence) in alone.iter().enumerate() {
        let n_prompt = prompts[index / replies.len()].0.len();
        rows.extend((n_prompt..sequence.ids.len()).map(|token_idx| batch.row(index, token_idx - 1)));
        targets.extend_from_slice(&sequence.ids[n_prompt..]);
    }
    let view = model.training_view(&[ParameterGroup::Language]);
    let tokens = ScoredTokens { rows: &rows, ids: &targets };
    let pass = view.score(&batch, Some(images), tokens, false).unwrap();
    let logprobs = values(pass.scores.logprobs.clone().without_autodiff());
    let derivatives = (0..targets.len()).map(|index| (index % 5) as f32 - 2.0).collect();
    (logprobs, pass.backward(derivatives).unwrap())
}

fn members<'a>(ids: &'a [Vec<u32>], grids: &'a [[usize; 3]]) -> Vec<TokenSequence<'a>> {
    ids.iter().map(|ids| TokenSequence { ids, grids }).collect()
}

#[test]
fn replies_to_one_prompt_give_what_each_gives_alone() {
    let model = load(&Fixture::committed());
    let prompts = [long_sequence(&model, 90), long_sequence(&model, 30)];
    let long: Vec<u32> = (0..80).map(|index| index * 37 % 400).collect();
    let replies: [&[u32]; 4] = [&[3, 1, 4, 1, 5], &[], &[3], &long];
    let expected = run_replies(&model, &prompts, &replies, false, false);
    let eager = model.clone().eager();
    for (what, model) in [("blockwise", &model), ("under a mask", &eager)] {
        for packed in [false, true] {
            let (logprobs, gradients) = run_replies(model, &prompts, &replies, true, packed);
            assert_close(&format!("log-probabilities, {what}, packed {packed}"), &logprobs, &expected.0, 1e-4);
            assert_agree(what, &gradients, &expected.1);
        }
    }
}

#[test]
fn the_members_of_a_group_share_a_prefix_or_are_refused() {
    let model = load(&Fixture::committed());
    let sequences = [[1, 2, 3], [1, 5, 3]].map(|ids| ids.to_vec());
    let [one, two] = [1, 2].map(|n_shared| {
        let members = members(&sequences, &[]);
        Batch::grouped(&[SequenceGroup { members, n_shared }], false, model.config())
    });
    assert_eq!(one.unwrap().lengths, [3, 2]);
    assert_eq!(two.unwrap_err().to_string(), "expected sequences whose first 2 tokens are the same, got others");
}

#[test]
fn packed_sequences_keep_the_positions_they_have_alone() {
    for fixture in fixtures() {
        let config = load(&fixture).config().clone();
        let cases = fixture.cases();
        let sequences: Vec<TokenSequence> = cases.iter().map(Case::sequence).collect();
        let packed = Batch::packed(&sequences, &config).unwrap();
        for (index, sequence) in sequences.iter().enumerate() {
            let alone = Batch::new(&[*sequence], &config).unwrap();
            for axis in 0..3 {
                let rows = packed.row(index, 0)..packed.row(index, 0) + sequence.ids.len();
                assert_eq!(packed.positions()[axis][rows], alone.positions()[axis]);
            }
        }
    }
}

#[test]
fn what_is_dropped_belongs_to_the_token_however_the_batch_is_laid_out() {
    for fixture in fixtures() {
        let model = with_adapter(&fixture);
        let dropped = Run { dropout: 0.5, ..PLAIN };
        let padded = run(&model, &fixture, &[ParameterGroup::Adapter], dropped);
        let packed = run(&model, &fixture, &[ParameterGroup::Adapter], Run { packed: true, ..dropped });
        assert_close("log-probabilities", &packed.0, &padded.0, 5e-5);
        assert_agree("dropout", &packed.1, &padded.1);
        let whole = run(&model, &fixture, &[ParameterGroup::Adapter], PLAIN);
        assert_ne!(padded.0, whole.0, "something is dropped");
    }
}

#[test]
fn dropout_keeps_the_update_on_average() {
    let fixture = Fixture::committed();
    let mut model = load(&fixture);
    let config = LoraConfig {
        r: 2,
        alpha: 4.0,
        dropout: 0.0,
        rank_stabilized: false,
        target_modules: TargetModules::Names(vec!["q_proj".into()]),
    };
    model.attach_lora(&config, 1).unwrap();
    let n = 4000;
    let mut before = None;
    model.visit_linears(&mut |linear| before = before.take().or(linear.adapter().cloned()));
    let width = model.config().text.hidden_size;
    let ones = Tensor::<2>::ones([n, width], &model.device());
    let expected = values(before.unwrap().down(ones.clone()))[0];
    let row_keys: Arc<[u64]> = (0..n as u64).collect();
    let mut after = None;
    let mut dropped = model.with_lora_dropout(0.25, &row_keys);
    dropped.visit_linears(&mut |linear| after = after.take().or(linear.adapter().cloned()));
    let rows = values(after.unwrap().down(ones));
    let first: Vec<f32> = rows.iter().step_by(2).copied().collect();
    let mean = first.iter().sum::<f32>() / n as f32;
    let spread = (first.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / n as f32).sqrt();
    assert!(spread > 0.0);
    assert!((mean - expected).abs() < 5.0 * spread / (n as f32).sqrt(), "mean {mean}, expected {expected}");
}
