//! The engine on the fixture's model: what training promises of bits, and what sampling promises of numbers.

use std::path::{Path, PathBuf};

use align::engine::{
    AdamW, Engine, LossAndGradient, Reply, SampleRequest, SamplingParams, SaveKind, Sequence, TokenLoss, TokenScores,
    Weights, sample_usable,
};
use align::progress::{Progress, Silent};
use align::run_dir::RunDir;
use align::sft::{self, SftConfig};
use align::types::{Item, Message, Part, Role};
use engine::{EngineOptions, FeatureFolder, LocalEngine, Trainable, open_device};
use vlm::adapter::TargetModules;
use vlm::weights::WeightType;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl")
}

fn lora() -> Trainable {
    Trainable::Lora {
        r: 4,
        lora_alpha: 8.0,
        lora_dropout: 0.0,
        target_modules: TargetModules::Pattern("all-linear".into()),
        gradient_checkpointing: false,
    }
}

fn lora_with_dropout() -> Trainable {
    Trainable::Lora {
        r: 4,
        lora_alpha: 8.0,
        lora_dropout: 0.2,
        target_modules: TargetModules::Pattern("all-linear".into()),
        gradient_checkpointing: true,
    }
}

fn whole() -> Trainable {
    Trainable::Full {
        freeze_vision_tower: false,
        freeze_multi_modal_projector: false,
        freeze_language_model: false,
        gradient_checkpointing: false,
    }
}

fn engine(trainable: Trainable, workers: usize) -> LocalEngine {
    engine_as(WeightType::Auto, trainable, workers)
}

fn engine_as(weight_type: WeightType, trainable: Trainable, workers: usize) -> LocalEngine {
    let options = EngineOptions::new(fixture().join("model"), open_device("flex").unwrap());
    LocalEngine::open(EngineOptions {
        weight_type,
        trainable,
        workers,
        ..options
    })
    .unwrap()
}

fn item(index: usize) -> Item {
    let picture = ["a.png", "c.png", "f.png"][index % 3];
    let content = vec![
        Part::Image {
            image: fixture().join("images").join(picture),
        },
        Part::Text {
            text: format!("What is in picture {index}?"),
        },
    ];
    Item {
        id: index.to_string(),
        messages: vec![
            Message {
                role: Role::User,
                content,
            },
            Message::text(Role::Assistant, "A red square."),
        ],
        split: None,
        kind: None,
        category: None,
        twin_of: None,
        truth: None,
    }
}

fn config() -> SftConfig {
    SftConfig {
        general_ratio: 0.0,
        max_steps: 4,
        train_batch_size: 3,
        learning_rate: 1e-3,
        save_steps: 2,
        ..SftConfig::default()
    }
}

/// Asks to stop after a number of steps, as Ctrl-C does.
struct StopAfter(usize);

impl Progress for StopAfter {
    fn begin(&mut self, _stage: &str, _total: usize) {}
    fn advance(&mut self, count: usize) {
        self.0 = self.0.saturating_sub(count);
    }
    fn note(&mut self, _text: &str) {}
    fn end(&mut self) {}
    fn interrupted(&self) -> bool {
        self.0 == 0
    }
}

fn weights(folder: &Path, file: &str) -> Vec<u8> {
    fs_err::read(folder.join("checkpoint-4").join(file)).unwrap()
}

#[test]
fn an_interrupted_run_resumed_ends_in_the_same_bytes_on_any_number_of_threads() {
    let items: Vec<Item> = (0..6).map(item).collect();
    let settings = serde_json::to_value(config()).unwrap();
    let adapter = "adapter_model.safetensors";
    for (weight_type, trainable, file) in [
        (WeightType::Auto, whole(), "model.safetensors"),
        (WeightType::Auto, Trainable::default(), "model.safetensors"),
        (WeightType::Auto, lora(), adapter),
        (WeightType::Auto, lora_with_dropout(), adapter),
        (WeightType::BFloat16, whole(), "model.safetensors"),
        (WeightType::BFloat16, lora(), adapter),
    ] {
        let engine = |trainable, workers| engine_as(weight_type, trainable, workers);
        let folder = tempfile::tempdir().unwrap();
        let (undisturbed, disturbed) = (folder.path().join("one"), folder.path().join("other"));
        let mut run = RunDir::open(&undisturbed, &settings, 0, None).unwrap();
        sft::run(
            &mut engine(trainable.clone(), 2),
            &items,
            &[],
            &config(),
            &mut run,
            &mut Silent,
        )
        .unwrap();

        let mut run = RunDir::open(&disturbed, &settings, 0, None).unwrap();
        sft::run(
            &mut engine(trainable.clone(), 1),
            &items,
            &[],
            &config(),
            &mut run,
            &mut StopAfter(3),
        )
        .unwrap();
        assert!(!disturbed.join("checkpoint-4").exists());
        let mut run = RunDir::open(&disturbed, &settings, 0, None).unwrap();
        sft::run(&mut engine(trainable, 1), &items, &[], &config(), &mut run, &mut Silent).unwrap();
        assert!(
            weights(&undisturbed, file) == weights(&disturbed, file),
            "{file} differs"
        );
    }
}

