//! `scruple eval`.
use crate::args::RunArguments;
use clap::Args;
/// Evaluate.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    run: RunArguments,
}

pub fn run(_: &Arguments, _: &mut super::Context) -> anyhow::Result<()> {
    anyhow::bail!("not yet")
}
