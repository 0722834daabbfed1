//! `scruple curate`: a pool of prompts in, those worth training on out.

use std::path::{Path, PathBuf};

use align::chat::ChatModel;
use align::curate::{self, Curation, CurationSummary, Policy, PolicyModel, Pool, Shard, ShardSummary};
use align::decontamination::Decontaminator;
use align::decontamination::image::GrayImage;
use align::run_dir::AnswerFolder;
use benchmarks::{SUITES, read_set};
use clap::Args;
use engine::{LocalEngine, Trainable};
use vlm::image_processor::read_image;

use crate::arguments::{ModelArguments, OutArguments, SettingsArguments, flag};
use crate::config::required;
use crate::config::tables::{CurateSettings, ModelTable, RoleTables};
use crate::context::Context;
use crate::data::{check_each, located, without_truth};
use crate::errors::Result;
use crate::model;
use crate::output_folder::OutputFolder;
use crate::roles::{self, JOURNAL, Roles, with_costs};
use crate::terminal::print_line;

/// Keeps what policies behind endpoints answer.
const POLICY_JOURNAL: &str = "policy.journal.sqlite";

/// Images of more pixels are not compared: they would take too much memory.
const MAX_IMAGE_PIXELS: u64 = 50_000_000;

const AFTER_HELP: &str = "\
Each prompt is answered `curate.num_samples` times. Prompts whose answers are always good or always
bad are dropped; of the others the least stable are kept. DIR then holds curated.jsonl (the prompts
kept), curation.jsonl (every prompt and why), summary.json, qi_box.svg (the picture) and
samples.jsonl. The same command resumes after a stop. Settings of the selection may change between
calls: the samples are kept, and selecting again takes no time.

Who answers is `model.path`, the tables [role.policy], [role.policy-2] … (endpoints), or all of them,
`curate.num_samples` answers each. Who judges is every other role, by the rubric safer; without any,
the exact judge of the miniature world.

With --against, prompts whose text or picture stands in an evaluation set are dropped before they are
sampled; contaminated.jsonl says what matched. With --shard, a part of the prompts is sampled into
its own folder; --merge puts the parts together, and the result is that of one run over all.

Examples:
  scruple curate --config configs/curate.toml --out runs/curated
  scruple curate --config configs/curate.toml --out runs/curated curate.num_kept=200
  scruple curate --config configs/curate.toml --out runs/curated --against mossbench=benchmarks
  scruple curate --config configs/curate.toml --out runs/part-1 --shard 1/2
  scruple curate --config configs/curate.toml --out runs/curated --merge runs/part-1 --merge runs/part-2";

/// Select training prompts by quality and instability (QI-Box).
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(flatten)]
    model: ModelArguments,
    /// The pool of prompts; short for `data.prompts=…`
    #[arg(long, value_name = "FILE.jsonl")]
    data: Option<String>,
    #[command(flatten)]
    results: OutArguments,
    #[arg(long, value_name = "NAME=PATH", value_parser = named_path, help = against_help())]
    against: Vec<(String, String)>,
    /// Sample one part of several, such as 1/4
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Put together what --shard has sampled into this folder; given once for each part
    #[arg(long, value_name = "DIR", conflicts_with = "shard")]
    merge: Vec<PathBuf>,
    /// Judge samples without a score again, and draw again those without an answer
    #[arg(long, conflicts_with = "merge")]
    retry_failed: bool,
}

fn against_help() -> String {
    let known = SUITES.map(|suite| suite.name).join(", ");
    format!(
        "Drop prompts that are in this evaluation set: a file of items, or the folder of a benchmark ({known}); short \
         for `decontamination.against.NAME=PATH`; may be given several times"
    )
}

fn named_path(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), path.to_owned())),
        _ => Err(format!("expected NAME=PATH such as mossbench=benchmarks, got {text}")),
    }
}

