//! The mean over suites, as papers report it: each suite counts alike.

use super::summary::{BoundedRate, GroupSummary, SuiteSummary, add_counts, mean_of};

/// The split that is all of a suite.
const ALL: &str = "all";

/// The mean over suites of the rates that all of them have over all their items; none where they share none. `about` is
/// the summary without rates and groups, which are filled in.
pub fn mean_over(suites: &[&SuiteSummary], about: SuiteSummary) -> Option<SuiteSummary> {
    let all: Vec<&GroupSummary> = suites.iter().filter_map(|summary| summary.split(ALL)).collect();
    let first = suites.first().filter(|_| all.len() == suites.len() && suites.len() > 1)?;
    let mut group = GroupSummary { split: ALL.to_owned(), ..GroupSummary::default() };
    let mut infos = Vec::new();
    for info in &first.rates {
        let parts: Option<Vec<BoundedRate>> = all.iter().map(|group| group.rates.get(&info.name).cloned()).collect();
        if let Some(rate) = parts.and_then(|parts| mean_of(&parts)) {
            group.rates.insert(info.name.clone(), rate);
            infos.push(info.clone());
        }
    }
    for part in &all {
        group.n += part.n;
        group.unscored += part.unscored;
        group.truncated += part.truncated;
        group.refused_by_endpoint += part.refused_by_endpoint;
        add_counts(&mut group.refusals, &part.refusals);
        add_counts(&mut group.judged_refusals, &part.judged_refusals);
    }
    let mean_of = suites.iter().map(|summary| summary.suite.clone()).collect();
    let missing_items = suites.iter().map(|summary| summary.missing_items).sum();
    let is_any = !infos.is_empty();
    is_any.then_some(SuiteSummary { rates: infos, groups: vec![group], mean_of, missing_items, ..about })
}
