//! The `scruple` command: reads what was typed, runs one command, reports how it went.

mod arguments;
mod bug;
mod commands;
mod config;
mod context;
mod data;
mod errors;
mod hub;
mod interrupt;
mod lines;
mod model;
mod output_folder;
mod progress;
mod roles;
mod terminal;
mod unused_options;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

fn main() -> ExitCode {
    let color = terminal::color_wanted();
    let arguments = match parse(color) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are "errors" to clap; they end with 0, wrong usage ends with 2.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let outcome = bug::catch(|| {
        interrupt::listen()?;
        commands::run(&arguments, color)
    });
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => errors::report(&interrupt::with_command(failure), color).into(),
        Err(bug) => {
            eprintln!("{bug}");
            errors::BUG.into()
        }
    }
}

fn parse(color: bool) -> Result<commands::Arguments, clap::Error> {
    let choice = if color { clap::ColorChoice::Auto } else { clap::ColorChoice::Never };
    let mut command = commands::Arguments::command().color(choice);
    let matches = command.clone().try_get_matches()?;
    commands::Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}
