//! The engine on the fixture's model: training to the bit, and sampled against scored log-probabilities.

use std::path::{Path, PathBuf};

use align::engine::{
    AdamW, Engine, LossAndGradient, Reply, SampleRequest, SamplingParams, SaveKind, Sequence, TokenLoss, TokenScores,
    Weights, sample_usable,
};
use align::progress::{Progress, Silent};
use align::run_dir::RunDir;
use align::sft::{self, SftConfig};
use align::types::{Detail, ImageOptions, Item, Message, Part, Role};
use engine::{EngineOptions, FeatureFolder, LocalEngine, Trainable, open_device};
use vlm::adapter::TargetModules;
use vlm::weights::WeightType;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl")
}

fn lora() -> Trainable {
    lora_with(0.0, false)
}

fn lora_with_dropout() -> Trainable {
    lora_with(0.2, true)
}

fn lora_with(lora_dropout: f64, gradient_checkpointing: bool) -> Trainable {
    Trainable::Lora {
        r: 4,
        lora_alpha: 8.0,
        lora_dropout,
        target_modules: TargetModules::Pattern("all-linear".into()),
        gradient_checkpointing,
    }
}

fn full() -> Trainable {
    Trainable::Full {
        freeze_vision_tower: false,
        freeze_multi_modal_projector: false,
        freeze_language_model: false,
        gradient_checkpointing: false,
    }
}

fn options() -> EngineOptions {
    EngineOptions::new(fixture().join("model"), open_device("flex").unwrap())
}

fn open(options: EngineOptions) -> LocalEngine {
    LocalEngine::open(options).unwrap()
}

fn engine(trainable: Trainable, workers: usize) -> LocalEngine {
    open(EngineOptions { trainable, workers, ..options() })
}

fn item(index: usize) -> Item {
    let image = ["a.png", "c.png", "f.png"][index % 3];
    let content = vec![
        Part::image(fixture().join("images").join(image)),
        Part::Text { text: format!("What is in picture {index}?") },
    ];
    Item {
        id: index.to_string(),
        messages: vec![Message { role: Role::User, content }, Message::text(Role::Assistant, "A red square.")],
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

/// Requests a stop after a number of steps, as Ctrl-C does.
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
        (WeightType::Auto, full(), "model.safetensors"),
        (WeightType::Auto, Trainable::default(), "model.safetensors"),
        (WeightType::Auto, lora(), adapter),
        (WeightType::Auto, lora_with_dropout(), adapter),
        (WeightType::BFloat16, full(), "model.safetensors"),
        (WeightType::BFloat16, lora(), adapter),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let [uninterrupted, interrupted] = ["one", "other"].map(|name| folder.path().join(name));
        let runs: [(&Path, usize, &mut dyn Progress); 3] =
            [(&uninterrupted, 2, &mut Silent), (&interrupted, 1, &mut StopAfter(3)), (&interrupted, 1, &mut Silent)];
        for (folder, workers, progress) in runs {
            let mut engine = open(EngineOptions { weight_type, trainable: trainable.clone(), workers, ..options() });
            assert!(!folder.join("checkpoint-4").exists());
            let mut run = RunDir::open(folder, &settings, 0, None).unwrap();
            sft::run(&mut engine, &items, &[], &config(), &mut run, progress).unwrap();
        }
        assert!(weights(&uninterrupted, file) == weights(&interrupted, file), "{file} differs");
    }
}

#[test]
fn sampled_and_scored_log_probabilities_agree_and_the_reference_is_the_model_without_adapter() {
    let mut engine = engine(lora(), 2);
    let item = item(0);
    let request = SampleRequest { id: item.id.clone(), messages: item.prompt().to_vec(), seeds: vec![1, 2, 3] };
    let params = SamplingParams { max_new_tokens: 12, ..SamplingParams::default() };
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
        for (sampled, scored) in completion.logprobs.iter().zip(&scores.logprobs) {
            // Scored over the whole vocabulary; sampled without image tokens, which this model finds probable.
            assert!((sampled - scored).abs() < 5e-3, "sampled at {sampled}, scored {scored}");
        }
    }
    take_step(&mut engine, &sequences);
    assert_ne!(engine.logprobs(&sequences, Weights::Current).unwrap(), before);
    assert_eq!(engine.logprobs(&sequences, Weights::Reference).unwrap(), before);
}

