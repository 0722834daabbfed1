//! Agreement beyond chance: between two raters of the same cases, and among many raters of whom each labels some.

use std::collections::BTreeMap;

/// Cohen's kappa of two raters; none without cases or where chance alone explains all agreement.
///
/// Source: Cohen 1960.
pub fn cohen_kappa<T: Ord + Clone>(pairs: &[(T, T)]) -> Option<f64> {
    let n = pairs.len() as f64;
    let (mut first, mut second) = (BTreeMap::new(), BTreeMap::new());
    for (one, other) in pairs {
        *first.entry(one).or_insert(0.0) += 1.0 / n;
        *second.entry(other).or_insert(0.0) += 1.0 / n;
    }
    let by_chance: f64 = first.iter().map(|(label, share)| share * second.get(label).unwrap_or(&0.0)).sum();
    let observed = pairs.iter().filter(|(one, other)| one == other).count() as f64 / n;
    beyond_chance(observed, by_chance)
}

/// Fleiss's kappa of raters who all label every case: `cases` holds each case's labels, as many for one as for another.
/// None where that is not so, where there are no cases, or chance alone explains all agreement.
///
/// Source: Fleiss 1971.
pub fn fleiss_kappa<T: Ord + Clone>(cases: &[Vec<T>]) -> Option<f64> {
    let raters = cases.first()?.len();
    if raters < 2 || cases.iter().any(|labels| labels.len() != raters) {
        return None;
    }
    let total = (cases.len() * raters) as f64;
    let mut shares = BTreeMap::new();
    for label in cases.iter().flatten() {
        *shares.entry(label).or_insert(0.0) += 1.0 / total;
    }
    let agreeing: f64 = cases.iter().map(|labels| agreeing_pairs(labels)).sum();
    let observed = agreeing / (cases.len() * raters * (raters - 1)) as f64;
    beyond_chance(observed, shares.values().map(|share| share * share).sum())
}

/// Krippendorff's alpha for labels without order, for raters who may leave cases out: `cases` holds the labels that
/// each case has; those with fewer than two count nowhere. None where nothing can be compared or all labels are the
/// same.
///
/// Source: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C.
pub fn krippendorff_alpha<T: Ord + Clone>(cases: &[Vec<T>]) -> Option<f64> {
    let paired: Vec<&Vec<T>> = cases.iter().filter(|labels| labels.len() > 1).collect();
    let n: f64 = paired.iter().map(|labels| labels.len() as f64).sum();
    let mut counts = BTreeMap::new();
    for label in paired.iter().copied().flatten() {
        *counts.entry(label).or_insert(0.0) += 1.0;
    }
    let agreeing = paired.iter().map(|labels| agreeing_pairs(labels) / (labels.len() - 1) as f64);
    let observed: f64 = agreeing.sum();
    let by_chance: f64 = counts.values().map(|count| count * (count - 1.0)).sum();
    beyond_chance(observed / n, by_chance / (n * (n - 1.0)))
}

/// Ordered pairs of labels of one case that agree.
fn agreeing_pairs<T: Ord + Clone>(labels: &[T]) -> f64 {
    let mut counts = BTreeMap::new();
    for label in labels {
        *counts.entry(label).or_insert(0.0) += 1.0;
    }
    counts.values().map(|count| count * (count - 1.0)).sum()
}

fn beyond_chance(observed: f64, by_chance: f64) -> Option<f64> {
    let kappa = (observed - by_chance) / (1.0 - by_chance);
    kappa.is_finite().then_some(kappa)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: Option<f64>, expected: f64) {
        assert!((got.unwrap() - expected).abs() < 1e-3, "{got:?}, expected {expected}");
    }

    #[test]
    fn values_of_the_sources() {
        // Two readers of fifty applications: 20 yes both, 5 and 10 apart, 15 no both.
        let counts = [((true, true), 20), ((true, false), 5), ((false, true), 10), ((false, false), 15)];
        let pairs = counts.into_iter().flat_map(|(pair, count)| std::iter::repeat_n(pair, count));
        close(cohen_kappa(&pairs.collect::<Vec<_>>()), 0.4);

        // Fleiss 1971 as in Wikipedia's example: ten cases, fourteen raters, five labels.
        let table = [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ];
        let cases = table.map(|row| {
            let labels = row.into_iter().enumerate();
            let labels = labels.flat_map(|(label, count)| std::iter::repeat_n(label, count));
            labels.collect::<Vec<usize>>()
        });
        close(fleiss_kappa(&cases), 0.210);

        // Krippendorff 2011, section C: four observers, twelve units, nominal: .743.
        let units: [&[u8]; 12] = [
            &[1, 1, 1],
            &[2, 2, 3, 2],
            &[3, 3, 3, 3],
            &[3, 3, 3, 3],
            &[2, 2, 2, 2],
            &[1, 2, 3, 4],
            &[4, 4, 4, 4],
            &[1, 1, 2, 1],
            &[2, 2, 2, 2],
            &[5, 5, 5],
            &[1, 1],
            &[3],
        ];
        close(krippendorff_alpha(&units.map(<[u8]>::to_vec)), 0.743);
    }

    #[test]
    fn nothing_to_compare_is_no_agreement() {
        assert_eq!(cohen_kappa::<bool>(&[]), None);
        assert_eq!(cohen_kappa(&[(true, true)]), None);
        assert_eq!(fleiss_kappa(&[vec![1, 2], vec![1]]), None);
        assert_eq!(krippendorff_alpha(&[vec![1], vec![2]]), None);
    }
}
