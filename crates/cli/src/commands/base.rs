//! `scruple base`: a seed in, the miniature world's base model out.

use std::path::{Path, PathBuf};

use align::sft::{self, SftConfig};
use align::types::Item;
use clap::Args;
use engine::{Trainable, random_init};
use mini::base::{self, Corpus};

use super::job;
use super::run_folder::RunFolder;
use super::training::Training;
use crate::arguments::{OutArguments, SettingsArguments};
use crate::config::tables::{BaseSettings, ModelTable};
use crate::context::Context;
use crate::errors::Result;
use crate::model::{self, Passes};
use crate::output_folder::{OutputFolder, remove_results};
use crate::terminal::print_line;

/// The folders of the models: untrained, trained on captions, trained on dialogues too.
const MODELS: [&str; 3] = ["untrained", "captioned", "model"];

const AFTER_HELP: &str = "\
It learns from captions first, then from dialogues. DIR then holds the corpus, the untrained model
(untrained), the one trained on captions (captioned), the trained one (model), and the runs
between them. The same settings give the same weights, bit for bit. The base model that comes with
`scruple demo` is what the defaults give. After a stop, the same command resumes.

Examples:
  scruple base --out out/base
  scruple base --out out/small base.samples=20000 base.captions=30000";

/// Train the miniature world's base model from scratch. It names what it sees and complies with every request.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(flatten)]
    results: OutArguments,
}

/// Runs the command.
///
/// Errors: of settings for bad settings or where the folder holds another run, of output when files cannot be written,
/// and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let loaded = arguments.settings.load::<BaseSettings>([])?;
    let settings = &loaded.settings;
    loaded.check(settings.base.validate("base"))?;
    loaded.check(settings.size.validate("size"))?;
    loaded.check(settings.captioning.validate("captioning"))?;
    loaded.check(settings.sft.validate("sft"))?;
    let (out, restart) = (&arguments.results.out, arguments.results.restart.restart);
    let [untrained, captioned, trained] = MODELS.map(|name| out.join(name));
    let captioning = RunFolder::at(&out.join("captioned.run"), settings, settings.captioning.seed, restart)?;
    let dialogues = RunFolder::at(&out.join("model.run"), settings, settings.sft.seed, restart)?;
    // Both runs are looked at before anything is written: what is there of another run must not be touched.
    let is_done = captioning.finished()?.is_some() && dialogues.finished()?.is_some();
    if !(is_done && trained.exists()) {
        let _folder = OutputFolder::make(out)?;
        if restart {
            remove_results(out, &MODELS)?;
        }
        let corpus = base::write(&settings.base, &out.join("corpus"), &mut context.progress)?;
        if !untrained.join("model.safetensors").exists() {
            create_untrained(settings, &corpus, &untrained, context)?;
        }
        let stages = [
            (&untrained, &corpus.captions, &settings.captioning, captioning, &captioned),
            (&captioned, &corpus.dialogues, &settings.sft, dialogues, &trained),
        ];
        for (from, items, config, run, to) in stages {
            train(from, items, config, run, to, context)?;
        }
    }
    Ok(print_line(&trained.display().to_string())?)
}

/// The untrained model, whose tokenizer is made of the corpus.
fn create_untrained(settings: &BaseSettings, corpus: &Corpus, folder: &Path, context: &Context) -> Result {
    let texts: Vec<String> = corpus.texts().collect();
    let device = model::device(context.global.device)?;
    let texts = texts.iter().map(String::as_str);
    Ok(random_init::create(&settings.size, texts, settings.base.seed, folder, &device)?)
}

/// One stage: a model folder and items in, the trained model's folder out.
fn train(
    from: &Path,
    items: &[Item],
    config: &SftConfig,
    run: RunFolder,
    to: &Path,
    context: &mut Context,
) -> Result<PathBuf> {
    let model = ModelTable { path: Some(from.to_owned()), ..ModelTable::default() };
    let whole = Trainable::Full {
        freeze_vision_tower: false,
        freeze_multi_modal_projector: false,
        freeze_language_model: false,
        gradient_checkpointing: false,
    };
    let training = Training {
        model: &model,
        train: &whole,
        seed: config.seed,
        passes: Passes::of(config),
        method: &|engine, run_dir, progress| sft::run(engine, items, &[], config, run_dir, progress),
        run,
        weights: Some(to),
    };
    job::run(&training, context)
}