#[test]
fn sampled_and_scored_log_probabilities_agree_and_the_reference_is_the_model_without_adapter() {
    let mut engine = engine(lora(), 2);
    let item = item(0);
    let request = SampleRequest {
        id: item.id.clone(),
        messages: item.prompt().to_vec(),
        seeds: vec![1, 2, 3],
    };
    let params = SamplingParams {
        max_new_tokens: 12,
        ..SamplingParams::default()
    };
    let sampled = engine.sample(&[request], &params).unwrap().remove(0);
    let sequences: Vec<Sequence> = sampled
        .completions
        .iter()
        .map(|completion| Sequence {
            id: item.id.clone(),
            messages: item.prompt().to_vec(),
            reply: Reply::Tokens(completion.token_ids.clone()),
        })
        .collect();
    let before = engine.logprobs(&sequences, Weights::Current).unwrap();
    for (completion, scores) in sampled.completions.iter().zip(&before) {
        for (drawn, scored) in completion.logprobs.iter().zip(&scores.logprobs) {
            // Scored over the whole vocabulary, drawn without the tokens of pictures, of which this model thinks a lot.
            assert!((drawn - scored).abs() < 5e-3, "drawn at {drawn}, scored {scored}");
        }
    }
    take_step(&mut engine, &sequences);
    assert_ne!(engine.logprobs(&sequences, Weights::Current).unwrap(), before);
    assert_eq!(engine.logprobs(&sequences, Weights::Reference).unwrap(), before);
}

#[test]
fn a_dialogue_that_spells_a_special_token_is_refused_alone() {
    let mut engine = engine(Trainable::Frozen, 2);
    let request = |index: usize, earlier: &str| {
        let mut messages = item(index).prompt().to_vec();
        messages.push(Message::text(Role::Assistant, earlier));
        messages.push(Message::text(Role::User, "Look again."));
        SampleRequest {
            id: format!("item-{index}"),
            messages,
            seeds: vec![1, 2],
        }
    };
    let params = SamplingParams {
        max_new_tokens: 6,
        ..SamplingParams::default()
    };
    let requests = ["A square.", "<|im_start|>system", "A circle.", "Two <|image_pad|>"];
    let requests: Vec<SampleRequest> = (0..).zip(requests).map(|(index, text)| request(index, text)).collect();
    let drawn = sample_usable(&mut engine, &requests, &params).unwrap();
    for (request, drawn) in requests.iter().zip(&drawn) {
        match engine.sample(std::slice::from_ref(request), &params) {
            Ok(alone) => assert_eq!(drawn.as_ref().unwrap().completions, alone[0].completions),
            Err(error) => assert_eq!(drawn.as_ref().unwrap_err().to_string(), error.to_string()),
        }
    }
    let reason = drawn[1].as_ref().unwrap_err().to_string();
    assert!(
        reason.starts_with("item `item-1`: message 2: expected plain text, got the special token `<|im_start|>`"),
        "{reason}"
    );
    assert!(drawn[0].is_ok() && drawn[2].is_ok() && drawn[3].is_err());
}

fn take_step(engine: &mut LocalEngine, sequences: &[Sequence]) {
    engine
        .forward_backward(sequences, &sft::CrossEntropy { n_tokens: 36 })
        .unwrap();
    engine
        .optim_step(&align::engine::AdamW {
            learning_rate: 1e-2,
            ..Default::default()
        })
        .unwrap();
}

// A KL term towards the bare model would take back what the adapter was fine-tuned to.
#[test]
fn the_reference_of_an_adapter_trained_further_has_it_as_it_was_also_after_resuming() {
    let folder = tempfile::tempdir().unwrap();
    let [tuned, checkpoint] = ["tuned", "checkpoint"].map(|name| folder.path().join(name));
    let sequences = [label_of(&item(0))];
    let mut fresh = engine(lora(), 1);
    let bare = fresh.logprobs(&sequences, Weights::Current).unwrap();
    take_step(&mut fresh, &sequences);
    fresh.save(&tuned, SaveKind::Weights).unwrap();
    let further = || {
        let options = EngineOptions::new(fixture().join("model"), open_device("flex").unwrap());
        LocalEngine::open(EngineOptions {
            adapter: Some(tuned.clone()),
            trainable: lora(),
            ..options
        })
        .unwrap()
    };
    let mut engine = further();
    let began = engine.logprobs(&sequences, Weights::Current).unwrap();
    assert_ne!(began, bare);
    take_step(&mut engine, &sequences);
    assert_ne!(engine.logprobs(&sequences, Weights::Current).unwrap(), began);
    assert_eq!(engine.logprobs(&sequences, Weights::Reference).unwrap(), began);
    engine.save(&checkpoint, SaveKind::Checkpoint).unwrap();
    let mut resumed = further();
    resumed.load(&checkpoint).unwrap();
    assert_eq!(resumed.logprobs(&sequences, Weights::Reference).unwrap(), began);
}

