//! `scruple curate`: a pool of prompts in, those worth training on out.

use align::curate::{self, Curation};
use align::mini::judge::ExactJudge;
use align::run_dir::AnswerFolder;
use clap::Args;
use engine::Trainable;

use super::Context;
use super::model;
use super::run_folder::required;
use crate::args::RunArguments;
use crate::config;
use crate::config::tables::CurateSettings;
use crate::data::{read_checked, without_truth};
use crate::interrupt;
use crate::terminal::print_line;

const AFTER_HELP: &str = "\
Each prompt is answered `curate.num_samples` times. Prompts whose answers are always good or always
bad are dropped; of the others the least stable are kept. DIR then holds curated.jsonl (the prompts
kept), curation.jsonl (every prompt and why), summary.json, qi_box.svg (the picture) and
samples.jsonl. Settings of the selection may change between calls with --resume: the samples are
kept, and choosing anew takes no time.

Examples:
  scruple curate --config configs/curate.toml --out runs/curated
  scruple curate --config configs/curate.toml --out runs/curated --resume curate.num_kept=200";

/// Select training prompts by quality and instability (QI-Box).
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    run: RunArguments,
}

/// Runs the command.
///
/// Errors: of usage for bad settings, of data for prompts the judge knows nothing of, and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> anyhow::Result<()> {
    let arguments = &arguments.run;
    let loaded = config::load::<CurateSettings>(arguments.config.as_deref(), &arguments.overrides)?;
    let settings = &loaded.settings;
    loaded.check(settings.reward.validate("reward"))?;
    loaded.check(settings.curate.validate("curate"))?;
    let items = read_checked(required(settings.data.prompts.as_ref(), "data.prompts")?, without_truth)?;
    let mut engine = model::open(&settings.model, Trainable::Frozen, 0, context.global.device)?;
    let curation = Curation {
        items: &items,
        judge: &ExactJudge,
        rubric: &settings.reward,
        config: &settings.curate,
    };
    let output = AnswerFolder {
        path: &arguments.out,
        policy: &settings.model.policy(),
        resume: arguments.resume,
    };
    match curate::run(&mut engine, &curation, output, &mut context.progress) {
        Ok(summary) => {
            let path = arguments.out.join("curated.jsonl");
            let (kept, benign) = (summary.n_kept, summary.n_kept_benign);
            eprintln!(
                "curate: kept {kept} of {} prompts, {benign} of them benign",
                summary.n_prompts
            );
            Ok(print_line(&path.display().to_string())?)
        }
        Err(error) => Err(interrupt::stopped_or(error)),
    }
}
