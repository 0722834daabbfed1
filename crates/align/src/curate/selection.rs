//! Which prompts stay: scores of samples in, the quintile box and a decision on each prompt out. Nothing is sampled
//! here.
//!
//! Source: SaFeR-VLM (arXiv 2510.06871) keeps prompts of moderate quality and high instability. Its rules are not
//! published; those below are this project's. Quality *Q* is the mean of a prompt's sample scores, instability *I*
//! their standard deviation. The lowest and highest quintile of Q go; what is left is ranked by I within strata.

#[cfg(test)]
mod tests;

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::config::CurateConfig;
use super::records::{CurationRecord, DropReason};
use super::sorting::{Sorted, Sorter};
use crate::types::DataError;

/// The spread of one prompt's sample scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean score Q, 0..10; none when nothing was scored.
    pub q: Option<f64>,
    /// Standard deviation I of the scores over the samples (divided by their number, not one less), 0..5.
    pub i: Option<f64>,
    /// Share of pairs of samples of which one is safe and the other is not, 0..1; none below two samples.
    pub flip_rate: Option<f64>,
    /// How many samples were scored.
    pub n_scored: usize,
}

/// Sums up the scored samples of a prompt, each a score (0..10) and whether the answer is safe.
pub fn spread(samples: &[(f64, bool)]) -> Spread {
    let n = samples.len() as f64;
    let mean = samples.iter().map(|(score, _)| score).sum::<f64>() / n;
    let variance = samples.iter().map(|(score, _)| (score - mean).powi(2)).sum::<f64>() / n;
    let safe = samples.iter().filter(|(_, safe)| *safe).count() as f64;
    let pairs = n * (n - 1.0) / 2.0;
    Spread {
        q: (!samples.is_empty()).then_some(mean),
        i: (!samples.is_empty()).then(|| variance.sqrt()),
        flip_rate: (samples.len() >= 2).then(|| safe * (n - safe) / pairs),
        n_scored: samples.len(),
    }
}

/// The box in the plane of quality and instability; its bounds are those of the prompts in it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QiBox {
    /// Lowest quality between the dropped quintiles.
    pub q_low: f64,
    /// Highest quality between the dropped quintiles.
    pub q_high: f64,
    /// Lowest instability of a prompt kept.
    pub i_low: f64,
}

/// What [`select`] decides.
pub(super) struct Selection {
    /// The place among the records of each that could be ranked, and why it goes; none where it stays.
    pub(super) decisions: Sorted<Decision>,
    /// The box; none when nothing is kept.
    pub(super) qi_box: Option<QiBox>,
}

type Decision = (usize, Option<DropReason>);

/// A figure in its order; a score is never "not a number".
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Level(f64);

