//! What is checked in each row: the dialogue, the images, and whether the same stood there before.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use align::types::{ImageOptions, Message, Part, shown_images};

use super::content_key::{ContentKey, key_of};
use super::dialogue::dialogue_problems;
use super::images::ImageChecks;
use super::report::{CheckReport, LocatedProblem, Location, MAX_LISTED};
use crate::record::Record;
use crate::record_reader::ReadRow;
use crate::roles::role_name;
use rows::{Image, Problem, ProblemKind};

/// Checks rows, one by one.
pub(super) struct RowChecks {
    images: ImageChecks,
    rows_by_id: HashMap<ContentKey, usize>,
    rows_by_content: HashMap<ContentKey, usize>,
    /// Items without a label: a problem only if others have one.
    unlabeled: Vec<LocatedProblem>,
    n_unlabeled: usize,
}

impl RowChecks {
    /// For a file in a folder, which its images' paths are relative to.
    pub fn new(folder: &Path) -> Self {
        Self {
            images: ImageChecks::new(folder),
            rows_by_id: HashMap::new(),
            rows_by_content: HashMap::new(),
            unlabeled: Vec::new(),
            n_unlabeled: 0,
        }
    }

    /// Checks a row.
    pub fn check(&mut self, row: ReadRow, report: &mut CheckReport) {
        report.rows += 1;
        let was_readable = row.error().is_none();
        let location = Location {
            row: Some(row.number),
            line: row.line,
            id: row.records.first().map(|record| record.item.id.as_str()),
        };
        for problem in row.problems {
            report.add(location.of(problem, None));
        }
        for record in &row.records {
            let id = Some(record.item.id.as_str());
            self.check_record(record, row.number, Location { id, ..location }, was_readable, report);
        }
    }

    fn check_record(
        &mut self,
        record: &Record,
        number: usize,
        location: Location,
        was_readable: bool,
        report: &mut CheckReport,
    ) {
        report.count(record);
        // A dialogue that was not read completely would be reported twice.
        if was_readable {
            for problem in dialogue_problems(&record.item.messages) {
                report.add(location.of(problem, None));
            }
        }
        let id = &record.item.id;
        if let Some(first) = first_row(&mut self.rows_by_id, key_of(id.as_bytes()), number) {
            let message = format!("row {first} has the id `{id}` already: expected unique ids");
            report.add(location.of(Problem::new(ProblemKind::DuplicateId, message), None));
        }
        for problem in option_problems(&record.item.messages) {
            report.add(location.of(problem, None));
        }
        let keys = self.check_images(record, location, report);
        if !was_readable {
            return;
        }
        let content = key_of(&content_of(&record.item.messages, &keys));
        if let Some(first) = first_row(&mut self.rows_by_content, content, number) {
            let message = format!("row {first} has the same text and images already");
            report.add(location.of(Problem::new(ProblemKind::DuplicateContent, message), None));
        }
        if record.item.label().is_none() {
            self.n_unlabeled += 1;
            if self.unlabeled.len() < MAX_LISTED {
                let message = "expected an assistant message at the end, as other rows have it, got none";
                let problem = Problem::new(ProblemKind::MissingLabel, message);
                self.unlabeled.push(location.of(problem, None));
            }
        }
    }

    /// The keys of a record's images.
    fn check_images(&mut self, record: &Record, location: Location, report: &mut CheckReport) -> Vec<ContentKey> {
        let mut keys = Vec::new();
        for image in &record.images {
            let (key, problems) = self.images.check(image);
            keys.push(key);
            for problem in problems {
                let name = match image {
                    Image::Bytes { name, .. } => name.clone(),
                    other => other.reference(),
                };
                report.add(location.of(problem, name));
            }
        }
        keys
    }

    /// Adds what shows only after all rows.
    pub fn finish(self, report: &mut CheckReport) {
        if report.labeled == 0 || self.n_unlabeled == 0 {
            return;
        }
        let n_listed = self.unlabeled.len();
        for problem in self.unlabeled {
            report.add(problem);
        }
        report.count_problems(ProblemKind::MissingLabel, self.n_unlabeled - n_listed);
    }
}

/// Options of images that are not used everywhere, each name once.
fn option_problems(messages: &[Message]) -> Vec<Problem> {
    let shown: Vec<ImageOptions> = shown_images(messages).map(|(_, options)| options).collect();
    let mut messages = Vec::new();
    if shown.iter().any(|options| !options.size().is_empty()) {
        messages
            .push("the size of an image is given, which Qwen models on this machine use, and endpoints are not sent");
    }
    if shown.iter().any(|options| options.detail.is_some()) {
        messages
            .push("the `detail` of an image is given, which endpoints are sent, and models on this machine do not use");
    }
    messages.into_iter().map(|message| Problem::new(ProblemKind::ImageOptions, message)).collect()
}

/// The row in which a key stood before; if there is none, this row is remembered.
fn first_row(known: &mut HashMap<ContentKey, usize>, key: ContentKey, row: usize) -> Option<usize> {
    match known.entry(key) {
        Entry::Occupied(entry) => Some(*entry.get()),
        Entry::Vacant(entry) => {
            entry.insert(row);
            None
        }
    }
}

/// A dialogue's text and images as bytes: two dialogues are alike where these are.
fn content_of(messages: &[Message], images: &[ContentKey]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut images = images.iter();
    for message in messages {
        bytes.extend_from_slice(role_name(message.role).as_bytes());
        for part in &message.content {
            match part {
                Part::Text { text } => {
                    bytes.push(1);
                    bytes.extend_from_slice(text.as_bytes());
                }
                Part::Image { options, .. } => {
                    bytes.push(2);
                    bytes.extend(images.next().into_iter().flatten());
                    if !options.is_empty() {
                        bytes.extend_from_slice(format!("{options:?}").as_bytes());
                    }
                }
            }
        }
        bytes.push(0);
    }
    bytes
}
