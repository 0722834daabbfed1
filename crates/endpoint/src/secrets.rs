//! Words that must reach no file and no terminal, though endpoints may say them: some repeat the header that they
//! refuse.

use std::borrow::Cow;

use serde_json::json;

/// Shorter words are no secrets but placeholders such as `EMPTY`, which stand in honest answers too.
const SHORTEST: usize = 8;
const HIDDEN: &str = "***";

/// A role's key, and what else gives access.
#[derive(Default)]
pub(crate) struct Secrets {
    words: Vec<String>,
}

impl Secrets {
    /// Takes words to hide; in JSON they may stand with escapes.
    pub fn new(words: impl IntoIterator<Item = String>) -> Self {
        let mut words: Vec<String> = words
            .into_iter()
            .filter(|word| word.len() >= SHORTEST)
            .flat_map(|word| [json!(word).to_string().trim_matches('"').to_owned(), word])
            .collect();
        // A word within another is hidden after it, or else the other's rest would stay.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        words.dedup();
        Self { words }
    }

    /// The text with every secret replaced.
    pub fn hide<'t>(&self, text: impl Into<Cow<'t, str>>) -> Cow<'t, str> {
        let mut text = text.into();
        for word in &self.words {
            if text.contains(word) {
                text = text.replace(word, HIDDEN).into();
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_and_placeholders_are_not() {
        let secrets = Secrets::new(["sk-12345678", "EMPTY", "a\"quoted\"key", "sk-12345678-more"].map(str::to_owned));
        for (text, expected) in [
            ("got Bearer sk-12345678, twice sk-12345678", "got Bearer ***, twice ***"),
            ("sk-12345678-more", "***"),
            (r#"{"error":"a\"quoted\"key"}"#, r#"{"error":"***"}"#),
            ("EMPTY", "EMPTY"),
        ] {
            assert_eq!(secrets.hide(text), expected);
        }
    }
}
