//! `MM-SafetyBench` (Liu et al., arXiv 2311.17600): harmful questions of 13 scenarios, whose key phrase is an image, drawn
//! (SD), written (TYPO) or both (SD_TYPO), and the questions as text alone. Its tiny version is a tenth of them.
//!
//! The authors' repository with the images unpacked: `data/processed_questions/{NN-Scenario}.json`, an object of questions
//! by id, and `data/imgs/{NN-Scenario}/{SD, TYPO, SD_TYPO}/{id}.jpg`; or both folders without `data/`; or the hub's mirror,
//! `data/{Scenario}/{split}.parquet`. `TinyVersion_ID_List.json` names the tiny version's ids.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use align::eval::suite::{Metric, Protocol, first_sample};
use align::types::{DataError, Item, ItemKind};

use crate::reader::{Reader, entries_of, question, rows_of, with_question};
use crate::refusal::ATTACK_SUCCESS;
use crate::scoring::Scoring;
use crate::suite::{Figure, Generation, Group, License, Suite};
use judge::SAFETY;

mod judge;

/// What is known of it.
pub const SUITE: Suite = Suite {
    name: "mm-safetybench",
    title: "MM-SafetyBench",
    measures: "harmful questions with drawn and written key phrases: should be refused",
    paper: "Liu et al., arXiv 2311.17600",
    license: License { name: "CC BY-NC 4.0", forbids_training: false },
    groups: &[Group::Mirage],
    published_items: 6720,
    folders: &["isXinLiu/MM-SafetyBench", "PKU-Alignment/MM-SafetyBench"],
    layouts: &["data/processed_questions", "processed_questions", "data/*/SD_TYPO.parquet", "data/*/SD_TYPO-*.parquet"],
    read: |reader| read(reader, SUITE.name, None),
    row: None,
    keys: &["id"],
    generation: Generation::greedy(1024),
    protocol: Protocol {
        samples: 1,
        merge: first_sample,
        metrics: &[
            Metric { applies: |item| !is_text(item), ..ATTACK_SUCCESS },
            Metric { name: "asr_text", heading: "ASR, text alone", applies: is_text, ..ATTACK_SUCCESS },
        ],
        combined: &[],
        scores: &[],
    },
    scoring: Scoring::Judged { questions: &[SAFETY], stand_in: None },
    figures: &[Figure::of_mis("InternVL2.5-8B", "asr", 15.58), Figure::of_mis("InternVL2.5-8B + MIRage", "asr", 0.54)],
    note: "The authors' evaluator stops at an answer that is neither `safe` nor `unsafe`; here it is unscored. ASR is over \
           questions with images, as published.",
    labeled: None,
};

/// What is known of its tiny version.
pub const TINY: Suite = Suite {
    name: "mm-safetybench-tiny",
    title: "MM-SafetyBench, tiny",
    measures: "a tenth of MM-SafetyBench, as its authors chose it",
    groups: &[],
    published_items: 672,
    folders: &["mm-safetybench", "isXinLiu/MM-SafetyBench", "PKU-Alignment/MM-SafetyBench"],
    layouts: &[IDS],
    read: |reader| {
        let ids = tiny_ids(&reader.first(&[IDS]))?;
        read(reader, TINY.name, Some(&ids))
    },
    figures: &[],
    ..SUITE
};

/// The ids of the tiny version by scenario.
const IDS: &str = "TinyVersion_ID_List.json";

/// The scenarios as the authors spell them.
const SCENARIOS: [&str; 13] = [
    "01-Illegal_Activitiy",
    "02-HateSpeech",
    "03-Malware_Generation",
    "04-Physical_Harm",
    "05-EconomicHarm",
    "06-Fraud",
    "07-Sex",
    "08-Political_Lobbying",
    "09-Privacy_Violence",
    "10-Legal_Opinion",
    "11-Financial_Advice",
    "12-Health_Consultation",
    "13-Gov_Decision",
];

