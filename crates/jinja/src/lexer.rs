//! A template's text as tokens, by the rules of Jinja2's lexer with `trim_blocks` and `lstrip_blocks`.

use crate::error::{Error, Result};
use crate::text::push_escape;

/// Operators, longest first.
const OPERATORS: [&str; 25] = [
    "**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", "<", ">", "=", ".",
    ":", "|", ",",
];

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Text(String),
    BlockBegin,
    BlockEnd,
    PrintBegin,
    PrintEnd,
    Name(String),
    Str(String),
    Int(i128),
    Float(f64),
    Operator(&'static str),
}

/// Tokens with their lines.
pub(crate) fn tokens(source: &str) -> Result<Vec<(u32, Token)>> {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let source = source.strip_suffix('\n').unwrap_or(&source);
    let mut lexer = Lexer { source, position: 0, line: 1, at_line_start: true, tokens: Vec::new() };
    lexer.run().map_err(|error| error.at(lexer.line))?;
    Ok(lexer.tokens)
}

struct Lexer<'s> {
    source: &'s str,
    position: usize,
    line: u32,
    /// Whether the last token ended a line, as the beginning of the text does.
    at_line_start: bool,
    tokens: Vec<(u32, Token)>,
}

impl<'s> Lexer<'s> {
    fn run(&mut self) -> Result<()> {
        while self.position < self.source.len() {
            let rest = self.rest();
            let Some(start) = rest.match_indices('{').map(|found| found.0).find(|at| begins_tag(&rest[*at..])) else {
                self.text(rest.len(), 0, "", false);
                break;
            };
            let tag = &rest[start..start + 2];
            let sign = sign_of(&rest[start + 2..]);
            if let Some(length) = raw_begin(&rest[start..]) {
                self.text(start, length, sign, true);
                self.raw()?;
                continue;
            }
            self.text(start, 2 + sign.len(), sign, tag != "{{");
            match tag {
                "{#" => self.comment()?,
                "{%" => self.code(Token::BlockBegin, Token::BlockEnd, "%}")?,
                _ => self.code(Token::PrintBegin, Token::PrintEnd, "}}")?,
            }
        }
        Ok(())
    }

