//! `scruple rl`: prompts in, a policy trained by GRPO out.

use align::grpo;
use align::mini::judge::ExactJudge;
use align::rollout::Rollout;
use clap::Args;

use super::Context;
use super::model;
use super::run_folder::{conclude, open, required};
use crate::args::RunArguments;
use crate::config;
use crate::config::tables::RlSettings;
use crate::data::{read_checked, without_truth};

const AFTER_HELP: &str = "\
A group of responses is drawn for each prompt and judged; unsafe ones are reflected on and
corrected; the policy moves towards what is rewarded. DIR then holds checkpoint-N, metrics.jsonl
(under TRL's names), rollouts.jsonl, TensorBoard events and config.resolved.json. The last
checkpoint's folder is printed.

Examples:
  scruple rl --config configs/grpo.toml --out runs/safer
  scruple rl --config configs/grpo.toml --out runs/plain rollout.reflect=false
  scruple rl --config configs/grpo.toml --out runs/safer --resume";

/// Train by GRPO with safety-aware rollouts (SaFeR-VLM).
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
    let loaded = config::load::<RlSettings>(arguments.config.as_deref(), &arguments.overrides)?;
    let settings = &loaded.settings;
    loaded.check(settings.train.validate("train"))?;
    loaded.check(settings.rollout.validate("rollout"))?;
    loaded.check(settings.reward.validate("reward"))?;
    loaded.check(settings.grpo.validate("grpo"))?;
    let items = read_checked(required(settings.data.prompts.as_ref(), "data.prompts")?, without_truth)?;
    let seed = settings.grpo.seed;
    let mut engine = model::open(&settings.model, settings.train.clone(), seed, context.global.device)?;
    let mut run_dir = open(arguments, settings, seed)?;
    let rollout = Rollout {
        config: &settings.rollout,
        rubric: &settings.reward,
        judge: &ExactJudge,
    };
    let outcome = grpo::run(
        &mut engine,
        &items,
        &settings.grpo,
        &rollout,
        &mut run_dir,
        &mut context.progress,
    )?;
    conclude(outcome, &run_dir)
}
