//! Images as a benchmark's authors show them, as far as the model can be shown them so, and what is not as they have it.

use std::borrow::Cow;

use align::chat::ChatParams;
use align::eval::suite::{Deviation, PromptUsed};
use benchmarks::scoring::Scoring;
use benchmarks::{Generation, Loaded, Suite};
use serde_json::Value;
use vlm::config::CONFIG_FILE;

use crate::config::tables::ModelTable;
use crate::hub::{self, Kind};

/// The settings of the model on this machine with the authors' limits of images where none are given, those that its family
/// knows.
pub fn with_authors_limits(given: &ModelTable, authors: Generation) -> ModelTable {
    let mut table = given.clone();
    if let Some(family) = model_type(given) {
        for (name, limit, authors) in [
            ("min_pixels", &mut table.min_pixels, authors.min_pixels),
            ("max_pixels", &mut table.max_pixels, authors.max_pixels),
            ("max_dynamic_patch", &mut table.max_dynamic_patch, authors.max_dynamic_patch),
        ] {
            *limit = limit.or(authors.filter(|_| knows_limit(&family, name)));
        }
    }
    table
}

/// Whether a family of models, by its `model_type`, has such a limit of images: InternVL of tiles, Qwen of pixels.
fn knows_limit(family: &str, limit: &str) -> bool {
    family.starts_with("internvl") == (limit == "max_dynamic_patch")
}

/// The `model_type` of InternVL in its original layout, whose prompts have images where the text has them.
const INTERNVL: &str = "internvl_chat";

/// The items as the authors show them to the model on this machine.
pub fn as_shown<'a>(suite: &Suite, items: &'a Loaded, table: &ModelTable) -> Cow<'a, Loaded> {
    if labels_images(suite, table) { Cow::Owned(items.with_labeled_images()) } else { Cow::Borrowed(items) }
}

/// Whether the authors label images for the model on this machine, and its prompts can have the labels as they do.
fn labels_images(suite: &Suite, table: &ModelTable) -> bool {
    suite.generation.labels_internvl_images && model_type(table).is_some_and(|name| name == INTERNVL)
}

/// What the folder of a model on this machine calls its type.
fn model_type(table: &ModelTable) -> Option<String> {
    let folder = hub::folder(table.path.as_ref()?, Kind::Model).ok()?;
    let config = fs_err::read(folder.join(CONFIG_FILE)).ok()?;
    let config: Value = serde_json::from_slice(&config).ok()?;
    Some(config["model_type"].as_str()?.to_owned())
}

/// What is otherwise than the authors have it: sampling, limits of images, labels of images, and how many items there are.
/// `model` is its name, and `table` its settings where it is on this machine.
pub fn deviations(
    suite: &Suite,
    items: &Loaded,
    params: &ChatParams,
    model: &str,
    table: &ModelTable,
) -> Vec<Deviation> {
    let generation = suite.generation;
    let mut settings = vec![
        ("temperature", generation.temperature.to_string(), params.temperature.to_string()),
        ("max_new_tokens", generation.max_new_tokens.to_string(), params.max_tokens.to_string()),
        ("items", suite.published_items.to_string(), (items.items.len() + items.missing.len()).to_string()),
    ];
    for (name, authors, here) in [
        ("min_pixels", generation.min_pixels, table.min_pixels),
        ("max_pixels", generation.max_pixels, table.max_pixels),
        ("max_dynamic_patch", generation.max_dynamic_patch, table.max_dynamic_patch),
    ] {
        // The settings are of the model on this machine alone, and of those that its family knows.
        let is_known = model_type(table).is_none_or(|family| knows_limit(&family, name));
        let here = here.filter(|_| table.path.is_some());
        let here = here.map_or_else(|| "the model's own".to_owned(), |here| here.to_string());
        settings.extend(authors.filter(|_| is_known).map(|authors| (name, authors.to_string(), here)));
    }
    if generation.labels_internvl_images && is_internvl(model, table) && !labels_images(suite, table) {
        let authors = "for InternVL, `Image-1: ` and so on before the images";
        settings.push(("prompt layout", authors.to_owned(), "images and text alone".to_owned()));
    }
    let differ = settings.into_iter().filter(|(_, authors, here)| authors != here);
    differ.map(|(setting, authors, here)| Deviation { setting: setting.to_owned(), authors, here }).collect()
}

