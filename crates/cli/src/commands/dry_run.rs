//! `--dry-run`: what a training command would do and take, as a table, before any weight is loaded.

use align::sft::Mixture;
use engine::estimate::{Load, Memory, ModelSizes, measured_flops};
use engine::{EngineOptions, SampleSize, concurrent_micro_batches};

use super::validation::{Samples, Validated, Validation};
use crate::config::tables::{RlSettings, SftSettings};
use crate::context::Context;
use crate::errors::Result;
use crate::model::{self, Passes};
use crate::progress::duration_text;
use crate::terminal::print_line;

/// How many of the samples left out are shown.
const SHOWN_REJECTS: usize = 3;

/// Prints what fine-tuning would take.
///
/// Errors: as training's own, for settings and data that do not fit together.
pub fn sft(settings: &SftSettings, samples: &Samples, context: &Context) -> Result {
    let (items, general) = (&samples.items, &samples.general);
    let config = &samples.inspector.config;
    let mixture = Mixture::new(&items.items, &general.items, &settings.sft)?;
    let steps_per_epoch = mixture.steps_per_epoch();
    let steps = settings.sft.total_steps(steps_per_epoch);
    let epochs = steps as f64 / steps_per_epoch as f64;
    let n_general = (mixture.items_per_epoch() - items.items.len()) as f64;
    let of_general = load(&general.sizes).times(n_general / general.items.len().max(1) as f64);
    let epoch = load(&items.sizes).plus(of_general);
    let sizes = ModelSizes::new(config, &settings.train, settings.model.dtype)?;

    let mut table = Table::default();
    table.samples(&samples.validation);
    let (batch, all) = (settings.sft.train_batch_size, mixture.items_per_epoch());
    table.row("steps", format!("{steps} of {batch} samples: {epochs:.2} epochs of {all} samples"));
    table.tokens("an epoch", epoch, longest(items, general));
    table.parameters(&sizes);

    let options = EngineOptions::new(std::path::PathBuf::new(), engine::ComputeDevice::flex());
    let limit = Passes::of(&settings.sft).micro_batch_tokens(&options);
    let part = largest_part(epoch, longest(items, general), limit);
    let n_parts = concurrent_micro_batches(config.text.hidden_size, options.workers).min(batch);
    table.memory(sizes.memory(part, n_parts), n_parts, settings.train.recomputes(), 0);

    let seeing = if sizes.caches_image_features() { sizes.encode_images(epoch.image_tokens) } else { 0.0 };
    let training = sizes.train(epoch, settings.train.recomputes()) * epochs;
    table.time(&[("training", training), ("vision tower, once", seeing)], "at least", context)?;
    table.print()
}

/// Prints what reinforcement would take at most: every response as long as it may be, every one reflected on, none of
/// the groups sampled again.
///
/// Errors: as training's own, for settings and data that do not fit together.
pub fn rl(settings: &RlSettings, prompts: &Samples, context: &Context) -> Result {
    let (validation, config, prompts) = (&prompts.validation, &prompts.inspector.config, &prompts.items);
    let (rollout, grpo) = (&settings.rollout, &settings.grpo);
    let steps = grpo.total_steps(prompts.items.len());
    let n_prompts = grpo.prompts_per_step;
    let responses = (n_prompts * rollout.num_generations) as f64;
    let pool = load(&prompts.sizes);
    let mean = pool.times(1.0 / prompts.items.len().max(1) as f64);
    let sizes = ModelSizes::new(config, &settings.train, settings.model.dtype)?;
    let longest_prompt = longest(prompts, &Validated::default());

    let mut table = Table::default();
    table.samples(validation);
    table.row("steps", format!("{steps} of {n_prompts} prompts with {} responses each", rollout.num_generations));
    table.tokens("all prompts", pool, longest_prompt);
    let longest_reply = rollout.max_completion_length;
    table.row("", format!("responses: at most {longest_reply} tokens each"));
    table.parameters(&sizes);

    let part = Load::of(longest_prompt + longest_reply, 0, longest_reply);
    let options = EngineOptions::new(std::path::PathBuf::new(), engine::ComputeDevice::flex());
    let n_parts = concurrent_micro_batches(config.text.hidden_size, options.workers).min(responses as usize);
    // Full training keeps the weights it began with, which are the reference policy, beside those that it changes.
    let reference = if settings.train.keeps_reference() { sizes.trained() * sizes.bytes_per_weight } else { 0 };
    table.memory(sizes.memory(part, n_parts), n_parts, settings.train.recomputes(), reference);

    let sampled_at_once = (responses as usize).min(options.sample_batch_size * options.workers);
    let cached = sizes.kv_cache(sampled_at_once * longest_reply + sampled_at_once.min(n_prompts) * longest_prompt);
    table.row("", format!("KV cache while sampling {}, not at the same time", bytes(cached)));

    let mut operations = operations_of_steps(settings, &sizes, mean, steps as f64);
    operations.push(("vision tower, once", sizes.encode_images(pool.image_tokens)));
    table.time(&operations, "at most, at peak matmul throughput,", context)?;
    table.print()
}

