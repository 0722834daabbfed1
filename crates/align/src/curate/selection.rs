//! Which prompts stay: scores of samples in, the quintile box and a decision on each prompt out. Nothing is drawn here.
//!
//! Source: P2 (SaFeR-VLM, arXiv 2510.06871) keeps prompts of moderate quality and high instability. Its rules are not
//! published; those below are this project's. Quality *Q* is the mean of a prompt's sample scores, instability *I*
//! their standard deviation. The lowest and highest quintile of Q go; what is left is ranked by I within strata.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{CurateConfig, DropReason};

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

/// One prompt up for selection.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The prompt's id, which breaks ties.
    pub id: String,
    /// The stratum it is ranked in, such as its category and split.
    pub stratum: Arc<str>,
    /// Whether it counts towards the benign share.
    pub benign: bool,
    /// What its samples scored.
    pub spread: Spread,
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
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Why each candidate goes, in the order given; none where it stays.
    pub dropped: Vec<Option<DropReason>>,
    /// The box; none when nothing is kept.
    pub qi_box: Option<QiBox>,
}

/// A candidate with enough scores to be ranked.
#[derive(Clone, Copy)]
struct Ranked<'a> {
    place: usize,
    candidate: &'a Candidate,
    q: f64,
    i: f64,
}

/// Decides on each candidate. The result does not depend on the candidates' order; equal ones are told apart by id.
///
/// The quintiles are cut by rank, so ties at their edge do not widen or narrow the box; among equals in quality the
/// stabler go first. Of the number to keep, `benign_share` goes to benign prompts and the rest to the others; a lack of
/// benign prompts is made up by the others, a lack of others is not made up, since the share is there to hold. Within
/// both, strata get places in proportion to their prompts in the box, filled from the least stable down.
pub fn select(candidates: &[Candidate], config: &CurateConfig) -> Selection {
    let mut dropped = vec![Some(DropReason::LowInstability); candidates.len()];
    let mut ranked = Vec::new();
    for (place, candidate) in candidates.iter().enumerate() {
        match (candidate.spread.q, candidate.spread.i) {
            (Some(q), Some(i)) if candidate.spread.n_scored >= 2 => {
                ranked.push(Ranked { place, candidate, q, i });
            }
            _ => dropped[place] = Some(DropReason::TooFewScored),
        }
    }
    let inside = cut_quality(ranked, config, &mut dropped);
    let kept = keep_unstable(&inside, config);
    for ranked in &kept {
        dropped[ranked.place] = None;
    }
    Selection {
        dropped,
        qi_box: bounds(&inside, &kept),
    }
}

/// Drops the lowest and highest share of quality, and returns what lies between, by rising quality.
fn cut_quality<'a>(
    mut ranked: Vec<Ranked<'a>>,
    config: &CurateConfig,
    dropped: &mut [Option<DropReason>],
) -> Vec<Ranked<'a>> {
    let n = ranked.len();
    let count = |share: f64| (share * n as f64 + 1e-9).floor() as usize;
    let (low, high) = (count(config.drop_lowest), count(config.drop_highest));
    // The stabler of two equals should be the one that goes, at either end; so the order of I turns round between them.
    ranked.sort_by(|a, b| {
        a.q.total_cmp(&b.q)
            .then(a.i.total_cmp(&b.i))
            .then_with(|| a.candidate.id.cmp(&b.candidate.id))
    });
    let mut rest = ranked.split_off(low.min(n));
    rest.sort_by(|a, b| {
        a.q.total_cmp(&b.q)
            .then(b.i.total_cmp(&a.i))
            .then_with(|| a.candidate.id.cmp(&b.candidate.id))
    });
    let top = rest.split_off(rest.len() - high.min(rest.len()));
    for low in &ranked {
        dropped[low.place] = Some(DropReason::LowQuality);
    }
    for high in &top {
        dropped[high.place] = Some(DropReason::HighQuality);
    }
    rest
}

fn keep_unstable<'a>(inside: &[Ranked<'a>], config: &CurateConfig) -> Vec<Ranked<'a>> {
    let (benign, others): (Vec<Ranked>, Vec<Ranked>) = inside.iter().partition(|ranked| ranked.candidate.benign);
    let (n_benign, n_others) = places(benign.len(), others.len(), config);
    let mut kept = by_stratum(&benign, n_benign);
    kept.extend(by_stratum(&others, n_others));
    kept
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

/// The `total` least stable prompts, each stratum filling its share of the places.
fn by_stratum<'a>(ranked: &[Ranked<'a>], total: usize) -> Vec<Ranked<'a>> {
    let mut strata: BTreeMap<&str, Vec<Ranked>> = BTreeMap::new();
    for one in ranked {
        strata.entry(&one.candidate.stratum).or_default().push(*one);
    }
    let sizes: Vec<usize> = strata.values().map(Vec::len).collect();
    let mut kept = Vec::with_capacity(total);
    for (mut stratum, places) in strata.into_values().zip(apportion(&sizes, total)) {
        stratum.sort_by(|a, b| b.i.total_cmp(&a.i).then_with(|| a.candidate.id.cmp(&b.candidate.id)));
        kept.extend(stratum.into_iter().take(places));
    }
    kept
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

fn bounds(inside: &[Ranked], kept: &[Ranked]) -> Option<QiBox> {
    let i_low = kept.iter().map(|ranked| ranked.i).min_by(f64::total_cmp)?;
    Some(QiBox {
        q_low: inside.first()?.q,
        q_high: inside.last()?.q,
        i_low,
    })
}
