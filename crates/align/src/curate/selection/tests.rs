//! Proof of the selection: worked examples, and laws that hold for any pool.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn candidate(id: &str, stratum: &str, benign: bool, q: f64, i: f64) -> Candidate {
    let spread = Spread {
        q: Some(q),
        i: Some(i),
        flip_rate: Some(0.0),
        n_scored: 8,
    };
    Candidate {
        id: id.into(),
        stratum: stratum.into(),
        benign,
        spread,
    }
}

fn config(num_kept: usize, benign_share: f64) -> CurateConfig {
    CurateConfig {
        num_kept,
        benign_share,
        ..CurateConfig::default()
    }
}

fn kept_ids(candidates: &[Candidate], config: &CurateConfig) -> BTreeSet<String> {
    let selection = select(candidates, config);
    let kept = candidates
        .iter()
        .zip(&selection.dropped)
        .filter(|(_, reason)| reason.is_none());
    kept.map(|(candidate, _)| candidate.id.clone()).collect()
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
    assert_eq!(
        spread(&[]),
        Spread {
            q: None,
            i: None,
            flip_rate: None,
            n_scored: 0
        }
    );
    assert_eq!(
        spread(&[(7.0, true)]),
        Spread {
            q: Some(7.0),
            i: Some(0.0),
            flip_rate: None,
            n_scored: 1
        }
    );
}

#[test]
fn quintiles_go_and_the_least_stable_stay() {
    use DropReason::{HighQuality, LowInstability, LowQuality};
    let pool: Vec<Candidate> = (0..10)
        .map(|n| candidate(&format!("p{n}"), "s", false, f64::from(n), f64::from(n % 3)))
        .collect();
    let selection = select(&pool, &config(2, 0.0));
    let low = Some(LowInstability);
    let expected = [
        Some(LowQuality),
        Some(LowQuality),
        None,
        low,
        low,
        None,
        low,
        low,
        Some(HighQuality),
        Some(HighQuality),
    ];
    assert_eq!(selection.dropped, expected);
    assert_eq!(
        selection.qi_box,
        Some(QiBox {
            q_low: 2.0,
            q_high: 7.0,
            i_low: 2.0
        })
    );
}

#[test]
fn a_prompt_with_one_scored_sample_goes_for_that_reason() {
    let mut pool: Vec<Candidate> = (0..5)
        .map(|n| candidate(&format!("p{n}"), "s", false, 5.0, 1.0))
        .collect();
    pool[3].spread.n_scored = 1;
    assert_eq!(
        select(&pool, &config(9, 0.0)).dropped[3],
        Some(DropReason::TooFewScored)
    );
}

#[test]
fn among_equals_in_quality_the_stabler_leave_the_box_first() {
    let pool: Vec<Candidate> = (0..5)
        .map(|n| candidate(&format!("p{n}"), "s", false, 5.0, f64::from(n)))
        .collect();
    assert_eq!(
        kept_ids(&pool, &config(9, 0.0)),
        ["p2", "p3", "p4"].map(str::to_owned).into()
    );
}

#[test]
fn a_lack_of_benign_prompts_is_made_up_and_a_lack_of_others_is_not() {
    let whole = |num_kept| CurateConfig {
        drop_lowest: 0.0,
        drop_highest: 0.0,
        ..config(num_kept, 0.2)
    };
    let mixed = |benign: usize, others: usize| -> Vec<Candidate> {
        (0..benign + others)
            .map(|n| candidate(&format!("p{n:02}"), "s", n < benign, 5.0, 1.0))
            .collect()
    };
    let count = |pool: &[Candidate]| {
        let kept = kept_ids(pool, &whole(10));
        let benign = pool
            .iter()
            .filter(|candidate| candidate.benign && kept.contains(&candidate.id))
            .count();
        (benign, kept.len() - benign)
    };
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
    fn any_candidate()(
        stratum in 0..4_u8, benign: bool, q in 0..=20_u8, i in 0..=6_u8, n_scored in 0..=8_usize,
    ) -> Candidate {
        let scored = (n_scored > 0).then_some(());
        let spread = Spread {
            q: scored.map(|()| f64::from(q) / 2.0),
            i: scored.map(|()| f64::from(i) / 2.0),
            flip_rate: None,
            n_scored,
        };
        Candidate { id: String::new(), stratum: format!("s{stratum}").into(), benign, spread }
    }
}

