//! `scruple inspect`: a model's folder in, its contents and problems out.

use clap::Args;
use vlm::inspection::Inspection;

use crate::arguments::ModelArguments;
use crate::config::required;
use crate::config::tables::ModelSettings;
use crate::context::Context;
use crate::errors::{Failure, Result};
use crate::hub::{self, Kind};
use crate::model;
use crate::terminal::{print_json, print_line};

const AFTER_HELP: &str = "\
Weights are not read: an 8 B model is inspected in a moment. The exit code is 4 where something is
wrong with the folder. The model may be named without --model.

Examples:
  scruple inspect --model models/Qwen2.5-VL-3B-Instruct
  scruple inspect models/Qwen2.5-VL-3B-Instruct";

/// Describe a model's folder: family, sizes, types, parameters, tokens of an image, and what is wrong with it.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// Errors: of model where something is wrong with the folder.
pub fn run(arguments: &Arguments, context: &Context) -> Result {
    let table = arguments.model.clone().or_first_word().load::<ModelSettings>([])?.settings.model;
    let folder = &hub::folder(required(table.path.as_ref(), "model.path")?, Kind::Model)?;
    if !folder.is_dir() {
        return Err(Failure::model("no such folder: expected a model").at(&folder.display().to_string()));
    }
    let found = Inspection::of(folder, &model::device(context.global.device)?);
    if arguments.json {
        print_json(&found)?;
    } else {
        print_line(text(&found).trim_end())?;
    }
    match &found.problems[..] {
        [] => Ok(()),
        [first, ..] => Err(Failure::model(first.clone())),
    }
}

fn text(found: &Inspection) -> String {
    let mut lines = vec![("family", found.family.clone().unwrap_or_else(|| "unknown".to_owned()))];
    if let (Some(layers), Some(width), Some(heads), Some(kv_heads)) =
        (found.num_hidden_layers, found.hidden_size, found.num_attention_heads, found.num_key_value_heads)
    {
        lines.push(("text", format!("{layers} layers, {width} wide, {heads} heads, {kv_heads} key heads")));
    }
    if let (Some(vocab_size), Some(longest)) = (found.vocab_size, found.max_position_embeddings) {
        let (vocab_size, longest) = (grouped(vocab_size), grouped(longest));
        lines.push(("tokens", format!("{vocab_size} in the vocabulary, {longest} at most")));
    }
    for (name, bytes) in &found.bytes_by_type {
        let files = found.weight_files;
        lines.push(("weights", format!("{name}, {} in {files} file{}", megabytes(*bytes), plural(files))));
    }
    if !found.parameters.is_empty() {
        let total: u64 = found.parameters.values().sum();
        lines.push(("parameters", grouped(total as usize)));
        for (group, count) in &found.parameters {
            lines.push(("", format!("{group}: {}", grouped(*count as usize))));
        }
    }
    for (index, image) in found.image_tokens.iter().enumerate() {
        let tokens = grouped(image.tokens);
        let text = format!("{} x {}: {tokens} tokens", image.width, image.height);
        lines.push((if index == 0 { "images" } else { "" }, text));
    }
    if found.problems.is_empty() {
        lines.push(("problems", "none".to_owned()));
    }
    for (index, problem) in found.problems.iter().enumerate() {
        lines.push((if index == 0 { "problems" } else { "" }, problem.clone()));
    }
    lines.iter().map(|(name, text)| format!("{name:<12}{text}\n")).collect()
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// "1,234,567".
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}
