//! The engine: sampling, scoring and training on this machine.

use std::path::{Path, PathBuf};

use align::engine::{
    AdamW, Completion, Engine, EngineError, FinishReason, ForwardBackward, OptimStep, Reply, SampleRequest, Sampled,
    SamplingParams, SaveKind, Sequence, TokenLoss, TokenScores, Weights,
};
use align::seeds::derive_seed;
use vlm::adapter::LoraConfig;
use vlm::batch::Batch;
use vlm::generate::{GenerateOptions, Prompt, generate};
use vlm::model::Vlm;
use vlm::optim::{AdamWSettings, grad_norm};
use vlm::parameter::ParameterGroup;
use vlm::processor::Processor;
use vlm::training::{NamedValues, sum_gradients};

use crate::admission::open_processor;
use crate::feature_store::FeatureStore;
use crate::features::{FeatureCache, Stage};
use crate::inputs::Prepared;
use crate::options::EngineOptions;
use crate::passes::{MicroBatch, Part, Pictures, backward, forward, picture_rows, reply_scores};
use crate::prompt_groups::by_prompt;
use crate::schedule::{in_order, micro_batches, packs, parts_at_once};
use crate::{engine_error, folder_error, of_item};

/// A model of `vlm`, with what training it needs.
pub struct LocalEngine {
    pub(crate) options: EngineOptions,
    pub(crate) model: Vlm,
    /// The weights as training began. A copy of handles: it costs memory only where weights have changed since.
    reference: Vlm,
    pub(crate) processor: Processor,
    pub(crate) lora: Option<LoraConfig>,
    pub(crate) optimizer: vlm::optim::AdamW,
    groups: Vec<ParameterGroup>,
    gradients: NamedValues,
    /// Sequences whose gradients are held; numbers those that come, so that what is dropped of each follows from its
    /// place in the optimizer step, however the step is cut.
    n_sequences: usize,
    features: FeatureCache,
    pools: Vec<rayon::ThreadPool>,
}

impl LocalEngine {
    /// Opens a model folder, and the adapter on it if one is given.
    ///
    /// Errors: `Model`, naming file and key; `Io` where a folder for picture features cannot be used.
    pub fn open(options: EngineOptions) -> Result<Self, EngineError> {
        let processor = open_processor(&options.model, &options.picture_limits)?;
        let mut model = Vlm::load_as(&options.model, options.weight_type, &options.device).map_err(folder_error)?;
        let mut lora = None;
        if let Some(adapter) = &options.adapter {
            let loaded = model.load_adapter(adapter).map_err(folder_error)?;
            let dropout = options.trainable.lora().map_or(loaded.dropout, |asked| asked.dropout);
            lora = Some(LoraConfig { dropout, ..loaded });
        } else if let Some(fresh) = options.trainable.lora() {
            model.attach_lora(&fresh, options.seed).map_err(engine_error)?;
            lora = Some(fresh);
        }
        let mut reference = model.clone();
        if options.adapter.is_none() {
            // A fresh adapter changes nothing yet. One that is trained further does: the policy began with it on.
            reference.detach_lora();
        }
        let pool = |_| rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let pools = (0..options.workers.max(1)).map(pool).collect::<Result<_, _>>();
        let groups = options.trainable.groups();
        let stage = if groups.contains(&ParameterGroup::Projector) {
            Stage::Seen
        } else {
            Stage::Projected
        };
        let mut features = FeatureCache::new(stage);
        if let (Some(folder), false) = (&options.feature_folder, groups.contains(&ParameterGroup::Vision)) {
            features.keep_in(FeatureStore::open(folder, &model, &processor, stage)?);
        }
        Ok(Self {
            groups,
            pools: pools.map_err(|error| EngineError::Model(format!("no threads to work on: {error}")))?,
            optimizer: vlm::optim::AdamW::new(),
            gradients: NamedValues::new(),
            n_sequences: 0,
            features,
            options,
            model,
            reference,
            processor,
            lora,
        })
    }

    /// The model, its adapter on it, and its processor: for a server, which samples on its own.
    pub fn into_parts(self) -> (Vlm, Processor) {
        (self.model, self.processor)
    }

    /// Adds the adapter to the weights it adapts.
    pub fn merge_adapter(&mut self) {
        self.model.merge_lora();
        self.lora = None;
    }