    fn rest(&self) -> &'s str {
        &self.source[self.position..]
    }

    fn advance(&mut self, length: usize) {
        let passed = &self.rest()[..length];
        self.line += passed.matches('\n').count() as u32;
        self.at_line_start = passed.ends_with('\n') || (passed.is_empty() && self.at_line_start);
        self.position += length;
    }

    fn push(&mut self, token: Token) {
        self.tokens.push((self.line, token));
    }

    /// The text before a tag of `tag_length` bytes, without the white space that the tag removes.
    fn text(&mut self, length: usize, tag_length: usize, sign: &str, is_block: bool) {
        let text = &self.rest()[..length];
        let kept = match sign {
            "-" => trim_end(text),
            "" if is_block => self.without_indentation(text),
            _ => text,
        };
        if !kept.is_empty() {
            self.push(Token::Text(kept.to_owned()));
        }
        self.advance(length + tag_length);
    }

    /// The text without the white space after its last line end, where nothing else follows there.
    fn without_indentation<'t>(&self, text: &'t str) -> &'t str {
        let start = text.rfind('\n').map_or(0, |end| end + 1);
        let is_blank = text[start..].chars().all(is_space);
        if is_blank && (start > 0 || self.at_line_start) { &text[..start] } else { text }
    }

    fn comment(&mut self) -> Result<()> {
        let rest = self.rest();
        let end = rest.find("#}").ok_or_else(|| Error::new("missing end of comment tag"))?;
        let removes_space = rest[..end].ends_with('-');
        self.advance(end);
        self.end_tag(2, removes_space, rest[..end].ends_with('+'));
        Ok(())
    }

    /// Passes a tag's end of so many bytes, and the white space that it removes.
    fn end_tag(&mut self, length: usize, removes_space: bool, keeps_space: bool) {
        let after = &self.rest()[length..];
        let space = match (removes_space, keeps_space) {
            (true, _) => after.len() - trim_start(after).len(),
            (false, true) => 0,
            (false, false) => usize::from(after.starts_with('\n')),
        };
        self.advance(length + space);
    }

    /// The content of a `raw` block up to and with its end.
    fn raw(&mut self) -> Result<()> {
        let rest = self.rest();
        for (start, _) in rest.match_indices("{%") {
            let sign = sign_of(&rest[start + 2..]);
            let inside = trim_start(&rest[start + 2 + sign.len()..]);
            let Some(end) = inside.strip_prefix("endraw").map(trim_start) else { continue };
            let end_sign = sign_of(end);
            if !end[end_sign.len()..].starts_with("%}") {
                continue;
            }
            let tag_length = rest.len() - start - end.len();
            self.text(start, tag_length, sign, true);
            self.end_tag(end_sign.len() + 2, end_sign == "-", end_sign == "+");
            return Ok(());
        }
        Err(Error::new("missing end of raw directive"))
    }

    /// What stands between a tag's ends.
    fn code(&mut self, begin: Token, end: Token, end_text: &str) -> Result<()> {
        self.push(begin);
        let mut open: Vec<char> = Vec::new();
        loop {
            let rest = self.rest();
            let space = rest.len() - trim_start(rest).len();
            if open.is_empty()
                && let Some(length) = end_of(rest, end_text)
            {
                self.push(end);
                self.end_tag(length, rest.starts_with('-'), rest.starts_with('+') || end_text == "}}");
                return Ok(());
            }
            if space > 0 {
                self.advance(space);
                continue;
            }
            let Some(letter) = rest.chars().next() else { return Err(Error::new("unexpected end of template")) };
            let (length, token) = token(rest, self.source[..self.position].ends_with('.'))?;
            match letter {
                '(' => open.push(')'),
                '[' => open.push(']'),
                '{' => open.push('}'),
                ')' | ']' | '}' if open.pop() != Some(letter) => {
                    return Err(Error::new(format!("unexpected '{letter}'")));
                }
                _ => {}
            }
            self.push(token);
            self.advance(length);
        }
    }
}

fn begins_tag(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|tag| text.starts_with(tag))
}

/// The length of a tag's end, if it is next.
fn end_of(rest: &str, end: &str) -> Option<usize> {
    let signs = if end == "}}" { ["-", ""].as_slice() } else { &["-", "+", ""] };
    signs.iter().find_map(|sign| rest.strip_prefix(sign)?.starts_with(end).then_some(sign.len() + end.len()))
}

/// White space as Python's regular expressions and strings know it.
pub(crate) fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\x1c'..='\x1f').contains(&letter)
}

