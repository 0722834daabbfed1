//! Lists of texts as Python writes them, such as `['one', "it's two"]`, in cells of tables.

use crate::python_text::literal;

/// The members of a list of strings and numbers; none for a text that is no such list.
pub(crate) fn texts_of(text: &str) -> Option<Vec<String>> {
    let mut rest = text.trim().strip_prefix('[')?.trim_start();
    let mut texts = Vec::new();
    while !rest.starts_with(']') {
        let (member, after) = literal(rest).or_else(|| number(rest))?;
        texts.push(member);
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None => after.starts_with(']').then_some(after)?,
        };
    }
    (rest == "]").then_some(texts)
}

/// A number, as it is written, and what follows.
fn number(rest: &str) -> Option<(String, &str)> {
    let (number, after) = rest.split_at(rest.find([',', ']', ' '])?);
    number.parse::<f64>().is_ok().then(|| (number.to_owned(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_python_writes_them() {
        for (text, expected) in [
            ("['$6', '$7']", Some(vec!["$6", "$7"])),
            (r#" ["it's", 'a "b"', 'c\'d',] "#, Some(vec!["it's", "a \"b\"", "c'd"])),
            ("[1, -2.5,'x']", Some(vec!["1", "-2.5", "x"])),
            ("[]", Some(vec![])),
            ("['a' 'b']", None),
            ("[a]", None),
            ("['a'] and more", None),
            ("a", None),
            ("['a", None),
        ] {
            let expected = expected.map(|texts| texts.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(texts_of(text), expected, "{text}");
        }
    }
}
