//! What can be wrong with a file, a row or a picture: kinds with names that scripts can rely on.

use serde::Serialize;

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The row can be used, but perhaps not as it was meant.
    Warning,
    /// The row or file cannot be used.
    Error,
}

/// One fault: its kind, and in words what was expected and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind.
    pub kind: FaultKind,
    /// What was expected and what was found.
    pub problem: String,
}

impl Fault {
    /// A fault of a kind.
    pub fn new(kind: FaultKind, problem: impl Into<String>) -> Self {
        Self {
            kind,
            problem: problem.into(),
        }
    }
}

macro_rules! fault_kinds {
    ($($(#[$doc:meta])+ $kind:ident = $name:literal, $severity:ident;)+) => {
        /// The kinds of faults.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FaultKind { $($(#[$doc])+ $kind,)+ }

        impl FaultKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

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

fault_kinds! {
    /// The file holds no rows.
    EmptyFile = "empty_file", Error;
    /// The file does not look like any format.
    Unrecognised = "unrecognised", Error;
    /// The file begins with a byte order mark, which many readers take for text.
    ByteOrderMark = "byte_order_mark", Warning;
    /// The parquet file, or a part of it, cannot be read.
    BrokenParquet = "broken_parquet", Error;
    /// A column that the format needs is not there.
    MissingColumn = "missing_column", Error;
    /// A column's type is none that can be kept.
    UnsupportedColumn = "unsupported_column", Warning;
    /// A row is no JSON object.
    InvalidJson = "invalid_json", Error;
    /// A row is no UTF-8.
    InvalidUtf8 = "invalid_utf8", Error;
    /// The file ends in the middle of a row.
    TornRow = "torn_row", Error;
    /// A row has more or fewer fields than the header.
    FieldCount = "field_count", Error;
    /// A quoted field runs over tabs and line ends: a quotation mark that was meant as text.
    StrayQuote = "stray_quote", Error;
    /// A field that the format needs is not there.
    MissingField = "missing_field", Error;
    /// A field holds another type than it should.
    WrongType = "wrong_type", Error;
    /// A field holds a value that the format does not know.
    WrongValue = "wrong_value", Error;
    /// A field that would not be kept.
    NotKept = "not_kept", Warning;
    /// There are no messages.
    NoMessages = "no_messages", Error;
    /// A message says and shows nothing.
    EmptyMessage = "empty_message", Error;
    /// A message is by nobody known.
    UnknownRole = "unknown_role", Error;
    /// The assistant speaks twice in a row, or the user.
    RepeatedRole = "repeated_role", Error;
    /// A system message stands within the dialogue.
    LateSystem = "late_system", Error;
    /// A row has no label though others have one.
    MissingLabel = "missing_label", Warning;
    /// There are more placeholders than pictures.
    TooFewImages = "too_few_images", Error;
    /// There are fewer placeholders than pictures.
    TooManyImages = "too_many_images", Error;
    /// An id stands twice.
    DuplicateId = "duplicate_id", Error;
    /// The same text and pictures stand twice.
    DuplicateContent = "duplicate_content", Warning;
    /// A path is absolute or leads out of the file's folder.
    PathEscapes = "path_escapes", Warning;
    /// A picture is an address, which is not fetched.
    RemoteImage = "remote_image", Warning;
    /// A picture's file is not there.
    MissingImage = "missing_image", Error;
    /// A picture has no bytes.
    EmptyImage = "empty_image", Error;
    /// A picture cannot be decoded at all.
    BrokenImage = "broken_image", Error;
    /// A picture ends too early.
    TruncatedImage = "truncated_image", Error;
    /// A picture's format is none that is decoded here.
    UnsupportedImage = "unsupported_image", Error;
    /// A picture is larger than any model takes.
    OversizedImage = "oversized_image", Error;
    /// A picture's ending says another format than its bytes.
    WrongExtension = "wrong_extension", Warning;
    /// A picture is to be turned before it is shown; viewers do, many trainers do not.
    Orientation = "exif_orientation", Warning;
    /// A picture is in CMYK, whose colours depend on the reader.
    Cmyk = "cmyk_image", Warning;
    /// A picture moves; only its first frame is seen.
    Animated = "animated_image", Warning;
    /// A picture has one bit a pixel.
    OneBit = "one_bit_image", Warning;
}

impl Serialize for FaultKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
