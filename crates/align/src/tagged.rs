//! Responses in the form `<think>…</think><answer>…</answer>` (P2), taken apart: strictly for judges that go by the
//! form, and otherwise as far as a response keeps to it.

/// The marks of thinking.
pub(crate) const THINK: [&str; 2] = ["<think>", "</think>"];
/// The marks of the answer.
const ANSWER: [&str; 2] = ["<answer>", "</answer>"];

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
        let (before, think, rest) = between(response, THINK)?;
        let (gap, answer, after) = between(rest, ANSWER)?;
        Some(Self {
            think,
            answer,
            is_alone: [before, gap, after].iter().all(|text| text.trim().is_empty()),
        })
    }
}

/// A response as people read it: nothing that was said is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// What stands between the marks of thinking, where the response begins with both.
    pub think: Option<&'a str>,
    /// What follows, without its marks.
    pub answer: &'a str,
}

/// Parts a response. One that does not keep to the form is all answer.
pub fn parts(response: &str) -> Parts<'_> {
    let response = response.trim();
    let parted = between(response, THINK).filter(|(before, ..)| before.is_empty());
    let Some((_, think, rest)) = parted else {
        return Parts {
            think: None,
            answer: response,
        };
    };
    let rest = rest.trim();
    let answer = rest.strip_prefix(ANSWER[0]).unwrap_or(rest);
    let answer = answer.strip_suffix(ANSWER[1]).unwrap_or(answer);
    Parts {
        think: Some(think.trim()),
        answer: answer.trim(),
    }
}

/// What stands after the answer's first mark, up to the other where it is there; without a mark the whole response.
pub fn answer_of(response: &str) -> &str {
    let Some((_, after)) = response.split_once(ANSWER[0]) else {
        return response;
    };
    after.split_once(ANSWER[1]).map_or(after, |(answer, _)| answer)
}

/// What stands before, between and after two marks.
fn between<'a>(text: &'a str, [open, close]: [&str; 2]) -> Option<(&'a str, &'a str, &'a str)> {
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

    #[test]
    fn thinking_is_parted_from_the_answer() {
        let whole = parts("<think> a knife </think>\n<answer>No.</answer>");
        assert_eq!(
            whole,
            Parts {
                think: Some("a knife"),
                answer: "No."
            }
        );
        let bare = parts("<think>cut off");
        assert_eq!(
            bare,
            Parts {
                think: None,
                answer: "<think>cut off"
            }
        );
        assert_eq!(
            parts(" Yes. "),
            Parts {
                think: None,
                answer: "Yes."
            }
        );
    }
}