fn label_of(item: &Item) -> Sequence {
    Sequence {
        id: item.id.clone(),
        messages: item.prompt().to_vec(),
        reply: Reply::Text(item.label().unwrap()),
    }
}

#[test]
fn a_frozen_model_does_not_train_and_a_saved_one_scores_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved");
    let sequence = label_of(&item(1));
    let mut frozen = engine(Trainable::Frozen, 1);
    let loss = sft::CrossEntropy { n_tokens: 1 };
    assert!(frozen.forward_backward(std::slice::from_ref(&sequence), &loss).is_err());
    let before = frozen
        .logprobs(std::slice::from_ref(&sequence), Weights::Current)
        .unwrap();
    frozen.save(&saved, SaveKind::Weights).unwrap();
    let options = EngineOptions::new(saved, open_device("flex").unwrap());
    let mut again = LocalEngine::open(options).unwrap();
    assert_eq!(again.logprobs(&[sequence], Weights::Current).unwrap(), before);
}

/// The log-probabilities of all replies after one optimizer step, taken in parts.
fn after_a_step(trainable: &Trainable, n_parts: usize, micro_batch_tokens: usize, packing: bool) -> Vec<f32> {
    let options = EngineOptions::new(fixture().join("model"), open_device("flex").unwrap());
    let mut engine = LocalEngine::open(EngineOptions {
        trainable: trainable.clone(),
        micro_batch_tokens,
        packing,
        ..options
    })
    .unwrap();
    let sequences: Vec<Sequence> = (0..6).map(|index| label_of(&item(index))).collect();
    let n_tokens = engine.reply_lengths(&sequences).unwrap().iter().sum();
    let optimizer = align::engine::AdamW {
        learning_rate: 1e-2,
        ..Default::default()
    };
    // The second step shows what the first one's gradients were.
    for _ in 0..2 {
        for part in sequences.chunks(sequences.len() / n_parts) {
            engine.forward_backward(part, &sft::CrossEntropy { n_tokens }).unwrap();
        }
        engine.optim_step(&optimizer).unwrap();
    }
    let scores = engine.logprobs(&sequences, Weights::Current).unwrap();
    scores.into_iter().flat_map(|scores| scores.logprobs).collect()
}

#[test]
fn a_step_is_the_same_however_it_is_cut_packed_or_dropped_from() {
    for trainable in [lora(), lora_with_dropout()] {
        let expected = after_a_step(&trainable, 1, 4096, false);
        for (n_parts, micro_batch_tokens, packing) in [(3, 4096, false), (1, 1, false), (1, 4096, true), (2, 200, true)]
        {
            let got = after_a_step(&trainable, n_parts, micro_batch_tokens, packing);
            let worst = got
                .iter()
                .zip(&expected)
                .map(|(got, expected)| (got - expected).abs())
                .fold(0.0, f32::max);
            assert!(
                worst < 2e-2,
                "{n_parts} parts of {micro_batch_tokens} tokens, packing {packing}: off by {worst}"
            );
        }
    }
    let dropped = after_a_step(&lora_with_dropout(), 1, 4096, false);
    let whole = after_a_step(&lora(), 1, 4096, false);
    let differs = dropped
        .iter()
        .zip(&whole)
        .map(|(got, expected)| (got - expected).abs())
        .fold(0.0, f32::max);
    assert!(differs > 5e-2, "dropout changes what is learnt: {differs}");
}

