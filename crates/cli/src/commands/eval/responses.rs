//! `scruple eval --responses`: responses that were made elsewhere, scored as if a model had just given them.

use std::path::Path;

use align::eval::suite::Deviation;
use align::run_dir::ContentHash;
use align::types::Item;
use benchmarks::responses::Responses;
use benchmarks::{Images, Loaded, Suite};
use serde_json::{Value, json};

use crate::config::tables::EvalSettings;
use crate::errors::{Failure, Result};

/// Makes sure that responses stand in the place of a model's, to a benchmark.
pub fn check(settings: &EvalSettings, dry_run: bool) -> Result {
    if dry_run {
        return Err(Failure::settings("`--dry-run`: expected a model that is to answer, got `--responses`"));
    }
    if settings.data.suite.is_none() {
        let failure = Failure::settings("`data.responses`: expected `data.suite` beside it, got none");
        return Err(failure.hint("name the benchmark with `--suite`"));
    }
    if settings.model.path.is_some() || settings.role.contains_key("policy") {
        let failure = Failure::settings("`data.responses`: expected no model beside it, got one");
        return Err(failure.hint("give either `--responses`, or `--model` or the role `policy`"));
    }
    Ok(())
}

/// The benchmark's items, from its own files where they are given, else from the rows of the file; and the responses.
///
/// Errors: of settings where there are several benchmarks; of data where the file or the benchmark cannot be read, or
/// where the benchmark's own files are needed.
pub fn read_responses(
    file: &Path,
    suites: &[&'static Suite],
    data: Option<&Path>,
    images: Images,
    has_judges: bool,
) -> Result<(Loaded, Responses)> {
    let [suite] = suites else {
        let problem = format!("`data.responses`: expected one benchmark in `data.suite`, got {}", suites.len());
        return Err(Failure::settings(problem));
    };
    let is_seen = suite.shows_images(has_judges);
    let Some(data) = data else {
        if is_seen || suite.row.is_none() {
            let why = if is_seen { "its judges see the images" } else { "results do not hold its items" };
            let failure = Failure::settings(format!("`data.path`: expected the files of {}, since {why}", suite.title));
            return Err(failure.hint("name the benchmark's folder with `--data`"));
        }
        let mut responses = Responses::read(file, suite, None)?;
        let items = std::mem::take(&mut responses.items);
        return Ok((Loaded { items, ..Loaded::default() }, responses));
    };
    let loaded = suite.load(data, &mut if is_seen { images } else { Images::Unneeded })?;
    let responses = Responses::read(file, suite, Some(&loaded.items))?;
    Ok((loaded, responses))
}

/// Which responses they are, for records that a resumed run is held to.
pub fn made_elsewhere(file: &Path) -> Result<Value> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(json!({ "responses": name, "sha256": ContentHash::of_file(file)? }))
}

/// What is not, or may not be, as the authors have it.
pub fn responses_deviations(suite: &Suite, items: &[Item]) -> Vec<Deviation> {
    let deviation = |setting: &str, authors: String, here: String| Deviation { setting: setting.into(), authors, here };
    let authors =
        format!("temperature {}, max_new_tokens {}", suite.generation.temperature, suite.generation.max_new_tokens);
    let mut deviations = vec![deviation("generation", authors, "made elsewhere".to_owned())];
    if items.len() != suite.published_items {
        deviations.push(deviation("items", suite.published_items.to_string(), items.len().to_string()));
    }
    deviations
}