/// Runs the command.
///
/// Errors: of usage for bad settings, of data for prompts the judge knows nothing of, of model where an endpoint cannot
/// be used, and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let settings = settings(arguments)?;
    let prompts = required(settings.data.prompts.as_ref(), "data.prompts")?;
    let (policies, judges): (RoleTables, RoleTables) =
        settings.role.clone().into_iter().partition(|(name, _)| is_policy(name));
    if judges.is_empty() {
        check_each(prompts, without_truth)?;
    }
    let mut sets = Vec::new();
    for (name, path) in &settings.decontamination.against {
        sets.push((name.clone(), read_set(name, path)?));
    }
    let decontaminator = (!sets.is_empty())
        .then(|| Decontaminator::new(&settings.decontamination, &gray, sets))
        .transpose()?;
    let (folder, device) = (&arguments.results.out, context.global.device);
    let _folder = OutputFolder::make(folder)?;
    // Seen from the pool, the model is the same to shards that are sampled into any folder.
    let home = Pool::File(prompts).home(folder);
    let judges = Roles::open(&judges, &folder.join(JOURNAL), device)?;
    let policy_roles = Roles::open(&policies, &folder.join(POLICY_JOURNAL), device)?;
    if arguments.retry_failed {
        judges.retry_failed()?;
        policy_roles.retry_failed()?;
    }
    let judge = judges.judge_or_exact(&settings.judge)?;
    let curation = Curation {
        pool: Pool::File(prompts),
        judge: &*judge,
        rubric: &settings.reward,
        config: &settings.curate,
        decontaminator: decontaminator.as_ref(),
        retry_unscored: arguments.retry_failed,
    };
    let output = AnswerFolder {
        path: folder,
        policy: &policy_of(&settings.model.relative_to(home), &policies),
        resume: !arguments.results.restart.restart,
    };
    let has_local = settings.model.path.is_some() || policies.is_empty();
    if !arguments.merge.is_empty() {
        let n_policies = usize::from(has_local) + policies.len();
        let outcome = curate::merge(&arguments.merge, n_policies, &curation, output, &mut context.progress);
        return conclude(&outcome?, folder);
    }
    let mut engine = has_local
        .then(|| model::open(&settings.model, Trainable::Frozen, 0, device))
        .transpose()?;
    let remote = policy_roles.models()?;
    let mut all = in_order(engine.as_mut(), &policies, &remote);
    let (all_roles, progress) = ([&policy_roles, &judges], &mut context.progress);
    let told = |error| located(error, &[prompts]);
    match arguments.shard {
        None => {
            let outcome = curate::run(&mut all, &curation, output, progress).map_err(told);
            conclude(&with_costs(&all_roles, outcome)?, folder)
        }
        Some(shard) => {
            let outcome = curate::run_shard(shard, &mut all, &curation, output, progress).map_err(told);
            Ok(conclude_shard(shard, with_costs(&all_roles, outcome)?, folder)?)
        }
    }
}

/// All policies: the model on this machine, then those that roles play by name.
fn in_order<'a>(
    engine: Option<&'a mut LocalEngine>,
    roles: &RoleTables,
    models: &'a [Box<dyn ChatModel + Send>],
) -> Vec<Policy<'a>> {
    let local = engine.map(|engine| Policy {
        name: (!roles.is_empty()).then(|| "model".to_owned()),
        model: PolicyModel::Engine(engine),
    });
    let remote = roles.keys().zip(models).map(|(name, model)| Policy {
        name: Some(name.clone()),
        model: PolicyModel::Chat(&**model),
    });
    local.into_iter().chain(remote).collect()
}

fn settings(arguments: &Arguments) -> Result<CurateSettings> {
    let mut flags = Vec::from(arguments.model.flags());
    flags.push(flag("--data", &["data", "prompts"], arguments.data.as_ref()));
    for (name, path) in &arguments.against {
        flags.push(flag("--against", &["decontamination", "against", name], Some(path)));
    }
    let loaded = arguments.settings.load::<CurateSettings>(flags)?;
    let settings = &loaded.settings;
    loaded.check(settings.reward.validate("reward"))?;
    loaded.check(settings.curate.validate("curate"))?;
    loaded.check(settings.decontamination.validate("decontamination"))?;
    loaded.check(settings.judge.validate("judge"))?;
    roles::check(&loaded, &settings.role)?;
    Ok(loaded.settings)
}

/// Whether a role answers prompts; the others judge.
fn is_policy(role: &str) -> bool {
    role == "policy" || role.starts_with("policy-")
}

/// All policies by what tells them apart: folders, and names behind endpoints, which may move.
fn policy_of(model: &ModelTable, roles: &RoleTables) -> String {
    let local = Some(model.policy()).filter(|policy| !policy.is_empty());
    let remote = roles
        .iter()
        .map(|(role, settings)| format!("{role}: {}", settings.model));
    local.into_iter().chain(remote).collect::<Vec<_>>().join(" + ")
}

fn conclude_shard(shard: Shard, summary: ShardSummary, folder: &Path) -> std::io::Result<()> {
    eprintln!(
        "curate: shard {shard}: {} samples of {} prompts, {} unscored",
        summary.n_samples, summary.n_prompts, summary.n_unscored
    );
    print_line(&folder.display().to_string())
}

/// Plots the QI-Box, and says what was kept.
fn conclude(summary: &CurationSummary, folder: &Path) -> Result {
    report::qi_box::write(folder, summary)?;
    for (policy, counts) in &summary.policies {
        eprintln!(
            "curate: {policy}: {} samples, {} unanswered, {} unscored",
            counts.n_samples, counts.n_unanswered, counts.n_unscored
        );
    }
    if let Some(contamination) = &summary.contamination {
        eprintln!(
            "curate: {} prompts stand in an evaluation set, {} cannot be compared",
            contamination.by_set.values().sum::<usize>(),
            contamination.n_unreadable
        );
    }
    eprintln!(
        "curate: kept {} of {} prompts, {} of them benign",
        summary.n_kept, summary.n_prompts, summary.n_kept_benign
    );
    Ok(print_line(&folder.join("curated.jsonl").display().to_string())?)
}

/// An image's brightness.
fn gray(path: &Path) -> Result<GrayImage, String> {
    let image = read_image(path, MAX_IMAGE_PIXELS).map_err(|error| error.to_string())?;
    GrayImage::from_rgb(image.width(), image.pixels()).ok_or_else(|| "expected pixels, got none".to_owned())
}
