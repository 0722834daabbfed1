//! What is looked for in each row: the dialogue, the pictures, and whether the same stood there before.

use std::collections::HashMap;
use std::path::Path;

use align::types::{Message, Part, Role};
use sha2::{Digest, Sha256};

use super::pictures::PictureChecks;
use super::{CheckReport, Finding};
use crate::fault::{Fault, FaultKind, Severity};
use crate::fields::role_name;
use crate::record::{Picture, Record};
use crate::source::ReadRow;

/// The first half of a SHA-256, by which rows and pictures are known again.
pub(super) type Key = [u8; 16];

/// The key of some bytes.
pub(super) fn key_of(bytes: &[u8]) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&Sha256::digest(bytes)[..16]);
    key
}

/// Looks through rows, one by one.
pub(super) struct RowChecks {
    pictures: PictureChecks,
    rows_by_id: HashMap<Key, usize>,
    rows_by_content: HashMap<Key, usize>,
    /// Where items without a label stand: a fault only if others have one.
    unlabelled: Vec<Finding>,
    n_unlabelled: usize,
}

/// Where a finding is.
#[derive(Clone, Copy)]
struct Place<'a> {
    row: usize,
    line: Option<usize>,
    id: Option<&'a str>,
}

impl Place<'_> {
    fn finding(self, fault: Fault, image: Option<String>) -> Finding {
        Finding {
            kind: fault.kind,
            severity: fault.kind.severity(),
            row: Some(self.row),
            line: self.line,
            id: self.id.map(str::to_owned),
            image,
            problem: fault.problem,
        }
    }
}

impl RowChecks {
    /// For a file in a folder, which its pictures' paths are relative to.
    pub fn new(folder: &Path) -> Self {
        Self {
            pictures: PictureChecks::new(folder),
            rows_by_id: HashMap::new(),
            rows_by_content: HashMap::new(),
            unlabelled: Vec::new(),
            n_unlabelled: 0,
        }
    }

    /// Looks a row through.
    pub fn take(&mut self, row: ReadRow, report: &mut CheckReport) {
        report.rows += 1;
        let place = |record: Option<&Record>| (row.number, row.line, record.map(|record| record.item.id.clone()));
        let was_readable = row.error().is_none();
        let (number, line, id) = place(row.records.first());
        for fault in row.faults {
            let place = Place {
                row: number,
                line,
                id: id.as_deref(),
            };
            report.add(place.finding(fault, None));
        }
        for record in &row.records {
            let place = Place {
                row: number,
                line,
                id: Some(&record.item.id),
            };
            self.take_record(record, place, was_readable, report);
        }
    }

    fn take_record(&mut self, record: &Record, place: Place, was_readable: bool, report: &mut CheckReport) {
        count(record, report);
        let mut add = |fault: Fault| report.add(place.finding(fault, None));
        // A dialogue that was not read whole would only be blamed twice.
        if was_readable {
            dialogue_faults(&record.item.messages).into_iter().for_each(&mut add);
        }
        if let Some(first) = self.before(record.item.id.as_bytes(), place.row, true) {
            let problem = format!(
                "id `{}` stands already in row {first}: expected unique ids",
                record.item.id
            );
            add(Fault::new(FaultKind::DuplicateId, problem));
        }
        let mut keys = Vec::new();
        for picture in &record.pictures {
            let (key, faults) = self.pictures.look(picture);
            keys.push(key);
            for fault in faults {
                let image = match picture {
                    Picture::Bytes { name, .. } => name.clone(),
                    other => other.reference(),
                };
                report.add(place.finding(fault, image));
            }
        }
        let content = content_of(&record.item.messages, &keys);
        if was_readable && let Some(first) = self.before(&content, place.row, false) {
            let problem = format!("the same text and pictures stand already in row {first}");
            report.add(place.finding(Fault::new(FaultKind::DuplicateContent, problem), None));
        }
        if was_readable && record.item.label().is_none() {
            self.n_unlabelled += 1;
            if self.unlabelled.len() < super::SHOWN_OF_A_KIND {
                let problem = "expected the assistant's message at the end, as other rows have it, got none";
                let fault = Fault::new(FaultKind::MissingLabel, problem);
                self.unlabelled.push(place.finding(fault, None));
            }
        }
    }