#[test]
fn picture_features_kept_on_disk_are_found_again_by_content_and_weights() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("features");
    let n_files = || fs_err::read_dir(&cache).unwrap().count();
    let sequences: Vec<Sequence> = (0..3)
        .map(|index| {
            let item = item(index);
            Sequence {
                id: item.id.clone(),
                messages: item.prompt().to_vec(),
                reply: Reply::Text(item.label().unwrap()),
            }
        })
        .collect();
    let open_within = |trainable: Trainable, max_bytes: Option<u64>| {
        let options = EngineOptions::new(fixture().join("model"), open_device("flex").unwrap());
        let folder = |max_bytes| FeatureFolder {
            path: cache.clone(),
            max_bytes,
        };
        LocalEngine::open(EngineOptions {
            trainable,
            feature_folder: max_bytes.map(folder),
            ..options
        })
        .unwrap()
    };
    let open = |trainable: Trainable, kept: bool| open_within(trainable, kept.then_some(u64::MAX));
    let expected = open(Trainable::Frozen, false)
        .logprobs(&sequences, Weights::Current)
        .unwrap();
    let fresh = open(lora(), true).logprobs(&sequences, Weights::Current).unwrap();
    assert_eq!((fresh, n_files()), (expected.clone(), 3));
    // Read back, and found though the file has another name; a damaged file is made anew.
    let copy = folder.path().join("copy.png");
    fs_err::copy(fixture().join("images/a.png"), &copy).unwrap();
    let first = fs_err::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    fs_err::write(&first, "damaged").unwrap();
    let mut renamed = sequences.clone();
    renamed[0].messages[0].content[0] = Part::Image { image: copy };
    let again = open(lora(), true).logprobs(&renamed, Weights::Current).unwrap();
    assert_eq!((again, n_files()), (expected.clone(), 3));
    // What has no room is computed and not kept.
    fs_err::remove_file(first).unwrap();
    let full = open_within(lora(), Some(1))
        .logprobs(&sequences, Weights::Current)
        .unwrap();
    assert_eq!((full, n_files()), (expected, 2));
    // A tower that is trained keeps nothing.
    fs_err::remove_dir_all(&cache).unwrap();
    open(whole(), true).logprobs(&sequences, Weights::Current).unwrap();
    assert!(!cache.exists());
}

/// Each reply token's log-probability, weighed by its place and by the sequence's.
struct Uneven;

impl TokenLoss for Uneven {
    fn evaluate(&self, index: usize, scores: &TokenScores) -> LossAndGradient {
        let weights = (0..scores.logprobs.len()).map(|token_idx| ((index + token_idx) % 5) as f32 - 1.5);
        let weighed = scores.logprobs.iter().zip(weights.clone());
        LossAndGradient {
            loss: weighed.map(|(logprob, weight)| f64::from(logprob * weight)).sum(),
            gradient: weights.collect(),
        }
    }
}

#[test]
fn replies_to_one_prompt_train_as_each_would_alone() {
    let replies: [&[u32]; 3] = [&[5, 6, 7], &[8], &[5, 9, 10, 11]];
    let sequence = |(index, reply): (usize, &&[u32])| {
        // The third is about another picture, in the same words.
        let mut message = item(0).messages[0].clone();
        message.content[0] = item(usize::from(index == 2)).messages[0].content[0].clone();
        Sequence {
            id: index.to_string(),
            messages: vec![message],
            reply: Reply::Tokens(reply.to_vec()),
        }
    };
    let sequences: Vec<Sequence> = replies.iter().cycle().take(6).enumerate().map(sequence).collect();
    for trainable in [lora(), whole(), lora_with_dropout()] {
        let (mut together, mut one_by_one) = (engine(trainable.clone(), 2), engine(trainable, 2));
        let got = together.forward_backward(&sequences, &Uneven).unwrap();
        let mut loss = 0.0;
        for (index, sequence) in sequences.iter().enumerate() {
            let alone = one_by_one
                .forward_backward(std::slice::from_ref(sequence), &Numbered(index))
                .unwrap();
            loss += alone.loss;
            for (got, expected) in got.scores[index].logprobs.iter().zip(&alone.scores[0].logprobs) {
                assert!(
                    (got - expected).abs() < 1e-4,
                    "sequence {index}: {got}, alone {expected}"
                );
            }
        }
        assert!((got.loss - loss).abs() < 1e-3, "loss {}, one by one {loss}", got.loss);
        let (got, expected) = (norm(&mut together), norm(&mut one_by_one));
        assert!(
            (got / expected - 1.0).abs() < 1e-3,
            "norm of the gradient: {got}, one by one {expected}"
        );
    }
}

/// The norm of the gradients that an engine holds; nothing moves.
fn norm(engine: &mut LocalEngine) -> f64 {
    let still = AdamW {
        learning_rate: 0.0,
        ..AdamW::default()
    };
    engine.optim_step(&still).unwrap().grad_norm
}

/// [`Uneven`] for a sequence that is handed over alone.
struct Numbered(usize);

impl TokenLoss for Numbered {
    fn evaluate(&self, _index: usize, scores: &TokenScores) -> LossAndGradient {
        Uneven.evaluate(self.0, scores)
    }
}