    /// Whether pictures must go through the vision tower anew each time.
    fn trains_vision(&self) -> bool {
        self.groups.contains(&ParameterGroup::Vision)
    }

    /// The pictures of sequences as far as they have gone through what is frozen.
    fn known_pictures(&mut self, prepared: &[Prepared]) -> Result<Pictures<'static>, EngineError> {
        let files: Vec<&Path> = prepared
            .iter()
            .flat_map(|one| &one.images)
            .map(PathBuf::as_path)
            .collect();
        let limit = if self.trains_vision() {
            0
        } else {
            self.options.feature_cache_bytes
        };
        let features = self
            .features
            .features(&self.model, &self.processor, &self.pools, &files, limit)?;
        Ok(match self.features.stage() {
            Stage::Seen => Pictures::Seen(features),
            Stage::Projected => Pictures::Known(features),
        })
    }

    fn prepare(&self, sequences: &[Sequence]) -> Result<Vec<Prepared>, EngineError> {
        sequences
            .iter()
            .map(|sequence| Prepared::sequence(&self.processor, sequence))
            .collect()
    }

    /// What goes through the model together: groups of sequences that reply to one prompt.
    fn micro_batches(&self, prepared: &[Prepared]) -> Vec<Vec<Vec<usize>>> {
        let limit = self.options.micro_batch_tokens;
        // What is dropped differs from sequence to sequence, in their prompts too.
        let shared_limit = if self.lora_dropout() > 0.0 { 0 } else { limit };
        let groups = by_prompt(prepared, self.model.config(), shared_limit);
        let lengths: Vec<usize> = groups.iter().map(|group| group.n_tokens).collect();
        let cut = if self.options.packing { packs } else { micro_batches };
        let of_part = |part: Vec<usize>| part.into_iter().map(|index| groups[index].members.clone()).collect();
        cut(&lengths, limit).into_iter().map(of_part).collect()
    }

    fn lora_dropout(&self) -> f64 {
        self.options.trainable.lora().map_or(0.0, |lora| lora.dropout)
    }

    pub(crate) fn score_all(
        &mut self,
        prepared: &[Prepared],
        policy: Weights,
    ) -> Result<Vec<TokenScores>, EngineError> {
        let known = match policy {
            // The reference sees with its own eyes where those of the policy change.
            Weights::Reference if self.trains_vision() => None,
            Weights::Reference | Weights::Current => Some(self.known_pictures(prepared)?),
        };
        let pictures = known.unwrap_or(Pictures::Encode(&self.processor));
        let model = match policy {
            Weights::Current => &self.model,
            Weights::Reference => &self.reference,
        };
        let jobs = self.micro_batches(prepared);
        let mut all: Vec<Option<TokenScores>> = vec![None; prepared.len()];
        let work = |groups: &Vec<Vec<usize>>| {
            let part = MicroBatch::new(groups, prepared);
            let batch = part.batch(model, self.options.packing)?;
            let pass = forward(model, &batch, &part, &pictures, false)?;
            let scores = reply_scores(&part, pass.as_ref());
            Ok((part.indexes, scores))
        };
        in_order(&self.pools, &jobs, work, |(indexes, scores)| {
            indexes
                .into_iter()
                .zip(scores)
                .for_each(|(index, scores)| all[index] = Some(scores));
        })?;
        Ok(all.into_iter().flatten().collect())
    }

    fn require_trainable(&self) -> Result<(), EngineError> {
        if self.groups.is_empty() {
            return Err(EngineError::Model(
                "the model was opened frozen: nothing can be trained".to_owned(),
            ));
        }
        Ok(())
    }
}