    /// The row in which the same bytes stood before; remembers them otherwise.
    fn before(&mut self, bytes: &[u8], row: usize, is_id: bool) -> Option<usize> {
        let known = if is_id {
            &mut self.rows_by_id
        } else {
            &mut self.rows_by_content
        };
        match known.entry(key_of(bytes)) {
            std::collections::hash_map::Entry::Occupied(entry) => Some(*entry.get()),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(row);
                None
            }
        }
    }

    /// Adds what shows only when all rows are seen.
    pub fn finish(self, report: &mut CheckReport) {
        if report.labelled == 0 || self.n_unlabelled == 0 {
            return;
        }
        let listed = self.unlabelled.len();
        for finding in self.unlabelled {
            report.add(finding);
        }
        let more = self.n_unlabelled - listed;
        *report.faults.entry(FaultKind::MissingLabel.name()).or_default() += more;
        match FaultKind::MissingLabel.severity() {
            Severity::Error => report.errors += more,
            Severity::Warning => report.warnings += more,
        }
    }
}

fn count(record: &Record, report: &mut CheckReport) {
    let item = &record.item;
    report.items += 1;
    report.labelled += usize::from(item.label().is_some());
    report.images += record.pictures.len();
    report.turns += item.messages.len();
    for message in &item.messages {
        *report.roles.entry(role_name(message.role)).or_default() += 1;
    }
    let kind = item.kind.and_then(|kind| serde_json::to_value(kind).ok());
    let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or("none");
    *report.kinds.entry(kind.to_owned()).or_default() += 1;
    let split = item.split.as_deref().unwrap_or("none");
    *report.splits.entry(split.to_owned()).or_default() += 1;
    report.count_category(item.category.as_deref());
}

fn dialogue_faults(messages: &[Message]) -> Vec<Fault> {
    let mut faults = Vec::new();
    if messages.is_empty() {
        faults.push(Fault::new(
            FaultKind::NoMessages,
            "expected at least one message, got none",
        ));
    }
    for (index, message) in messages.iter().enumerate() {
        let says_nothing = |part: &Part| matches!(part, Part::Text { text } if text.trim().is_empty());
        if message.content.iter().all(says_nothing) {
            let problem = format!("message {}, the {}'s, is empty", index + 1, role_name(message.role));
            faults.push(Fault::new(FaultKind::EmptyMessage, problem));
        }
        if message.role == Role::System && index > 0 {
            let problem = format!("message {} is the system's: expected it first alone", index + 1);
            faults.push(Fault::new(FaultKind::LateSystem, problem));
        }
    }
    for (index, pair) in messages.windows(2).enumerate() {
        if pair[0].role == pair[1].role && pair[0].role != Role::System {
            let problem = format!(
                "messages {} and {} are both the {}'s: expected turns",
                index + 1,
                index + 2,
                role_name(pair[0].role)
            );
            faults.push(Fault::new(FaultKind::RepeatedRole, problem));
        }
    }
    faults
}

/// What a dialogue says and shows as bytes: two are alike where these are.
fn content_of(messages: &[Message], pictures: &[Key]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut pictures = pictures.iter();
    for message in messages {
        bytes.extend_from_slice(role_name(message.role).as_bytes());
        for part in &message.content {
            match part {
                Part::Text { text } => {
                    bytes.push(1);
                    bytes.extend_from_slice(text.as_bytes());
                }
                Part::Image { .. } => {
                    bytes.push(2);
                    bytes.extend(pictures.next().into_iter().flatten());
                }
            }
        }
        bytes.push(0);
    }
    bytes
}
