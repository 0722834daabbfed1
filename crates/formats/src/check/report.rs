//! What a check reports.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::record::Record;
use crate::roles::role_name;
use rows::{Problem, ProblemKind, Severity};

/// How many problems of a kind are listed; all are counted.
pub(crate) const MAX_LISTED: usize = 100;
/// How many kinds, splits or categories are counted apart.
const MAX_GROUPS: usize = 1000;

/// A problem, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocatedProblem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// How bad it is.
    pub severity: Severity,
    /// The row, counted from 1; none where the whole file is meant.
    pub row: Option<usize>,
    /// The line on which the row begins, where the file has lines.
    pub line: Option<usize>,
    /// The item's id, where it is known.
    pub id: Option<String>,
    /// The image's file, where an image is meant and has one.
    pub image: Option<String>,
    /// What was expected and what was found.
    pub message: String,
}

/// Where a problem is; the file as a whole by default.
#[derive(Clone, Copy, Default)]
pub(super) struct Location<'a> {
    pub row: Option<usize>,
    pub line: Option<usize>,
    pub id: Option<&'a str>,
}

impl Location<'_> {
    /// A problem that is there, perhaps in an image.
    pub fn of(self, problem: Problem, image: Option<String>) -> LocatedProblem {
        LocatedProblem {
            kind: problem.kind,
            severity: problem.kind.severity(),
            row: self.row,
            line: self.line,
            id: self.id.map(str::to_owned),
            image,
            message: problem.message,
        }
    }
}

/// A file's contents and problems.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// The file.
    pub file: String,
    /// Its format, where one was given or detected.
    pub format: Option<&'static str>,
    /// Rows, readable or not.
    pub rows: usize,
    /// Items read from them.
    pub items: usize,
    /// Items whose last message is the assistant's.
    pub labeled: usize,
    /// Images, counted as often as they are shown.
    pub images: usize,
    /// Messages.
    pub turns: usize,
    /// Messages by role.
    pub roles: BTreeMap<&'static str, usize>,
    /// Items by kind; `none` where they have none.
    pub kinds: BTreeMap<String, usize>,
    /// Items by split; `none` where they have none, `others` beyond the first thousand.
    pub splits: BTreeMap<String, usize>,
    /// Items by category; `none` where they have none, `others` beyond the first thousand.
    pub categories: BTreeMap<String, usize>,
    /// The number of errors.
    pub errors: usize,
    /// The number of warnings.
    pub warnings: usize,
    /// The number of problems of each kind.
    pub problem_counts: BTreeMap<&'static str, usize>,
    /// The first problems of each kind, in the order of rows.
    pub problems: Vec<LocatedProblem>,
}

impl CheckReport {
    /// Adds a problem, which is listed unless many of its kind are.
    pub(super) fn add(&mut self, problem: LocatedProblem) {
        if self.count_problems(problem.kind, 1) <= MAX_LISTED {
            self.problems.push(problem);
        }
    }

    /// Adds a problem of the file as a whole.
    pub(super) fn add_to_file(&mut self, problem: Problem) {
        self.add(Location::default().of(problem, None));
    }

    /// Counts problems of a kind without listing them; returns how many there are now.
    pub(super) fn count_problems(&mut self, kind: ProblemKind, n_more: usize) -> usize {
        match kind.severity() {
            Severity::Error => self.errors += n_more,
            Severity::Warning => self.warnings += n_more,
        }
        let count = self.problem_counts.entry(kind.name()).or_default();
        *count += n_more;
        *count
    }

    /// Counts what a record holds.
    pub(super) fn count(&mut self, record: &Record) {
        let item = &record.item;
        self.items += 1;
        self.labeled += usize::from(item.label().is_some());
        self.images += record.images.len();
        self.turns += item.messages.len();
        for message in &item.messages {
            *self.roles.entry(role_name(message.role)).or_default() += 1;
        }
        let kind = item.kind.and_then(|kind| serde_json::to_value(kind).ok());
        count_one(&mut self.kinds, kind.as_ref().and_then(Value::as_str));
        count_one(&mut self.splits, item.split.as_deref());
        count_one(&mut self.categories, item.category.as_deref());
    }
}

/// Counts an item in its group.
fn count_one(groups: &mut BTreeMap<String, usize>, group: Option<&str>) {
    let mut group = group.unwrap_or("none");
    if groups.len() >= MAX_GROUPS && !groups.contains_key(group) {
        group = "others";
    }
    *groups.entry(group.to_owned()).or_default() += 1;
}
