//! Fields of data files that may be written in several ways.

use std::fmt::{Formatter, Result as FormatResult};
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// `{"url": "…"}` or the address alone. What else stands beside it (`detail`) is meant for servers.
pub(super) struct ImageUrl(pub PathBuf);

impl<'de> Deserialize<'de> for ImageUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Object {
            url: PathBuf,
        }
        struct Url;
        impl<'de> Visitor<'de> for Url {
            type Value = ImageUrl;

            fn expecting(&self, formatter: &mut Formatter) -> FormatResult {
                formatter.write_str("an address, or an object with `url`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ImageUrl, E> {
                Ok(ImageUrl(text.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ImageUrl, A::Error> {
                let Object { url } = Object::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ImageUrl(url))
            }
        }
        deserializer.deserialize_any(Url)
    }
}

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

/// An id that is text, or a whole number as text.
pub fn id_as_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Id;
    impl Visitor<'_> for Id {
        type Value = String;

        fn expecting(&self, formatter: &mut Formatter) -> FormatResult {
            formatter.write_str("a string or a whole number")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }
    }
    deserializer.deserialize_any(Id)
}
