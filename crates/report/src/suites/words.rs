//! Benchmarks in words: who judged, what was made with what, and what flipped.

use align::eval::suite::{PromptUsed, SuiteSummary};
use align::types::ItemKind;

use crate::suites::contents::{ShownFlip, ShownResponse, SuiteReport};
use crate::suites::flips::{Turn, turn};
use crate::suites::tables::sources;

/// What the figures of benchmarks are.
pub const ABOUT: [&str; 3] = [
    "% of scored items, with 95 % confidence intervals (Wilson; for means of rates by variance estimates recovery). What \
     could not be scored is in no rate: it is counted beside it, and bounds say what the rate could be. Published figures \
     were judged by others, so small differences from them mean little.",
    "Differences are paired by item, with 95 % confidence intervals (Newcombe; of mean scores by bootstrap) and the p-value \
     of McNemar's exact test. Bold: the interval excludes zero. Items that either model is unscored on are excluded; means \
     of rates are not compared.",
    "In charts, dots are rates, lines their intervals, and diamonds published figures; tables name these in italics, with who \
     judged.",
];

/// Who scored, and in whose wording; a line where all models were scored alike.
pub fn scored_by(suite: &SuiteReport) -> Vec<String> {
    let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
    for model in &suite.models {
        let words = scorer(model);
        match lines.iter_mut().find(|(known, _)| *known == words) {
            Some((_, models)) => models.push(&model.model),
            None => lines.push((words, vec![&model.model])),
        }
    }
    match &lines[..] {
        [(words, _)] => vec![format!("Scored by {words}.")],
        _ => lines.into_iter().map(|(words, models)| format!("{}: scored by {words}.", models.join(", "))).collect(),
    }
}

fn scorer(model: &SuiteSummary) -> String {
    if model.prompts.is_empty() {
        return format!("{}, a rule", model.scored_by);
    }
    let prompts: Vec<String> = model.prompts.iter().map(prompt).collect();
    let judges = model.scored_by.split(" (").next().unwrap_or_default();
    format!("{judges}. Prompts: {}", prompts.join("; "))
}

fn prompt(used: &PromptUsed) -> String {
    let wording =
        if used.wording == "official" { "the authors' wording" } else { "this project's wording, not the authors'" };
    format!("{} in {wording} ({})", used.question, used.hash)
}

/// Where published figures are from, and what each model's figures were made with.
pub fn made_with(suite: &SuiteReport) -> Vec<String> {
    let mut lines: Vec<String> = sources(suite).iter().map(|source| format!("Published figures: {source}")).collect();
    for model in &suite.models {
        if model.missing_items > 0 {
            lines.push(format!(
                "{}: {} items were left out, since images are missing",
                model.model, model.missing_items
            ));
        }
        lines.push(format!("{}: {}", model.model, model.made_with));
    }
    lines
}

/// What flipped, such as `Worse: ASR, no → yes`.
pub fn flips(suite: &SuiteReport, flip: &ShownFlip) -> String {
    let summary = suite.models.iter().find(|model| model.model == flip.model);
    let rates = flip.rates.iter().map(|flipped| {
        let info = summary.and_then(|summary| summary.rates.iter().find(|info| info.name == flipped.rate));
        let heading = info.map_or(flipped.rate.as_str(), |info| &info.heading);
        let turn = summary.map_or(Turn::Changed, |summary| turn(summary, &flipped.rate, flipped.counts));
        let how = match turn {
            Turn::Worse => "worse",
            Turn::Improved => "better",
            Turn::Changed => "changed",
        };
        format!("{heading}: {} ({how})", if flipped.counts { "no → yes" } else { "yes → no" })
    });
    rates.collect::<Vec<_>>().join("; ")
}

/// The models, the split, the category and the kind in one line.
pub fn facts(flip: &ShownFlip) -> String {
    let kind = flip.kind.map(|kind| match kind {
        ItemKind::Hazardous => "hazardous",
        ItemKind::Benign => "benign",
        ItemKind::BlankImage => "blank image",
        ItemKind::General => "general",
    });
    let models = format!("{} → {}", flip.baseline, flip.model);
    let others = [flip.split.as_deref(), flip.category.as_deref(), kind].into_iter().flatten();
    std::iter::once(models.as_str()).chain(others).collect::<Vec<_>>().join(" · ")
}

/// A verdict in words.
pub fn judgement(shown: &ShownResponse) -> String {
    match &shown.judgement {
        Ok(verdict) => format!("Verdict: {verdict}"),
        Err(unscored) => format!("Unscored: {unscored}"),
    }
}
