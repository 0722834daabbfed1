//! `scruple demo`: the whole loop on the miniature world.

mod base_model;
mod figures;
mod recipe;
mod stages;

use std::path::{Path, PathBuf};
use std::time::Instant;

use align::run_dir::{keep_settings, read_json, write_json};
use clap::Args;
use report::{ReportConfig, text_tables};
use serde_json::{Value, json};

use crate::arguments::{RestartArguments, SettingsArguments};
use crate::context::Context;
use crate::errors::Result;
use crate::output_folder::{OutputFolder, remove_results};
use crate::terminal::{print_json, print_line};
use figures::{figures, peak_rss_mb};
use recipe::Recipe;
use stages::Demo;

const AFTER_HELP: &str = "\
A small vision-language model that answers every question, hazardous or not, is fine-tuned on safety
chains of thought (MIRage), its training prompts are curated (QI-Box), and it is trained by GRPO
with reflecting rollouts and a structured reward (SaFeR-VLM). Five models are compared on unseen
splits; DIR/report.html shows what changed, with images. Nothing is fetched: the world is made from
the seed, and the base model is part of the program. After a stop, the same command resumes; once it
is done, it prints its figures again.

Examples:
  scruple demo
  scruple demo --out out/demo --seed 1
  scruple demo --json | tail -n 1          the figures as one JSON object";

/// Run both methods on a miniature world and report what changed.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// The folder for data, runs, evaluations and the report
    #[arg(long, value_name = "DIR", default_value = "out/demo")]
    out: PathBuf,
    /// The seed that everything follows from; short for `mini.seed=…`, `mirage.sft.seed=…` and the other seeds
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print one JSON object with all figures as the last line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    restart: RestartArguments,
}

/// The settings of the demo in a folder.
const SETTINGS: &str = "demo.settings.json";
/// Its figures, once it is done.
const FIGURES: &str = "demo.json";
/// What else it leaves behind.
const PARTS: [&str; 9] =
    ["report.html", "report.md", "report.json", "world", "base", "runs", "eval", "curate", "features"];

/// Runs the command.
///
/// Errors: of settings where the folder holds another demo; of output when files cannot be written; whatever the engine
/// meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let recipe = Recipe::load(&arguments.settings, arguments.seed)?;
    let settings = serde_json::to_value(&recipe).map_err(std::io::Error::from)?;
    let out = &arguments.out;
    let settings_file = out.join(SETTINGS);
    if !arguments.restart.restart && settings_file.exists() {
        keep_settings(&settings_file, &settings)?;
        if out.join(FIGURES).exists() {
            return conclude(out, arguments.json);
        }
    }
    let _folder = OutputFolder::make(out)?;
    if arguments.restart.restart {
        // The settings go last, so that a kill on the way leaves a demo that can be resumed or removed.
        remove_results(out, &[&[FIGURES], &PARTS[..], &[SETTINGS]].concat())?;
    }
    keep_settings(&settings_file, &settings)?;
    run_stages(out, arguments.seed, &recipe, context)?;
    conclude(out, arguments.json)
}

/// Goes through the stages and writes their figures.
fn run_stages(out: &Path, seed: u64, recipe: &Recipe, context: &mut Context) -> Result {
    let began = Instant::now();
    let mut demo = Demo { folder: out, recipe, context, stages: Vec::new() };
    demo.draw_world()?;
    let base = demo.unpack_base()?;
    let mut summaries = vec![demo.evaluate("base", &base)?];
    let mirage = demo.finetune("mirage", &base, &recipe.mirage, &["general", "benign", "black"])?;
    summaries.push(demo.evaluate("mirage", &mirage)?);
    // As in MIS, where nothing but general questions is mixed in: labels of benign twins are chains of thought.
    let refusal = demo.finetune("refusal", &base, &recipe.refusal, &["general"])?;
    summaries.push(demo.evaluate("refusal", &refusal)?);
    demo.curate("safer", &base, &recipe.safer)?;
    let safer = demo.reinforce("safer", &base, &recipe.safer)?;
    summaries.push(demo.evaluate("safer", &safer)?);
    demo.curate("mirage+safer", &mirage, &recipe.mirage_safer)?;
    let both = demo.reinforce("mirage+safer", &mirage, &recipe.mirage_safer)?;
    summaries.push(demo.evaluate("mirage+safer", &both)?);

    demo.clear_up()?;
    let about = json!({
        "seed": seed,
        "wall_s": began.elapsed().as_secs_f64().round(),
        "peak_rss_mb": peak_rss_mb().map(f64::round),
        "stages": demo.stages,
        "table": text_tables::summaries(&summaries),
        "models": figures(&summaries),
    });
    Ok(write_json(&out.join(FIGURES), &about)?)
}

/// Prints the figures of a demo whose stages are done, and writes its report unless that is there.
fn conclude(out: &Path, json: bool) -> Result {
    let (about, page): (Value, PathBuf) = (read_json(&out.join(FIGURES))?, out.join("report.html"));
    if !page.exists() {
        report::run(out, &ReportConfig::default())?;
    }
    print_line(about["table"].as_str().unwrap_or_default())?;
    print_line(&format!("\nreport: {}", page.display()))?;
    if json {
        let [models, wall_s, peak_rss_mb] = ["models", "wall_s", "peak_rss_mb"].map(|key| &about[key]);
        print_json(&json!({ "models": models, "wall_s": wall_s, "peak_rss_mb": peak_rss_mb }))?;
    }
    Ok(())
}
