//! `scruple curate`: a pool of prompts in, those worth training on out.

use std::path::{Path, PathBuf};

use align::curate::{self, Curation, CurationSummary, Policy, Pool, Shard, ShardSummary};
use align::decontamination::Decontaminator;
use align::verdict::Judge;
use clap::Args;

use super::against::{AgainstArguments, decontaminator};
use super::job::{self, Job};
use crate::arguments::{ModelArguments, OutArguments, flag};
use crate::config::required;
use crate::config::tables::{CurateSettings, ModelTable};
use crate::context::Context;
use crate::data::{check_each, located, trainable, without_truth};
use crate::errors::Result;
use crate::output_folder::{OutputFolder, remove_results};
use crate::roles::{self, JOURNAL, Model, Roles, policy_settings, with_costs};
use crate::terminal::print_line;

/// What a curation leaves in its folder, but for the journal.
const RESULTS: [&str; 7] = [
    "sampling.json",
    "samples.jsonl",
    "contaminated.jsonl",
    "curation.jsonl",
    "curated.jsonl",
    "summary.json",
    "qi_box.svg",
];

const AFTER_HELP: &str = "\
Each prompt is answered `curate.num_samples` times. Prompts whose answers are always good or always
bad are dropped; of the others the least stable are kept. DIR then holds curated.jsonl (the prompts
kept), curation.jsonl (every prompt and why), summary.json, qi_box.svg (the plot) and
samples.jsonl. Every answer is in journal.sqlite before it is used: the same command resumes after a
stop, makes no call twice and ends in the same bytes. Settings of the selection may change between
calls: the samples are kept, and selecting again takes no time. The exit code is 3 where no prompt is
kept, and 4 where a model cannot be used or not one sample could be scored.

Prompts are answered by `model.path`, by the tables [role.policy], [role.policy-2] … (endpoints), or
by all of them, `curate.num_samples` times each. Every other role judges, by the rubric safer;
without any, the exact judge of the miniature world does.

With --against, prompts whose text or image is in an evaluation set are dropped before they are
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
    model: ModelArguments,
    /// The pool of prompts; short for `data.prompts=…`
    #[arg(long, value_name = "FILE.jsonl")]
    data: Option<String>,
    #[command(flatten)]
    results: OutArguments,
    #[command(flatten)]
    against: AgainstArguments,
    /// Sample one part of several, such as 1/4
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Put together what --shard has sampled into this folder; given once for each part
    #[arg(long, value_name = "DIR", conflicts_with = "shard")]
    merge: Vec<PathBuf>,
    /// Repeat calls of policies and judges that failed, and score their samples again
    #[arg(long, conflicts_with = "merge")]
    retry_failed: bool,
}

/// Runs the command.
///
/// Errors: of settings for bad settings, of data for prompts the judge knows nothing of, of model where an endpoint cannot
/// be used, and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let settings = settings(arguments)?;
    let prompts = required(settings.data.prompts.as_ref(), "data.prompts")?;
    let folder = &arguments.results.out;
    let roles = Roles::new(&settings.role, Some(&folder.join(JOURNAL)), context.global.device);
    job::run(&Curating { settings: &settings, prompts, folder, roles, arguments }, context)
}

/// The curation of a pool, of one of its shards, or of shards that were sampled before.
struct Curating<'a> {
    settings: &'a CurateSettings,
    prompts: &'a Path,
    folder: &'a Path,
    roles: Roles<'a>,
    arguments: &'a Arguments,
}

/// Who answers, each with its name in records, and who judges.
struct Models {
    policies: Vec<(String, Model)>,
    judge: Box<dyn Judge>,
}

impl<'a> Job for Curating<'a> {
    type Data = Option<Decontaminator<'a>>;
    type Models = Models;
    type Product = ();

    fn data(&self) -> Result<Self::Data> {
        let has_judges = self.roles.has_judges();
        check_each(self.prompts, trainable(self.prompts, |item| without_truth(item).filter(|_| !has_judges))?)?;
        decontaminator(&self.settings.decontamination)
    }

    fn folder(&self, _: &Self::Data, _: &Context) -> Result<OutputFolder> {
        OutputFolder::make(self.folder)
    }

    fn models(&self, _: &Context) -> Result<Models> {
        let CurateSettings { model, curate, judge, .. } = self.settings;
        let judge = self.roles.judge_or_exact(judge)?;
        let samples = self.arguments.merge.is_empty();
        let policies = if samples { self.roles.policies(model, curate.batch_size)? } else { Vec::new() };
        Ok(Models { policies, judge })
    }

    fn work(&self, decontaminator: Self::Data, models: Models, context: &mut Context) -> Result {
        let Curating { settings, folder, roles, arguments, .. } = self;
        let pool = Pool::File(self.prompts);
        let curation = Curation {
            pool,
            judge: &*models.judge,
            reward: &settings.reward,
            config: &settings.curate,
            decontaminator: decontaminator.as_ref(),
            // Seen from the pool, the model is the same to shards that are sampled into any folder.
            policy: &policy_settings(&settings.model.relative_to(pool.home(folder)), &settings.role),
            sample_again: arguments.retry_failed,
        };
        let progress = &mut context.progress;
        let restart = arguments.results.restart.restart;
        if !arguments.merge.is_empty() {
            if restart {
                remove_results(folder, &RESULTS)?;
            }
            let n_policies = roles.n_policies(&settings.model);
            return conclude(&curate::merge(&arguments.merge, n_policies, &curation, folder, progress)?, folder);
        }
        if restart || roles.has_nothing(&folder.join(RESULTS[1]))? {
            remove_results(folder, &RESULTS)?;
        }
        roles.begin(restart, arguments.retry_failed)?;
        let policies = policies(&models.policies, &settings.model);
        if let Some(shard) = arguments.shard {
            let outcome = curate::run_shard(shard, &policies, &curation, folder, progress);
            let outcome = outcome.map_err(|error| located(error, &[self.prompts]));
            return Ok(conclude_shard(shard, with_costs(roles, outcome)?, folder)?);
        }
        let outcome = curate::run(&policies, &curation, folder, progress);
        conclude(&with_costs(roles, outcome.map_err(|error| located(error, &[self.prompts])))?, folder)
    }
}

/// The models as policies; one on this machine that answers alone has no name.
fn policies<'m>(models: &'m [(String, Model)], own: &ModelTable) -> Vec<Policy<'m>> {
    let is_alone = models.len() == 1 && own.path.is_some();
    models.iter().map(|(name, model)| Policy { name: (!is_alone).then(|| name.clone()), model: &**model }).collect()
}

fn settings(arguments: &Arguments) -> Result<CurateSettings> {
    let data = flag("--data", &["data", "prompts"], arguments.data.as_ref());
    let loaded = arguments.model.load::<CurateSettings>([data].into_iter().chain(arguments.against.flags()))?;
    let settings = &loaded.settings;
    loaded.check(settings.reward.validate("reward"))?;
    loaded.check(settings.curate.validate("curate"))?;
    loaded.check(settings.decontamination.validate("decontamination"))?;
    loaded.check(settings.judge.validate("judge"))?;
    roles::check(&loaded, &settings.role)?;
    Ok(loaded.settings)
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
            "curate: {} prompts are in an evaluation set, {} cannot be compared",
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
