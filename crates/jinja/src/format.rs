//! One field of Python's string formatting: widths, signs, precisions, bases.

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::text::float_repr;
use crate::value::Value;

/// How a field is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Spec {
    pub fill: Option<char>,
    /// `<`, `>`, `^` or `=`.
    pub align: Option<char>,
    /// `+` or a space, before positive numbers.
    pub sign: Option<char>,
    pub alternate: bool,
    /// Zeros between a number's sign and its digits.
    pub zeros: bool,
    pub width: usize,
    /// `,` or `_`, between thousands.
    pub grouping: Option<char>,
    pub precision: Option<usize>,
    /// The letter of the conversion.
    pub kind: Option<char>,
}

impl Spec {
    /// A text, cut to the precision and padded to the width; to the left unless told otherwise.
    pub(crate) fn text(&self, budget: &Budget, text: &str) -> Result<String> {
        let cut: String = text.chars().take(self.precision.unwrap_or(usize::MAX)).collect();
        self.pad(budget, "", &cut, '<')
    }

    /// An integer in decimal or another base.
    pub(crate) fn integer(&self, budget: &Budget, integer: i128) -> Result<String> {
        let size = integer.unsigned_abs();
        let (prefix, digits) = match self.kind {
            Some('x') => ("0x", format!("{size:x}")),
            Some('X') => ("0X", format!("{size:X}")),
            Some('o') => ("0o", format!("{size:o}")),
            Some('b') => ("0b", format!("{size:b}")),
            _ => ("", size.to_string()),
        };
        budget.take(self.precision.unwrap_or(0))?;
        let digits = format!("{}{digits}", "0".repeat(self.precision.unwrap_or(0).saturating_sub(digits.len())));
        let prefix = if self.alternate { prefix } else { "" };
        let sign = self.sign_of(integer < 0);
        self.number(budget, &format!("{sign}{prefix}"), &digits, "")
    }

    /// A float: `f`, `e`, `g` or `%`; without a kind as `repr` writes it.
    pub(crate) fn float(&self, budget: &Budget, float: f64) -> Result<String> {
        let precision = self.precision.unwrap_or(6);
        if precision > 400 || self.alternate {
            return Err(Error::unsupported("`#` or a precision beyond 400 digits in the format of a float"));
        }
        let size = float.abs();
        let text = match self.kind.map(|kind| kind.to_ascii_lowercase()) {
            _ if !size.is_finite() => if size.is_nan() { "nan" } else { "inf" }.to_owned(),
            Some('f') => format!("{size:.precision$}"),
            Some('%') => format!("{:.precision$}%", size * 100.0),
            Some('e') => exponential(size, precision),
            Some('g') => general(size, precision.max(1)),
            None if self.precision.is_none() => float_repr(size),
            _ => return Err(Error::unsupported("a precision without the letter of a conversion")),
        };
        let text = if self.kind.is_some_and(char::is_uppercase) { text.to_uppercase() } else { text };
        let sign = self.sign_of(float.is_sign_negative() && !float.is_nan());
        let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        self.number(budget, sign, &text[..end], &text[end..])
    }

    fn sign_of(&self, is_negative: bool) -> &'static str {
        match (is_negative, self.sign) {
            (true, _) => "-",
            (false, Some('+')) => "+",
            (false, Some(' ')) => " ",
            _ => "",
        }
    }

    /// Digits with their separators, sign and padding; numbers go to the right.
    fn number(&self, budget: &Budget, sign: &str, digits: &str, tail: &str) -> Result<String> {
        let Some(separator) = self.grouping else { return self.pad(budget, sign, &format!("{digits}{tail}"), '>') };
        if self.fill == Some('0') && self.width > 0 {
            return Err(Error::unsupported("zeros before grouped digits"));
        }
        let size = if matches!(self.kind, Some('x' | 'X' | 'o' | 'b')) { 4 } else { 3 };
        let mut grouped = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(size) {
                grouped.push(separator);
            }
            grouped.push(digit);
        }
        self.pad(budget, sign, &format!("{grouped}{tail}"), '>')
    }

    fn pad(&self, budget: &Budget, sign: &str, text: &str, default: char) -> Result<String> {
        let length = sign.chars().count() + text.chars().count();
        let missing = self.width.saturating_sub(length);
        budget.take(missing.saturating_mul(4))?;
        let fill = |count: usize| self.fill.unwrap_or(' ').to_string().repeat(count);
        Ok(match self.align.unwrap_or(default) {
            '<' => format!("{sign}{text}{}", fill(missing)),
            '=' => format!("{sign}{}{text}", fill(missing)),
            '^' => format!("{}{sign}{text}{}", fill(missing / 2), fill(missing - missing / 2)),
            _ => format!("{}{sign}{text}", fill(missing)),
        })
    }
}

/// The shorter of both notations, without trailing zeros.
fn general(size: f64, precision: usize) -> String {
    let rounded = exponential(size, precision - 1);
    let exponent: i32 = rounded.rsplit('e').next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
    let (text, tail) = if (-4..precision as i32).contains(&exponent) {
        let places = (precision as i32 - 1 - exponent) as usize;
        (format!("{size:.places$}"), String::new())
    } else {
        let (mantissa, tail) = rounded.split_once('e').unwrap_or((&rounded, "+00"));
        (mantissa.to_owned(), format!("e{tail}"))
    };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{tail}")
}

/// `1.5e+03`.
fn exponential(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{mantissa}e{:+03}", exponent.parse::<i32>().unwrap_or(0))
}

/// An integer for a conversion that wants one: floats are cut off where `cuts` says so.
pub(crate) fn as_integer(value: &Value, cuts: bool) -> Option<i128> {
    match value {
        Value::Float(float) if cuts && float.is_finite() && float.abs() < 1e38 => Some(float.trunc() as i128),
        other => other.as_int(),
    }
}
