//! Responses in the form `<think>…</think><answer>…</answer>` (P2), taken apart.

/// The parts of a response that thinks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tagged<'a> {
    /// What stands between the marks of thinking.
    pub think: &'a str,
    /// What stands between the marks of the answer.
    pub answer: &'a str,
    /// Whether nothing stands before, between and after them.
    pub is_alone: bool,
}

impl<'a> Tagged<'a> {
    /// Finds the first thinking and the first answer after it; none where either is missing.
    pub fn of(response: &'a str) -> Option<Self> {
        let (before, think, rest) = between(response, "<think>", "</think>")?;
        let (gap, answer, after) = between(rest, "<answer>", "</answer>")?;
        Some(Self {
            think,
            answer,
            is_alone: [before, gap, after].iter().all(|text| text.trim().is_empty()),
        })
    }
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (before, rest) = text.split_once(open)?;
    let (inside, after) = rest.split_once(close)?;
    Some((before, inside, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_taken_apart_at_its_marks() {
        let tagged = Tagged::of("Hm. <think>a</think> <answer>b</answer>").unwrap();
        assert_eq!((tagged.think, tagged.answer, tagged.is_alone), ("a", "b", false));
        assert!(Tagged::of("\n<think>a</think>\n<answer>b</answer>\n").unwrap().is_alone);
        assert_eq!(Tagged::of("<answer>b</answer><think>a</think>"), None);
        assert_eq!(Tagged::of("<think>a</think><answer>b"), None);
    }
}
