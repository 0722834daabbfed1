//! Parsing of responses in the format `<think>…</think><answer>…</answer>` (SaFeR-VLM): strictly for judges that check
//! the format, and otherwise as far as a response keeps to it; and where the thoughts of any model end.

/// The tags of thinking.
pub(crate) const THINK: [&str; 2] = ["<think>", "</think>"];
/// The tags of the answer.
const ANSWER: [&str; 2] = ["<answer>", "</answer>"];

/// The tags that models put around their thoughts, opening and closing.
pub(crate) const THOUGHTS: [[&str; 2]; 10] = [
    THINK,
    ["<thinking>", "</thinking>"],
    ["<thought>", "</thought>"],
    ["<reasoning>", "</reasoning>"],
    ["<seed:think>", "</seed:think>"],
    ["<|begin_of_thought|>", "<|end_of_thought|>"],
    ["<unused94>thought", "<unused95>"],
    ["[THINK]", "[/THINK]"],
    ["◁think▷", "◁/think▷"],
    ["<|channel|>analysis", "<|channel|>final<|message|>"],
];

/// What stands after the thoughts at a text's beginning, which is all of it where it has none. The opening tag may be
/// missing, since chat templates put it into the prompt. None where thoughts are never closed.
pub(crate) fn after_thoughts(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let thoughts = THOUGHTS.iter().find(|[open, close]| {
            let before = rest.split_once(close).map(|(before, _)| before);
            rest.trim_start().starts_with(open) || before.is_some_and(|before| !before.contains(open))
        });
        let Some([_, close]) = thoughts else {
            return Some(rest);
        };
        rest = rest.split_once(close)?.1;
    }
}

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
    /// The text between the tags of thinking, where the response begins with it.
    pub think: Option<&'a str>,
    /// What follows, without its tags.
    pub answer: &'a str,
}

/// Splits a response. One that does not keep to the format is all answer.
pub fn parts(response: &str) -> Parts<'_> {
    let response = response.trim();
    let (think, rest) = match (between(response, THINK), response.split_once(THINK[1])) {
        (Some(("", think, rest)), _) => (think, rest),
        // The opening tag stands in the prompt.
        (_, Some((think, rest))) if !think.contains(THINK[0]) => (think, rest),
        _ => return Parts { think: None, answer: response },
    };
    let rest = rest.trim();
    let answer = rest.strip_prefix(ANSWER[0]).unwrap_or(rest);
    let answer = answer.strip_suffix(ANSWER[1]).unwrap_or(answer);
    Parts { think: Some(think.trim()), answer: answer.trim() }
}

/// What follows the thoughts: the text after the answer's opening tag, up to the closing one where there is one; without
/// a tag all of it. Empty where the thoughts are never closed.
pub fn answer_of(response: &str) -> &str {
    let response = after_thoughts(response).unwrap_or_default();
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
            ("a knife</think>No.", Some("a knife"), "No."),
            ("In <think>…</think> it thinks.", None, "In <think>…</think> it thinks."),
            (" Yes. ", None, "Yes."),
        ] {
            assert_eq!(parts(response), Parts { think, answer });
        }
    }

    #[test]
    fn what_follows_the_thoughts_is_the_answer() {
        for (text, rest) in [
            ("No.", Some("No.")),
            ("<think>Yes? No.</think> No.", Some(" No.")),
            ("Yes? No.</think>No.", Some("No.")),
            ("<think>a</think><think>b</think>No.", Some("No.")),
            ("◁think▷a◁/think▷No.", Some("No.")),
            ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>No.", Some("No.")),
            ("A <think> tag is shown.", Some("A <think> tag is shown.")),
            ("In <think>…</think> it thinks.", Some("In <think>…</think> it thinks.")),
            (" <think>Yes? But", None),
            ("<think>a</think> <think>b", None),
        ] {
            assert_eq!(after_thoughts(text), rest, "{text}");
            assert_eq!(answer_of(text), rest.unwrap_or_default(), "{text}");
        }
        assert_eq!(answer_of("<think>in <answer>?</think><answer>b</answer>"), "b");
    }
}
