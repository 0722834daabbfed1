//! Texts in Python sources: what authors' evaluators ask judges is read from the user's own copy of them.

/// The text that a Python source assigns to a name, an attribute, an argument or a dict's key: the first such assignment
/// whose value is a string literal. None where there is none, or where the value is more than literals.
///
/// Adjacent and added literals are one text. A leading `.format(...)` or `%` is left out, so that placeholders are as they
/// stand: `{question}`, `{item['question']}` in f-strings, and doubled braces doubled.
pub fn assigned_text(source: &str, name: &str) -> Option<String> {
    assigned_texts(source, name).into_iter().next()
}

/// The texts of all assignments to a name, in the order of the source.
pub fn assigned_texts(source: &str, name: &str) -> Vec<String> {
    let (mut found, mut depth, mut rest) = (Vec::new(), 0_usize, source);
    while let Some(next) = rest.chars().next() {
        let (token, after) = match (literal(rest), word(rest)) {
            (Some((text, after)), _) => (Token::Literal(text), after),
            (None, "") => (Token::Other, &rest[next.len_utf8()..]),
            (None, word) => (Token::Word(word), &rest[word.len()..]),
        };
        match next {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        rest = if next == '#' { after_comment(rest) } else { after };
        let value = match token {
            Token::Literal(text) if text == name => key_value(rest),
            Token::Word(word) if word == name => variable_value(rest),
            Token::Literal(_) | Token::Word(_) | Token::Other => None,
        };
        found.extend(value.and_then(|value| text_of(value, depth > 0)));
    }
    found
}

enum Token<'a> {
    Literal(String),
    Word(&'a str),
    Other,
}

/// What stands after `"key":` or `"key"] =`.
fn key_value(rest: &str) -> Option<&str> {
    let rest = rest.trim_start();
    rest.strip_prefix(':').or_else(|| after_equals(rest.strip_prefix(']')?))
}

/// What stands after `name =` or `name: type =`.
fn variable_value(rest: &str) -> Option<&str> {
    let rest = rest.trim_start_matches([' ', '\t']);
    after_equals(rest).or_else(|| {
        let line = rest.strip_prefix(':')?.lines().next()?;
        let (annotation, _) = line.split_once('=')?;
        after_equals(&rest[1 + annotation.len()..])
    })
}

fn after_equals(rest: &str) -> Option<&str> {
    let rest = rest.trim_start_matches([' ', '\t']).strip_prefix('=')?;
    (!rest.starts_with('=')).then_some(rest)
}

/// The text of a value of literals alone. In brackets a line does not end it.
fn text_of(value: &str, is_in_brackets: bool) -> Option<String> {
    let (mut text, mut is_text, mut opened, mut is_open_sum, mut rest) = (String::new(), false, 0_usize, true, value);
    loop {
        rest = after_blanks(rest, is_in_brackets || opened > 0);
        if let Some((part, after)) = literal(rest) {
            text.push_str(&part);
            (is_text, is_open_sum, rest) = (true, false, after);
        } else if let Some(after) = rest.strip_prefix('(').filter(|_| is_open_sum) {
            (opened, rest) = (opened + 1, after);
        } else if let Some(after) = rest.strip_prefix(')').filter(|_| is_text && opened > 0) {
            (opened, rest) = (opened - 1, after);
        } else if let Some(after) = rest.strip_prefix('+').filter(|_| !is_open_sum) {
            (is_open_sum, rest) = (true, after);
        } else if let Some(after) = rest.strip_prefix(".format").filter(|_| is_text) {
            rest = after_brackets(after)?;
        } else if let Some(after) = rest.strip_prefix(".strip()").filter(|_| is_text) {
            (text, rest) = (text.trim().to_owned(), after);
        } else {
            let is_end = rest.is_empty() || rest.starts_with(['\n', '\r', ',', ')', ']', '}', ';', '%']);
            return (is_end && !is_open_sum && is_text).then_some(text);
        }
    }
}

/// What stands after spaces, joined lines and comments; after line ends too in brackets.
fn after_blanks(mut rest: &str, is_in_brackets: bool) -> &str {
    loop {
        let before = rest.len();
        rest = rest.trim_start_matches([' ', '\t']);
        rest = rest.strip_prefix("\\\r\n").or_else(|| rest.strip_prefix("\\\n")).unwrap_or(rest);
        if rest.starts_with('#') {
            rest = after_comment(rest);
        }
        if is_in_brackets {
            rest = rest.trim_start();
        }
        if rest.len() == before {
            return rest;
        }
    }
}

/// What stands from the end of a comment's line on.
fn after_comment(rest: &str) -> &str {
    rest.find('\n').map_or("", |end| &rest[end..])
}

/// What stands after the bracket that closes the one with which the text begins.
fn after_brackets(mut rest: &str) -> Option<&str> {
    let mut depth = 0_usize;
    loop {
        let next = rest.chars().next()?;
        rest = literal(rest).map_or(&rest[next.len_utf8()..], |(_, after)| after);
        match next {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(rest);
        }
    }
}

/// The name with which a text begins; empty where it begins with something else.
fn word(rest: &str) -> &str {
    let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    &rest[..end.unwrap_or(rest.len())]
}

/// The string literal with which a text begins, and what stands after it; none for what is no literal or does not end.
pub(crate) fn literal(rest: &str) -> Option<(String, &str)> {
    let prefix = rest.find(['"', '\'']).filter(|quote| *quote <= 2)?;
    let (prefix, quoted) = rest.split_at(prefix);
    if !prefix.chars().all(|letter| "rRbBuUfF".contains(letter)) {
        return None;
    }
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| quoted.starts_with(quote))?;
    let (mut text, mut rest) = (String::new(), &quoted[quote.len()..]);
    while !rest.starts_with(quote) {
        let letter = rest.chars().next().filter(|letter| *letter != '\n' || quote.len() == 3)?;
        rest = &rest[letter.len_utf8()..];
        if letter != '\\' {
            text.push(letter);
        } else if prefix.contains(['r', 'R']) {
            let escaped = rest.chars().next()?;
            text.extend([letter, escaped]);
            rest = &rest[escaped.len_utf8()..];
        } else {
            rest = unescape(rest, &mut text)?;
        }
    }
    Some((text, &rest[quote.len()..]))
}

