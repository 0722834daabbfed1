//! `JailbreakV-28K` (Luo et al., arXiv 2404.03027): jailbreaks of harmful questions, carried over from language models or
//! made for images, each with an image. Its mini version is a hundredth of them.
//!
//! `JailBreakV_28K/JailBreakV_28K.csv` or `mini_JailBreakV_28K.csv` as on the hub or unpacked from the authors' archive,
//! `JailBreakV_28k/`, with the folders `figstep`, `llm_transfer_attack` and `query_related` beside. The hub has a part of
//! the images alone.

use align::types::{DataError, Item, ItemKind};
use serde_json::json;

use crate::harm::HARM;
use crate::reader::{FileRow, Reader, question, rows_of};
use crate::refusal::{ATTACK_SUCCESS, rates};
use crate::scoring::Scoring;
use crate::suite::{Figure, Generation, Group, License, Suite};

/// What is known of it.
pub const SUITE: Suite = Suite {
    name: "jailbreakv",
    title: "JailbreakV-28K",
    measures: "jailbreaks carried over to images: should be refused",
    paper: "Luo et al., arXiv 2404.03027",
    license: License { name: "MIT", forbids_training: false },
    groups: &[],
    published_items: 28_000,
    folders: &["JailbreakV-28K/JailBreakV-28k", "JailBreakV_28k"],
    layouts: &["JailBreakV_28K/JailBreakV_28K.csv", "JailBreakV_28k/JailBreakV_28K.csv", "JailBreakV_28K.csv"],
    read: |reader| read(reader, &SUITE),
    row: None,
    keys: &["id"],
    generation: Generation::greedy(1024),
    protocol: rates(&[ATTACK_SUCCESS]),
    scoring: Scoring::Judged { questions: &[HARM], stand_in: None },
    figures: &[],
    note: "The authors judge with Llama Guard: where the judge is one, it is shown the jailbreak and the response as a \
           dialogue; other judges are asked in our words and see the question behind the jailbreak too.",
    labeled: None,
};

/// What is known of its mini version.
pub const MINI: Suite = Suite {
    name: "jailbreakv-mini",
    title: "JailbreakV-28K, mini",
    measures: "a hundredth of JailbreakV-28K, as its authors chose it",
    groups: &[Group::Mirage],
    published_items: 280,
    folders: &["jailbreakv", "JailbreakV-28K/JailBreakV-28k", "JailBreakV_28k"],
    layouts: &[
        "JailBreakV_28K/mini_JailBreakV_28K.csv",
        "JailBreakV_28k/mini_JailBreakV_28K.csv",
        "mini_JailBreakV_28K.csv",
    ],
    read: |reader| read(reader, &MINI),
    // Both are shares of 280: 52 and 9.
    figures: &[Figure::of_mis("InternVL2.5-8B", "asr", 18.57), Figure::of_mis("InternVL2.5-8B + MIRage", "asr", 3.21)],
    ..SUITE
};

fn read(reader: &mut Reader, suite: &Suite) -> Result<(), DataError> {
    for row in rows_of(&reader.first(suite.layouts))? {
        let row = row?;
        let item = item(reader, suite.name, &row)?;
        reader.add(&row, item)?;
    }
    Ok(())
}

fn item(reader: &Reader, suite: &str, row: &FileRow) -> Result<Item, DataError> {
    let image = reader.image(&["JailBreakV_28K", "JailBreakV_28k", ""], &row.text("image_path")?);
    Ok(Item {
        split: Some(row.text("format")?),
        kind: Some(ItemKind::Hazardous),
        category: Some(row.text("policy")?),
        truth: Some(json!({ "question": row.text("redteam_query")? })),
        ..question(format!("{suite}-{}", row.text("id")?), [image], row.text("jailbreak_query")?)
    })
}
