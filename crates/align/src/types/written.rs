//! Fields of data files that may be written in several ways.

use std::fmt::{Formatter, Result as FormatResult};
use std::marker::PhantomData;

use diagnostic::exact_whole;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// Null or an empty list.
#[derive(Default)]
pub(super) struct Empty;

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Nothing;
        impl<'de> Visitor<'de> for Nothing {
            type Value = Empty;

            fn expecting(&self, formatter: &mut Formatter) -> FormatResult {
                formatter.write_str("null or an empty list, since nothing of it would be kept")
            }

            fn visit_unit<E: Error>(self) -> Result<Empty, E> {
                Ok(Empty)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Empty, A::Error> {
                match list.next_element::<serde::de::IgnoredAny>()? {
                    None => Ok(Empty),
                    Some(_) => Err(A::Error::invalid_length(1, &self)),
                }
            }
        }
        deserializer.deserialize_any(Nothing)
    }
}

/// A list of parts, or text, which becomes one part.
pub(super) fn text_or_list<'de, Part, D>(deserializer: D) -> Result<Vec<Part>, D::Error>
where
    Part: Deserialize<'de> + From<String>,
    D: Deserializer<'de>,
{
    struct Content<Part>(PhantomData<Part>);
    impl<'de, Part: Deserialize<'de> + From<String>> Visitor<'de> for Content<Part> {
        type Value = Vec<Part>;

        fn expecting(&self, formatter: &mut Formatter) -> FormatResult {
            formatter.write_str("a string, or a list of text and image parts")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![text.to_owned().into()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }
    }
    deserializer.deserialize_any(Content(PhantomData))
}

/// An id, a name or a reference to an id: text, or a whole number, which is its decimal text.
pub fn id_as_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Id::deserialize(deserializer)?.0)
}

/// As [`id_as_text`], of a field that may be null.
pub fn optional_id_as_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Id>::deserialize(deserializer)?.map(|id| id.0))
}

/// The id that a value is, as [`id_as_text`] reads it; none where it is none.
pub fn id_of(value: &serde_json::Value) -> Option<String> {
    Id::deserialize(value).ok().map(|id| id.0)
}

struct Id(String);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;
        impl Visitor<'_> for TextOrNumber {
            type Value = Id;

            fn expecting(&self, formatter: &mut Formatter) -> FormatResult {
                formatter.write_str("a string or a whole number")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Id, E> {
                Ok(Id(text.to_owned()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Id, E> {
                Ok(Id(number.to_string()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Id, E> {
                Ok(Id(number.to_string()))
            }

            // Tables with gaps write whole numbers as 3.0. Beyond 2^53 two ids would become one.
            fn visit_f64<E: Error>(self, number: f64) -> Result<Id, E> {
                let whole = exact_whole(number).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))?;
                Ok(Id(whole.to_string()))
            }
        }
        deserializer.deserialize_any(TextOrNumber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_number_is_its_decimal_text_wherever_an_id_stands() {
        for (value, expected) in [
            (json!("a"), Some("a")),
            (json!("3.0"), Some("3.0")),
            (json!(7), Some("7")),
            (json!(-7), Some("-7")),
            (json!(u64::MAX), Some("18446744073709551615")),
            (json!(3.0), Some("3")),
            (json!(-0.0), Some("0")),
            (json!(3.5), None),
            (json!(1e300), None),
            (Value::Null, None),
            (json!(true), None),
            (json!(["a"]), None),
        ] {
            assert_eq!(id_of(&value).as_deref(), expected, "{value}");
            let optional = optional_id_as_text(&value).ok();
            let expected = if value.is_null() { Some(None) } else { expected.map(|id| Some(id.to_owned())) };
            assert_eq!(optional, expected, "{value}");
        }
    }
}
