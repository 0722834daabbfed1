//! Proof of the selection: worked examples, and laws that hold for any pool.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::summary::decided;
use super::*;
use crate::types::ItemKind;

fn record(id: &str, stratum: &str, benign: bool, q: f64, i: f64) -> CurationRecord {
    CurationRecord {
        id: id.into(),
        kind: Some(if benign { ItemKind::Benign } else { ItemKind::Hazardous }),
        stratum: stratum.into(),
        q: Some(q),
        i: Some(i),
        flip_rate: Some(0.0),
        n_scored: 8,
        kept: false,
        reason: None,
    }
}

fn config(num_kept: usize, benign_share: f64) -> CurateConfig {
    CurateConfig { num_kept, benign_share, ..CurateConfig::default() }
}

/// The records as they are decided, and the box.
fn decide(records: &[CurationRecord], config: &CurateConfig) -> (Vec<CurationRecord>, Option<QiBox>) {
    let folder = tempfile::tempdir().unwrap();
    let Selection { decisions, qi_box } = select(records.iter().cloned().map(Ok), config, folder.path()).unwrap();
    let decisions = decisions.map(|decision| Ok(decision?.1));
    let decided: Result<_, DataError> = decided(records.iter().cloned().map(Ok), decisions).collect();
    (decided.unwrap(), qi_box)
}

fn reasons(records: &[CurationRecord], config: &CurateConfig) -> Vec<Option<DropReason>> {
    let (decided, _) = decide(records, config);
    assert!(decided.iter().all(|record| record.kept == record.reason.is_none()));
    decided.into_iter().map(|record| record.reason).collect()
}

fn kept_ids(records: &[CurationRecord], config: &CurateConfig) -> BTreeSet<String> {
    let (decided, _) = decide(records, config);
    let kept = decided.into_iter().filter(|record| record.kept);
    kept.map(|record| record.id).collect()
}

/// Quality, instability and id.
fn figures(record: &CurationRecord) -> (f64, f64, &str) {
    (record.q.unwrap(), record.i.unwrap(), &record.id)
}

/// The same with the least stable first among equals in quality.
fn turned(record: &CurationRecord) -> (f64, f64, &str) {
    let (q, i, id) = figures(record);
    (q, -i, id)
}

/// Instability, the least stable first, and id.
fn least_stable(record: &CurationRecord) -> (f64, &str) {
    let (_, i, id) = figures(record);
    (-i, id)
}

/// The same decisions by sorting in memory, as [`select`] words its rules.
fn decide_in_memory(records: &[CurationRecord], config: &CurateConfig) -> Vec<Option<DropReason>> {
    let mut reasons: Vec<Option<DropReason>> = records.iter().map(|record| record.reason).collect();
    let mut ranked: Vec<usize> = (0..records.len()).filter(|place| reasons[*place].is_none()).collect();
    let [low, high] =
        [config.drop_lowest, config.drop_highest].map(|share| (share * ranked.len() as f64 + 1e-9).floor() as usize);
    ranked.sort_by(|a, b| figures(&records[*a]).partial_cmp(&figures(&records[*b])).unwrap());
    for place in ranked.drain(..low) {
        reasons[place] = Some(DropReason::LowQuality);
    }
    ranked.sort_by(|a, b| turned(&records[*a]).partial_cmp(&turned(&records[*b])).unwrap());
    for place in ranked.split_off(ranked.len() - high) {
        reasons[place] = Some(DropReason::HighQuality);
    }
    let n_benign = ranked.iter().filter(|place| records[**place].is_benign()).count();
    let (n_benign, n_others) = places(n_benign, ranked.len() - n_benign, config);
    for (benign, total) in [(true, n_benign), (false, n_others)] {
        let mut strata: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for place in ranked.iter().filter(|place| records[**place].is_benign() == benign) {
            strata.entry(&records[*place].stratum).or_default().push(*place);
        }
        let sizes: Vec<usize> = strata.values().map(Vec::len).collect();
        for (mut stratum, n_places) in strata.into_values().zip(apportion(&sizes, total)) {
            stratum.sort_by(|a, b| least_stable(&records[*a]).partial_cmp(&least_stable(&records[*b])).unwrap());
            for place in stratum.into_iter().skip(n_places) {
                reasons[place] = Some(DropReason::LowInstability);
            }
        }
    }
    reasons
}

#[test]
fn spread_of_known_samples() {
    let samples = [(2.0, false), (4.0, false), (4.0, true), (6.0, true)];
    let spread = spread(&samples);
    assert_eq!(spread.q, Some(4.0));
    assert!((spread.i.unwrap() - 2.0_f64.sqrt()).abs() < 1e-12);
    // 2 x 2 of the 6 pairs disagree.
    assert!((spread.flip_rate.unwrap() - 4.0 / 6.0).abs() < 1e-12);
    assert_eq!(spread.n_scored, 4);
}

