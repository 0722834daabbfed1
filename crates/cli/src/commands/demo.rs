//! `scruple demo`: the whole loop on the miniature world.

use std::path::PathBuf;

use clap::Args;

const AFTER_HELP: &str = "\
A small vision-language model that answers every question, hazardous or not, is fine-tuned on safety
chains of thought (MIRage), its training prompts are curated (QI-Box), and it is trained by GRPO with
reflecting rollouts and a structured reward (SaFeR-VLM). Four models are compared on unseen splits;
DIR/report.html shows what changed, with pictures. Nothing is fetched: the world is drawn from the
seed, and the base model is part of the repository.

Examples:
  scruple demo
  scruple demo --out out/demo --seed 1
  scruple demo --json | tail -n 1          the figures as one JSON object";

/// Run both methods on a miniature world and report what changed.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The folder for data, runs, evaluations and the report
    #[arg(long, value_name = "DIR", default_value = "out/demo")]
    pub out: PathBuf,
    /// The seed that everything follows from
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Print one JSON object with all figures as the last line
    #[arg(long)]
    pub json: bool,
    /// Go on with an interrupted demo in the same folder
    #[arg(long)]
    pub resume: bool,
}

pub fn run(_: &Arguments, _: &mut super::Context) -> anyhow::Result<()> {
    anyhow::bail!("not yet")
}
