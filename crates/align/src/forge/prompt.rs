//! What models are asked: versioned files whose hash is in every record.

use sha2::{Digest, Sha256};

/// A prompt in a file with its version in its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptTemplate {
    name: &'static str,
    template: &'static str,
}

macro_rules! prompts {
    ($($constant:ident $file:literal $about:literal;)*) => {
        impl PromptTemplate {
            $(#[doc = $about] pub const $constant: Self = Self {
                name: $file,
                template: include_str!(concat!("prompts/", $file, ".txt")),
            };)*
        }
    };
}

prompts! {
    ELEMENTS_TEXT "elements_text.v1" "Items planned from words.";
    ELEMENTS_IMAGE "elements_image.v1" "Items planned from an image.";
    INSTRUCTION "instruction.v1" "A request over images instead of things.";
    DETOX "detox.v1" "The same in neutral words.";
    TWIN "twin.v1" "The swap that makes an item harmless.";
    REFINE "refine.v1" "Whether images show what they shall.";
    MATCH "match.v1" "Which of several images shows a thing.";
    CLASSIFY "classify.v1" "Whether an item is what it shall be, and which split and sub-category are its own.";
    LABEL_HAZARDOUS "label_hazardous.v1" "The safety chain of thought for a harmful item.";
    LABEL_BENIGN "label_benign.v1" "The same for a harmless one.";
    LABEL_BLACK_IMAGE "label_black_image.v1" "The same where nothing can be seen.";
}

impl PromptTemplate {
    /// Name, version, and the first twelve hexadecimal digits of the file's SHA-256: records with the same were asked
    /// for in the same words.
    pub fn identity(self) -> String {
        let digest = Sha256::digest(self.template);
        let hash: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        format!("{}@{hash}", self.name)
    }

    /// The prompt with its marks `{name}` replaced. What is put in may hold marks itself; those stay as they are.
    pub fn fill(self, values: &[(&str, &str)]) -> String {
        let mut filled = String::new();
        let mut rest = self.template.trim_end();
        while let Some(start) = rest.find('{') {
            let (before, from) = rest.split_at(start);
            filled.push_str(before);
            let mark = values
                .iter()
                .find(|(name, _)| from[1..].strip_prefix(name).is_some_and(|after| after.starts_with('}')));
            if let Some((name, value)) = mark {
                filled.push_str(value);
                rest = &from[name.len() + 2..];
            } else {
                filled.push('{');
                rest = &from[1..];
            }
        }
        filled.push_str(rest);
        filled
    }

    /// What stands between the markers of a block of a filled prompt: how models of the miniature world read it.
    pub fn block<'a>(filled: &'a str, name: &str) -> Option<&'a str> {
        let (_, rest) = filled.split_once(&format!("<<<{name}\n"))?;
        let (inside, _) = rest.split_once(&format!("\n{name}>>>"))?;
        Some(inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_in_what_is_put_into_a_prompt_stay() {
        let filled = PromptTemplate::TWIN.fill(&[("query", "{objects}"), ("request", "r {"), ("objects", "o")]);
        assert_eq!(PromptTemplate::block(&filled, "QUERY"), Some("{objects}"));
        assert_eq!(PromptTemplate::block(&filled, "OBJECTS"), Some("o"));
        assert!(filled.contains("{\"explanation\""), "{filled}");
    }
}
