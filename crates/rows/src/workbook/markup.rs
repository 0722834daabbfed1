//! The XML of a workbook's parts, as far as they need it.

/// A piece of XML.
#[derive(Debug, PartialEq)]
pub(super) enum Piece<'a> {
    /// A tag's name and what follows it. An empty element is opened and not closed.
    Open(&'a str, &'a str),
    /// The name of a closing tag.
    Close(&'a str),
    /// What is between tags, as it is written.
    Text(&'a str),
}

/// The pieces of a part, without declarations and comments.
pub(super) struct Pieces<'a>(pub(super) &'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            if let Some(comment) = self.0.strip_prefix("<!--") {
                self.0 = comment.split_once("-->")?.1;
            } else if let Some(tag) = self.0.strip_prefix('<') {
                let (tag, rest) = tag.split_once('>')?;
                self.0 = rest;
                if let Some(name) = tag.strip_prefix('/') {
                    return Some(Piece::Close(local(name.trim_end())));
                }
                if !tag.starts_with(['?', '!']) {
                    let tag = tag.trim_end_matches('/');
                    let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
                    return Some(Piece::Open(local(name), attributes));
                }
            } else {
                let (text, rest) = self.0.split_at(self.0.find('<')?);
                self.0 = rest;
                return Some(Piece::Text(text));
            }
        }
    }
}

/// A name without its namespace.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// The value of an attribute, as it is written.
pub(super) fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let mut parts = attributes.split('"');
    while let (Some(before), Some(value)) = (parts.next(), parts.next()) {
        if before.trim().strip_suffix('=').is_some_and(|written| written.trim_end() == name) {
            return Some(value);
        }
    }
    None
}

/// A text with its entities, and with characters that a workbook writes as `_x000D_`.
pub(super) fn unescaped(text: &str) -> String {
    let (mut unescaped, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(['&', '_']) {
        let (before, from) = rest.split_at(at);
        unescaped.push_str(before);
        let (letter, after) = escape(from).unwrap_or_else(|| (char::from(from.as_bytes()[0]), &from[1..]));
        unescaped.push(letter);
        rest = after;
    }
    unescaped + rest
}

/// The character that an escape at the beginning of a text stands for, and what follows.
fn escape(text: &str) -> Option<(char, &str)> {
    if let Some(code) = text.strip_prefix("_x") {
        let (code, after) = (code.get(..4)?, code.get(4..)?.strip_prefix('_')?);
        return Some((char::from_u32(u32::from_str_radix(code, 16).ok()?)?, after));
    }
    let (name, after) = text.strip_prefix('&')?.split_once(';')?;
    let letter = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let code = name.strip_prefix('#')?;
            let code = match code.strip_prefix(['x', 'X']) {
                Some(code) => u32::from_str_radix(code, 16),
                None => code.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((letter, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_is_read_as_workbooks_write_it() {
        let pieces: Vec<Piece> = Pieces("<?xml?><!-- <a> --><x:c r=\"A1\" t = \"s\"><v>1</v></x:c><d/>").collect();
        let open = Piece::Open("c", "r=\"A1\" t = \"s\"");
        let expected = [open, Piece::Open("v", ""), Piece::Text("1"), Piece::Close("v"), Piece::Close("c")];
        assert_eq!(pieces[..5], expected);
        assert_eq!((attribute("r=\"A1\" t = \"s\"", "t"), attribute("rt=\"A1\"", "t")), (Some("s"), None));
        assert_eq!(unescaped("a &lt;b&gt; &amp;amp; &#10;&#x41; _x000D_ _x_ &no; é"), "a <b> &amp; \nA \r _x_ &no; é");
    }
}