impl Engine for LocalEngine {
    fn sample(&mut self, requests: &[SampleRequest], params: &SamplingParams) -> Result<Vec<Sampled>, EngineError> {
        let prepared = requests
            .iter()
            .map(|request| {
                Prepared::prompt(&self.processor, &request.messages).map_err(|error| of_item(&request.id, error))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let pictures = self.known_pictures(&prepared)?;
        let prompts = prepared
            .iter()
            .zip(requests)
            .map(|(one, request)| {
                let images = picture_rows(&self.model, &[one], &pictures)?;
                Ok(Prompt {
                    sequence: one.tokens(),
                    images,
                    seeds: &request.seeds,
                })
            })
            .collect::<Result<Vec<_>, EngineError>>()?;
        let options = GenerateOptions {
            temperature: params.temperature,
            top_p: params.top_p,
            max_new_tokens: params.max_new_tokens,
            stop_tokens: self.processor.tokenizer().stop_tokens().to_vec(),
            ignore_eos: params.ignore_eos,
            banned_tokens: self.processor.banned_tokens(),
            batch_size: self.options.sample_batch_size,
            workers: self.pools.len(),
        };
        let drawn = generate(&self.model, &prompts, &options, None).map_err(|error| match error {
            vlm::error::Error::Prompt { index, problem } => of_item(&requests[index].id, EngineError::Data(problem)),
            other => engine_error(other),
        })?;
        prepared
            .iter()
            .zip(drawn)
            .map(|(one, completions)| {
                let completions = completions
                    .into_iter()
                    .map(|drawn| self.completion(drawn))
                    .collect::<Result<_, _>>();
                Ok(Sampled {
                    prompt_ids: one.ids.clone(),
                    completions: completions?,
                })
            })
            .collect()
    }

    fn logprobs(&mut self, sequences: &[Sequence], policy: Weights) -> Result<Vec<TokenScores>, EngineError> {
        let prepared = self.prepare(sequences)?;
        self.score_all(&prepared, policy)
    }

    fn reply_lengths(&mut self, sequences: &[Sequence]) -> Result<Vec<usize>, EngineError> {
        let length = |sequence: &Sequence| match &sequence.reply {
            Reply::Text(text) => self
                .processor
                .encode_reply(text)
                .map(|ids| ids.len())
                .map_err(engine_error),
            Reply::Tokens(ids) => Ok(ids.len()),
        };
        sequences.iter().map(length).collect()
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
                .map_err(|error| of_item(&sequence.id, error))?;
        }
        let known = if self.trains_vision() {
            None
        } else {
            Some(self.known_pictures(&prepared)?)
        };
        let pictures = known.unwrap_or(Pictures::Encode(&self.processor));
        let jobs = self.micro_batches(&prepared);
        let mut gradients = std::mem::take(&mut self.gradients);
        let work = |groups: &Vec<Vec<usize>>| {
            let part = MicroBatch::new(groups, &prepared);
            let batch = part.batch(&self.model, self.options.packing)?;
            let view = self.training_view(&batch, &part.indexes);
            let pass = forward(&view, &batch, &part, &pictures, self.options.trainable.recomputes())?;
            let scores = reply_scores(&part, pass.as_ref());
            backward(part, scores, pass, loss)
        };
        let mut total = 0.0;
        let mut all: Vec<Option<TokenScores>> = vec![None; prepared.len()];
        let n_parts = parts_at_once(self.model.config().text.hidden_size, self.pools.len());
        in_order(&self.pools[..n_parts], &jobs, work, |part: Part| {
            total += part.loss;
            gradients = sum_gradients([std::mem::take(&mut gradients), part.gradients]);
            part.indexes
                .into_iter()
                .zip(part.scores)
                .for_each(|(index, scores)| all[index] = Some(scores));
        })?;
        self.gradients = gradients;
        self.n_sequences += sequences.len();
        Ok(ForwardBackward {
            loss: total,
            scores: all.into_iter().flatten().collect(),
        })
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
        let updated = self
            .optimizer
            .step(&settings, parameters, gradients)
            .map_err(engine_error)?;
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
    /// A view of the model for one micro-batch of the next optimizer step. What adapters drop follows from the seed,
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

    fn completion(&self, drawn: vlm::generate::Generated) -> Result<Completion, EngineError> {
        let text = self
            .processor
            .tokenizer()
            .decode(&drawn.token_ids, true)
            .map_err(engine_error)?;
        let finish_reason = match drawn.finish_reason {
            vlm::generate::FinishReason::Stop => FinishReason::Stop,
            vlm::generate::FinishReason::Length => FinishReason::Length,
        };
        Ok(Completion {
            token_ids: drawn.token_ids,
            logprobs: drawn.logprobs,
            text,
            finish_reason,
        })
    }
}
