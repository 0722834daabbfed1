//! The stages, in order.

use super::draft::Draft;
use super::job::{Forge, Staged};
use super::{balance, classes, duplicates, elements, illustrate, labels, splits, twins, wording};
use crate::progress::Progress;

/// Drafts go in, what becomes of each comes out.
pub(super) type Work = fn(&Forge, Vec<Draft>, &mut dyn Progress) -> Staged;

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
    pub(super) work: Work,
}

macro_rules! stages {
    ($($name:literal $work:path, $about:literal, [$($read:literal)*] => [$($write:literal)*];)*) => {
        /// Every stage. Each rejects what does not pass.
        pub const STAGES: [Stage; [$($name),*].len()] = [$(Stage {
            name: $name,
            about: $about,
            reads: &[$($read),*],
            writes: &[$($write),*],
            work: $work,
        }),*];
    };
}

stages! {
    "elements" elements::plan,
        "the writer plans a request and two or more things from each seed",
        [] => ["id" "kind" "category" "subcategory" "source" "objects" "request"];
    "instructions" wording::instruct,
        "the writer puts images in the things' place; requests without risk are rejected",
        ["request" "objects"] => ["objects" "query"];
    "queries" wording::detoxify,
        "the writer makes the words neutral",
        ["query" "objects"] => ["query"];
    "twins" twins::benign,
        "the writer swaps one thing: the benign-image twin",
        ["query" "request" "objects"] => ["twin_of" "objects" "request"];
    "pictures" illustrate::illustrate,
        "an image of each thing: painted in up to two rounds, or found in a folder by the judge",
        ["objects" "query"] => ["images"];
    "classes" classes::classify,
        "the judge decides on split and subcategory; what is not what it shall be is rejected",
        ["query" "images" "objects"] => ["split" "category" "subcategory"];
    "unique" duplicates::reject,
        "near-duplicates are rejected, by words or by images, and what is in an evaluation set",
        ["request" "query" "images"] => [];
    "balanced" balance::balance,
        "what is over its subcategory's target is rejected",
        ["id" "subcategory"] => [];
    "splits" splits::complete,
        "test items once more with photographs; a blank-image twin for each hazardous item",
        ["id" "split" "objects" "images"] => ["id" "twin_of" "split" "images"];
    "labels" labels::label,
        "the policy's reply with the judge's verdict; the annotator's reply to be learned",
        ["kind" "split" "subcategory" "query" "images"] => ["probe" "label"];
}

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