/// What of the judging is otherwise: a rule that stands in for a judge, and questions in this project's wording where the
/// authors' is published.
pub fn otherwise_judged(suite: &Suite, scored_by: &str, prompts: &[PromptUsed]) -> Vec<Deviation> {
    let Scoring::Judged { questions, .. } = suite.scoring else {
        return Vec::new();
    };
    if prompts.is_empty() {
        return vec![Deviation { setting: "scored by".into(), authors: "a judge".into(), here: scored_by.to_owned() }];
    }
    let is_published = |used: &&PromptUsed| {
        questions.iter().any(|question| question.name == used.question && question.official.is_some())
    };
    let reworded = prompts.iter().filter(is_published).filter(|used| used.wording != "official");
    let deviations = reworded.map(|used| Deviation {
        setting: format!("judge's prompt: {}", used.question),
        authors: "official".to_owned(),
        here: used.wording.clone(),
    });
    deviations.collect()
}

fn is_internvl(model: &str, table: &ModelTable) -> bool {
    [Some(model.to_owned()), model_type(table)].iter().flatten().any(|name| name.to_lowercase().contains("internvl"))
}

#[cfg(test)]
mod tests {
    use benchmarks::suites::mis::SUITE;

    use super::*;

    fn deviating(model: &str, table: &ModelTable) -> Vec<String> {
        let items = Loaded::default();
        let params = ChatParams { max_tokens: 512, ..ChatParams::default() };
        let deviations = deviations(&SUITE, &items, &params, model, table);
        let said = deviations.into_iter().map(|one| format!("{}: {}, here {}", one.setting, one.authors, one.here));
        said.collect()
    }

    #[test]
    fn limits_and_layouts_that_cannot_be_followed_are_named() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("config.json"), r#"{"model_type": "internvl_chat"}"#).unwrap();
        let mine = ModelTable { path: Some(folder.path().to_owned()), ..ModelTable::default() };
        let table = with_authors_limits(&mine, SUITE.generation);
        assert_eq!(table, ModelTable { max_dynamic_patch: Some(4), ..mine.clone() });
        assert!(labels_images(&SUITE, &table));
        let of_both = ["max_new_tokens: 1024, here 512", "items: 2285, here 0"];
        assert_eq!(deviating("mine", &table), of_both);
        let table = with_authors_limits(&ModelTable { max_dynamic_patch: Some(6), ..mine }, SUITE.generation);
        assert_eq!(deviating("mine", &table), [&of_both[..], &["max_dynamic_patch: 4, here 6"]].concat());
        fs_err::write(folder.path().join("config.json"), r#"{"model_type": "qwen2_vl"}"#).unwrap();
        let mine = ModelTable { path: Some(folder.path().to_owned()), ..ModelTable::default() };
        let table = with_authors_limits(&mine, SUITE.generation);
        assert_eq!(table, ModelTable { min_pixels: Some(200_704), max_pixels: Some(1_003_520), ..mine });
        let remote = [
            "min_pixels: 200704, here the model's own",
            "max_pixels: 1003520, here the model's own",
            "max_dynamic_patch: 4, here the model's own",
            "prompt layout: for InternVL, `Image-1: ` and so on before the images, here images and text alone",
        ];
        let expected = [&of_both[..], &remote[..]].concat();
        assert_eq!(deviating("OpenGVLab/InternVL2_5-8B", &ModelTable::default()), expected);
        assert_eq!(deviating("gpt-4o", &ModelTable::default()), expected[..5]);
    }
}