/// Operations of reinforcement's steps, by what they are for; `prompt` is the mean of the prompts.
fn operations_of_steps(
    settings: &RlSettings,
    sizes: &ModelSizes,
    prompt: Load,
    steps: f64,
) -> Vec<(&'static str, f64)> {
    let (rollout, grpo) = (&settings.rollout, &settings.grpo);
    let answer = answered(prompt, rollout.max_completion_length);
    let answers = answer.times((grpo.prompts_per_step * rollout.num_generations) as f64);
    let reflections = match (rollout.reflect, rollout.max_reflections) {
        (false, _) => 0,
        (true, 0) => rollout.num_generations,
        (true, most) => most.min(rollout.num_generations),
    };
    let n_reflected = (grpo.prompts_per_step * reflections) as f64;
    let reflected = answered(answer, rollout.max_reflection_length).times(n_reflected);
    let scoring = if grpo.beta > 0.0 { steps * sizes.forward(answers) } else { 0.0 };
    let updates = steps * grpo.num_iterations as f64;
    vec![
        ("sampling", steps * (sizes.forward(answers) + sizes.forward(reflected))),
        ("reference policy", scoring),
        ("training", updates * sizes.train(answers, settings.train.recomputes())),
    ]
}

/// A dialogue with a reply of so many tokens after it.
fn answered(prompt: Load, reply: usize) -> Load {
    let (before, reply) = (prompt.tokens, reply as f64);
    Load {
        tokens: before + reply,
        reply_tokens: reply,
        pairs: prompt.pairs + reply * before + reply * reply / 2.0,
        ..prompt
    }
}

fn load(sizes: &[Vec<SampleSize>]) -> Load {
    let sequences = sizes.iter().flatten();
    let loads = sequences.map(|size| Load::of(size.tokens, size.image_tokens, size.reply_tokens));
    loads.fold(Load::default(), Load::plus)
}

fn longest(items: &Validated, general: &Validated) -> usize {
    let sizes = items.sizes.iter().chain(&general.sizes).flatten();
    sizes.map(|size| size.tokens).max().unwrap_or(0)
}

/// The largest part of a batch that is computed at once: up to `limit` tokens, or one longer sequence.
fn largest_part(epoch: Load, longest: usize, limit: usize) -> Load {
    let tokens = epoch.tokens.min(limit as f64).max(longest as f64);
    Load { tokens, ..epoch.times(tokens / epoch.tokens.max(1.0)) }
}

/// Lines of a name and what there is to say.
#[derive(Default)]
struct Table(Vec<String>);

impl Table {
    fn row(&mut self, name: &str, text: impl std::fmt::Display) {
        self.0.push(format!("{name:<12}{text}").trim_end().to_owned());
    }

    fn samples(&mut self, validation: &Validation) {
        let n_rejected = validation.rejected.len();
        let kept = validation.n_seen - n_rejected;
        self.row("samples", format!("{kept} usable, {n_rejected} rejected"));
        for rejected in validation.rejected.iter().take(SHOWN_REJECTS) {
            self.row("", rejected.text());
        }
    }

    fn tokens(&mut self, what: &str, load: Load, longest: usize) {
        let [all, images, replies] = [load.tokens, load.image_tokens, load.reply_tokens].map(count);
        let learned = match load.reply_tokens {
            0.0 => String::new(),
            _ => format!(" and {replies} learned"),
        };
        self.row("tokens", format!("{what}: {all}, of which {images} of images{learned}; the longest has {longest}"));
    }

    fn parameters(&mut self, sizes: &ModelSizes) {
        let [all, trained] = [sizes.total(), sizes.trained()].map(|number| count(number as f64));
        self.row("parameters", format!("{all}, of which {trained} trained"));
        for (group, [all, trained]) in &sizes.groups {
            let state = match trained {
                0 => "frozen".to_owned(),
                _ => format!("{} trained", count(*trained as f64)),
            };
            self.row("", format!("{group}: {}, {state}", count(*all as f64)));
        }
    }

    fn memory(&mut self, memory: Memory, n_parts: usize, recomputes: bool, reference: u64) {
        let Memory { weights, masters, gradients, moments, activations, recomputed } = memory;
        let chosen = if recomputes { recomputed } else { activations };
        let total = weights + masters + reference + gradients + moments + chosen;
        self.row("memory", format!("{} in all", bytes(total)));
        self.row("", format!("weights {}", bytes(weights)));
        if masters > 0 {
            self.row("", format!("copies in f32 of those that are trained {}", bytes(masters)));
        }
        if reference > 0 {
            self.row("", format!("the reference policy's {}", bytes(reference)));
        }
        self.row("", format!("gradients {}, with {n_parts} at once of a batch's parts", bytes(gradients)));
        self.row("", format!("moments of AdamW {}", bytes(moments)));
        self.row("", format!("activations {} kept, {} recomputed", bytes(activations), bytes(recomputed)));
        let name = if recomputes { "recomputed" } else { "kept" };
        self.row("", format!("(train.gradient_checkpointing = {recomputes}: {name})"));
    }

    fn time(&mut self, parts: &[(&str, f64)], how: &str, context: &Context) -> Result {
        let rate = measured_flops(&model::device(context.global.device)?);
        let total: f64 = parts.iter().map(|(_, operations)| operations).sum();
        let speed = short(rate);
        self.row("time", format!("{how} {} at {speed}FLOP/s, measured here", duration_text(total / rate)));
        for (name, operations) in parts.iter().filter(|(_, operations)| *operations > 0.0) {
            self.row("", format!("{name}: {}FLOP, {}", short(*operations), duration_text(operations / rate)));
        }
        Ok(())
    }

    fn print(&self) -> Result {
        Ok(print_line(&self.0.join("\n"))?)
    }
}

/// A number with the prefix of its size, after which a unit can follow.
fn short(number: f64) -> String {
    let prefixes = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match prefixes.into_iter().find(|(size, _)| number >= *size) {
        Some((size, prefix)) => format!("{:.2} {prefix}", number / size),
        None => format!("{number:.0} "),
    }
}

fn count(number: f64) -> String {
    short(number).trim_end().to_owned()
}

fn bytes(count: u64) -> String {
    format!("{}B", short(count as f64))
}
