//! `scruple rl`: prompts in, a policy trained by GRPO out.

use std::path::PathBuf;

use align::grpo;
use align::rollout::{Rollout, RolloutConfig};
use align::settings::{check_at_least_zero, check_count, check_share};
use align::types::Item;
use align::verdict::Judge;
use clap::Args;
use engine::LocalEngine;
use serde_json::Value;

use super::dry_run;
use super::job::{self, Job};
use super::run_folder::{RunFolder, trained};
use super::validation::{Samples, Validated, Validation};
use crate::arguments::{ModelArguments, OutArguments, flag};
use crate::config::tables::RlSettings;
use crate::config::{Loaded, required};
use crate::context::Context;
use crate::data::{read_checked_lines, trainable, without_truth};
use crate::errors::{Failure, Result};
use crate::model::{self, Passes};
use crate::output_folder::OutputFolder;
use crate::roles::{self, JOURNAL, Roles, with_costs};
use crate::terminal::print_line;

const AFTER_HELP: &str = "\
A group of responses is sampled for each prompt and judged; unsafe ones are reflected on and
corrected; the policy is updated by GRPO. Samples of the miniature world are judged exactly; others
by the models that the settings name in `[role.NAME]`, remote or local, whose answers are kept in
DIR/journal.sqlite and never requested twice. DIR then holds checkpoint-N, metrics.jsonl (under
TRL's names), rollouts.jsonl, TensorBoard events and config.resolved.json. The last checkpoint's
folder is printed. Samples that cannot be trained on are left out and listed in rejected.jsonl.
After a stop, the same command resumes from the last checkpoint. The exit code is 4 if not one
response of a step could be scored.

Examples:
  scruple rl --config configs/grpo.toml --out runs/safer --dry-run
  scruple rl --config configs/grpo.toml --out runs/safer
  scruple rl --config configs/grpo.toml --out runs/plain rollout.reflect=false
  scruple rl --config configs/grpo.toml --out runs/judged \\
      role.judge.url=http://localhost:8000/v1 role.judge.model=NAME";

/// Parts into which a step is split where a judge behind an endpoint works beside the sampling, unless settings say
/// otherwise: the judge then waits for a quarter of the step, and the sampler still has work for many sequences.
const PARTS_OF_STEP: usize = 4;

/// Train by GRPO with safety-aware rollouts (SaFeR-VLM).
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The prompts; short for `data.prompts=…`
    #[arg(long, value_name = "FILE.jsonl")]
    data: Option<String>,
    #[command(flatten)]
    results: OutArguments,
    /// Print steps, tokens, parameters, memory and time to expect; load no weights and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Repeat calls of judges that failed
    #[arg(long)]
    retry_failed: bool,
}

/// Runs the command.
///
/// Errors: of settings for bad settings or where the folder holds another run, of data for prompts the judge knows
/// nothing of, and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let data = flag("--data", &["data", "prompts"], arguments.data.as_ref());
    let loaded = arguments.model.load::<RlSettings>([data])?;
    check(&loaded)?;
    let settings = &loaded.settings;
    let recorded = recorded(&settings.relative_to(&arguments.results.out))?;
    let reinforcement = Reinforcement {
        run: RunFolder::new(&arguments.results, &recorded, settings.grpo.seed)?,
        loaded: &loaded,
        retry_failed: arguments.retry_failed,
    };
    if arguments.dry_run {
        return dry_run::rl(settings, &reinforcement.data()?, context);
    }
    let checkpoint = job::run(&reinforcement, context)?;
    Ok(print_line(&checkpoint.display().to_string())?)
}

/// A run of reinforcement.
struct Reinforcement<'a> {
    loaded: &'a Loaded<RlSettings>,
    run: RunFolder,
    retry_failed: bool,
}

/// Who takes part.
struct Models<'a> {
    engine: LocalEngine,
    roles: Roles<'a>,
    judge: Box<dyn Judge>,
}

impl<'a> Job for Reinforcement<'a> {
    type Data = Samples;
    type Models = Models<'a>;
    type Product = PathBuf;

    fn finished(&self) -> Result<Option<PathBuf>> {
        self.run.finished()
    }

