//! The list of commands, one file each, and the way from the parsed arguments to it.

mod base;
mod benchmarks;
mod curate;
mod data;
mod demo;
mod eval;
mod forge;
mod generate;
mod inspect;
mod judge;
mod merge;
mod mini;
mod report;
mod review;
mod rl;
mod score;
mod serve;
mod sft;

mod against;
mod answer_file;
mod dry_run;
mod job;
mod run_folder;
mod training;
mod validation;

use clap::{Parser, Subcommand};

use crate::arguments::Global;
use crate::context::Context;
use crate::errors::Result;
use crate::progress::ConsoleProgress;

const AFTER_HELP: &str = "\
Start here:
  scruple demo                         both methods on a miniature world, and a report
  scruple demo --out out/first         the same, kept in a folder of your choice

Step by step, each with commented settings in configs/:
  scruple mini --out world              write the miniature world as data files
  scruple data check world/train.jsonl  a data file's contents and problems
  scruple sft --config configs/sft.toml --out runs/mirage
  scruple curate --config configs/curate.toml --out runs/curated
  scruple rl --config configs/grpo.toml --out runs/safer grpo.learning_rate=1e-5
  scruple eval --model MODEL --data world/hard.jsonl --out evaluated/base
  scruple judge --responses r.jsonl --judge-url URL --judge-model NAME --out verdicts.jsonl
  scruple report out/demo

Commands with settings take --config FILE and KEY=VALUE; flags such as --model are short for single
settings, and each flag's help says which. Commands that train, sample or judge resume where they
stopped when called again, and print their result again once done; --restart starts over.

Exit codes:
  0  done                               5  the engine failed, or a number is not finite
  1  an error of no other kind          6  stopped on request: the same command resumes
  2  wrong arguments or settings        7  results cannot be written: disk full, no permission
  3  data that cannot be used          70  a bug in scruple
  4  a model that cannot be used, or results in which nothing could be scored";

/// Align vision-language models for safety.
///
/// Fine-tunes on safety chains of thought (MIRage), curates training prompts (QI-Box) and trains by GRPO with
/// reflecting rollouts and a structured reward (SaFeR-VLM). Results go to standard output and to files; progress and
/// errors go to standard error.
#[derive(Debug, Parser)]
#[command(name = "scruple", version, after_help = AFTER_HELP, max_term_width = 120)]
pub struct Arguments {
    /// The arguments common to all commands.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run both methods on a miniature world and report what changed
    Demo(demo::Arguments),
    /// Write the miniature world's splits and labels as data files
    Mini(mini::Arguments),
    /// Train the miniature world's base model from scratch
    Base(base::Arguments),
    /// Fine-tune on safety chains of thought (MIRage)
    Sft(sft::Arguments),
    /// Build items whose harm shows only when images and text are read together (MIS)
    Forge(forge::Arguments),
    /// Review items on a local page and record the decisions
    Review(review::Arguments),
    /// Select training prompts by quality and instability (QI-Box)
    Curate(curate::Arguments),
    /// Train by GRPO with safety-aware rollouts (SaFeR-VLM)
    Rl(rl::Arguments),
    /// Evaluate a model on the miniature world's splits or on a benchmark
    Eval(eval::Arguments),
    /// List the published benchmarks, and which of them are in a folder
    Benchmarks(benchmarks::Arguments),
    /// Write the report of a finished folder as HTML, Markdown and JSON
    Report(report::Arguments),
    /// Score responses with models as judges, and validate judges against people's labels
    Judge(judge::Arguments),
    /// Check data files of any format, and convert them
    Data(data::Arguments),
    /// Describe a model's folder and its problems
    Inspect(inspect::Arguments),
    /// Add a LoRA adapter to the weights of its model
    Merge(merge::Arguments),
    /// Complete the dialogues of a data file
    Generate(generate::Arguments),
    /// Compute the log-probability of every token of a data file's dialogues
    Score(score::Arguments),
    /// Serve a model over HTTP as OpenAI's chat interface
    Serve(serve::Arguments),
}

/// Runs the command that was typed.
///
/// Errors: whatever the command meets; `errors` turns it into a message and an exit code.
pub fn run(arguments: &Arguments, color: bool) -> Result {
    let global = arguments.global;
    let mut context = Context { global, progress: ConsoleProgress::new(global.quiet, color) };
    match &arguments.command {
        Command::Demo(arguments) => demo::run(arguments, &mut context),
        Command::Mini(arguments) => mini::run(arguments, &mut context),
        Command::Base(arguments) => base::run(arguments, &mut context),
        Command::Sft(arguments) => sft::run(arguments, &mut context),
        Command::Curate(arguments) => curate::run(arguments, &mut context),
        Command::Data(arguments) => data::run(arguments, &mut context),
        Command::Rl(arguments) => rl::run(arguments, &mut context),
        Command::Eval(arguments) => eval::run(arguments, &mut context),
        Command::Benchmarks(arguments) => benchmarks::run(arguments),
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
