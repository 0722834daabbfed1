//! `scruple rl`: prompts in, a policy trained by GRPO out.

use align::grpo;
use align::mini::judge::ExactJudge;
use align::rollout::Rollout;
use align::training::{check_count, check_share};
use clap::Args;

use super::Context;
use super::admission::Admission;
use super::dry_run;
use super::model::{self, Passes};
use super::run_folder::{conclude, open, required};
use crate::args::RunArguments;
use crate::config;
use crate::config::tables::RlSettings;
use crate::data::{read_checked, without_truth};

const AFTER_HELP: &str = "\
A group of responses is drawn for each prompt and judged; unsafe ones are reflected on and
corrected; the policy moves towards what is rewarded. DIR then holds checkpoint-N, metrics.jsonl
(under TRL's names), rollouts.jsonl, TensorBoard events and config.resolved.json. The last
checkpoint's folder is printed. Prompts that cannot be trained on are left out and listed in
rejected.jsonl.

Examples:
  scruple rl --config configs/grpo.toml --out runs/safer --dry-run
  scruple rl --config configs/grpo.toml --out runs/safer
  scruple rl --config configs/grpo.toml --out runs/plain rollout.reflect=false
  scruple rl --config configs/grpo.toml --out runs/safer --resume";

/// Train by GRPO with safety-aware rollouts (SaFeR-VLM).
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    run: RunArguments,
    /// Print steps, tokens, parameters, memory and time to expect; load no weights and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
///
/// Errors: of usage for bad settings, of data for prompts the judge knows nothing of, and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> anyhow::Result<()> {
    let Arguments {
        run: arguments,
        dry_run,
    } = arguments;
    let loaded = config::load::<RlSettings>(arguments.config.as_deref(), &arguments.overrides)?;
    let settings = &loaded.settings;
    loaded.check(settings.train.validate_for_reinforcement("train"))?;
    loaded.check(settings.rollout.validate("rollout"))?;
    loaded.check(settings.reward.validate("reward"))?;
    loaded.check(settings.grpo.validate("grpo"))?;
    loaded.check(check_share("data.max_rejected", settings.data.max_rejected))?;
    loaded.check(check_count("data.max_prompt_length", settings.data.max_prompt_length))?;
    let prompts = required(settings.data.prompts.as_ref(), "data.prompts")?;
    let inspector = model::inspector(&settings.model, settings.data.max_prompt_length)?;
    let mut admission = Admission::default();
    let items = admission.admit(prompts, read_checked(prompts, without_truth)?, |item| {
        let size = inspector.measure_prompt(item.prompt());
        size.map(|size| vec![size]).map_err(|error| error.to_string())
    })?;
    if *dry_run {
        return dry_run::rl(settings, inspector.config(), &admission, &items, context);
    }
    admission.conclude(&arguments.out, settings.data.max_rejected, context)?;
    let seed = settings.grpo.seed;
    let passes = Passes {
        image_feature_cache: settings.data.image_feature_cache.clone(),
        ..Passes::default()
    };
    let device = context.global.device;
    let mut engine = model::open_with(&settings.model, settings.train.clone(), seed, device, &passes)?;
    let mut run_dir = open(arguments, settings, seed)?;
    let rollout = Rollout {
        config: &settings.rollout,
        rubric: &settings.reward,
        judge: &ExactJudge,
    };
    let outcome = grpo::run(
        &mut engine,
        &items.items,
        &settings.grpo,
        &rollout,
        &mut run_dir,
        &mut context.progress,
    )?;
    conclude(outcome, &run_dir)
}
