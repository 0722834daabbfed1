//! A judge against people: how often both agree, so that the judge's own error can be shown beside its figures.

use serde::{Deserialize, Serialize};

use crate::eval::Rate;
use crate::statistics::agreement::cohen_kappa;

/// How a judge's yes and no compare with people's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// What yes means: `unsafe`, `refusal`.
    pub positive: String,
    /// Responses with a label that the judge scored.
    pub n: usize,
    /// Responses that it could not score; they count nowhere else.
    pub unscored: usize,
    /// How often both say the same.
    pub agreement: Rate,
    /// Cohen's kappa: agreement beyond chance; none where it is not defined.
    pub kappa: Option<f64>,
    /// Of those that the judge calls positive, the share that people do.
    pub precision: Rate,
    /// Of those that people call positive, the share that the judge does.
    pub recall: Rate,
}

/// Compares people's labels with a judge's, which are none where it could not score.
pub fn validate(positive: &str, pairs: &[(bool, Option<bool>)]) -> Validation {
    let scored: Vec<(bool, bool)> = pairs.iter().filter_map(|(people, judge)| Some((*people, (*judge)?))).collect();
    let by_people = scored.iter().filter(|(people, _)| *people).count();
    let by_judge = scored.iter().filter(|(_, judge)| *judge).count();
    let by_both = scored.iter().filter(|(people, judge)| *people && *judge).count();
    let agreed = scored.iter().filter(|(people, judge)| people == judge).count();
    Validation {
        positive: positive.to_owned(),
        n: scored.len(),
        unscored: pairs.len() - scored.len(),
        agreement: Rate::of(agreed, scored.len()),
        kappa: cohen_kappa(&scored),
        precision: Rate::of(by_both, by_judge),
        recall: Rate::of(by_both, by_people),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unscored_responses_count_nowhere_else() {
        let pairs = [
            (true, Some(true)),
            (true, Some(false)),
            (false, Some(false)),
            (false, Some(true)),
            (false, Some(false)),
            (true, None),
        ];
        let validation = validate("unsafe", &pairs);
        assert_eq!((validation.n, validation.unscored), (5, 1));
        assert_eq!(validation.agreement, Rate::of(3, 5));
        assert_eq!((validation.precision, validation.recall), (Rate::of(1, 2), Rate::of(1, 2)));
    }
}