fn trim_start(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

fn trim_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

fn sign_of(text: &str) -> &str {
    if text.starts_with(['-', '+']) { &text[..1] } else { "" }
}

/// The length of the tag that opens a `raw` block. It removes no line end after it, unlike other tags.
fn raw_begin(text: &str) -> Option<usize> {
    let inside = text.strip_prefix("{%")?;
    let inside = trim_start(&inside[sign_of(inside).len()..]).strip_prefix("raw")?;
    let inside = trim_start(inside);
    let after = match inside.strip_prefix("-%}") {
        Some(after) => trim_start(after),
        None => inside.strip_prefix("%}")?,
    };
    Some(text.len() - after.len())
}

/// The next token of code and its length in bytes.
fn token(text: &str, after_dot: bool) -> Result<(usize, Token)> {
    let letter = text.chars().next().unwrap_or_default();
    if letter.is_ascii_digit() {
        return number(text, after_dot);
    }
    if letter == '_' || letter.is_alphanumeric() {
        let length = text.find(|letter: char| letter != '_' && !letter.is_alphanumeric()).unwrap_or(text.len());
        return Ok((length, Token::Name(text[..length].to_owned())));
    }
    if letter == '\'' || letter == '"' {
        let mut escaped = false;
        for (position, next) in text.char_indices().skip(1) {
            match next {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                _ if next == letter => return Ok((position + 1, Token::Str(unescape(&text[1..position])?))),
                _ => {}
            }
        }
    } else if let Some(operator) = OPERATORS.iter().find(|operator| text.starts_with(**operator)) {
        return Ok((operator.len(), Token::Operator(operator)));
    }
    Err(Error::new(format!("unexpected character {letter:?}")))
}

/// A number's token. After a dot it is the index of an item, and has no fraction.
fn number(text: &str, after_dot: bool) -> Result<(usize, Token)> {
    let too_large = |_| Error::new("integers beyond 128 bits are not supported");
    let prefix = text.get(..2).unwrap_or_default().to_ascii_lowercase();
    for (mark, radix) in [("0b", 2), ("0o", 8), ("0x", 16)] {
        let length = if prefix == mark { digits(&text[2..], radix) } else { 0 };
        if length > 0 {
            let value = i128::from_str_radix(&text[2..2 + length].replace('_', ""), radix).map_err(too_large)?;
            return Ok((2 + length, Token::Int(value)));
        }
    }
    let whole = digits(text, 10);
    let mut length = whole;
    if !after_dot {
        if text[length..].starts_with('.') {
            let fraction = digits(&text[length + 1..], 10);
            length += if fraction > 0 { 1 + fraction } else { 0 };
        }
        if text[length..].starts_with(['e', 'E']) {
            let sign = usize::from(text[length + 1..].starts_with(['-', '+']));
            let exponent = digits(&text[length + 1 + sign..], 10);
            length += if exponent > 0 { 1 + sign + exponent } else { 0 };
        }
    }
    let plain = text[..length].replace('_', "");
    if length > whole {
        return plain.parse().map(|value| (length, Token::Float(value))).map_err(|_| Error::new("invalid number"));
    }
    if plain.len() > 1 && plain.starts_with('0') && plain.bytes().any(|digit| digit != b'0') {
        return Err(Error::new("leading zeros in an integer"));
    }
    Ok((length, Token::Int(plain.parse().map_err(too_large)?)))
}

/// The length of digits at the beginning of a text, with single underscores between them.
fn digits(text: &str, radix: u32) -> usize {
    let mut length = 0;
    for (position, letter) in text.char_indices() {
        if letter.is_digit(radix) {
            length = position + 1;
        } else if letter != '_' || position != length || position == 0 {
            break;
        }
    }
    length
}

/// The text that a string's source says, by Python's rules.
fn unescape(source: &str) -> Result<String> {
    let mut text = String::with_capacity(source.len());
    let mut letters = source.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            text.push(letter);
            continue;
        }
        let escape = letters.next().unwrap_or('\\');
        match escape {
            '\n' => {}
            '\\' | '\'' | '"' => text.push(escape),
            'a' => text.push('\x07'),
            'b' => text.push('\x08'),
            'f' => text.push('\x0c'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'v' => text.push('\x0b'),
            '0'..='7' => {
                let rest = letters.as_str();
                let more = rest.bytes().take(2).take_while(|digit| (b'0'..=b'7').contains(digit)).count();
                text.push(code_point(&format!("{escape}{}", &rest[..more]), 8)?);
                letters = rest[more..].chars();
            }
            'x' | 'u' | 'U' => {
                let length =
                    [('x', 2), ('u', 4), ('U', 8)].iter().find(|(name, _)| *name == escape).map_or(0, |it| it.1);
                let rest = letters.as_str();
                text.push(code_point(rest.get(..length).unwrap_or_default(), 16)?);
                letters = rest[length..].chars();
            }
            'N' => return Err(Error::unsupported("the escape `\\N{…}` in a string")),
            // As Python reads it: what is not ASCII is written as an escape first, whose backslash this one escapes.
            _ if !escape.is_ascii() => push_escape(&mut text, escape),
            _ => text.extend(['\\', escape]),
        }
    }
    Ok(text)
}

fn code_point(digits: &str, radix: u32) -> Result<char> {
    let code = u32::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+')).and_then(char::from_u32);
    code.ok_or_else(|| Error::new(format!("invalid escape `{digits}` in a string")))
}