#[test]
fn spread_of_too_few_samples() {
    assert_eq!(spread(&[]), Spread { q: None, i: None, flip_rate: None, n_scored: 0 });
    assert_eq!(spread(&[(7.0, true)]), Spread { q: Some(7.0), i: Some(0.0), flip_rate: None, n_scored: 1 });
}

#[test]
fn quintiles_go_and_the_least_stable_stay() {
    use DropReason::{HighQuality, LowInstability, LowQuality};
    let pool: Vec<CurationRecord> =
        (0..10).map(|n| record(&format!("p{n}"), "s", false, f64::from(n), f64::from(n % 3))).collect();
    let (decided, qi_box) = decide(&pool, &config(2, 0.0));
    let low = Some(LowInstability);
    let expected =
        [Some(LowQuality), Some(LowQuality), None, low, low, None, low, low, Some(HighQuality), Some(HighQuality)];
    let found: Vec<_> = decided.iter().map(|record| record.reason).collect();
    assert_eq!(found, expected);
    assert_eq!(qi_box, Some(QiBox { q_low: 2.0, q_high: 7.0, i_low: 2.0 }));
}

#[test]
fn a_prompt_that_goes_already_keeps_its_reason_and_is_not_ranked() {
    let mut pool: Vec<CurationRecord> = (0..5).map(|n| record(&format!("p{n}"), "s", false, 5.0, 1.0)).collect();
    pool[3].reason = Some(DropReason::TooFewScored);
    let reasons = reasons(&pool, &config(9, 0.0));
    assert_eq!(reasons[3], Some(DropReason::TooFewScored));
    // A fifth of four is none.
    assert_eq!(reasons.iter().filter(|reason| reason.is_none()).count(), 4);
}

#[test]
fn among_equals_in_quality_the_stabler_leave_the_box_first() {
    let pool: Vec<CurationRecord> = (0..5).map(|n| record(&format!("p{n}"), "s", false, 5.0, f64::from(n))).collect();
    assert_eq!(kept_ids(&pool, &config(9, 0.0)), ["p2", "p3", "p4"].map(str::to_owned).into());
}

#[test]
fn a_lack_of_benign_prompts_is_made_up_and_a_lack_of_others_is_not() {
    fn mixed(benign: usize, others: usize) -> Vec<CurationRecord> {
        (0..benign + others).map(|n| record(&format!("p{n:02}"), "s", n < benign, 5.0, 1.0)).collect()
    }

    fn count(pool: &[CurationRecord]) -> (usize, usize) {
        let whole = CurateConfig { drop_lowest: 0.0, drop_highest: 0.0, ..config(10, 0.2) };
        let kept = kept_ids(pool, &whole);
        let benign = pool.iter().filter(|record| record.is_benign() && kept.contains(&record.id)).count();
        (benign, kept.len() - benign)
    }

    assert_eq!(count(&mixed(20, 20)), (2, 8));
    assert_eq!(count(&mixed(1, 20)), (1, 9));
    assert_eq!(count(&mixed(20, 4)), (1, 4));
    assert_eq!(count(&mixed(20, 0)), (0, 0));
}

#[test]
fn places_are_shared_out_by_largest_remainder() {
    assert_eq!(apportion(&[6, 3, 1], 5), [3, 2, 0]);
    assert_eq!(apportion(&[2, 2], 9), [2, 2]);
    assert_eq!(apportion(&[], 3), [0; 0]);
}

prop_compose! {
    fn any_record()(
        stratum in 0..4_u8, benign: bool, q in 0..=20_u8, i in 0..=6_u8, n_scored in 0..=8_usize,
    ) -> CurationRecord {
        let is_scored = n_scored > 0;
        CurationRecord {
            q: is_scored.then_some(f64::from(q) / 2.0),
            i: is_scored.then_some(f64::from(i) / 2.0),
            n_scored,
            reason: (n_scored < 2).then_some(DropReason::TooFewScored),
            ..record("", &format!("s{stratum}"), benign, 0.0, 0.0)
        }
    }
}

fn any_pool() -> impl Strategy<Value = Vec<CurationRecord>> {
    proptest::collection::vec(any_record(), 0..60).prop_map(|mut pool| {
        for (n, record) in pool.iter_mut().enumerate() {
            record.id = format!("p{n:02}");
        }
        pool
    })
}

