//! What modules hand to each other: messages, items and the JSON lines they are stored in.
//!
//! Files use the OpenAI chat layout, one JSON object a line: `{"id", "messages": [{"role", "content"}], …}`, where
//! `content` is a string or a list of `{"type": "text", "text"}` and `{"type": "image", "image": "path"}` parts; the
//! latter may say how the image is shown ([`ImageOptions`]). Also read: image parts in the other forms of [`take_image`],
//! ids that are numbers, and OpenAI's optional message fields where they are empty.

mod container;
mod data_error;
mod dialogues;
mod embedded_images;
mod given_lines;
mod image_forms;
mod image_options;
mod image_reference;
mod item;
mod media;
mod message;
mod relative_paths;
mod written;

pub use container::{OtherContainer, conversion, folder, other_container, rows_within};
pub use data_error::DataError;
pub use dialogues::{Dialogue, Dialogues, read_dialogues, read_items, write_each_item, write_items};
pub use embedded_images::{
    base64_bytes, data_url_bytes, embedded_bytes, image_extension, image_file_name, image_file_size, image_size,
};
pub(crate) use given_lines::read_line;
pub use given_lines::{GivenLines, MAX_LINE_BYTES, read_given_lines};
pub use image_forms::{Beside, NamedImage, part_type, take_image};
pub use image_options::{Detail, ImageOptions};
pub use image_reference::ImageReference;
pub use item::{Item, ItemKind};
pub use media::{is_filled, is_media, is_media_column, media_placeholder_in};
pub use message::{Message, Part, Role, image_paths, shown_images};
pub use relative_paths::{messages_relative_to, relative_to, resolved_relative_to};
pub use written::{id_as_text, id_of, optional_id_as_text};
