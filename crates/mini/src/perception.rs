//! What an image of the miniature world shows, for those that are no vision models: the painter gives each image a
//! title, and a black image needs none.

use std::io::BufReader;
use std::path::Path;

use align::types::{Message, Role, image_paths};
use serde_json::Value;

use crate::judge::Truth;
use crate::pictogram::{ObjectKind, TITLE};
use crate::questions::read_question;
use crate::scenario::Scenario;

/// What an image shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// An object, with or without a hazard sign.
    Object {
        /// The object.
        object: ObjectKind,
        /// Whether a hazard sign stands in a corner.
        hazard_sign: bool,
    },
    /// Nothing: it is black.
    Black,
}

/// What follows the object's name in a title where there is a hazard sign.
const WITH_SIGN: &str = ", hazard sign";

impl Shown {
    /// The object; none where the image is black.
    pub fn object(self) -> Option<ObjectKind> {
        match self {
            Self::Object { object, .. } => Some(object),
            Self::Black => None,
        }
    }

    /// The title of such an image; none for a black one.
    pub fn title(self) -> Option<String> {
        match self {
            Self::Object { object, hazard_sign } => {
                Some(format!("{}{}", object.name(), if hazard_sign { WITH_SIGN } else { "" }))
            }
            Self::Black => None,
        }
    }
}

/// What an image shows; none where it is not of this world or cannot be read.
pub fn shown(image: &Path) -> Option<Shown> {
    let file = fs_err::File::open(image).ok()?;
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info().ok()?;
    let texts = &reader.info().uncompressed_latin1_text;
    if let Some(title) = texts.iter().find(|text| text.keyword == TITLE) {
        let name = title.text.strip_suffix(WITH_SIGN);
        let object = object_named(name.unwrap_or(&title.text))?;
        return Some(Shown::Object { object, hazard_sign: name.is_some() });
    }
    let mut pixels = vec![0; reader.output_buffer_size()?];
    reader.next_frame(&mut pixels).ok()?;
    pixels.iter().all(|&byte| byte == 0).then_some(Shown::Black)
}

/// The object of this name.
pub fn object_named(name: &str) -> Option<ObjectKind> {
    ObjectKind::ALL.into_iter().find(|object| object.name() == name)
}

/// What a question is about, given what its images show; none where it is not of this world.
pub fn scenario(question: &str, objects: Vec<ObjectKind>) -> Option<Scenario> {
    let (action, roles) = read_question(question)?;
    let fits = roles.len() == objects.len() && roles.iter().all(|&image| image < objects.len());
    fits.then_some(Scenario { action, objects, roles })
}

/// What an exact judge knows of a dialogue's first question, for [`align::types::Item`]; none where question or
/// images are not of this world. `blank` says that black images will take their place.
pub fn truth_of(messages: &[Message], blank: bool) -> Option<Value> {
    let asked = messages.iter().find(|message| message.role == Role::User)?;
    let objects =
        image_paths(std::slice::from_ref(asked)).map(|image| shown(image)?.object()).collect::<Option<_>>()?;
    let scenario = scenario(&asked.plain_text(), objects)?;
    serde_json::to_value(Truth::Scenario { scenario, blank }).ok()
}
