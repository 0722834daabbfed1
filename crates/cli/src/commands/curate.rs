//! `scruple curate`: a pool of prompts in, those worth training on out.

use std::path::{Path, PathBuf};

use align::curate::{self, CurateError, Curation, CurationSummary, Policy, Pool, Shard};
use align::decontamination::picture::GreyPicture;
use align::decontamination::{DecontaminationConfig, Decontaminator};
use align::mini::judge::ExactJudge;
use align::run_dir::AnswerFolder;
use clap::Args;
use engine::Trainable;
use vlm::image_processor::read_picture;

use super::Context;
use super::model;
use super::run_folder::required;
use crate::args::RunArguments;
use crate::config;
use crate::config::tables::CurateSettings;
use crate::data::{check_each, without_truth};
use crate::interrupt;
use crate::terminal::print_line;

/// Pictures of more pixels are not compared: their bytes would take more memory than a curation should.
const MAX_PICTURE_PIXELS: u64 = 50_000_000;

const AFTER_HELP: &str = "\
Each prompt is answered `curate.num_samples` times. Prompts whose answers are always good or always
bad are dropped; of the others the least stable are kept. DIR then holds curated.jsonl (the prompts
kept), curation.jsonl (every prompt and why), summary.json, qi_box.svg (the picture) and
samples.jsonl. Settings of the selection may change between calls with --resume: the samples are
kept, and choosing anew takes no time.

With --against, prompts whose text or picture stands in an evaluation set are dropped before they are
sampled; contaminated.jsonl says what matched. With --shard, a part of the prompts is sampled into
its own folder; --merge puts the parts together, and the result is that of one run over all.

Examples:
  scruple curate --config configs/curate.toml --out runs/curated
  scruple curate --config configs/curate.toml --out runs/curated --resume curate.num_kept=200
  scruple curate --config configs/curate.toml --out runs/curated --against mossbench=benchmarks
  scruple curate --config configs/curate.toml --out runs/part-1 --shard 1/2
  scruple curate --config configs/curate.toml --out runs/curated --merge runs/part-1 --merge runs/part-2";

/// Select training prompts by quality and instability (QI-Box).
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    run: RunArguments,
    /// Drop prompts that stand in this evaluation set: a file of items, or the folder of figstep, xstest, puzzlevqa,
    /// mossbench or msts; may be given several times
    #[arg(long, value_name = "NAME=PATH", value_parser = named_path)]
    against: Vec<(String, PathBuf)>,
    /// Sample one part of several, such as 1/4
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Put together what --shard has sampled into this folder; given once for each part
    #[arg(long, value_name = "DIR", conflicts_with = "shard")]
    merge: Vec<PathBuf>,
    /// With --resume, judge samples without a score again, and draw again those without an answer
    #[arg(long, requires = "resume", conflicts_with = "merge")]
    retry_failed: bool,
}

fn named_path(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), path.into())),
        _ => Err(format!("expected NAME=PATH such as mossbench=benchmarks, got {text}")),
    }
}

/// Runs the command.
///
/// Errors: of usage for bad settings, of data for prompts the judge knows nothing of, and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> anyhow::Result<()> {
    let Arguments { run, against, .. } = arguments;
    let loaded = config::load::<CurateSettings>(run.config.as_deref(), &run.overrides)?;
    loaded.check(loaded.settings.reward.validate("reward"))?;
    loaded.check(loaded.settings.curate.validate("curate"))?;
    loaded.check(loaded.settings.decontamination.validate("decontamination"))?;
    let settings = loaded.settings;
    let prompts = required(settings.data.prompts.as_ref(), "data.prompts")?;
    check_each(prompts, without_truth)?;
    let mut decontamination: DecontaminationConfig = settings.decontamination.clone();
    decontamination.against.extend(against.iter().cloned());
    let decontaminator = Decontaminator::open(&decontamination, &grey)?;
    let curation = Curation {
        pool: Pool::File(prompts),
        judge: &ExactJudge,
        rubric: &settings.reward,
        config: &settings.curate,
        decontaminator: decontaminator.as_ref(),
        retry_unscored: arguments.retry_failed,
    };
    let output = AnswerFolder {
        path: &run.out,
        policy: &settings.model.policy(),
        resume: run.resume,
    };
    let progress = &mut context.progress;
    if !arguments.merge.is_empty() {
        return done(curate::merge(&arguments.merge, 1, &curation, output, progress), &run.out);
    }
    let mut engine = model::open(&settings.model, Trainable::Frozen, 0, context.global.device)?;
    let mut policies = [Policy::local(&mut engine)];
    match arguments.shard {
        None => done(curate::run(&mut policies, &curation, output, progress), &run.out),
        Some(shard) => {
            let summary = curate::run_shard(shard, &mut policies, &curation, output, progress);
            let summary = summary.map_err(interrupt::stopped_or)?;
            eprintln!(
                "curate: shard {shard}: {} samples of {} prompts, {} unscored",
                summary.n_samples, summary.n_prompts, summary.n_unscored
            );
            Ok(print_line(&run.out.display().to_string())?)
        }
    }
}

/// Says what was kept.
fn done(outcome: Result<CurationSummary, CurateError>, folder: &Path) -> anyhow::Result<()> {
    let summary = outcome.map_err(interrupt::stopped_or)?;
    if let Some(contamination) = &summary.contamination {
        let by_set: usize = contamination.by_set.values().sum();
        eprintln!(
            "curate: {by_set} prompts stand in an evaluation set, {} cannot be compared",
            contamination.n_unreadable
        );
    }
    let (kept, benign) = (summary.n_kept, summary.n_kept_benign);
    eprintln!(
        "curate: kept {kept} of {} prompts, {benign} of them benign",
        summary.n_prompts
    );
    Ok(print_line(&folder.join("curated.jsonl").display().to_string())?)
}

/// A picture's brightness.
fn grey(path: &Path) -> Result<GreyPicture, String> {
    let picture = read_picture(path, MAX_PICTURE_PIXELS).map_err(|error| error.to_string())?;
    GreyPicture::from_rgb(picture.width(), picture.pixels()).ok_or_else(|| "expected pixels, got none".to_owned())
}
