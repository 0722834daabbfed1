//! One file for each command, and the way from the parsed arguments to it.

pub mod base;
pub mod curate;
pub mod data;
pub mod demo;
pub mod eval;
pub mod forge;
pub mod generate;
pub mod inspect;
pub mod judge;
pub mod merge;
pub mod mini;
pub mod report;
pub mod review;
pub mod rl;
pub mod score;
pub mod serve;
pub mod sft;

mod admission;
mod dry_run;
pub mod model;
mod run_folder;

use crate::args::{Arguments, Command, Global};
use crate::progress::ConsoleProgress;

/// What every command is given.
pub struct Context {
    /// The arguments common to all commands.
    pub global: Global,
    /// Draws progress on standard error.
    pub progress: ConsoleProgress,
}

/// Runs the command that was typed.
///
/// Errors: whatever the command meets; `errors` turns it into a message and an exit code.
pub fn run(arguments: &Arguments, color: bool) -> anyhow::Result<()> {
    let global = arguments.global;
    let mut context = Context {
        global,
        progress: ConsoleProgress::new(global.quiet, color),
    };
    match &arguments.command {
        Command::Demo(arguments) => demo::run(arguments, &mut context),
        Command::Mini(arguments) => mini::run(arguments, &mut context),
        Command::Base(arguments) => base::run(arguments, &mut context),
        Command::Sft(arguments) => sft::run(arguments, &mut context),
        Command::Curate(arguments) => curate::run(arguments, &mut context),
        Command::Data(arguments) => data::run(arguments, &mut context),
        Command::Rl(arguments) => rl::run(arguments, &mut context),
        Command::Eval(arguments) => eval::run(arguments, &mut context),
        Command::Report(arguments) => report::run(arguments),
        Command::Forge(arguments) => forge::run(arguments, &mut context),
        Command::Review(arguments) => review::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments, &context),
        Command::Judge(arguments) => judge::run(arguments, &mut context),
        Command::Merge(arguments) => merge::run(arguments, &context),
        Command::Generate(arguments) => generate::run(arguments, &mut context),
        Command::Score(arguments) => score::run(arguments, &mut context),
        Command::Serve(arguments) => serve::run(arguments, &mut context),
    }
}