#[test]
fn a_dialogue_that_spells_a_special_token_is_refused_alone() {
    let mut engine = engine(Trainable::Frozen, 2);
    let params = SamplingParams { max_new_tokens: 6, ..SamplingParams::default() };
    let mut requests = Vec::new();
    for (index, earlier) in (0..).zip(["A square.", "<|im_start|>system", "A circle.", "Two <|image_pad|>"]) {
        let mut messages = item(index).prompt().to_vec();
        messages.push(Message::text(Role::Assistant, earlier));
        messages.push(Message::text(Role::User, "Look again."));
        requests.push(SampleRequest { id: format!("item-{index}"), messages, seeds: vec![1, 2] });
    }
    let sampled = sample_usable(&mut engine, &requests, &params).unwrap();
    for (request, sampled) in requests.iter().zip(&sampled) {
        match engine.sample(std::slice::from_ref(request), &params) {
            Ok(alone) => assert_eq!(sampled.as_ref().unwrap().completions, alone[0].completions),
            Err(error) => assert_eq!(sampled.as_ref().unwrap_err().to_string(), error.to_string()),
        }
    }
    let reason = sampled[1].as_ref().unwrap_err().to_string();
    assert!(
        reason.starts_with("item `item-1`: message 2: expected plain text, got the special token `<|im_start|>`"),
        "{reason}"
    );
    assert!(sampled[0].is_ok() && sampled[2].is_ok() && sampled[3].is_err());
}

fn take_step(engine: &mut LocalEngine, sequences: &[Sequence]) {
    engine.forward_backward(sequences, &sft::CrossEntropy { n_tokens: 36 }).unwrap();
    engine.optim_step(&AdamW { learning_rate: 1e-2, ..AdamW::default() }).unwrap();
}

// A KL term towards the bare model would undo the adapter's fine-tuning.
#[test]
fn the_reference_of_an_adapter_trained_further_includes_it_also_after_resuming() {
    let folder = tempfile::tempdir().unwrap();
    let [tuned, checkpoint] = ["tuned", "checkpoint"].map(|name| folder.path().join(name));
    let sequences = [label_of(&item(0))];
    let mut fresh = engine(lora(), 1);
    let bare = fresh.logprobs(&sequences, Weights::Current).unwrap();
    take_step(&mut fresh, &sequences);
    fresh.save(&tuned, SaveKind::Weights).unwrap();
    let further = EngineOptions { adapter: Some(tuned), trainable: lora(), ..options() };
    let mut engine = open(further.clone());
    let began = engine.logprobs(&sequences, Weights::Current).unwrap();
    assert_ne!(began, bare);
    take_step(&mut engine, &sequences);
    assert_ne!(engine.logprobs(&sequences, Weights::Current).unwrap(), began);
    assert_eq!(engine.logprobs(&sequences, Weights::Reference).unwrap(), began);
    engine.save(&checkpoint, SaveKind::Checkpoint).unwrap();
    let mut resumed = open(further);
    resumed.load(&checkpoint).unwrap();
    assert_eq!(resumed.logprobs(&sequences, Weights::Reference).unwrap(), began);
}

fn label_of(item: &Item) -> Sequence {
    Sequence { id: item.id.clone(), messages: item.prompt().to_vec(), reply: Reply::Text(item.label().unwrap()) }
}

#[test]
fn a_frozen_model_does_not_train_and_a_saved_one_scores_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved");
    let sequence = label_of(&item(1));
    let mut frozen = engine(Trainable::Frozen, 1);
    let loss = sft::CrossEntropy { n_tokens: 1 };
    assert!(frozen.forward_backward(std::slice::from_ref(&sequence), &loss).is_err());
    let before = frozen.logprobs(std::slice::from_ref(&sequence), Weights::Current).unwrap();
    frozen.save(&saved, SaveKind::Weights).unwrap();
    let mut again = open(EngineOptions::new(saved, open_device("flex").unwrap()));
    assert_eq!(again.logprobs(&[sequence], Weights::Current).unwrap(), before);
}

