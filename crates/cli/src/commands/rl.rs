//! `scruple rl`: prompts in, a policy trained by GRPO out.

use std::path::Path;

use align::grpo;
use align::rollout::{Rollout, RolloutConfig};
use align::training::{check_at_least_zero, check_count, check_share};
use align::types::Item;
use clap::Args;
use engine::Inspector;
use serde_json::Value;

use super::Context;
use super::admission::{Admission, Admitted};
use super::dry_run;
use super::model::{self, Passes};
use super::run_folder::{self, conclude, required};
use crate::args::RunArguments;
use crate::config::tables::RlSettings;
use crate::config::{self, ConfigError, Loaded};
use crate::data::{read_checked, without_truth};
use crate::output_folder::OutputFolder;
use crate::roles::{self, JOURNAL, Roles, with_costs};

const AFTER_HELP: &str = "\
A group of responses is drawn for each prompt and judged; unsafe ones are reflected on and
corrected; the policy moves towards what is rewarded. Prompts of the miniature world are judged
exactly; others by the models that the settings name in `[role.NAME]`, behind endpoints or here,
whose answers are kept in DIR/judge.journal.sqlite and never asked for twice. DIR then holds checkpoint-N, metrics.jsonl
(under TRL's names), rollouts.jsonl, TensorBoard events and config.resolved.json. The last
checkpoint's folder is printed. Prompts that cannot be trained on are left out and listed in
rejected.jsonl.

Examples:
  scruple rl --config configs/grpo.toml --out runs/safer --dry-run
  scruple rl --config configs/grpo.toml --out runs/safer
  scruple rl --config configs/grpo.toml --out runs/plain rollout.reflect=false
  scruple rl --config configs/grpo.toml --out runs/safer --resume
  scruple rl --config configs/grpo.toml --out runs/judged \\
      role.judge.url=http://localhost:8000/v1 role.judge.model=NAME";

/// Parts into which a step is cut where a judge behind an endpoint works beside the sampling, unless settings say
/// otherwise: it then waits for a quarter of the step, and the sampler still has work for many sequences.
const PARTS_OF_STEP: usize = 4;

/// Train by GRPO with safety-aware rollouts (SaFeR-VLM).
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    run: RunArguments,
    /// Print steps, tokens, parameters, memory and time to expect; load no weights and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Ask judges again for verdicts that did not come
    #[arg(long, requires = "resume")]
    retry_failed: bool,
}

/// Runs the command.
///
/// Errors: of usage for bad settings, of data for prompts the judge knows nothing of, and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> anyhow::Result<()> {
    let Arguments {
        run: arguments,
        dry_run,
        retry_failed,
    } = arguments;
    let loaded = config::load::<RlSettings>(arguments.config.as_deref(), &arguments.overrides)?;
    check(&loaded)?;
    let settings = &loaded.settings;
    let prompts = required(settings.data.prompts.as_ref(), "data.prompts")?;
    let inspector = model::inspector(&settings.model, settings.data.max_prompt_length)?;
    loaded.check(model::validate_layers(&settings.model, &settings.train, &inspector))?;
    let mut admission = Admission::default();
    let items = admit(&mut admission, prompts, settings, &inspector)?;
    if *dry_run {
        return dry_run::rl(settings, inspector.config(), &admission, &items, context);
    }
    let (recorded, seed) = (recorded(&settings.seen_from(&arguments.out))?, settings.grpo.seed);
    run_folder::check(&arguments.out, arguments.resume, &recorded, seed)?;
    let _folder = OutputFolder::make(&arguments.out)?;
    admission.conclude(&arguments.out, settings.data.max_rejected, context)?;
    let passes = Passes {
        feature_folder: model::feature_folder(
            settings.data.image_feature_cache.as_ref(),
            settings.data.image_feature_cache_gb,
        ),
        ..Passes::default()
    };
    let device = context.global.device;
    let mut engine = model::open_with(&settings.model, settings.train.clone(), seed, device, &passes)?;
    // A judge that cannot be used must leave no run behind.
    let roles = Roles::open(&settings.role, &arguments.out.join(JOURNAL), device)?;
    let judge = roles.judge_or_exact(&settings.judge)?;
    let mut run_dir = run_folder::open(&arguments.out, arguments.resume, &recorded, seed)?;
    if *retry_failed {
        roles.retry_failed()?;
    }
    let rollout = Rollout {
        config: &overlapping(settings, &roles),
        rubric: &settings.reward,
        judge: &*judge,
    };
    let outcome = grpo::run(
        &mut engine,
        &items.items,
        &settings.grpo,
        &rollout,
        &mut run_dir,
        &mut context.progress,
    );
    conclude(with_costs(&[&roles], outcome.map_err(Into::into))?, &run_dir)
}

fn check(loaded: &Loaded<RlSettings>) -> Result<(), ConfigError> {
    let settings = &loaded.settings;
    loaded.check(settings.train.validate_for_reinforcement("train"))?;
    loaded.check(settings.rollout.validate("rollout"))?;
    loaded.check(settings.reward.validate("reward"))?;
    loaded.check(settings.grpo.validate("grpo"))?;
    loaded.check(settings.judge.validate("judge"))?;
    roles::check(loaded, &settings.role)?;
    loaded.check(check_share("data.max_rejected", settings.data.max_rejected))?;
    let gigabytes = settings.data.image_feature_cache_gb;
    loaded.check(check_at_least_zero("data.image_feature_cache_gb", gigabytes))?;
    loaded.check(check_count("data.max_prompt_length", settings.data.max_prompt_length))
}

/// The prompts that can be trained on.
fn admit(
    admission: &mut Admission,
    prompts: &Path,
    settings: &RlSettings,
    inspector: &Inspector,
) -> anyhow::Result<Admitted> {
    // Only the exact judge needs to know the truth.
    let fault = if settings.role.is_empty() {
        without_truth
    } else {
        |_: &Item| None
    };
    admission.admit(prompts, read_checked(prompts, fault)?, |item| {
        let size = inspector.measure_prompt(item.prompt());
        size.map(|size| vec![size]).map_err(|error| error.to_string())
    })
}

/// What the run's record says of the settings.
fn recorded(settings: &RlSettings) -> serde_json::Result<Value> {
    let mut recorded = serde_json::to_value(settings)?;
    if !settings.role.is_empty() {
        recorded["role"] = roles::deciding(&settings.role);
    }
    Ok(recorded)
}

/// How groups are drawn: where a judge is behind an endpoint and nothing is said of it, in parts, so that the judge
/// works on one while the next is sampled. No response depends on it.
fn overlapping(settings: &RlSettings, roles: &Roles) -> RolloutConfig {
    let mut rollout = settings.rollout.clone();
    if rollout.batch_size == 0 && roles.has_remote() {
        rollout.batch_size = settings.grpo.prompts_per_step.div_ceil(PARTS_OF_STEP);
    }
    rollout
}
