//! Upper and lower case as Python's strings have them.

use crate::error::{Error, Result};

/// Whether a letter has a case.
pub(crate) fn is_cased(letter: char) -> bool {
    letter.is_lowercase() || letter.is_uppercase() || title_digraph(letter).is_some()
}

/// Refuses the one letter whose small form depends on the letters around it.
fn refuse_sigma(text: &str) -> Result<()> {
    if text.contains('Σ') { Err(Error::unsupported("the small form of `Σ` here")) } else { Ok(()) }
}

/// Large letters small, and the other way round.
pub(crate) fn swap_case(text: &str) -> Result<String> {
    refuse_sigma(text)?;
    let mut swapped = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_uppercase() {
            swapped.extend(letter.to_lowercase());
        } else {
            swapped.extend(letter.to_uppercase());
        }
    }
    Ok(swapped)
}

/// Every word with a capital; all that has no case ends a word.
pub(crate) fn title(text: &str) -> Result<String> {
    refuse_sigma(text)?;
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
    refuse_sigma(text)?;
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
    let first = upper.next().unwrap_or(letter);
    let rest: String = upper.collect();
    Ok(format!("{first}{}", if first.is_uppercase() { rest.to_lowercase() } else { rest }))
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
