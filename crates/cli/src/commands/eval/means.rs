//! The means over groups of benchmarks, as papers report them.

use align::eval::suite::{Deviation, SuiteSummary, mean_over};
use benchmarks::{Group, SUITES};
use serde_json::json;

/// The mean over each group that a list names, where its suites share a rate, beside what is published of it.
pub fn of_groups(list: &str, model: &str, summaries: &[SuiteSummary]) -> Vec<SuiteSummary> {
    let named = |group: &Group| list.split(',').any(|name| name.trim() == group.name());
    Group::ALL.into_iter().filter(named).filter_map(|group| of_group(group, model, summaries)).collect()
}

fn of_group(group: Group, model: &str, summaries: &[SuiteSummary]) -> Option<SuiteSummary> {
    let all = SUITES.iter().filter(|suite| suite.groups.contains(&group)).map(|suite| suite.name);
    let all: Vec<&str> = all.collect();
    let members: Vec<&SuiteSummary> =
        summaries.iter().filter(|summary| all.contains(&summary.suite.as_str())).collect();
    let names: Vec<&str> = members.iter().map(|member| member.suite.as_str()).collect();
    let left_out = Deviation {
        setting: "suites".to_owned(),
        authors: format!("{}: {}", all.len(), all.join(", ")),
        here: format!("{}: {}", names.len(), names.join(", ")),
    };
    let about = SuiteSummary {
        suite: group.name().to_owned(),
        title: format!("Mean over {} suites of the group {}", names.len(), group.name()),
        model: model.to_owned(),
        scored_by: "each suite's own".to_owned(),
        deviations: (names.len() < all.len()).then_some(left_out).into_iter().collect(),
        published: group.published(),
        made_with: json!({ "scruple": env!("CARGO_PKG_VERSION") }),
        ..SuiteSummary::default()
    };
    mean_over(&members, about)
}