impl Ord for Level {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Level {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Level {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Level {}

/// A prompt with enough scores to be ranked. The id comes first, since it breaks ties.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Candidate {
    id: String,
    place: usize,
    group: Group,
}

/// What is ranked together: whether it is benign, and its stratum.
type Group = (bool, String);

/// Candidates by rising quality; among equals the stabler come first, and so are the first to go as the lowest.
type Rising = Sorter<(Level, Level, Candidate)>;
/// Candidates by rising quality; among equals the stabler come last, and so are the first to go as the highest.
type RisingStableLast = Sorter<(Level, Reverse<Level>, Candidate)>;
/// Candidates by group, the least stable first: instability, id, place.
type Grouped = Sorter<(Group, Reverse<Level>, String, usize)>;

/// Decides on each record that has no reason to go yet. The result does not depend on the records' order; equal ones
/// are told apart by id. Sorting goes by files in `folder`, so that the memory it takes does not depend on how many
/// there are.
///
/// The quintiles are cut by rank, so ties at their edge do not widen or narrow the box; among equals in quality the
/// stabler go first. Of the number to keep, `benign_share` goes to benign prompts and the rest to the others; a lack of
/// benign prompts is made up by the others, a lack of others is not made up, since the share is there to hold. Within
/// both, strata get places in proportion to their prompts in the box, filled from the least stable down.
///
/// Errors: the first of the records' own; `Io` naming folder or file.
pub(super) fn select(
    records: impl Iterator<Item = Result<CurationRecord, DataError>>,
    config: &CurateConfig,
    folder: &Path,
) -> Result<Selection, DataError> {
    let mut ranked = Rising::new(folder);
    for (place, record) in records.enumerate() {
        let record = record?;
        if let (None, Some(q), Some(i)) = (record.reason, record.q, record.i) {
            let group = (record.is_benign(), record.stratum);
            let id = record.id;
            ranked.push((Level(q), Level(i), Candidate { id, place, group }))?;
        }
    }
    let mut decisions = Sorter::new(folder);
    let inside = cut_quality(ranked, config, folder, &mut decisions)?;
    let qi_box = keep_unstable(inside, config, &mut decisions)?;
    Ok(Selection { decisions: decisions.sorted()?, qi_box })
}

/// What lies between the lowest and the highest share of quality.
struct Inside {
    candidates: Grouped,
    sizes: BTreeMap<Group, usize>,
    /// The lowest and the highest quality, where there is any.
    quality: Option<(f64, f64)>,
}

/// Drops the lowest and highest share of quality, and returns what lies between.
fn cut_quality(
    ranked: Rising,
    config: &CurateConfig,
    folder: &Path,
    decisions: &mut Sorter<Decision>,
) -> Result<Inside, DataError> {
    let n = ranked.n_records;
    let [low, high] = [config.drop_lowest, config.drop_highest].map(|share| (share * n as f64 + 1e-9).floor() as usize);
    // The stabler of two equals should be the one that goes, at either end; so the order of I turns round between them.
    let mut rest = RisingStableLast::new(folder);
    for (rank, candidate) in ranked.sorted()?.enumerate() {
        let (q, i, candidate) = candidate?;
        if rank < low {
            decisions.push((candidate.place, Some(DropReason::LowQuality)))?;
        } else {
            rest.push((q, Reverse(i), candidate))?;
        }
    }
    let n_inside = rest.n_records.saturating_sub(high);
    let mut inside = Inside { candidates: Sorter::new(folder), sizes: BTreeMap::new(), quality: None };
    for (rank, candidate) in rest.sorted()?.enumerate() {
        let (Level(q), i, Candidate { id, place, group }) = candidate?;
        if rank < n_inside {
            let lowest = inside.quality.map_or(q, |(lowest, _)| lowest);
            inside.quality = Some((lowest, q));
            *inside.sizes.entry(group.clone()).or_default() += 1;
            inside.candidates.push((group, i, id, place))?;
        } else {
            decisions.push((place, Some(DropReason::HighQuality)))?;
        }
    }
    Ok(inside)
}

/// Keeps the least stable of each group, as many as it has places, and returns the box.
fn keep_unstable(
    inside: Inside,
    config: &CurateConfig,
    decisions: &mut Sorter<Decision>,
) -> Result<Option<QiBox>, DataError> {
    let mut places_left = places_by_group(&inside.sizes, config);
    let mut i_low: Option<f64> = None;
    for candidate in inside.candidates.sorted()? {
        let (group, Reverse(Level(i)), _, place) = candidate?;
        let left = places_left.entry(group).or_default();
        let is_kept = *left > 0;
        if is_kept {
            *left -= 1;
            i_low = Some(i_low.map_or(i, |lowest| lowest.min(i)));
        }
        decisions.push((place, (!is_kept).then_some(DropReason::LowInstability)))?;
    }
    let bounds = inside.quality.zip(i_low);
    Ok(bounds.map(|((q_low, q_high), i_low)| QiBox { q_low, q_high, i_low }))
}

/// The places of each group: benign and other prompts each have theirs, of which strata get their share.
fn places_by_group(sizes: &BTreeMap<Group, usize>, config: &CurateConfig) -> BTreeMap<Group, usize> {
    let (benign, others): (Vec<_>, Vec<_>) = sizes.iter().partition(|((is_benign, _), _)| *is_benign);
    let [n_benign, n_others] = [&benign, &others].map(|groups| groups.iter().map(|(_, size)| **size).sum());
    let (n_benign, n_others) = places(n_benign, n_others, config);
    let mut places = BTreeMap::new();
    for (groups, total) in [(benign, n_benign), (others, n_others)] {
        let (groups, sizes): (Vec<&Group>, Vec<usize>) = groups.into_iter().unzip();
        places.extend(groups.into_iter().cloned().zip(apportion(&sizes, total)));
    }
    places
}

/// How many benign and other prompts to keep, given how many there are.
fn places(n_benign: usize, n_others: usize, config: &CurateConfig) -> (usize, usize) {
    let wanted_benign = (config.benign_share * config.num_kept as f64).round() as usize;
    let wanted_others = config.num_kept - wanted_benign;
    if n_others >= wanted_others {
        let benign = wanted_benign.min(n_benign);
        return (benign, n_others.min(config.num_kept - benign));
    }
    let odds = config.benign_share / (1.0 - config.benign_share);
    let allowed_benign = (n_others as f64 * odds).round() as usize;
    (allowed_benign.min(n_benign), n_others)
}

/// Shares out `total` places in proportion to sizes by largest remainders (Hamilton's rule), earlier strata first where
/// remainders are equal. No stratum gets more places than it has members.
fn apportion(sizes: &[usize], total: usize) -> Vec<usize> {
    let sum: usize = sizes.iter().sum();
    if total >= sum {
        return sizes.to_vec();
    }
    let mut places: Vec<usize> = sizes.iter().map(|size| size * total / sum).collect();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    by_remainder.sort_by_key(|index| std::cmp::Reverse(sizes[*index] * total % sum));
    let left = total - places.iter().sum::<usize>();
    for index in by_remainder.into_iter().take(left) {
        places[index] += 1;
    }
    places
}