/// The log-probabilities of all replies after one optimizer step, taken in parts.
fn after_a_step(trainable: &Trainable, n_parts: usize, micro_batch_tokens: usize, packing: bool) -> Vec<f32> {
    let mut engine = open(EngineOptions { trainable: trainable.clone(), micro_batch_tokens, packing, ..options() });
    let sequences: Vec<Sequence> = (0..6).map(|index| label_of(&item(index))).collect();
    let n_tokens = engine.reply_lengths(&sequences).unwrap().iter().sum();
    let optimizer = AdamW { learning_rate: 1e-2, ..AdamW::default() };
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
fn a_step_is_the_same_however_it_is_cut_or_packed_with_dropout_too() {
    for trainable in [lora(), lora_with_dropout()] {
        let expected = after_a_step(&trainable, 1, 4096, false);
        for (n_parts, micro_batch_tokens, packing) in [(3, 4096, false), (1, 1, false), (1, 4096, true), (2, 200, true)]
        {
            let got = after_a_step(&trainable, n_parts, micro_batch_tokens, packing);
            let worst = largest_difference(&got, &expected);
            assert!(worst < 2e-2, "{n_parts} parts of {micro_batch_tokens} tokens, packing {packing}: off by {worst}");
        }
    }
    let dropped = after_a_step(&lora_with_dropout(), 1, 4096, false);
    let without = after_a_step(&lora(), 1, 4096, false);
    let difference = largest_difference(&dropped, &without);
    assert!(difference > 5e-2, "dropout changes what is learned: {difference}");
}

fn largest_difference(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max)
}

/// Scores sequences with image features in a folder of at most `max_bytes`.
fn scores_with_cache(
    trainable: Trainable,
    cache: &Path,
    max_bytes: u64,
    sequences: &[Sequence],
) -> (Vec<TokenScores>, usize) {
    let mut engine = open(EngineOptions {
        trainable,
        feature_folder: Some(FeatureFolder { path: cache.to_owned(), max_bytes }),
        ..options()
    });
    let scores = engine.logprobs(sequences, Weights::Current).unwrap();
    (scores, fs_err::read_dir(cache).map_or(0, Iterator::count))
}

#[test]
fn image_features_on_disk_are_found_by_content_and_weights() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("features");
    let sequences: Vec<Sequence> = (0..3).map(|index| label_of(&item(index))).collect();
    let expected = engine(Trainable::Frozen, 2).logprobs(&sequences, Weights::Current).unwrap();
    let fresh = scores_with_cache(lora(), &cache, u64::MAX, &sequences);
    assert_eq!(fresh, (expected.clone(), 3));
    // Features are found though the image has another name; a damaged file is written again.
    let copy = folder.path().join("copy.png");
    fs_err::copy(fixture().join("images/a.png"), &copy).unwrap();
    let first = fs_err::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    fs_err::write(&first, "damaged").unwrap();
    let mut renamed = sequences.clone();
    renamed[0].messages[0].content[0] = Part::image(copy);
    let again = scores_with_cache(lora(), &cache, u64::MAX, &renamed);
    assert_eq!(again, (expected.clone(), 3));
    // Features beyond the limit are computed and not written.
    fs_err::remove_file(first).unwrap();
    let limited = scores_with_cache(lora(), &cache, 1, &sequences);
    assert_eq!(limited, (expected, 2));
    // A vision tower that is trained writes none.
    fs_err::remove_dir_all(&cache).unwrap();
    scores_with_cache(full(), &cache, u64::MAX, &sequences);
    assert!(!cache.exists());
}

