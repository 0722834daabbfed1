//! Upper and lower case as Python's strings have them.

use crate::error::{Error, Result};

/// Whether a letter has a case.
pub(crate) fn is_cased(letter: char) -> bool {
    letter.is_lowercase() || letter.is_uppercase() || title_digraph(letter).is_some()
}

/// Every word with a capital; all that has no case ends a word.
pub(crate) fn title(text: &str) -> Result<String> {
    let mut titled = String::with_capacity(text.len());
    let mut within = false;
    for letter in text.chars() {
        if within {
            titled.extend(letter.to_lowercase());
        } else {
            titled.push_str(&title_case(letter)?);
        }
        within = is_cased(letter);
    }
    Ok(titled)
}

/// The first letter large, all others small.
pub(crate) fn capitalize(text: &str) -> Result<String> {
    let mut letters = text.chars();
    let first = letters.next().map_or(Ok(String::new()), title_case)?;
    Ok(first + &letters.as_str().to_lowercase())
}

/// A letter at the beginning of a word.
fn title_case(letter: char) -> Result<String> {
    if let Some(digraph) = title_digraph(letter) {
        return Ok(digraph.into());
    }
    if ('\u{1f80}'..='\u{1ffc}').contains(&letter) || ('\u{10d0}'..='\u{10ff}').contains(&letter) {
        return Err(Error::unsupported(format!("the title case of `{letter}`")));
    }
    let mut upper = letter.to_uppercase();
    let first: String = upper.next().into_iter().collect();
    Ok(first + &upper.collect::<String>().to_lowercase())
}

/// The title case of letters that stand for two.
fn title_digraph(letter: char) -> Option<char> {
    match letter {
        'Ǆ' | 'ǅ' | 'ǆ' => Some('ǅ'),
        'Ǉ' | 'ǈ' | 'ǉ' => Some('ǈ'),
        'Ǌ' | 'ǋ' | 'ǌ' => Some('ǋ'),
        'Ǳ' | 'ǲ' | 'ǳ' => Some('ǲ'),
        _ => None,
    }
}
