//! Judges against people: measured on a labeled set, or read from where they were measured before, so that a judge's
//! own error stands beside every figure it gives.

use std::path::Path;

use align::eval::{Refusal, detect_refusal};
use align::judge::{Rubric, Validation, validate};
use align::verdict::Judgement;
use benchmarks::LabeledResponse;
use diagnostic::read_json;
use report::text_tables;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::errors::{Failure, Result};

/// What detects refusals by words alone.
const KEYWORDS: &str = "keyword-refusal";

/// One judge, or all together, against people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    judge: String,
    #[serde(flatten)]
    figures: Validation,
}

impl Measured {
    /// The figures as a table, with kappa and unscored responses below.
    pub fn text(&self) -> String {
        let figures = &self.figures;
        let rates = [("agreement", &figures.agreement), ("precision", &figures.precision), ("recall", &figures.recall)];
        let heading = format!("{} against people ({})", self.judge, figures.positive);
        let kappa = figures.kappa.map_or_else(|| "none".to_owned(), |kappa| format!("{kappa:.2}"));
        format!("\n{}\n\nkappa {kappa}, {} unscored", text_tables::rates(&heading, rates), figures.unscored)
    }
}

/// The judges together, each by itself where there are several, and the keyword detector, against people.
pub fn measure(
    labeled: &[LabeledResponse],
    rubric: Rubric,
    names: &[String],
    judged: &[Judgement<Value>],
    by_judge: &[Vec<Judgement<Value>>],
) -> Vec<Measured> {
    let mut all = vec![against(labeled, rubric, names.join(", "), judged)];
    if names.len() > 1 {
        for (index, name) in names.iter().enumerate() {
            let of_judge: Vec<Judgement<Value>> = by_judge.iter().map(|scored| scored[index].clone()).collect();
            all.push(against(labeled, rubric, name.clone(), &of_judge));
        }
    }
    let mut pairs = Vec::new();
    for labeled in labeled {
        let refusal = detect_refusal(&labeled.response.response);
        // An unsafe response is one that complies; a refusal one that does not.
        let positive = refusal.map(|refusal| (refusal == Refusal::Compliance) == (rubric != Rubric::Refusal));
        pairs.push((labeled.is_positive, positive));
    }
    all.push(Measured { judge: KEYWORDS.to_owned(), figures: validate(rubric.positive(), &pairs) });
    all
}

/// A judge's verdicts on labeled responses against people.
fn against(labeled: &[LabeledResponse], rubric: Rubric, judge: String, scored: &[Judgement<Value>]) -> Measured {
    let mut pairs = Vec::new();
    for (labeled, scored) in labeled.iter().zip(scored) {
        let positive = scored.as_ref().ok().map(|verdict| rubric.is_positive(verdict));
        pairs.push((labeled.is_positive, positive));
    }
    Measured { judge, figures: validate(rubric.positive(), &pairs) }
}

/// What a summary says of judges that were measured before.
#[derive(Clone, Debug, Serialize)]
pub struct Elsewhere {
    /// The summary's file.
    file: String,
    #[serde(skip)]
    rubric: String,
    prompt_hash: String,
    validation: Vec<Measured>,
}

/// The part of a summary that is read.
#[derive(Deserialize)]
struct SummaryFile {
    rubric: String,
    prompt_hash: String,
    #[serde(default)]
    validation: Vec<Measured>,
}

impl Elsewhere {
    /// Reads a summary of `scruple judge --labeled`.
    ///
    /// Errors: a [`Failure`] of data naming the file where it is none, or holds no figures against people.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = fs_err::read(path).map_err(|error| Failure::data(error.to_string()))?;
        let read: SummaryFile = read_json(&text).map_err(|problem| {
            Failure::data(format!("{shown}: expected the summary of a judge: {}", problem.with_line()))
        })?;
        if read.validation.is_empty() {
            let problem = format!("{shown}: expected figures against people (`validation`), got none");
            return Err(Failure::data(problem).hint("`scruple judge --labeled SUITE` writes a summary that has them"));
        }
        Ok(Self {
            file: path.display().to_string(),
            rubric: read.rubric,
            prompt_hash: read.prompt_hash,
            validation: read.validation,
        })
    }

    /// Checks that the figures are of these judges, called with the same prompt.
    ///
    /// Errors: a [`Failure`] of settings naming what differs.
    pub fn check(&self, rubric: Rubric, names: &[String]) -> Result {
        for (what, expected, got) in [
            ("figures by the rubric", rubric.name().to_owned(), &self.rubric),
            ("the prompt's hash", rubric.hash(), &self.prompt_hash),
            ("figures of", names.join(", "), &self.validation[0].judge),
        ] {
            if expected != *got {
                let problem = format!("--validation {}: expected {what} {expected}, got {got}", self.file);
                return Err(Failure::settings(problem).hint("a judge's error holds only for what it was measured on"));
            }
        }
        Ok(())
    }

    /// The figures in words, as they are printed beside those of the responses.
    pub fn text(&self) -> String {
        let figures: Vec<String> = self.validation.iter().map(Measured::text).collect();
        format!("\nthe judge's own error, from {}:\n{}", self.file, figures.join("\n"))
    }
}
