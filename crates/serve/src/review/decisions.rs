//! The journal of decisions: who decided what, and when. Nothing in it is ever changed; the latest line counts.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use align::json_lines::{JsonLinesFile, read_json_lines};
use align::types::{DataError, GivenLines, id_as_text};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a reviewer says of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No harm.
    Safe,
    /// Harm.
    Unsafe,
    /// The reviewer leaves it open.
    Skip,
    /// The reviewer takes the decision before back.
    Undone,
}

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The case.
    #[serde(deserialize_with = "id_as_text")]
    pub id: String,
    /// Who decided.
    #[serde(deserialize_with = "id_as_text")]
    pub reviewer: String,
    /// What.
    pub decision: Verdict,
    /// When, in UTC (RFC 3339).
    pub at: String,
}

/// Each reviewer's latest decisions by case.
pub type Latest = BTreeMap<String, BTreeMap<String, Verdict>>;

/// The decisions of one reviewer, who adds to them, and of the others.
#[derive(Debug)]
pub struct Decisions {
    /// Who decides.
    pub reviewer: String,
    journal: JsonLinesFile,
    /// Every reviewer's latest decisions.
    pub latest: Latest,
    // The reviewer's decisions that still count, in the order in which they were made.
    made: Vec<String>,
}

impl Decisions {
    /// Every reviewer's latest decisions in a journal; a journal that does not exist is empty.
    ///
    /// Errors: those of [`GivenLines`].
    pub fn read(path: &Path) -> Result<Latest, DataError> {
        let mut latest = Latest::new();
        if !path.exists() {
            return Ok(latest);
        }
        let mut lines = GivenLines::open(path, "`id`, `reviewer`, `decision` and `at`")?;
        loop {
            match lines.read::<Decision>() {
                Ok(Some(decision)) => apply(&mut latest, &decision),
                // A line that a reviewer writes at this moment, or that a kill has torn.
                Err(DataError::Json { problem, .. }) if problem.is_cut_short => return Ok(latest),
                Ok(None) => return Ok(latest),
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens a journal to resume it. A line that a kill has torn is removed.
    ///
    /// Errors: as [`Self::read`].
    pub fn open(path: &Path, reviewer: &str) -> Result<Self, DataError> {
        let journal = JsonLinesFile::open(path)?;
        let (mut latest, mut made) = (Latest::new(), Vec::new());
        for decision in read_json_lines::<Decision>(path)? {
            if decision.reviewer == reviewer {
                made.retain(|id| *id != decision.id);
                if decision.decision != Verdict::Undone {
                    made.push(decision.id.clone());
                }
            }
            apply(&mut latest, &decision);
        }
        Ok(Self { reviewer: reviewer.to_owned(), journal, latest, made })
    }

    /// Writes a decision down; it is on the disk when this returns.
    ///
    /// Errors: the operating system's, naming the file.
    pub fn decide(&mut self, id: &str, decision: Verdict) -> std::io::Result<()> {
        let decision =
            Decision { id: id.to_owned(), reviewer: self.reviewer.clone(), decision, at: utc(Timestamp::now()) };
        self.journal.append(&decision)?;
        self.journal.sync()?;
        self.made.retain(|made| made != id);
        if decision.decision != Verdict::Undone {
            self.made.push(id.to_owned());
        }
        apply(&mut self.latest, &decision);
        Ok(())
    }

    /// Takes the reviewer's last decision back; returns the case, or none where there is no decision.
    ///
    /// Errors: the operating system's, naming the file.
    pub fn undo(&mut self) -> std::io::Result<Option<String>> {
        let Some(id) = self.made.last().cloned() else {
            return Ok(None);
        };
        self.decide(&id, Verdict::Undone)?;
        Ok(Some(id))
    }

    /// Whether the reviewer has decided a case.
    pub fn is_decided(&self, id: &str) -> bool {
        self.latest.get(&self.reviewer).is_some_and(|decided| decided.contains_key(id))
    }
}

fn apply(latest: &mut Latest, decision: &Decision) {
    let of_reviewer = latest.entry(decision.reviewer.clone()).or_default();
    if decision.decision == Verdict::Undone {
        of_reviewer.remove(&decision.id);
    } else {
        of_reviewer.insert(decision.id.clone(), decision.decision);
    }
}

/// A moment as RFC 3339 writes it in UTC, to the second.
fn utc(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The reviewers' labels of each case, those left open aside: whether it is unsafe.
pub fn labels(latest: &Latest) -> HashMap<&str, Vec<bool>> {
    let mut labels: HashMap<&str, Vec<bool>> = HashMap::new();
    for (id, verdict) in latest.values().flatten().filter(|(_, verdict)| **verdict != Verdict::Skip) {
        labels.entry(id).or_default().push(*verdict == Verdict::Unsafe);
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(Timestamp::from_second(seconds).unwrap()), expected);
        }
    }

    #[test]
    fn the_latest_decision_counts_and_what_is_undone_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("decisions.jsonl");
        let mut decisions = Decisions::open(&path, "ada").unwrap();
        decisions.decide("a", Verdict::Safe).unwrap();
        decisions.decide("b", Verdict::Skip).unwrap();
        decisions.decide("a", Verdict::Unsafe).unwrap();
        assert_eq!(decisions.undo().unwrap().as_deref(), Some("a"));
        assert!(!decisions.is_decided("a") && decisions.is_decided("b"));
        drop(decisions);
        // Torn by a kill, and resumed.
        let mut text = fs_err::read_to_string(&path).unwrap();
        text.push_str("{\"id\":\"c\",");
        fs_err::write(&path, text).unwrap();
        let mut again = Decisions::open(&path, "ada").unwrap();
        again.decide("a", Verdict::Unsafe).unwrap();
        let mut other = Decisions::open(&path, "bob").unwrap();
        other.decide("a", Verdict::Safe).unwrap();
        let latest = Decisions::read(&path).unwrap();
        assert_eq!(latest["ada"], BTreeMap::from([("a".to_owned(), Verdict::Unsafe), ("b".to_owned(), Verdict::Skip)]));
        assert_eq!(labels(&latest)["a"], [true, false]);
        assert!(!labels(&latest).contains_key("b"));
        assert_eq!(fs_err::read_to_string(&path).unwrap().lines().count(), 6);
    }
}
