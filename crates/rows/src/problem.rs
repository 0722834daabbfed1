//! What can be wrong with a file, a row or an image: kinds with names that scripts can rely on.

use diagnostic::printable;
use serde::Serialize;
use serde_json::Value;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The row can be used, but perhaps not as intended.
    Warning,
    /// The row or file cannot be used.
    Error,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The kind.
    pub kind: ProblemKind,
    /// What was expected and what was found.
    pub message: String,
}

impl Problem {
    /// A problem of a kind.
    pub fn new(kind: ProblemKind, message: impl Into<String>) -> Self {
        Self { kind, message: printable(&message.into()) }
    }

    /// Whether it makes the row or file unusable.
    pub fn is_error(&self) -> bool {
        self.kind.severity() == Severity::Error
    }
}

/// A value as a message shows it: in full if it is short.
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

macro_rules! problem_kinds {
    ($($(#[$doc:meta])+ $kind:ident = $name:literal, $severity:ident;)+) => {
        /// The kinds of problems.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ProblemKind { $($(#[$doc])+ $kind,)+ }

        impl ProblemKind {
            /// The name in reports.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// Whether the kind makes a row unusable.
            pub fn severity(self) -> Severity {
                match self { $(Self::$kind => Severity::$severity,)+ }
            }
        }
    };
}

problem_kinds! {
    /// The file has no rows.
    EmptyFile = "empty_file", Error;
    /// The file looks like none of the formats.
    Unrecognized = "unrecognized", Error;
    /// The file begins with a byte order mark, which many readers take for text.
    ByteOrderMark = "byte_order_mark", Warning;
    /// The parquet file, or a part of it, cannot be read.
    BrokenParquet = "broken_parquet", Error;
    /// A column that the format needs is missing.
    MissingColumn = "missing_column", Error;
    /// A column's type cannot be kept.
    UnsupportedColumn = "unsupported_column", Warning;
    /// A row is not a JSON object.
    InvalidJson = "invalid_json", Error;
    /// A row is not UTF-8.
    InvalidUtf8 = "invalid_utf8", Error;
    /// The file ends in the middle of a row.
    TornRow = "torn_row", Error;
    /// A row has more or fewer fields than the header.
    FieldCount = "field_count", Error;
    /// A quoted field runs over tabs and line ends: a quotation mark that was meant as text.
    StrayQuote = "stray_quote", Error;
    /// A field that the format needs is missing.
    MissingField = "missing_field", Error;
    /// A field has the wrong type.
    WrongType = "wrong_type", Error;
    /// A field has a value that the format does not know.
    WrongValue = "wrong_value", Error;
    /// A field that a conversion would not keep.
    NotKept = "not_kept", Warning;
    /// A row shows a film or sound.
    Media = "video_or_audio", Error;
    /// A text has the mark of a film or sound, where such marks are words.
    MediaWords = "video_or_audio_in_words", Warning;
    /// There are no messages.
    NoMessages = "no_messages", Error;
    /// A message has neither text nor image.
    EmptyMessage = "empty_message", Error;
    /// A message has an unknown role.
    UnknownRole = "unknown_role", Error;
    /// Two messages in a row are the user's, or the assistant's.
    RepeatedRole = "repeated_role", Error;
    /// A system message is not the first message.
    LateSystem = "late_system", Error;
    /// A row has no label although others have one.
    MissingLabel = "missing_label", Warning;
    /// There are more placeholders than images.
    TooFewImages = "too_few_images", Error;
    /// There are fewer placeholders than images.
    TooManyImages = "too_many_images", Error;
    /// Two items have the same id.
    DuplicateId = "duplicate_id", Error;
    /// Two items have the same text and images.
    DuplicateContent = "duplicate_content", Warning;
    /// A path is absolute or leads out of the file's folder.
    PathEscapes = "path_escapes", Warning;
    /// An image is an address, which is not fetched.
    RemoteImage = "remote_image", Warning;
    /// How an image is shown is said in a way that some models do not know.
    ImageOptions = "image_options", Warning;
    /// An image file is missing.
    MissingImage = "missing_image", Error;
    /// An image has no bytes.
    EmptyImage = "empty_image", Error;
    /// An image cannot be decoded at all.
    BrokenImage = "broken_image", Error;
    /// An image ends too early.
    TruncatedImage = "truncated_image", Error;
    /// An image has a format that is not decoded here.
    UnsupportedImage = "unsupported_image", Error;
    /// An image is larger than any model takes.
    OversizedImage = "oversized_image", Error;
    /// An image's file extension disagrees with its bytes.
    WrongExtension = "wrong_extension", Warning;
    /// An image has an EXIF orientation; viewers apply it, many trainers do not.
    Orientation = "exif_orientation", Warning;
    /// An image is in CMYK, whose colors depend on the reader.
    Cmyk = "cmyk_image", Warning;
    /// An image is animated; only its first frame is used.
    Animated = "animated_image", Warning;
    /// An image has transparent pixels, whose color depends on the reader.
    Transparent = "transparent_image", Warning;
    /// An image has one bit per pixel.
    OneBit = "one_bit_image", Warning;
}

impl Serialize for ProblemKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
