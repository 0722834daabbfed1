//! Arguments that commands share, and the settings that they are short for.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{self, Loaded, Override};
use crate::errors::Result;

/// The arguments common to all commands.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Where the model runs: `flex` (the CPU), or a GPU by `wgpu`, `vulkan`, `metal`, `cuda` or `rocm`, each of
    /// which needs a build with the cargo feature of the same name
    #[arg(long, global = true, value_enum, default_value_t = Device::Flex, hide_possible_values = true)]
    pub device: Device,
    /// Print no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Print without color; so does setting the environment variable `NO_COLOR`
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// Where a model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Device {
    /// The CPU, by Burn's `flex` back end
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

/// A command's settings, as a file and one by one.
#[derive(Clone, Debug, Args)]
pub struct SettingsArguments {
    /// Settings as TOML; the repository's configs/ folder has commented files
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Single settings, such as `model.path=runs/a`; they win over the file's and over flags
    #[arg(value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

impl SettingsArguments {
    /// The command's settings: the file's, over them those that flags are short for, over them `KEY=VALUE`.
    ///
    /// Errors: of settings.
    pub fn load<T>(&self, flags: impl IntoIterator<Item = Option<Override>>) -> Result<Loaded<T>>
    where
        T: DeserializeOwned + Serialize + Default,
    {
        let mut given: Vec<Override> = flags.into_iter().flatten().collect();
        for text in &self.overrides {
            given.push(Override::parse(text)?);
        }
        config::load(self.config.as_deref(), given)
    }
}

/// The setting that a flag is short for, where the flag is given.
pub fn flag(name: &str, path: &[&str], value: Option<impl ToString>) -> Option<Override> {
    value.map(|value| Override::flag(name, path, value.to_string()))
}

/// The same of a flag that is named as the setting is: `--max-waiting` for `serve.max_waiting`.
pub fn flag_of(table: &str, key: &str, value: Option<impl ToString>) -> Option<Override> {
    flag(&format!("--{}", key.replace('_', "-")), &[table, key], value)
}

/// A command's settings, and which model to use.
#[derive(Clone, Debug, Args)]
pub struct ModelArguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// The model, a Hugging Face folder or a name on the hub; short for `model.path=…`
    #[arg(long, value_name = "DIR|NAME")]
    pub model: Option<String>,
    /// A LoRA adapter on top of it, a PEFT folder or a name on the hub; short for `model.adapter=…`
    #[arg(long, value_name = "DIR|NAME")]
    pub adapter: Option<String>,
}

impl ModelArguments {
    /// The same where the model may be the first word too, as in `scruple inspect DIR`.
    #[must_use]
    pub fn or_first_word(mut self) -> Self {
        if self.model.is_none() && self.settings.overrides.first().is_some_and(|word| !word.contains('=')) {
            self.model = Some(self.settings.overrides.remove(0));
        }
        self
    }

    /// As [`SettingsArguments::load`], with the model as these arguments name it.
    ///
    /// Errors: of settings.
    pub fn load<T>(&self, others: impl IntoIterator<Item = Option<Override>>) -> Result<Loaded<T>>
    where
        T: DeserializeOwned + Serialize + Default,
    {
        let model = flag("--model", &["model", "path"], self.model.as_ref());
        let adapter = flag("--adapter", &["model", "adapter"], self.adapter.as_ref());
        self.settings.load([model, adapter].into_iter().chain(others))
    }
}

/// What happens to the results of an earlier call.
#[derive(Clone, Copy, Debug, Args)]
pub struct RestartArguments {
    /// Start over: first remove what an earlier call left in --out. Without this, the same command resumes where an
    /// earlier one stopped
    #[arg(long)]
    pub restart: bool,
}

/// A folder of results, and what happens to those of an earlier call.
#[derive(Clone, Debug, Args)]
pub struct OutArguments {
    /// The folder for results
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    pub restart: RestartArguments,
}