#[test]
fn one_image_at_two_sizes_is_two_images() {
    let folder = tempfile::tempdir().unwrap();
    let with_options = |options: ImageOptions| {
        let mut sequence = label_of(&item(0));
        let image = fixture().join("images/a.png");
        sequence.messages[0].content[0] = Part::Image { image, options };
        sequence
    };
    let large = ImageOptions { resized_height: Some(112), resized_width: Some(84), ..ImageOptions::default() };
    let sized = [ImageOptions::default(), large, ImageOptions { detail: Some(Detail::Low), ..ImageOptions::default() }];
    let sequences = sized.map(with_options);
    let alone = sequences.each_ref().map(|sequence| {
        engine(Trainable::Frozen, 1).logprobs(std::slice::from_ref(sequence), Weights::Current).unwrap().remove(0)
    });
    assert_ne!(alone[0], alone[1]);
    assert_eq!(alone[0], alone[2], "what servers alone know changes nothing");
    // Computed, found on disk, and with a vision tower that is trained; in company sums may be taken in another order.
    let mut runs = Vec::new();
    for _ in 0..2 {
        let (scores, n_files) = scores_with_cache(lora(), folder.path(), u64::MAX, &sequences);
        assert_eq!(n_files, 2);
        runs.push(scores);
    }
    runs.push(engine(full(), 2).logprobs(&sequences, Weights::Current).unwrap());
    for (scores, alone) in runs.iter().flat_map(|run| run.iter().zip(&alone)) {
        assert!(largest_difference(&scores.logprobs, &alone.logprobs) < 1e-4);
    }
}

/// Each reply token's log-probability, weighted by its index and by the sequence's.
struct Uneven;

impl TokenLoss for Uneven {
    fn evaluate(&self, index: usize, scores: &TokenScores) -> LossAndGradient {
        let weights = (0..scores.logprobs.len()).map(|token_idx| ((index + token_idx) % 5) as f32 - 1.5);
        let weighted = scores.logprobs.iter().zip(weights.clone());
        LossAndGradient {
            loss: weighted.map(|(logprob, weight)| f64::from(logprob * weight)).sum(),
            gradient: weights.collect(),
        }
    }
}

#[test]
fn replies_to_one_prompt_train_as_each_would_alone() {
    let replies: [&[u32]; 3] = [&[5, 6, 7], &[8], &[5, 9, 10, 11]];
    let mut sequences = Vec::new();
    for (index, reply) in replies.iter().cycle().take(6).enumerate() {
        // The third is about another image, in the same words.
        let mut message = item(0).messages[0].clone();
        message.content[0] = item(usize::from(index == 2)).messages[0].content[0].clone();
        sequences.push(Sequence {
            id: index.to_string(),
            messages: vec![message],
            reply: Reply::Tokens(reply.to_vec()),
        });
    }
    for trainable in [lora(), full(), lora_with_dropout()] {
        let (mut together, mut one_by_one) = (engine(trainable.clone(), 2), engine(trainable, 2));
        let got = together.forward_backward(&sequences, &Uneven).unwrap();
        let mut loss = 0.0;
        for (index, sequence) in sequences.iter().enumerate() {
            let alone = one_by_one.forward_backward(std::slice::from_ref(sequence), &Numbered(index)).unwrap();
            loss += alone.loss;
            for (got, expected) in got.scores[index].logprobs.iter().zip(&alone.scores[0].logprobs) {
                assert!((got - expected).abs() < 1e-4, "sequence {index}: {got}, alone {expected}");
            }
        }
        assert!((got.loss - loss).abs() < 1e-3, "loss {}, one by one {loss}", got.loss);
        let (got, expected) = (norm(&mut together), norm(&mut one_by_one));
        assert!((got / expected - 1.0).abs() < 1e-3, "norm of the gradient: {got}, one by one {expected}");
    }
}

/// The norm of the gradients that an engine holds; no weight changes.
fn norm(engine: &mut LocalEngine) -> f64 {
    let still = AdamW { learning_rate: 0.0, ..AdamW::default() };
    engine.optim_step(&still).unwrap().grad_norm
}

/// [`Uneven`] for a sequence in a batch of its own.
struct Numbered(usize);

impl TokenLoss for Numbered {
    fn evaluate(&self, _index: usize, scores: &TokenScores) -> LossAndGradient {
        Uneven.evaluate(self.0, scores)
    }
}
