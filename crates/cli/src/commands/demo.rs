//! `scruple demo`: the whole loop on the miniature world.

mod base_model;
mod figures;
mod recipe;
mod stages;

use std::path::{Path, PathBuf};
use std::time::Instant;

use align::run_dir::write_atomically;
use clap::Args;
use report::ReportConfig;
use serde_json::json;

use super::Context;
use crate::errors::Failure;
use crate::output_folder::OutputFolder;
use crate::terminal::print_line;
use figures::{figures, peak_rss_mb};
use recipe::Recipe;
use stages::Demo;

const AFTER_HELP: &str = "\
A small vision-language model that answers every question, hazardous or not, is fine-tuned on safety
chains of thought (MIRage), its training prompts are curated (QI-Box), and it is trained by GRPO with
reflecting rollouts and a structured reward (SaFeR-VLM). Five models are compared on unseen splits;
DIR/report.html shows what changed, with pictures. Nothing is fetched: the world is drawn from the
seed, and the base model is part of the program.

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
    out: PathBuf,
    /// The seed that everything follows from
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print one JSON object with all figures as the last line
    #[arg(long)]
    json: bool,
    /// Go on with an interrupted demo in the same folder
    #[arg(long)]
    resume: bool,
    /// Settings of the recipe to change, such as `safer.rollout.reflect=false`
    #[arg(value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

/// Runs the command.
///
/// Errors: of usage where the folder holds another demo; of output when files cannot be written; whatever the engine
/// meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> anyhow::Result<()> {
    let began = Instant::now();
    let recipe = Recipe::load(arguments.seed, &arguments.overrides)?;
    let _folder = OutputFolder::make(&arguments.out)?;
    prepare(&arguments.out, &recipe, arguments.resume)?;
    let mut demo = Demo::new(&arguments.out, &recipe, context);
    demo.draw_world()?;
    let base = demo.unpack_base()?;
    let mut summaries = vec![demo.evaluate("base", &base)?];
    let mirage = demo.finetune("mirage", &base, &recipe.mirage, &["general", "benign", "blank"])?;
    summaries.push(demo.evaluate("mirage", &mirage)?);
    // As in P1, where nothing but general questions is mixed in: labels of benign twins are chains of thought.
    let refusal = demo.finetune("refusal", &base, &recipe.refusal, &["general"])?;
    summaries.push(demo.evaluate("refusal", &refusal)?);
    demo.curate("safer", &base, &recipe.safer)?;
    let safer = demo.reinforce("safer", &base, &recipe.safer)?;
    summaries.push(demo.evaluate("safer", &safer)?);
    demo.curate("mirage+safer", &mirage, &recipe.mirage_safer)?;
    let both = demo.reinforce("mirage+safer", &mirage, &recipe.mirage_safer)?;
    summaries.push(demo.evaluate("mirage+safer", &both)?);

    demo.clear_up()?;
    let stages = demo.stages();
    let models = figures(&summaries);
    let (wall_s, peak_rss_mb) = (began.elapsed().as_secs_f64().round(), peak_rss_mb().map(f64::round));
    let about = json!({
        "seed": arguments.seed, "wall_s": wall_s, "peak_rss_mb": peak_rss_mb, "stages": stages, "models": &models,
    });
    write_atomically(
        &arguments.out.join("demo.json"),
        serde_json::to_string_pretty(&about)?.as_bytes(),
    )?;
    let files = report::run(&arguments.out, &ReportConfig::default())?;
    print_line(align::eval::Table::of_summaries(&summaries).text().trim_end())?;
    print_line(&format!("\nreport: {}", files.html.display()))?;
    if arguments.json {
        print_line(&json!({ "models": models, "wall_s": wall_s, "peak_rss_mb": peak_rss_mb }).to_string())?;
    }
    Ok(())
}

/// Makes the folder ready: a finished demo in it is replaced, an unfinished one gone on with if that was asked for.
fn prepare(folder: &Path, recipe: &Recipe, resume: bool) -> anyhow::Result<()> {
    let settings_file = folder.join("demo.settings.json");
    let settings = serde_json::to_string_pretty(recipe)?;
    if settings_file.exists() {
        let finished = folder.join("demo.json").exists();
        if !finished && !resume {
            let problem = format!("{}: holds a demo that was not finished", folder.display());
            return Err(Failure::usage(problem)
                .hint("add `--resume` to go on with it, or choose another `--out`")
                .into());
        }
        if resume && fs_err::read_to_string(&settings_file)? != settings {
            let problem = format!(
                "{}: was begun with another seed or other settings",
                settings_file.display()
            );
            return Err(Failure::usage(problem)
                .hint("give the same ones, or choose another `--out`")
                .into());
        }
        if finished && !resume {
            remove_finished(folder)?;
        }
    }
    Ok(write_atomically(&settings_file, settings.as_bytes())?)
}

/// Removes what a finished demo left, and nothing else. Its mark goes first, so that a stop on the way is noticed.
fn remove_finished(folder: &Path) -> std::io::Result<()> {
    fs_err::remove_file(folder.join("demo.json"))?;
    for name in ["world", "base", "runs", "eval", "curate"] {
        let part = folder.join(name);
        if part.exists() {
            fs_err::remove_dir_all(part)?;
        }
    }
    Ok(())
}
