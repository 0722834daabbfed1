//! `scruple base`: a seed in, the miniature world's base model out.

use align::engine::{Engine, SaveKind};
use align::mini::base;
use align::sft;
use align::training::Outcome;
use clap::Args;
use engine::{Trainable, newborn};

use super::Context;
use super::model;
use super::run_folder::open;
use crate::args::RunArguments;
use crate::config;
use crate::config::tables::{BaseSettings, ModelTable};
use crate::interrupt;
use crate::terminal::print_line;

const AFTER_HELP: &str = "\
DIR then holds the corpus, the untrained model (newborn) and the trained one (model), and the run
between them. The same settings give the same weights, bit for bit. The base model that comes with
`scruple demo` is what the defaults give.

Examples:
  scruple base --out out/base
  scruple base --out out/small base.samples=20000 sft.train_batch_size=16
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
    loaded.check(settings.sft.validate("sft"))?;
    eprintln!("base: drawing {} samples", settings.base.samples);
    let items = base::write(&settings.base, &arguments.out.join("corpus"))?;
    let newborn = arguments.out.join("newborn");
    if !newborn.join("model.safetensors").exists() {
        let texts: Vec<String> = base::texts(&items).collect();
        let device = model::device(context.global.device)?;
        newborn::create(
            &settings.size,
            texts.iter().map(String::as_str),
            settings.base.seed,
            &newborn,
            &device,
        )?;
    }
    let whole = Trainable::Full {
        freeze_vision_tower: false,
        freeze_multi_modal_projector: false,
        freeze_language_model: false,
    };
    let table = ModelTable {
        path: Some(newborn),
        adapter: None,
    };
    let mut engine = model::open(&table, whole, settings.sft.seed, context.global.device)?;
    let run = RunArguments {
        out: arguments.out.join("run"),
        ..arguments.clone()
    };
    let mut run_dir = open(&run, settings, settings.sft.seed)?;
    match sft::run(
        &mut engine,
        &items,
        &[],
        &settings.sft,
        &mut run_dir,
        &mut context.progress,
    )? {
        Outcome::Interrupted { .. } => Err(interrupt::stopped().into()),
        Outcome::Finished { .. } => {
            let trained = arguments.out.join("model");
            engine.save(&trained, SaveKind::Weights)?;
            Ok(print_line(&trained.display().to_string())?)
        }
    }
}
