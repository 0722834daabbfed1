//! The engine: sampling, scoring and training on this machine.

use std::path::Path;

use align::engine::{
    AdamW, Completion, Engine, EngineError, FinishReason, ForwardBackward, OptimStep, Reply, SampleRequest, Sampled,
    SamplingParams, SaveKind, Sequence, TokenLoss, TokenScores, Weights,
};
use align::seeds::derive_seed;
use vlm::adapter::LoraConfig;
use vlm::batch::Batch;
use vlm::generate::{GenerateOptions, Prompt, generate};
use vlm::image_processor::ImageFile;
use vlm::model::Vlm;
use vlm::optim::{AdamWSettings, grad_norm};
use vlm::parameter::ParameterGroup;
use vlm::processor::Processor;
use vlm::training::{NamedValues, sum_gradients};

use crate::errors::{engine_error, folder_error, item_error};
use crate::feature_cache::FeatureCache;
use crate::feature_store::FeatureStore;
use crate::image_features::Stage;
use crate::inspector::open_processor;
use crate::job_queue::{concurrent_micro_batches, run_in_order, thread_pools};
use crate::micro_batches::{micro_batches, packed_rows};
use crate::options::EngineOptions;
use crate::passes::{Images, MicroBatch, backward, forward, image_embeddings, reply_scores};
use crate::prepared::Prepared;
use crate::prompt_groups::by_prompt;

/// A model of `vlm`, and the state of its training.
pub struct LocalEngine {
    pub(crate) options: EngineOptions,
    pub(crate) model: Vlm,
    /// The weights at the start of training. A copy of handles: it costs memory only where weights have changed since.
    reference: Vlm,
    pub(crate) processor: Processor,
    pub(crate) lora: Option<LoraConfig>,
    pub(crate) optimizer: vlm::optim::AdamW,
    groups: Vec<ParameterGroup>,
    gradients: NamedValues,
    /// Sequences whose gradients are held. It numbers further ones, so that each one's dropout follows from its place
    /// in the optimizer step, however the step is cut.
    n_sequences: usize,
    features: FeatureCache,
    pools: Vec<rayon::ThreadPool>,
}

impl LocalEngine {
    /// Opens a model folder, and the adapter on it if one is given.
    ///
    /// Errors: `Model`, naming file and key; `Io` where a folder for image features cannot be used.
    pub fn open(options: EngineOptions) -> Result<Self, EngineError> {
        let processor = open_processor(&options.model, &options.image_limits)?;
        let mut model = Vlm::load_as(&options.model, options.weight_type, &options.device).map_err(folder_error)?;
        let mut lora = None;
        if let Some(adapter) = &options.adapter {
            let loaded = model.load_adapter(adapter).map_err(folder_error)?;
            let dropout = options.trainable.lora().map_or(loaded.dropout, |chosen| chosen.dropout);
            lora = Some(LoraConfig { dropout, ..loaded });
        } else if let Some(fresh) = options.trainable.lora() {
            model.attach_lora(&fresh, options.seed).map_err(engine_error)?;
            lora = Some(fresh);
        }
        let mut reference = model.clone();
        if options.adapter.is_none() {
            // A fresh adapter changes nothing yet. One that is trained further is part of the reference.
            reference.detach_lora();
        }
        let groups = options.trainable.groups();
        let stage = if groups.contains(&ParameterGroup::Projector) { Stage::VisionTower } else { Stage::Projector };
        let store = match &options.feature_folder {
            Some(folder) if !groups.contains(&ParameterGroup::Vision) => {
                Some(FeatureStore::open(folder, &model, &processor, stage)?)
            }
            _ => None,
        };
        Ok(Self {
            groups,
            pools: thread_pools(options.workers.max(1))?,
            optimizer: vlm::optim::AdamW::new(),
            gradients: NamedValues::new(),
            n_sequences: 0,
            features: FeatureCache::new(stage, store),
            options,
            model,
            reference,
            processor,
            lora,
        })
    }

    /// The model with its adapter, and its processor: for a server, which samples by itself.
    pub fn into_parts(self) -> (Vlm, Processor) {
        (self.model, self.processor)
    }

    /// Adds the adapter to the weights it adapts.
    pub fn merge_adapter(&mut self) {
        self.model.merge_lora();
        self.lora = None;
    }

    /// Whether images must go through the vision tower each time.
    fn trains_vision(&self) -> bool {
        self.groups.contains(&ParameterGroup::Vision)
    }

