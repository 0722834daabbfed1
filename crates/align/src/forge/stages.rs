//! The stages, in order.

use super::draft::Draft;
use super::job::{Forge, ForgeError};
use super::{balance, classes, duplicates, elements, illustrate, labels, splits, twins, wording};
use crate::progress::Progress;

/// A stage of forging: drafts go in, what becomes of each comes out.
#[derive(Debug)]
pub struct Stage {
    /// Names the stage's file and its part in records; seeds hang on it.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// The fields of drafts that it reads.
    pub reads: &'static [&'static str],
    /// The fields that it writes.
    pub writes: &'static [&'static str],
    /// The work.
    pub(super) work: fn(&Forge, Vec<Draft>, &mut dyn Progress) -> Result<Vec<Draft>, ForgeError>,
}

/// Every stage. Each rejects what does not pass.
pub const STAGES: [Stage; 10] = [
    Stage {
        name: "elements",
        about: "the writer plans a request and two or more things from each seed",
        reads: &[],
        writes: &["id", "kind", "category", "subcategory", "source", "objects", "request"],
        work: elements::plan,
    },
    Stage {
        name: "instructions",
        about: "the writer puts images in the things' place; requests without risk are rejected",
        reads: &["request", "objects"],
        writes: &["objects", "query"],
        work: wording::instruct,
    },
    Stage {
        name: "queries",
        about: "the writer makes the words neutral",
        reads: &["query", "objects"],
        writes: &["query"],
        work: wording::detoxify,
    },
    Stage {
        name: "twins",
        about: "the writer swaps one thing: the benign-image twin",
        reads: &["query", "request", "objects"],
        writes: &["twin_of", "objects", "request"],
        work: twins::benign,
    },
    Stage {
        name: "pictures",
        about: "an image of each thing: painted in up to two rounds, or found in a folder by the judge",
        reads: &["objects", "query"],
        writes: &["images"],
        work: illustrate::illustrate,
    },
    Stage {
        name: "classes",
        about: "the judge decides on split and subcategory; what is not what it shall be is rejected",
        reads: &["query", "images", "objects"],
        writes: &["split", "category", "subcategory"],
        work: classes::classify,
    },
    Stage {
        name: "unique",
        about: "near-duplicates are rejected, by words or by images",
        reads: &["request", "query", "images"],
        writes: &[],
        work: duplicates::reject,
    },
    Stage {
        name: "balanced",
        about: "what is over its subcategory's target is rejected",
        reads: &["id", "subcategory"],
        writes: &[],
        work: balance::balance,
    },
    Stage {
        name: "splits",
        about: "test items once more with photographs; a blank-image twin for each hazardous item",
        reads: &["id", "split", "objects", "images"],
        writes: &["id", "twin_of", "split", "images"],
        work: splits::complete,
    },
    Stage {
        name: "labels",
        about: "the policy's reply with the judge's verdict; the annotator's reply to be learned",
        reads: &["kind", "split", "subcategory", "query", "images"],
        writes: &["probe", "label"],
        work: labels::label,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_stage_reads_what_earlier_ones_wrote() {
        let mut written: BTreeSet<&str> = BTreeSet::new();
        for stage in &STAGES {
            for field in stage.reads {
                assert!(written.contains(field), "{}: {field}", stage.name);
            }
            written.extend(stage.writes);
        }
    }
}
