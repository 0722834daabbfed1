//! `scruple sft`: labelled samples in, a fine-tuned model out.

use align::sft;
use clap::Args;

use super::Context;
use super::model;
use super::run_folder::{conclude, open, required};
use crate::args::RunArguments;
use crate::config;
use crate::config::tables::SftSettings;
use crate::data::{read_checked, without_reply};

const AFTER_HELP: &str = "\
Samples are items whose last message is the assistant's; only its tokens are trained. DIR then
holds checkpoint-N (a Hugging Face folder, or a PEFT adapter where LoRA is on), metrics.jsonl,
TensorBoard events and config.resolved.json. The last checkpoint's folder is printed.

Examples:
  scruple sft --config configs/sft.toml --out runs/mirage
  scruple sft --config configs/sft.toml --out runs/lora train.type=lora sft.learning_rate=1e-4
  scruple sft --config configs/sft.toml --out runs/mirage --resume";

/// Fine-tune on safety chains of thought (MIRage).
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    run: RunArguments,
}

/// Runs the command.
///
/// Errors: of usage for bad settings, of data for unlabelled samples, and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> anyhow::Result<()> {
    let arguments = &arguments.run;
    let loaded = config::load::<SftSettings>(arguments.config.as_deref(), &arguments.overrides)?;
    let settings = &loaded.settings;
    loaded.check(settings.train.validate("train"))?;
    loaded.check(settings.sft.validate("sft"))?;
    let items = read_checked(required(settings.data.train.as_ref(), "data.train")?, without_reply)?;
    let general = match &settings.data.general {
        Some(path) => read_checked(path, without_reply)?,
        None => Vec::new(),
    };
    let mut engine = model::open(
        &settings.model,
        settings.train.clone(),
        settings.sft.seed,
        context.global.device,
    )?;
    let mut run_dir = open(arguments, settings, settings.sft.seed)?;
    let outcome = sft::run(
        &mut engine,
        &items,
        &general,
        &settings.sft,
        &mut run_dir,
        &mut context.progress,
    )?;
    conclude(outcome, &run_dir)
}