    /// The images of sequences, sent through the frozen parts of the model.
    fn frozen_features(&mut self, prepared: &[Prepared]) -> Result<Images<'static>, EngineError> {
        let files: Vec<&ImageFile> = prepared.iter().flat_map(|one| &one.images).collect();
        let limit = if self.trains_vision() { 0 } else { self.options.feature_cache_bytes };
        let features = self.features.features(&self.model, &self.processor, &self.pools, &files, limit)?;
        Ok(match self.features.stage {
            Stage::VisionTower => Images::Features(features),
            Stage::Projector => Images::Projected(features),
        })
    }

    fn prepare(&self, sequences: &[Sequence]) -> Result<Vec<Prepared>, EngineError> {
        sequences.iter().map(|sequence| Prepared::sequence(&self.processor, sequence)).collect()
    }

    /// Micro-batches, each of groups of sequences that reply to one prompt.
    fn micro_batches(&self, prepared: &[Prepared]) -> Vec<Vec<Vec<usize>>> {
        let limit = self.options.micro_batch_tokens;
        // Dropout differs from sequence to sequence, in their prompts too.
        let shared_limit = if self.lora_dropout() > 0.0 { 0 } else { limit };
        let groups = by_prompt(prepared, self.model.config(), shared_limit);
        let lengths: Vec<usize> = groups.iter().map(|group| group.n_tokens).collect();
        let cut = if self.options.packing { packed_rows } else { micro_batches };
        cut(&lengths, limit)
            .into_iter()
            .map(|indexes| indexes.into_iter().map(|index| groups[index].members.clone()).collect())
            .collect()
    }

    fn lora_dropout(&self) -> f64 {
        self.options.trainable.lora().map_or(0.0, |lora| lora.dropout)
    }

    pub(crate) fn score_all(
        &mut self,
        prepared: &[Prepared],
        weights: Weights,
    ) -> Result<Vec<TokenScores>, EngineError> {
        let frozen = match weights {
            // Where the policy's vision tower changes, the reference has its own.
            Weights::Reference if self.trains_vision() => None,
            Weights::Reference | Weights::Current => Some(self.frozen_features(prepared)?),
        };
        let images = frozen.unwrap_or(Images::Files(&self.processor));
        let model = match weights {
            Weights::Current => &self.model,
            Weights::Reference => &self.reference,
        };
        let jobs = self.micro_batches(prepared);
        let mut all: Vec<Option<TokenScores>> = vec![None; prepared.len()];
        run_in_order(
            &self.pools,
            &jobs,
            |groups| {
                let micro_batch = MicroBatch::new(groups, prepared);
                let batch = micro_batch.batch(model, self.options.packing)?;
                let pass = forward(model, &batch, &micro_batch, &images, false)?;
                let scores = reply_scores(&micro_batch, pass.as_ref());
                Ok((micro_batch.indexes, scores))
            },
            |(indexes, scores)| place(&mut all, indexes, scores),
        )?;
        Ok(all.into_iter().flatten().collect())
    }

    fn require_trainable(&self) -> Result<(), EngineError> {
        if self.groups.is_empty() {
            return Err(EngineError::Model("the model was opened frozen: nothing can be trained".to_owned()));
        }
        Ok(())
    }
}