/// Turns the order of a pool about.
fn shuffle(pool: &mut [CurationRecord], seed: u64) {
    pool.sort_by_key(|record| (record.id.bytes().map(u64::from).sum::<u64>() ^ seed).wrapping_mul(seed | 1));
}

proptest! {
    #[test]
    fn never_more_than_asked_and_every_reason_is_true(pool in any_pool(), num_kept in 1..40_usize, share in 0.0..0.6) {
        let reasons = reasons(&pool, &config(num_kept, share));
        let count = |reason| reasons.iter().filter(|dropped| **dropped == reason).count();
        prop_assert!(count(None) <= num_kept);
        let ranked = pool.iter().filter(|record| record.n_scored >= 2).count();
        prop_assert_eq!(count(Some(DropReason::TooFewScored)), pool.len() - ranked);
        prop_assert_eq!(count(Some(DropReason::LowQuality)), ranked / 5);
        prop_assert_eq!(count(Some(DropReason::HighQuality)), ranked / 5);
    }

    #[test]
    fn whatever_is_inside_lies_between_what_was_cut(pool in any_pool(), num_kept in 1..40_usize) {
        let (decided, qi_box) = decide(&pool, &config(num_kept, 0.15));
        let qualities = |wanted: &dyn Fn(Option<DropReason>) -> bool| -> Vec<f64> {
            let chosen = decided.iter().filter(|record| wanted(record.reason));
            chosen.filter_map(|record| record.q).collect()
        };
        let low = qualities(&|reason| reason == Some(DropReason::LowQuality));
        let high = qualities(&|reason| reason == Some(DropReason::HighQuality));
        let inside = qualities(&|reason| matches!(reason, None | Some(DropReason::LowInstability)));
        for q in &inside {
            prop_assert!(low.iter().all(|low| low <= q) && high.iter().all(|high| high >= q));
        }
        let kept: Vec<_> = decided.iter().filter(|record| record.kept).collect();
        let expected = kept.first().map(|_| QiBox {
            q_low: inside.iter().copied().fold(f64::INFINITY, f64::min),
            q_high: inside.iter().copied().fold(0.0, f64::max),
            i_low: kept.iter().filter_map(|record| record.i).fold(f64::INFINITY, f64::min),
        });
        prop_assert_eq!(qi_box, expected);
    }

    #[test]
    fn in_each_stratum_nothing_dropped_for_stability_is_less_stable(pool in any_pool(), num_kept in 1..40_usize) {
        let (decided, _) = decide(&pool, &config(num_kept, 0.15));
        for kept in decided.iter().filter(|record| record.kept) {
            for gone in decided.iter().filter(|record| record.reason == Some(DropReason::LowInstability)) {
                let same = kept.stratum == gone.stratum && kept.kind == gone.kind;
                prop_assert!(!same || kept.i >= gone.i);
            }
        }
    }

    #[test]
    fn the_benign_share_is_not_exceeded(pool in any_pool(), num_kept in 1..40_usize, share in 0.0..0.6) {
        let (decided, _) = decide(&pool, &config(num_kept, share));
        let kept = decided.iter().filter(|record| record.kept);
        let (benign, others): (Vec<_>, Vec<_>) = kept.partition(|record| record.is_benign());
        let total = (benign.len() + others.len()) as f64;
        prop_assert!(benign.len() as f64 <= share * total + 1.0, "{} of {}", benign.len(), total);
    }

    #[test]
    fn the_order_of_the_pool_does_not_matter(pool in any_pool(), num_kept in 1..40_usize, seed: u64) {
        let mut shuffled = pool.clone();
        shuffle(&mut shuffled, seed);
        let config = config(num_kept, 0.15);
        prop_assert_eq!(kept_ids(&pool, &config), kept_ids(&shuffled, &config));
    }

    #[test]
    fn sorting_by_files_decides_as_sorting_in_memory(
        mut pool in any_pool(), num_kept in 1..40_usize, share in 0.0..0.6, seed: u64,
    ) {
        shuffle(&mut pool, seed);
        let config = config(num_kept, share);
        prop_assert_eq!(reasons(&pool, &config), decide_in_memory(&pool, &config));
    }

    #[test]
    fn every_stratum_gets_its_share(sizes in proptest::collection::vec(0..50_usize, 1..6), total in 0..200_usize) {
        let places = apportion(&sizes, total);
        let sum: usize = sizes.iter().sum();
        prop_assert_eq!(places.iter().sum::<usize>(), total.min(sum));
        for (place, size) in places.iter().zip(&sizes) {
            prop_assert!(place <= size);
            let exact = *size as f64 * total.min(sum) as f64 / sum.max(1) as f64;
            prop_assert!((*place as f64 - exact).abs() < 1.0);
        }
    }
}
