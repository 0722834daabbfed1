//! `scruple mini`.

use clap::Args;

use crate::args::RunArguments;

/// TODO
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    run: RunArguments,
}

pub fn run(_: &Arguments, _: &mut super::Context) -> anyhow::Result<()> {
    anyhow::bail!("not yet")
}