fn any_pool() -> impl Strategy<Value = Vec<Candidate>> {
    proptest::collection::vec(any_candidate(), 0..60).prop_map(|mut pool| {
        for (n, candidate) in pool.iter_mut().enumerate() {
            candidate.id = format!("p{n:02}");
        }
        pool
    })
}

proptest! {
    #[test]
    fn never_more_than_asked_and_every_reason_is_true(pool in any_pool(), num_kept in 1..40_usize, share in 0.0..0.6) {
        let config = config(num_kept, share);
        let selection = select(&pool, &config);
        let count = |reason| selection.dropped.iter().filter(|dropped| **dropped == reason).count();
        prop_assert!(count(None) <= num_kept);
        let ranked = pool.iter().filter(|candidate| candidate.spread.n_scored >= 2).count();
        prop_assert_eq!(count(Some(DropReason::TooFewScored)), pool.len() - ranked);
        prop_assert_eq!(count(Some(DropReason::LowQuality)), ranked / 5);
        prop_assert_eq!(count(Some(DropReason::HighQuality)), ranked / 5);
    }

    #[test]
    fn whatever_is_inside_lies_between_what_was_cut(pool in any_pool(), num_kept in 1..40_usize) {
        let selection = select(&pool, &config(num_kept, 0.15));
        let qualities = |wanted: &dyn Fn(Option<DropReason>) -> bool| -> Vec<f64> {
            let chosen = pool.iter().zip(&selection.dropped).filter(|(_, reason)| wanted(**reason));
            chosen.filter_map(|(candidate, _)| candidate.spread.q).collect()
        };
        let low = qualities(&|reason| reason == Some(DropReason::LowQuality));
        let high = qualities(&|reason| reason == Some(DropReason::HighQuality));
        let inside = qualities(&|reason| matches!(reason, None | Some(DropReason::LowInstability)));
        for q in inside {
            prop_assert!(low.iter().all(|low| *low <= q) && high.iter().all(|high| *high >= q));
        }
    }

    #[test]
    fn in_each_stratum_nothing_dropped_for_stability_is_less_stable(pool in any_pool(), num_kept in 1..40_usize) {
        let selection = select(&pool, &config(num_kept, 0.15));
        let decided: Vec<_> = pool.iter().zip(&selection.dropped).collect();
        for (kept, _) in decided.iter().filter(|(_, reason)| reason.is_none()) {
            for (gone, _) in decided.iter().filter(|(_, reason)| **reason == Some(DropReason::LowInstability)) {
                let same = kept.stratum == gone.stratum && kept.benign == gone.benign;
                prop_assert!(!same || kept.spread.i >= gone.spread.i);
            }
        }
    }

    #[test]
    fn the_benign_share_is_not_exceeded(pool in any_pool(), num_kept in 1..40_usize, share in 0.0..0.6) {
        let selection = select(&pool, &config(num_kept, share));
        let kept = pool.iter().zip(&selection.dropped).filter(|(_, reason)| reason.is_none());
        let (benign, others): (Vec<_>, Vec<_>) = kept.partition(|(candidate, _)| candidate.benign);
        let total = (benign.len() + others.len()) as f64;
        prop_assert!(benign.len() as f64 <= share * total + 1.0, "{} of {}", benign.len(), total);
    }

    #[test]
    fn the_order_of_the_pool_does_not_matter(pool in any_pool(), num_kept in 1..40_usize, seed: u64) {
        let mut shuffled = pool.clone();
        shuffled.sort_by_key(|candidate| (candidate.id.bytes().map(u64::from).sum::<u64>() ^ seed).wrapping_mul(seed | 1));
        let config = config(num_kept, 0.15);
        prop_assert_eq!(kept_ids(&pool, &config), kept_ids(&shuffled, &config));
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
