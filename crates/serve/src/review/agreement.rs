//! How far people agree with the judge, and with one another.

use align::statistics::agreement::{cohen_kappa, fleiss_kappa, krippendorff_alpha};

use super::cases::Cases;
use super::decisions::{Latest, Verdict, labels};

/// Agreement in words, one line for each reviewer, and one for all where there are several.
pub fn agreement(cases: &Cases, latest: &Latest) -> String {
    let mut lines = Vec::new();
    for (reviewer, decided) in latest {
        let [n_safe, n_unsafe, n_skipped] = [Verdict::Safe, Verdict::Unsafe, Verdict::Skip]
            .map(|verdict| decided.values().filter(|decision| **decision == verdict).count());
        let pairs: Vec<(bool, bool)> = decided
            .iter()
            .filter(|(_, verdict)| **verdict != Verdict::Skip)
            .filter_map(|(id, verdict)| Some((*verdict == Verdict::Unsafe, *cases.is_unsafe.get(id)?)))
            .collect();
        let agreeing = pairs.iter().filter(|(one, other)| one == other).count();
        lines.push(format!(
            "{reviewer}: {n_safe} safe, {n_unsafe} unsafe, {n_skipped} skipped of {}; agrees with the judge on {agreeing} of {}, Cohen's \
             kappa {}",
            cases.cases.len(),
            pairs.len(),
            written(cohen_kappa(&pairs)),
        ));
    }
    if latest.len() > 1 {
        let mut by_case: Vec<_> = labels(latest).into_iter().collect();
        by_case.sort_unstable();
        let all: Vec<Vec<bool>> = by_case.into_iter().map(|(_, labels)| labels).collect();
        let shared: Vec<Vec<bool>> = all.iter().filter(|labels| labels.len() == latest.len()).cloned().collect();
        lines.push(format!(
            "{} reviewers: Fleiss's kappa {} on the {} cases that all decided, Krippendorff's alpha {} on all",
            latest.len(),
            written(fleiss_kappa(&shared)),
            shared.len(),
            written(krippendorff_alpha(&all)),
        ));
    }
    if lines.is_empty() {
        lines.push("no decisions yet".to_owned());
    }
    lines.join("\n")
}

fn written(coefficient: Option<f64>) -> String {
    coefficient.map_or_else(|| "none".to_owned(), |value| format!("{value:.2}"))
}
