//! "Did you mean": the known word nearest to a mistyped one.

use strsim::osa_distance;

/// The candidate nearest to `word`, if one is near enough to be a slip of the hand: at most a third of the word's
/// letters wrong, transposed, missing or too many.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (osa_distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slip_is_suggested() {
        let known = ["learning_rate", "weight_decay", "seed"];
        assert_eq!(nearest("lerning_rate", known), Some("learning_rate"));
        assert_eq!(nearest("Seed", known), Some("seed"));
        assert_eq!(nearest("temperature", known), None);
    }

    #[test]
    fn neighbors_that_changed_places_are_one_slip() {
        assert_eq!(nearest("sede", ["seed"]), Some("seed"));
    }
}
