//! What parsers say of a value that does not fit, said for people: the key, what was expected, what was found, what may
//! be meant. No other file knows the parsers' phrases.

use crate::excerpt::excerpt;
use crate::suggest::nearest;

/// What a file is written in, which decides what its values are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// TOML: tables and lists.
    Toml,
    /// JSON: objects and lists.
    Json,
}

/// Where a value stands, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// What the file is written in.
    pub syntax: Syntax,
    /// The key, dotted; empty for the whole file.
    pub key: &'a str,
    /// Every key there is, dotted, for hints; empty where they are not known.
    pub known: &'a [String],
    /// What was written there; empty where it is not known.
    pub written: &'a str,
}

impl Place<'_> {
    /// Explains a parser's message: the problem and, where there is one, a hint.
    pub fn explain(&self, reason: &str) -> (String, Option<String>) {
        if let Some(rest) = reason.strip_prefix("unknown field ") {
            return self.unknown_key(rest);
        }
        if let Some(rest) = reason.strip_prefix("unknown variant ") {
            return self.unknown_value(rest);
        }
        if let Some(field) = reason.strip_prefix("missing field ") {
            let container = self.container();
            return (format!("{}expected a key {field} in the {container}, got none", self.shown()), None);
        }
        if let Some(field) = reason.strip_prefix("duplicate field ") {
            return (format!("{}expected the key {field} once, got it twice", self.shown()), None);
        }
        if let Some((expected, hint)) = self.slip(reason) {
            let got = if self.written.is_empty() { String::new() } else { format!(", got {}", self.quoted()) };
            return (format!("{}expected {expected}{got}", self.shown()), Some(hint.to_owned()));
        }
        if let Some((got, expected)) = mismatch(reason) {
            let got = self.found(got);
            return (format!("{}expected {}, got {got}", self.shown(), self.wanted(expected)), None);
        }
        match self.wanted_without_found(reason) {
            Some(expected) => (format!("{}expected {expected}, got {}", self.shown(), self.quoted()), None),
            None => (format!("{}{}", self.shown(), excerpt(reason)), None),
        }
    }

    /// The dotted key that is unknown, where that is what is wrong.
    pub fn unknown(&self, reason: &str) -> Option<String> {
        let (field, _) = field_and_choices(reason.strip_prefix("unknown field ")?);
        Some(format!("{}{field}", self.parent_of(&field)))
    }

    fn shown(&self) -> String {
        if self.key.is_empty() { String::new() } else { format!("`{}`: ", excerpt(self.key)) }
    }

    fn container(&self) -> &'static str {
        match self.syntax {
            Syntax::Toml => "table",
            Syntax::Json => "object",
        }
    }

    /// The container with its article.
    fn a_container(&self) -> &'static str {
        match self.syntax {
            Syntax::Toml => "a table",
            Syntax::Json => "an object",
        }
    }

    fn unknown_key(&self, rest: &str) -> (String, Option<String>) {
        let (field, choices) = field_and_choices(rest);
        let prefix = self.parent_of(&field);
        let dotted = format!("{prefix}{field}");
        let expected = match choices.as_slice() {
            [] => "no keys are allowed here".to_owned(),
            [only] => format!("expected `{only}`"),
            several => format!("expected one of `{}`", several.join("`, `")),
        };
        let hint = match nearest(&field, choices.iter().map(String::as_str)) {
            Some(choice) => Some(format!("did you mean `{prefix}{choice}`?")),
            None => self
                .known
                .iter()
                .find(|known| known.ends_with(&format!(".{field}")) && **known != dotted)
                .map(|found| format!("there is a key `{found}`; did you mean that?")),
        };
        (format!("unknown key `{}`: {expected}", excerpt(&dotted)), hint)
    }

    fn unknown_value(&self, rest: &str) -> (String, Option<String>) {
        let (value, choices) = field_and_choices(rest);
        let hint =
            nearest(&value, choices.iter().map(String::as_str)).map(|choice| format!("did you mean `{choice}`?"));
        let expected = choices.iter().map(|choice| format!("\"{choice}\"")).collect::<Vec<_>>().join(", ");
        let one_of = if choices.len() == 1 { "" } else { "one of " };
        (format!("{}expected {one_of}{expected}, got \"{}\"", self.shown(), excerpt(&value)), hint)
    }

    /// What stands before `field` in the key, closing dot included. An override may name a field further up its key than
    /// the last, as in `sft.optimizer.rate` when `sft` has no `optimizer`.
    fn parent_of(&self, field: &str) -> String {
        let parts: Vec<&str> = self.key.split('.').collect();
        let depth = parts.iter().position(|part| *part == field).unwrap_or(parts.len());
        parts[..depth].iter().filter(|part| !part.is_empty()).map(|part| format!("{part}.")).collect()
    }

    /// What was found, without the parser's name for its type where the value itself is shown.
    fn found(&self, got: &str) -> String {
        match got {
            // A date is a table to the parser.
            "map" if self.written.starts_with(|first: char| first.is_ascii_digit()) => self.quoted(),
            "map" => self.a_container().to_owned(),
            "sequence" => "a list".to_owned(),
            length if length.starts_with("length ") => length.to_owned(),
            "unit value" | "null" | "Option value" => "null".to_owned(),
            _ => ["integer ", "floating point ", "boolean ", "string ", "character "]
                .iter()
                .find_map(|kind| got.strip_prefix(kind))
                .map_or_else(|| self.quoted_or(got), excerpt),
        }
    }

    fn quoted(&self) -> String {
        self.quoted_or("something else")
    }

    fn quoted_or(&self, otherwise: &str) -> String {
        if self.written.is_empty() { excerpt(otherwise) } else { format!("`{}`", excerpt(self.written.trim())) }
    }

    fn wanted(&self, expected: &str) -> String {
        let plain = match expected {
            "f32" | "f64" => "a number",
            "usize" | "u64" => "a whole number of at least 0",
            "u32" => "a whole number from 0 to 4294967295",
            "u16" => "a whole number from 0 to 65535",
            "u8" => "a whole number from 0 to 255",
            "isize" | "i64" | "i32" | "i16" | "i8" => "a whole number",
            "a boolean" => "true or false",
            "a borrowed string" | "string" => "a string",
            "a borrowed path" | "path string" if self.syntax == Syntax::Toml => "a path in quotes",
            "a borrowed path" | "path string" => "a path",
            "a sequence" if self.syntax == Syntax::Toml => "a list in [ ]",
            "a sequence" => "a list",
            "a map" | "map" => self.a_container(),
            "unit" | "null" => "nothing",
            "fewer elements in array" | "fewer elements in sequence" => "a shorter list",
            "string or map" | "variant identifier" | "field identifier" => "a name in quotes",
            other if other.starts_with("a nonzero ") => "a whole number of at least 1",
            other if other.starts_with("internally tagged enum ") || other.starts_with("adjacently tagged enum ") => {
                return format!("{} with a key `type`", self.a_container());
            }
            other if other.starts_with("enum ") => "a name in quotes",
            other if other.starts_with("struct ") || other.starts_with("tuple struct ") => self.a_container(),
            other => other,
        };
        plain.to_owned()
    }

    /// What is wanted where something else than TOML was written, and how it is written in TOML.
    fn slip(&self, reason: &str) -> Option<(&'static str, &'static str)> {
        match self.written.trim() {
            "None" | "null" | "nil" => Some(("a value", "TOML has no null: leave the key out")),
            "True" | "False" => Some(("true or false", "TOML writes both in lower case")),
            _ if reason.starts_with("missing escaped value") => Some((
                "an escape after the backslash",
                "in single quotes a backslash is itself: write paths of Windows so",
            )),
            _ if reason.starts_with("string values must be quoted") => {
                Some(("a value in quotes", "numbers, true, false and dates alone stand without"))
            }
            _ => None,
        }
    }

    /// What is wanted where the parser does not say what it found.
    fn wanted_without_found(&self, reason: &str) -> Option<String> {
        let expected = match reason {
            "wanted string or table" => "a name in quotes".to_owned(),
            "integer number overflowed" | "floating-point number overflowed" | "number out of range" => {
                "a number that fits into 64 bits".to_owned()
            }
            "recursion limit" | "cannot recurse further; max recursion depth met" => {
                "values nested less deeply".to_owned()
            }
            "expected empty table" | "expected empty array" => format!("no keys in the {}", self.container()),
            _ if reason.starts_with("data did not match any variant of ") => {
                "one of the forms that are known here".to_owned()
            }
            _ if reason.starts_with("wanted exactly 1 element") => "a name in quotes".to_owned(),
            _ if reason.starts_with("expected table, found ") => self.a_container().to_owned(),
            _ => return None,
        };
        Some(expected)
    }
}

/// A parser's message on JSON that is not at hand, without its place in there.
pub fn plain(reason: &str) -> String {
    let reason = reason.rsplit_once(" at line ").map_or(reason, |(reason, _)| reason);
    Place { syntax: Syntax::Json, key: "", known: &[], written: "" }.explain(reason).0
}

/// Splits ``x`, expected one of `a`, `b`` into the first backticked word and the others.
fn field_and_choices(rest: &str) -> (String, Vec<String>) {
    // The first word is foreign, and may hold backticks itself.
    let end = rest.rfind("`, expected ").or_else(|| rest.rfind("`, there are no ")).unwrap_or(rest.len());
    let choices = rest[end..].split('`').skip(2).step_by(2).map(str::to_owned).collect();
    (rest[..end].trim_matches('`').to_owned(), choices)
}

/// The two sides of `invalid type: X, expected Y`.
fn mismatch(reason: &str) -> Option<(&str, &str)> {
    let starts = ["invalid type: ", "invalid value: "];
    let rest = starts.iter().find_map(|start| reason.strip_prefix(start));
    let rest = rest.or_else(|| reason.strip_prefix("invalid ").filter(|rest| rest.starts_with("length ")))?;
    rest.rsplit_once(", expected ")
}
