//! `scruple sft`: labeled samples in, a fine-tuned model out.

use std::path::{Path, PathBuf};

use align::settings::{check_at_least_zero, check_share};
use align::sft::{self, labeled_sequences};
use align::types::Item;
use clap::Args;
use engine::{Inspector, LocalEngine, SampleSize};

use super::dry_run;
use super::job::{self, Job};
use super::run_folder::{RunFolder, trained};
use super::validation::{Samples, Validated, Validation};
use crate::arguments::{ModelArguments, OutArguments, flag};
use crate::config::tables::SftSettings;
use crate::config::{Loaded, required};
use crate::context::Context;
use crate::data::{read_checked_lines, trainable, without_reply};
use crate::errors::{Failure, Result};
use crate::model::{self, Passes};
use crate::output_folder::OutputFolder;
use crate::terminal::print_line;

const AFTER_HELP: &str = "\
Samples are items whose last message is the assistant's; only its tokens are trained. DIR then
holds checkpoint-N (a Hugging Face folder, or a PEFT adapter where LoRA is on), metrics.jsonl,
TensorBoard events and config.resolved.json. The last checkpoint's folder is printed. Samples
that cannot be trained are left out and listed in rejected.jsonl. After a stop, the same command
resumes from the last checkpoint.

Examples:
  scruple sft --config configs/sft.toml --out runs/mirage --dry-run
  scruple sft --config configs/sft.toml --out runs/mirage
  scruple sft --config configs/sft.toml --out runs/lora train.type=lora sft.learning_rate=1e-4
  scruple sft --model MODEL --data train.jsonl --out runs/mirage sft.general_ratio=0";

/// Fine-tune on safety chains of thought (MIRage).
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The labeled samples; short for `data.train=…`
    #[arg(long, value_name = "FILE.jsonl")]
    data: Option<String>,
    #[command(flatten)]
    results: OutArguments,
    /// Print steps, tokens, parameters, memory and time to expect; load no weights and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
///
/// Errors: of settings for bad settings or where the folder holds another run, of data for unlabeled samples, and
/// whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let data = flag("--data", &["data", "train"], arguments.data.as_ref());
    let loaded = arguments.model.load::<SftSettings>([data])?;
    check(&loaded)?;
    let settings = &loaded.settings;
    let recorded = settings.relative_to(&arguments.results.out);
    let finetuning =
        Finetuning { run: RunFolder::new(&arguments.results, &recorded, settings.sft.seed)?, loaded: &loaded };
    if arguments.dry_run {
        return dry_run::sft(settings, &finetuning.data()?, context);
    }
    let checkpoint = job::run(&finetuning, context)?;
    Ok(print_line(&checkpoint.display().to_string())?)
}

/// A run of fine-tuning.
struct Finetuning<'a> {
    loaded: &'a Loaded<SftSettings>,
    run: RunFolder,
}

impl Job for Finetuning<'_> {
    type Data = Samples;
    type Models = LocalEngine;
    type Product = PathBuf;

    fn finished(&self) -> Result<Option<PathBuf>> {
        self.run.finished()
    }

    fn data(&self) -> Result<Samples> {
        let SftSettings { model, data, train, sft } = &self.loaded.settings;
        let path = required(data.train.as_ref(), "data.train")?;
        let inspector = model::inspector(model, sft.max_length)?;
        self.loaded.check(model::validate_layers(model, train, &inspector))?;
        let mut validation = Validation::default();
        let mut read = |path: &Path| {
            let items = read_checked_lines(path, trainable(path, without_reply)?)?;
            Ok::<_, Failure>(validation.validate(path, items, |item| measure(&inspector, item, sft.mask_history)))
        };
        let items = read(path)?;
        let general = match &data.general {
            Some(path) => read(path)?,
            None => Validated::default(),
        };
        Ok(Samples { inspector, validation, items, general })
    }

    fn folder(&self, samples: &Samples, context: &Context) -> Result<OutputFolder> {
        let SftSettings { data, sft, .. } = &self.loaded.settings;
        let (n_items, n_general) = (samples.items.items.len(), samples.general.items.len());
        let folder = OutputFolder::make(&self.run.folder)?;
        samples.validation.conclude(&self.run.folder, data.max_rejected, context)?;
        self.loaded.check(sft.check_general("sft", n_items, n_general))?;
        self.run.clear()?;
        Ok(folder)
    }

    fn models(&self, context: &Context) -> Result<LocalEngine> {
        let SftSettings { model, data, train, sft } = &self.loaded.settings;
        let passes = Passes {
            feature_folder: model::feature_folder(data.image_feature_cache.as_ref(), data.image_feature_cache_gb),
            ..Passes::of(sft)
        };
        model::open_with(model, train.clone(), sft.seed, context.global.device, &passes)
    }

    fn work(&self, samples: Samples, mut engine: LocalEngine, context: &mut Context) -> Result<PathBuf> {
        let mut run_dir = self.run.open()?;
        let outcome = sft::run(
            &mut engine,
            &samples.items.items,
            &samples.general.items,
            &self.loaded.settings.sft,
            &mut run_dir,
            &mut context.progress,
        )?;
        trained(outcome, &run_dir)
    }
}

fn check(loaded: &Loaded<SftSettings>) -> Result {
    let settings = &loaded.settings;
    loaded.check(settings.train.validate("train"))?;
    loaded.check(settings.sft.validate("sft"))?;
    loaded.check(check_share("data.max_rejected", settings.data.max_rejected))?;
    let gigabytes = settings.data.image_feature_cache_gb;
    loaded.check(check_at_least_zero("data.image_feature_cache_gb", gigabytes))
}

fn measure(inspector: &Inspector, item: &Item, mask_history: bool) -> Result<Vec<SampleSize>, String> {
    labeled_sequences(item, mask_history)
        .map(|sequence| inspector.measure(&sequence).map_err(|error| error.to_string()))
        .collect()
}