impl Engine for LocalEngine {
    fn sample(&mut self, requests: &[SampleRequest], params: &SamplingParams) -> Result<Vec<Sampled>, EngineError> {
        let prepared = requests
            .iter()
            .map(|request| {
                Prepared::prompt(&self.processor, &request.messages).map_err(|error| item_error(&request.id, error))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let images = self.frozen_features(&prepared)?;
        let mut prompts = Vec::new();
        for (one, request) in prepared.iter().zip(requests) {
            prompts.push(Prompt {
                sequence: one.tokens(),
                images: image_embeddings(&self.model, &[one], &images)?,
                seeds: &request.seeds,
            });
        }
        let options = GenerateOptions {
            temperature: params.temperature,
            top_p: params.top_p,
            max_new_tokens: params.max_new_tokens,
            stop_tokens: self.processor.tokenizer().stop_tokens.clone(),
            ignore_eos: params.ignore_eos,
            banned_tokens: self.processor.banned_tokens(),
            batch_size: self.options.sample_batch_size,
            workers: self.pools.len(),
        };
        let generated = generate(&self.model, &prompts, &options).map_err(|error| match error {
            vlm::error::Error::Prompt { index, problem } => item_error(&requests[index].id, EngineError::Data(problem)),
            other => engine_error(other),
        })?;
        let mut sampled = Vec::new();
        for (one, completions) in prepared.iter().zip(generated) {
            sampled.push(Sampled {
                prompt_ids: one.ids.clone(),
                completions: completions
                    .into_iter()
                    .map(|generated| self.completion(generated))
                    .collect::<Result<_, _>>()?,
            });
        }
        Ok(sampled)
    }

    fn logprobs(&mut self, sequences: &[Sequence], weights: Weights) -> Result<Vec<TokenScores>, EngineError> {
        let prepared = self.prepare(sequences)?;
        self.score_all(&prepared, weights)
    }

    fn reply_lengths(&mut self, sequences: &[Sequence]) -> Result<Vec<usize>, EngineError> {
        let mut lengths = Vec::new();
        for sequence in sequences {
            lengths.push(match &sequence.reply {
                Reply::Text(text) => self.processor.encode_reply(text).map_err(engine_error)?.len(),
                Reply::Tokens(ids) => ids.len(),
            });
        }
        Ok(lengths)
    }

    fn forward_backward(
        &mut self,
        sequences: &[Sequence],
        loss: &dyn TokenLoss,
    ) -> Result<ForwardBackward, EngineError> {
        self.require_trainable()?;
        let prepared = self.prepare(sequences)?;
        for (one, sequence) in prepared.iter().zip(sequences) {
            one.check_length(self.options.max_length, self.processor.image_token())
                .map_err(|error| item_error(&sequence.id, error))?;
        }
        let frozen = if self.trains_vision() { None } else { Some(self.frozen_features(&prepared)?) };
        let images = frozen.unwrap_or(Images::Files(&self.processor));
        let jobs = self.micro_batches(&prepared);
        let mut gradients = std::mem::take(&mut self.gradients);
        let mut total = 0.0;
        let mut all: Vec<Option<TokenScores>> = vec![None; prepared.len()];
        let n_threads = concurrent_micro_batches(self.model.config().text.hidden_size, self.pools.len());
        run_in_order(
            &self.pools[..n_threads],
            &jobs,
            |groups| {
                let micro_batch = MicroBatch::new(groups, &prepared);
                let batch = micro_batch.batch(&self.model, self.options.packing)?;
                let view = self.training_view(&batch, &micro_batch.indexes);
                let recompute = self.options.trainable.recomputes();
                let pass = forward(&view, &batch, &micro_batch, &images, recompute)?;
                let scores = reply_scores(&micro_batch, pass.as_ref());
                backward(micro_batch, scores, pass, loss)
            },
            |result| {
                total += result.loss;
                gradients = sum_gradients([std::mem::take(&mut gradients), result.gradients]);
                place(&mut all, result.indexes, result.scores);
            },
        )?;
        self.gradients = gradients;
        self.n_sequences += sequences.len();
        Ok(ForwardBackward { loss: total, scores: all.into_iter().flatten().collect() })
    }

    fn optim_step(&mut self, optimizer: &AdamW) -> Result<OptimStep, EngineError> {
        self.require_trainable()?;
        let gradients = std::mem::take(&mut self.gradients);
        self.n_sequences = 0;
        let grad_norm = grad_norm(&gradients);
        if !grad_norm.is_finite() {
            return Err(EngineError::Numerics(format!(
                "the gradient's norm is {grad_norm}: expected a finite number; nothing was changed"
            )));
        }
        let settings = AdamWSettings {
            learning_rate: optimizer.learning_rate,
            betas: optimizer.betas,
            epsilon: optimizer.epsilon,
            weight_decay: optimizer.weight_decay,
            max_grad_norm: optimizer.max_grad_norm,
        };
        let parameters = self.model.parameters(&self.groups);
        let updated = self.optimizer.step(&settings, parameters, gradients).map_err(engine_error)?;
        self.model.set_parameters(updated).map_err(engine_error)?;
        if self.trains_vision() {
            self.features.clear();
        }
        Ok(OptimStep { grad_norm })
    }

    fn save(&mut self, folder: &Path, kind: SaveKind) -> Result<(), EngineError> {
        self.write(folder, kind)
    }

    fn load(&mut self, folder: &Path) -> Result<(), EngineError> {
        self.gradients = NamedValues::new();
        self.n_sequences = 0;
        self.features.clear();
        self.read(folder)
    }
}

impl LocalEngine {
    /// A view of the model for one micro-batch of the next optimizer step. Dropout in adapters follows from the seed,
    /// the step, and each sequence's place in the step.
    fn training_view(&self, batch: &Batch, indexes: &[usize]) -> Vlm {
        let view = self.model.training_view(&self.groups);
        let rate = self.lora_dropout();
        if rate == 0.0 {
            return view;
        }
        let step = u64::from(self.optimizer.steps());
        let keys: Vec<u64> = indexes
            .iter()
            .map(|index| derive_seed(self.options.seed, "dropout", &[step, (self.n_sequences + index) as u64]))
            .collect();
        view.with_lora_dropout(rate, &batch.row_keys(&keys).into())
    }

    fn completion(&self, generated: vlm::generate::Generated) -> Result<Completion, EngineError> {
        let text = self.processor.tokenizer().decode(&generated.token_ids, true).map_err(engine_error)?;
        let finish_reason = match generated.finish_reason {
            vlm::generate::FinishReason::Stop => FinishReason::Stop,
            vlm::generate::FinishReason::Length => FinishReason::Length,
        };
        Ok(Completion { token_ids: generated.token_ids, logprobs: generated.logprobs, text, finish_reason })
    }
}

fn place(all: &mut [Option<TokenScores>], indexes: Vec<usize>, scores: Vec<TokenScores>) {
    for (index, scores) in indexes.into_iter().zip(scores) {
        all[index] = Some(scores);
    }
}
