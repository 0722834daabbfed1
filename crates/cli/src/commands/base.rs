//! `scruple base`: a seed in, the miniature world's base model out.

use std::path::Path;

use align::engine::{Engine, SaveKind};
use align::run_dir::RunDir;
use align::sft::{self, SftConfig};
use align::training::Outcome;
use align::types::Item;
use clap::Args;
use engine::{Trainable, newborn};
use mini::base;

use super::Context;
use super::model::{self, Passes};
use super::run_folder::open;
use crate::args::RunArguments;
use crate::config;
use crate::config::tables::{BaseSettings, ModelTable};
use crate::interrupt;
use crate::output_folder::OutputFolder;
use crate::terminal::print_line;

const AFTER_HELP: &str = "\
It learns from captions first, then from dialogues. DIR then holds the corpus, the untrained model
(newborn), the one that has read the captions (seeing), the trained one (model), and the runs between
them. The same settings give the same weights, bit for bit. The base model that comes with
`scruple demo` is what the defaults give.

Examples:
  scruple base --out out/base
  scruple base --out out/small base.samples=20000 base.captions=30000
  scruple base --out out/base --resume";

/// Train the miniature world's base model from nothing: it sees, names, and grants every wish.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    run: RunArguments,
}

/// Runs the command.
///
/// Errors: of usage for bad settings, of output when files cannot be written, and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> anyhow::Result<()> {
    let arguments = &arguments.run;
    let loaded = config::load::<BaseSettings>(arguments.config.as_deref(), &arguments.overrides)?;
    let settings = &loaded.settings;
    loaded.check(settings.base.validate("base"))?;
    loaded.check(settings.size.validate("size"))?;
    loaded.check(settings.captioning.validate("captioning"))?;
    loaded.check(settings.sft.validate("sft"))?;
    let _folder = OutputFolder::make(&arguments.out)?;
    // Both runs are opened before anything is drawn: what is there of another run must not be touched.
    let mut captioning = open_stage(arguments, "seeing", settings, settings.captioning.seed)?;
    let mut dialogues = open_stage(arguments, "model", settings, settings.sft.seed)?;
    let corpus = base::write(&settings.base, &arguments.out.join("corpus"), &mut context.progress)
        .map_err(interrupt::stopped_or)?;
    let newborn = arguments.out.join("newborn");
    if !newborn.join("model.safetensors").exists() {
        let texts: Vec<String> = corpus.texts().collect();
        let device = model::device(context.global.device)?;
        newborn::create(
            &settings.size,
            texts.iter().map(String::as_str),
            settings.base.seed,
            &newborn,
            &device,
        )?;
    }
    let (seeing, trained) = (arguments.out.join("seeing"), arguments.out.join("model"));
    let stages = [
        (
            &newborn,
            &corpus.captions,
            &settings.captioning,
            &mut captioning,
            &seeing,
        ),
        (&seeing, &corpus.dialogues, &settings.sft, &mut dialogues, &trained),
    ];
    for (from, items, config, run_dir, to) in stages {
        train(from, items, config, run_dir, to, context)?;
    }
    Ok(print_line(&trained.display().to_string())?)
}

/// The run of a stage, beside the folder of the model that comes out of it.
fn open_stage(arguments: &RunArguments, stage: &str, settings: &BaseSettings, seed: u64) -> anyhow::Result<RunDir> {
    let folder = arguments.out.join(format!("{stage}.run"));
    open(&folder, arguments.resume, settings, seed)
}

/// One stage: a model folder and items in, the trained model's folder out.
fn train(
    from: &Path,
    items: &[Item],
    config: &SftConfig,
    run_dir: &mut RunDir,
    to: &Path,
    context: &mut Context,
) -> anyhow::Result<()> {
    let whole = Trainable::Full {
        freeze_vision_tower: false,
        freeze_multi_modal_projector: false,
        freeze_language_model: false,
        gradient_checkpointing: false,
    };
    let table = ModelTable {
        path: Some(from.to_owned()),
        ..ModelTable::default()
    };
    let passes = Passes::of(config);
    let mut engine = model::open_with(&table, whole, config.seed, context.global.device, &passes)?;
    match sft::run(&mut engine, items, &[], config, run_dir, &mut context.progress)? {
        Outcome::Interrupted { .. } => Err(interrupt::stopped().into()),
        Outcome::Finished { .. } => Ok(engine.save(to, SaveKind::Weights)?),
    }
}
