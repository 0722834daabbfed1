//! Parsing of responses in the format `<think>…</think><answer>…</answer>` (SaFeR-VLM): strictly for judges that check
//! the format, and otherwise as far as a response keeps to it.

/// The tags of thinking.
pub(crate) const THINK: [&str; 2] = ["<think>", "</think>"];
/// The tags of the answer.
const ANSWER: [&str; 2] = ["<answer>", "</answer>"];

/// The parts of a response that thinks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tagged<'a> {
    /// The text between the tags of thinking.
    pub think: &'a str,
    /// The text between the tags of the answer.
    pub answer: &'a str,
    /// Whether there is nothing before, between and after them.
    pub is_alone: bool,
}

impl<'a> Tagged<'a> {
    /// Finds the first thinking and the first answer after it; none where either is missing.
    pub fn of(response: &'a str) -> Option<Self> {
        let (before, think, rest) = between(response, THINK)?;
        let (gap, answer, after) = between(rest, ANSWER)?;
        Some(Self { think, answer, is_alone: [before, gap, after].iter().all(|text| text.trim().is_empty()) })
    }
}

/// A response as people read it, complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The text between the tags of thinking, where the response begins with both.
    pub think: Option<&'a str>,
    /// What follows, without its tags.
    pub answer: &'a str,
}

/// Splits a response. One that does not keep to the format is all answer.
pub fn parts(response: &str) -> Parts<'_> {
    let response = response.trim();
    let Some(("", think, rest)) = between(response, THINK) else {
        return Parts { think: None, answer: response };
    };
    let rest = rest.trim();
    let answer = rest.strip_prefix(ANSWER[0]).unwrap_or(rest);
    let answer = answer.strip_suffix(ANSWER[1]).unwrap_or(answer);
    Parts { think: Some(think.trim()), answer: answer.trim() }
}

/// The text after the answer's opening tag, up to the closing one where there is one; without a tag the whole response.
pub fn answer_of(response: &str) -> &str {
    let Some((_, after)) = response.split_once(ANSWER[0]) else {
        return response;
    };
    after.split_once(ANSWER[1]).map_or(after, |(answer, _)| answer)
}

/// The text before, between and after two tags.
fn between<'a>(text: &'a str, [open, close]: [&str; 2]) -> Option<(&'a str, &'a str, &'a str)> {
    let (before, rest) = text.split_once(open)?;
    let (inside, after) = rest.split_once(close)?;
    Some((before, inside, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_split_at_its_tags() {
        let tagged = Tagged::of("Hm. <think>a</think> <answer>b</answer>").unwrap();
        assert_eq!((tagged.think, tagged.answer, tagged.is_alone), ("a", "b", false));
        assert!(Tagged::of("\n<think>a</think>\n<answer>b</answer>\n").unwrap().is_alone);
        assert_eq!(Tagged::of("<answer>b</answer><think>a</think>"), None);
        assert_eq!(Tagged::of("<think>a</think><answer>b"), None);
    }

    #[test]
    fn thinking_is_split_from_the_answer() {
        for (response, think, answer) in [
            ("<think> a knife </think>\n<answer>No.</answer>", Some("a knife"), "No."),
            ("<think>truncated", None, "<think>truncated"),
            (" Yes. ", None, "Yes."),
        ] {
            assert_eq!(parts(response), Parts { think, answer });
        }
    }
}
