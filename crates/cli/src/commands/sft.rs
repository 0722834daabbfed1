//! `scruple sft`: labelled samples in, a fine-tuned model out.

use std::path::Path;

use align::sft::{self, labelled_sequences};
use align::training::{check_at_least_zero, check_share};
use align::types::Item;
use clap::Args;
use engine::{Inspector, SampleSize};

use super::Context;
use super::admission::{Admission, Admitted};
use super::dry_run;
use super::model::{self, Passes};
use super::run_folder::{self, conclude, required};
use crate::args::RunArguments;
use crate::config::tables::SftSettings;
use crate::config::{self, ConfigError, Loaded};
use crate::data::{read_checked, without_reply};
use crate::output_folder::OutputFolder;

const AFTER_HELP: &str = "\
Samples are items whose last message is the assistant's; only its tokens are trained. DIR then
holds checkpoint-N (a Hugging Face folder, or a PEFT adapter where LoRA is on), metrics.jsonl,
TensorBoard events and config.resolved.json. The last checkpoint's folder is printed. Samples
that cannot be trained are left out and listed in rejected.jsonl.

Examples:
  scruple sft --config configs/sft.toml --out runs/mirage --dry-run
  scruple sft --config configs/sft.toml --out runs/mirage
  scruple sft --config configs/sft.toml --out runs/lora train.type=lora sft.learning_rate=1e-4
  scruple sft --config configs/sft.toml --out runs/mirage --resume";

/// Fine-tune on safety chains of thought (MIRage).
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    run: RunArguments,
    /// Print steps, tokens, parameters, memory and time to expect; load no weights and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
///
/// Errors: of usage for bad settings, of data for unlabelled samples, and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> anyhow::Result<()> {
    let Arguments {
        run: arguments,
        dry_run,
    } = arguments;
    let loaded = config::load::<SftSettings>(arguments.config.as_deref(), &arguments.overrides)?;
    check(&loaded)?;
    let settings = &loaded.settings;
    let train = required(settings.data.train.as_ref(), "data.train")?;
    let inspector = model::inspector(&settings.model, settings.sft.max_length)?;
    loaded.check(model::validate_layers(&settings.model, &settings.train, &inspector))?;
    let mut admission = Admission::default();
    let mut read = |path: &Path| -> anyhow::Result<Admitted> {
        let items = read_checked(path, without_reply)?;
        admission.admit(path, items, |item| measure(&inspector, item, settings.sft.mask_history))
    };
    let items = read(train)?;
    let general = settings
        .data
        .general
        .as_deref()
        .map(read)
        .transpose()?
        .unwrap_or_default();
    if *dry_run {
        return dry_run::sft(settings, inspector.config(), &admission, &items, &general, context);
    }
    let (recorded, seed) = (settings.seen_from(&arguments.out), settings.sft.seed);
    run_folder::check(&arguments.out, arguments.resume, &recorded, seed)?;
    let _folder = OutputFolder::make(&arguments.out)?;
    admission.conclude(&arguments.out, settings.data.max_rejected, context)?;
    let (n_items, n_general) = (items.items.len(), general.items.len());
    loaded.check(settings.sft.check_general("sft", n_items, n_general))?;
    let mut engine = model::open_with(
        &settings.model,
        settings.train.clone(),
        seed,
        context.global.device,
        &Passes {
            feature_folder: model::feature_folder(
                settings.data.image_feature_cache.as_ref(),
                settings.data.image_feature_cache_gb,
            ),
            ..Passes::of(&settings.sft)
        },
    )?;
    let mut run_dir = run_folder::open(&arguments.out, arguments.resume, &recorded, seed)?;
    let outcome = sft::run(
        &mut engine,
        &items.items,
        &general.items,
        &settings.sft,
        &mut run_dir,
        &mut context.progress,
    )?;
    conclude(outcome, &run_dir)
}

fn check(loaded: &Loaded<SftSettings>) -> Result<(), ConfigError> {
    let settings = &loaded.settings;
    loaded.check(settings.train.validate("train"))?;
    loaded.check(settings.sft.validate("sft"))?;
    loaded.check(check_share("data.max_rejected", settings.data.max_rejected))?;
    let gigabytes = settings.data.image_feature_cache_gb;
    loaded.check(check_at_least_zero("data.image_feature_cache_gb", gigabytes))
}

fn measure(inspector: &Inspector, item: &Item, mask_history: bool) -> Result<Vec<SampleSize>, String> {
    labelled_sequences(item, mask_history)
        .map(|sequence| inspector.measure(&sequence).map_err(|error| error.to_string()))
        .collect()
}