/// Adds what an escape stands for, and returns what follows. An unknown escape stands for itself, as in Python.
fn unescape<'a>(rest: &'a str, text: &mut String) -> Option<&'a str> {
    let letter = rest.chars().next()?;
    let after = &rest[letter.len_utf8()..];
    let (digits, radix, start) = match letter {
        'x' => (2, 16, after),
        'u' => (4, 16, after),
        'U' => (8, 16, after),
        '0'..='7' => (rest.bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count(), 8, rest),
        _ => {
            match letter {
                '\n' => {}
                '\\' | '\'' | '"' => text.push(letter),
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                'a' => text.push('\u{7}'),
                'b' => text.push('\u{8}'),
                'f' => text.push('\u{c}'),
                'v' => text.push('\u{b}'),
                _ => text.extend(['\\', letter]),
            }
            return Some(after);
        }
    };
    let code = u32::from_str_radix(start.get(..digits)?, radix).ok()?;
    text.push(char::from_u32(code)?);
    Some(&start[digits..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_as_python_reads_them() {
        for (source, expected) in [
            (r#"PROMPT = "A \"b\"\n{question}""#, Some("A \"b\"\n{question}")),
            ("PROMPT = '''One\nit's two\\\n three'''", Some("One\nit's two three")),
            (r"PROMPT: str = r'\d\'' # why", Some(r"\d\'")),
            (r"PROMPT = '\x41\u00e9\101\q'", Some("AéA\\q")),
            ("PROMPT = (\n  'a' # first's\n  \"b\"\n  f'{x[\"c\"]}'\n)\n", Some("ab{x[\"c\"]}")),
            ("PROMPT = 'a' \\\n  'b'\n'c'", Some("ab")),
            ("PROMPT = 'a' + ('b' + 'c')", Some("abc")),
            ("PROMPT = 'a{}'.format(f(')', [1])) + 'b'", Some("a{}b")),
            ("PROMPT = ' a %s '.strip() % x", Some("a %s")),
            ("self.PROMPT = u'a'", Some("a")),
            ("f(x, PROMPT='a'\n 'b')", Some("ab")),
            ("d = {'PROMPT': 'a'\n 'b', 'c': 1}", Some("ab")),
            ("d[\"PROMPT\"] = 'a'", Some("a")),
            ("PROMPT = load()\nPROMPT = 'a'", Some("a")),
            ("# PROMPT = 'no'\n'''PROMPT = \"no\"'''\nMY_PROMPT = 'no'\nPROMPT == 'no'", None),
            ("PROMPT = 'a' if x else 'b'", None),
            ("PROMPT = 'a' + x", None),
            ("PROMPT = '\\n'.join(x)", None),
            ("PROMPT = 'a", None),
            ("PROMPT = ''", Some("")),
            ("PROMPT", None),
        ] {
            assert_eq!(assigned_text(source, "PROMPT").as_deref(), expected, "{source}");
        }
    }

    #[test]
    fn every_assignment_is_found_in_order() {
        assert_eq!(assigned_texts("a = 'x'\nb = {'a': 'y'}\na = z(a='w')", "a"), ["x", "y", "w"]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(source in r#"([a\\"'\n(){}\[\]+=:#.%é0xurf ]|a = |"""|\.format\(|'''){0,40}"#) {
            assigned_texts(&source, "a");
        }

        #[test]
        fn what_is_quoted_is_read_back(text in r"[ -~\n\té]{0,30}") {
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            let source = format!("x = 1\nprompt = \"\"\"{quoted}\"\"\"\n");
            proptest::prop_assert_eq!(assigned_text(&source, "prompt"), Some(text));
        }
    }
}