    fn data(&self) -> Result<Samples> {
        let settings = &self.loaded.settings;
        let path = required(settings.data.prompts.as_ref(), "data.prompts")?;
        let inspector = model::inspector(&settings.model, settings.data.max_prompt_length)?;
        self.loaded.check(model::validate_layers(&settings.model, &settings.train, &inspector))?;
        // Only the exact judge needs to know the truth.
        let problem = |item: &Item| without_truth(item).filter(|_| settings.role.is_empty());
        let items = read_checked_lines(path, trainable(path, problem)?)?;
        let mut validation = Validation::default();
        let items = validation.validate(path, items, |item: &Item| {
            let size = inspector.measure_prompt(item.prompt()).map_err(|error| error.to_string())?;
            Ok(vec![size])
        });
        Ok(Samples { inspector, validation, items, general: Validated::default() })
    }

    fn folder(&self, prompts: &Samples, context: &Context) -> Result<OutputFolder> {
        let folder = OutputFolder::make(&self.run.folder)?;
        let max_rejected = self.loaded.settings.data.max_rejected;
        prompts.validation.conclude(&self.run.folder, max_rejected, context)?;
        self.run.clear()?;
        Ok(folder)
    }

    fn models(&self, context: &Context) -> Result<Models<'a>> {
        let settings = &self.loaded.settings;
        let (data, device) = (&settings.data, context.global.device);
        let passes = Passes {
            feature_folder: model::feature_folder(data.image_feature_cache.as_ref(), data.image_feature_cache_gb),
            ..Passes::default()
        };
        let engine = model::open_with(&settings.model, settings.train.clone(), settings.grpo.seed, device, &passes)?;
        let roles = Roles::new(&settings.role, Some(&self.run.folder.join(JOURNAL)), device);
        let judge = roles.judge_or_exact(&settings.judge)?;
        Ok(Models { engine, roles, judge })
    }

    fn work(&self, prompts: Samples, mut models: Models<'a>, context: &mut Context) -> Result<PathBuf> {
        let settings = &self.loaded.settings;
        let mut run_dir = self.run.open()?;
        models.roles.begin(self.run.restart, self.retry_failed)?;
        let rollout =
            Rollout { config: &overlapping(settings, &models.roles), reward: &settings.reward, judge: &*models.judge };
        let outcome = grpo::run(
            &mut models.engine,
            &prompts.items.items,
            &settings.grpo,
            &rollout,
            &mut run_dir,
            &mut context.progress,
        );
        trained(with_costs(&models.roles, outcome.map_err(Failure::from))?, &run_dir)
    }
}

fn check(loaded: &Loaded<RlSettings>) -> Result {
    let settings = &loaded.settings;
    loaded.check(settings.train.validate_for_rl("train"))?;
    loaded.check(settings.rollout.validate("rollout"))?;
    loaded.check(settings.reward.validate("reward"))?;
    loaded.check(settings.grpo.validate("grpo"))?;
    loaded.check(settings.judge.validate("judge"))?;
    roles::check(loaded, &settings.role)?;
    roles::check_all_judge(&settings.role)?;
    loaded.check(check_share("data.max_rejected", settings.data.max_rejected))?;
    let gigabytes = settings.data.image_feature_cache_gb;
    loaded.check(check_at_least_zero("data.image_feature_cache_gb", gigabytes))?;
    loaded.check(check_count("data.max_prompt_length", settings.data.max_prompt_length))
}

/// What the run's record says of the settings.
fn recorded(settings: &RlSettings) -> std::io::Result<Value> {
    let mut recorded = serde_json::to_value(settings).map_err(std::io::Error::from)?;
    if !settings.role.is_empty() {
        recorded["role"] = roles::deciding(&settings.role);
    }
    Ok(recorded)
}

/// How groups are sampled: where a judge is behind an endpoint and nothing is said of it, in parts, so that the judge
/// works on one while the next is sampled. No response depends on it.
fn overlapping(settings: &RlSettings, roles: &Roles) -> RolloutConfig {
    let mut rollout = settings.rollout.clone();
    if rollout.batch_size == 0 && roles.has_remote() {
        rollout.batch_size = settings.grpo.prompts_per_step.div_ceil(PARTS_OF_STEP);
    }
    rollout
}