/// A split.
struct Split {
    /// Its name here.
    name: &'static str,
    /// Its folder of images, and its file on the hub.
    folder: &'static str,
    /// The field of its question.
    field: &'static str,
}

const SPLITS: [Split; 4] = [
    Split { name: "SD", folder: "SD", field: "Rephrased Question(SD)" },
    Split { name: "TYPO", folder: "TYPO", field: "Rephrased Question" },
    Split { name: "SD_TYPO", folder: "SD_TYPO", field: "Rephrased Question" },
    Split { name: TEXT, folder: "Text_only", field: "Changed Question" },
];

/// The split without images.
const TEXT: &str = "text";

fn is_text(item: &Item) -> bool {
    item.split.as_deref() == Some(TEXT)
}

/// Ids by scenario.
type Ids = HashMap<String, HashSet<String>>;

fn tiny_ids(file: &Path) -> Result<Ids, DataError> {
    let mut ids = Ids::new();
    for row in rows_of(file)? {
        let row = row?;
        ids.insert(row.text("Scenario")?, row.texts("Sampled_ID_List")?.into_iter().collect());
    }
    Ok(ids)
}

/// Reads the scenarios that are there; where `only` is given, those of its ids.
fn read(reader: &mut Reader, suite: &str, only: Option<&Ids>) -> Result<(), DataError> {
    for split in &SPLITS {
        for scenario in SCENARIOS {
            let group = ScenarioSplit { suite, split, scenario, only };
            for folder in ["data/processed_questions", "processed_questions"] {
                for file in reader.all(&format!("{folder}/{scenario}.json")) {
                    group.read_repository(reader, &file)?;
                }
            }
            let (name, folder) = (&scenario[3..], split.folder);
            for shard in ["", "-*"] {
                for file in reader.all(&format!("data/{name}/{folder}{shard}.parquet")) {
                    group.read_mirror(reader, &file)?;
                }
            }
        }
    }
    Ok(())
}

/// A scenario's questions of a split.
struct ScenarioSplit<'a> {
    suite: &'a str,
    split: &'a Split,
    scenario: &'static str,
    only: Option<&'a Ids>,
}

impl ScenarioSplit<'_> {
    fn is_wanted(&self, id: &str) -> bool {
        self.only.is_none_or(|ids| ids.get(self.scenario).is_some_and(|ids| ids.contains(id)))
    }

    fn read_repository(&self, reader: &mut Reader, file: &Path) -> Result<(), DataError> {
        let Split { name: split, folder, field } = *self.split;
        for (id, row) in entries_of(file)?.into_iter().filter(|(id, _)| self.is_wanted(id)) {
            let name = format!("{}/{folder}/{id}.jpg", self.scenario);
            let image = (split != TEXT).then(|| reader.image(&["data/imgs", "imgs"], &name));
            let mut item = self.item(&id, image, row.text(field)?);
            // What the images show in parts.
            if let Some(question) = row.optional("Question") {
                item = with_question(item, &question);
            }
            reader.add(&row, item)?;
        }
        Ok(())
    }

    fn read_mirror(&self, reader: &mut Reader, file: &Path) -> Result<(), DataError> {
        for row in rows_of(file)? {
            let row = row?;
            let id = row.text("id")?;
            if self.is_wanted(&id) {
                let images = reader.images_of(&row, "image")?;
                let item = self.item(&id, images, row.text("question")?);
                reader.add(&row, item)?;
            }
        }
        Ok(())
    }

    fn item(&self, id: &str, images: impl IntoIterator<Item = PathBuf>, text: String) -> Item {
        let split = self.split.name;
        Item {
            split: Some(split.into()),
            category: Some(self.scenario.into()),
            kind: Some(ItemKind::Hazardous),
            ..question(format!("{}-{}-{split}-{id}", self.suite, &self.scenario[..2]), images, text)
        }
    }
}
