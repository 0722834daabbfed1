//! Foreign text in messages: a row's value, a server's body, a model's reply, a file's name.

/// So many letters of a foreign text are shown.
const MOST_LETTERS: usize = 300;

/// Foreign text as a message shows it: on one line, control characters escaped, at most 300 letters of it.
pub fn excerpt(text: &str) -> String {
    let mut shown = String::new();
    let mut n_letters = 0;
    for letter in text.chars() {
        let escaped: String = if is_unprintable(letter) { letter.escape_default().collect() } else { letter.into() };
        n_letters += escaped.chars().count();
        if n_letters > MOST_LETTERS {
            shown.push('…');
            break;
        }
        shown.push_str(&escaped);
    }
    shown
}

/// A message as it is printed: control characters escaped but for line breaks, and words of more than 300 letters cut,
/// since no path, id or address that a message names says more by its rest.
pub fn printable(message: &str) -> String {
    let lines = message.split('\n').map(|line| line.split(' ').map(excerpt).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a letter moves the cursor, colors the terminal, or turns the direction of what follows.
fn is_unprintable(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_letters_and_control_characters_are_escaped() {
        for (text, expected) in [
            ("Größe 🦀", "Größe 🦀".to_owned()),
            ("a\nb\t\u{1b}[31mc", r"a\nb\t\u{1b}[31mc".to_owned()),
            ("\u{202e}txt.exe", r"\u{202e}txt.exe".to_owned()),
            (&"ä".repeat(300), "ä".repeat(300)),
            (&"ä".repeat(301), format!("{}…", "ä".repeat(300))),
            (&format!("{}\n", "a".repeat(299)), format!("{}…", "a".repeat(299))),
        ] {
            assert_eq!(excerpt(text), expected);
        }
    }
}
