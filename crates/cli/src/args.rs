//! What can be typed: the arguments common to all commands, and the list of commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::{
    base, curate, data, demo, eval, forge, generate, inspect, judge, merge, mini, report, review, rl, score, serve, sft,
};

const AFTER_HELP: &str = "\
Start here:
  scruple demo                         both methods on a miniature world, and a report
  scruple demo --out out/first         the same, kept in a folder of your choice

Step by step, each with commented settings in configs/:
  scruple mini --out world              write the miniature world as data files
  scruple data check world/train.jsonl  what a data file holds, and what is wrong with it
  scruple sft --config configs/sft.toml --out runs/mirage
  scruple curate --config configs/curate.toml --out runs/curated
  scruple rl --config configs/grpo.toml --out runs/safer grpo.learning_rate=1e-5
  scruple eval --model MODEL --data world/hard.jsonl --out evaluated/base
  scruple judge --responses r.jsonl --judge-url URL --judge-model NAME --out verdicts.jsonl
  scruple report out/demo

Exit codes:
  0  done                               5  the engine failed, or numbers left the finite
  1  an error of no other kind          6  stopped on request, work saved: go on with --resume
  2  wrong arguments or settings        7  results cannot be written: disk full, no permission
  3  data that cannot be used          70  a fault of scruple itself
  4  a model that cannot be used";

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

/// The arguments common to all commands.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Where the model runs: `flex` (the processor), or a GPU by `wgpu`, `vulkan`, `metal`, `cuda` or `rocm`, each of
    /// which needs a build with the cargo feature of the same name
    #[arg(long, global = true, value_enum, default_value_t = Device::Flex, hide_possible_values = true)]
    pub device: Device,
    /// Print no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Print without colour; so does setting the environment variable `NO_COLOR`
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// Where a model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Device {
    /// The processor, by Burn's `flex` back end
    Flex,
    /// A GPU through WebGPU
    Wgpu,
    /// A GPU through Vulkan
    Vulkan,
    /// An Apple GPU through Metal
    Metal,
    /// An NVIDIA GPU through CUDA
    Cuda,
    /// An AMD GPU through ROCm
    Rocm,
}

impl Device {
    /// The name that is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
        }
    }
}

/// The arguments of a command that is set up by a file.
#[derive(Clone, Debug, Args)]
pub struct RunArguments {
    /// Settings as TOML; the repository's configs/ folder has a commented file for each command
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder for everything the command leaves behind
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Go on with an interrupted run in the same folder; it ends as if never interrupted
    #[arg(long)]
    pub resume: bool,
    /// Settings that win over the file's, such as `grpo.learning_rate=1e-5`
    #[arg(value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run both methods on a miniature world and report what changed
    Demo(demo::Arguments),
    /// Write the miniature world's splits and labels as data files
    Mini(mini::Arguments),
    /// Train the miniature world's base model from nothing
    Base(base::Arguments),
    /// Fine-tune on safety chains of thought (MIRage)
    Sft(sft::Arguments),
    /// Make items whose harm shows only when pictures and text are read together (MIS)
    Forge(forge::Arguments),
    /// Look items over on a local page, and keep what you decide
    Review(review::Arguments),
    /// Select training prompts by quality and instability (QI-Box)
    Curate(curate::Arguments),
    /// Train by GRPO with safety-aware rollouts (SaFeR-VLM)
    Rl(rl::Arguments),
    /// Evaluate a model on the miniature world's splits or on a benchmark
    Eval(eval::Arguments),
    /// Draw up the report of a finished folder as HTML, Markdown and JSON
    Report(report::Arguments),
    /// Score responses with models as judges, and judges with people's labels
    Judge(judge::Arguments),
    /// Check data files of any format, and convert them
    Data(data::Arguments),
    /// Describe a model's folder and what is wrong with it
    Inspect(inspect::Arguments),
    /// Add a LoRA adapter to the weights of its model
    Merge(merge::Arguments),
    /// Complete the dialogues of a data file
    Generate(generate::Arguments),
    /// Give the log-probability of every token of a data file's dialogues
    Score(score::Arguments),
    /// Serve a model over HTTP as OpenAI's chat interface
    Serve(serve::Arguments),
}
