//! Which of the items whose verdict flips are shown: the worst first, a few of every kind.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::Path;

use align::eval::suite::{Better, Flip, SuiteRecord, SuiteSummary};
use align::json_lines::JsonLinesReader;
use align::types::{ItemKind, Message, Part};

use crate::error::ReportError;
use crate::images;
use crate::suites::contents::{FlippedRate, ShownFlip, ShownResponse};

/// So many characters of a text are shown.
const SHOWN_CHARACTERS: usize = 4000;

/// Whether an item's flip makes a rate better or worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// Worse: now unsafe, refused, or wrong.
    Worse,
    /// Neither.
    Changed,
    /// Better.
    Improved,
}

/// What it means for a rate that an item counts, or no longer does.
pub fn turn(summary: &SuiteSummary, rate: &str, counts: bool) -> Turn {
    let better = summary.rates.iter().find(|info| info.name == rate).map_or(Better::Neither, |info| info.better);
    match (better, counts) {
        (Better::Neither, _) => Turn::Changed,
        (Better::Lower, true) | (Better::Higher, false) => Turn::Worse,
        (Better::Lower, false) | (Better::Higher, true) => Turn::Improved,
    }
}

/// Two models' results on a benchmark, and the items whose verdict flips.
pub struct Flipped<'a> {
    /// The baseline's figures.
    pub baseline: (&'a SuiteSummary, &'a Path),
    /// The model's, with its folder of results.
    pub model: (&'a SuiteSummary, &'a Path),
    /// The flips.
    pub flips: Vec<Flip>,
}

/// What kind of flip it is, the worst first: hazardous prompts before harmless ones.
type Rank = (Turn, Option<ItemKind>);

/// An item that was chosen: which of the pairs of models, and its id.
type Chosen<'a> = (Rank, usize, &'a str);

/// Alternates between kinds of flips and pairs of models until `limit` items are chosen, and reads them.
///
/// Errors: `Data` and `Io` naming the file.
pub fn shown(folder: &Path, flipped: &[Flipped], limit: usize) -> Result<Vec<ShownFlip>, ReportError> {
    let chosen = choose(flipped, limit);
    let mut shown = Vec::with_capacity(chosen.len());
    for (index, pair) in flipped.iter().enumerate() {
        let of_pair: Vec<&Chosen> = chosen.iter().filter(|(_, known, _)| *known == index).collect();
        let ids: HashSet<&str> = of_pair.iter().map(|(_, _, id)| *id).collect();
        let mut before = records(pair.baseline.1, &ids)?;
        let mut after = records(pair.model.1, &ids)?;
        for (rank, _, id) in of_pair {
            if let Some((before, after)) = before.remove(*id).zip(after.remove(*id)) {
                shown.push((*rank, index, shown_flip(folder, pair, &before, after)));
            }
        }
    }
    shown.sort_by_key(|(rank, index, _)| (*rank, *index));
    Ok(shown.into_iter().map(|(_, _, flip)| flip).collect())
}

fn choose<'a>(flipped: &'a [Flipped], limit: usize) -> Vec<Chosen<'a>> {
    let mut queues: BTreeMap<(Rank, usize), VecDeque<&str>> = BTreeMap::new();
    for (index, pair) in flipped.iter().enumerate() {
        for flip in &pair.flips {
            let rank = (turn(pair.model.0, &flip.rate, flip.counts), flip.kind);
            queues.entry((rank, index)).or_default().push_back(&flip.id);
        }
    }
    let mut seen = HashSet::new();
    let mut chosen = Vec::new();
    while chosen.len() < limit && !queues.is_empty() {
        queues.retain(|(rank, index), queue| {
            while let Some(id) = queue.pop_front().filter(|_| chosen.len() < limit) {
                if seen.insert((*index, id)) {
                    chosen.push((*rank, *index, id));
                    return true;
                }
            }
            false
        });
    }
    chosen
}

/// The records of these items.
fn records(results: &Path, ids: &HashSet<&str>) -> Result<HashMap<String, SuiteRecord>, ReportError> {
    let mut found = HashMap::new();
    if ids.is_empty() {
        return Ok(found);
    }
    for record in JsonLinesReader::<SuiteRecord>::open(&results.join("responses.jsonl"))? {
        let record = record?;
        if ids.contains(record.item.id.as_str()) {
            found.insert(record.item.id.clone(), record);
        }
    }
    Ok(found)
}

fn shown_flip(folder: &Path, pair: &Flipped, before: &SuiteRecord, after: SuiteRecord) -> ShownFlip {
    let rates = pair.flips.iter().filter(|flip| flip.id == after.item.id);
    let messages = after.item.prompt().iter().map(|message| shown_message(folder, pair.model.1, message));
    ShownFlip {
        baseline: pair.baseline.0.model.clone(),
        model: pair.model.0.model.clone(),
        rates: rates.map(|flip| FlippedRate { rate: flip.rate.clone(), counts: flip.counts }).collect(),
        messages: messages.collect(),
        before: shown_response(before),
        after: shown_response(&after),
        id: after.item.id,
        split: after.item.split,
        category: after.item.category,
        kind: after.item.kind,
    }
}

fn shown_message(folder: &Path, results: &Path, message: &Message) -> Message {
    let content = message.content.iter().map(|part| match part {
        Part::Text { text } => Part::Text { text: shortened(text) },
        Part::Image { image, options } => {
            Part::Image { image: images::below(folder, results, image), options: *options }
        }
    });
    Message { role: message.role, content: content.collect() }
}

fn shown_response(record: &SuiteRecord) -> ShownResponse {
    ShownResponse { response: shortened(record.response()), judgement: record.judgement.clone() }
}

/// A text's beginning, and how much more there is.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{} … ({} more characters)", &text[..end], text[end..].chars().count()),
    }
}
