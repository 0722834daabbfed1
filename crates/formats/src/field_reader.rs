//! The fields of a row, taken one by one: wrong types are noted as problems, what is left is kept.

use align::types::{ImageOptions, Item, Message, Part, Role, id_of, is_filled, is_media, is_media_column};
use serde_json::{Map, Value};

use crate::item_fields::{TruthAs, take_item};
use crate::media::media_problem;
use crate::record::Record;
use crate::roles::role_of;
use rows::{Image, Problem, ProblemKind, Row, shown};

/// The fields of a row that are not yet taken.
pub(crate) struct FieldReader<'a> {
    row: Row,
    problems: &'a mut Vec<Problem>,
    /// Of each image of a column its place, and how it is shown.
    pub(crate) in_columns: Vec<(String, Map<String, Value>)>,
}

impl<'a> FieldReader<'a> {
    /// The row's fields; problems are added to the list.
    pub fn new(row: Row, problems: &'a mut Vec<Problem>) -> Self {
        Self { row, problems, in_columns: Vec::new() }
    }

    /// Notes a problem.
    pub fn note(&mut self, kind: ProblemKind, message: impl Into<String>) {
        self.problems.push(Problem::new(kind, message));
    }

    /// Notes that a field has the wrong type.
    pub fn wrong_type(&mut self, name: &str, expected: &str, got: &Value) {
        let message = format!("`{name}`: expected {expected}, got {}", shown(got));
        self.note(ProblemKind::WrongType, message);
    }

    /// Notes that a field is missing.
    pub fn missing(&mut self, name: &str) {
        self.note(ProblemKind::MissingField, format!("expected a field `{name}`, got none"));
    }

    /// Notes what is left of an object when all that is known of it was taken: nothing of it is kept.
    pub fn note_left(&mut self, at: &str, left: &Map<String, Value>) {
        for (name, value) in left.iter().filter(|(_, value)| !value.is_null()) {
            let place = format!("{}.{name}", without_indices(at));
            if is_media(name) && is_filled(value) {
                self.problems.push(media_problem(&place));
            } else {
                self.note(ProblemKind::NotKept, format!("`{place}` is not kept"));
            }
        }
    }

    /// Notes a film or sound in the column of this name.
    pub fn note_media(&mut self, name: &str) {
        let has_bytes = self.row.images.get(name).is_some_and(|images| !images.is_empty());
        if has_bytes || self.get(name).is_some_and(is_filled) {
            self.problems.push(media_problem(name));
        }
    }

    /// Notes films and sounds in all columns of their usual names.
    pub fn note_media_columns(&mut self) {
        let names = self.row.fields.keys().chain(self.row.images.keys());
        let names: Vec<String> = names.filter(|name| is_media_column(name)).cloned().collect();
        names.iter().for_each(|name| self.note_media(name));
    }

    /// The list of problems.
    pub fn problems(&mut self) -> &mut Vec<Problem> {
        self.problems
    }

    /// The row's number, counted from 1.
    pub fn number(&self) -> usize {
        self.row.number
    }

    /// An optional field; null is none.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.row.fields.shift_remove(name).filter(|value| !value.is_null())
    }

    /// Whether there is such a field.
    pub fn has(&self, name: &str) -> bool {
        self.row.fields.contains_key(name) || self.row.images.contains_key(name)
    }

    /// An optional field, which stays.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.row.fields.get(name)
    }

    /// An optional field as text, which stays.
    pub fn get_text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Puts a field back, or replaces it.
    pub fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.row.set(name, value);
    }

    /// A required field.
    pub fn required(&mut self, name: &str) -> Option<Value> {
        let value = self.take(name);
        if value.is_none() {
            self.missing(name);
        }
        value
    }

    /// An optional text.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let value = self.take(name)?;
        self.as_text(name, value)
    }

    /// An optional text that is not empty, of a field that a file may have under this name, if any.
    pub fn filled_text(&mut self, name: Option<&str>) -> Option<String> {
        self.text(name?).filter(|text| !text.is_empty())
    }

    /// A required text, empty where it is missing.
    pub fn required_text(&mut self, name: &str) -> String {
        let value = self.required(name);
        value.and_then(|value| self.as_text(name, value)).unwrap_or_default()
    }

    /// An optional id: text, or a number, which is its decimal text.
    pub fn id(&mut self, name: &str) -> Option<String> {
        let value = self.take(name)?;
        let id = id_of(&value);
        if id.is_none() {
            self.wrong_type(name, "a string or a number", &value);
        }
        id
    }

    /// An optional answer: an assistant message.
    pub fn answer(&mut self, name: &str) -> Option<Message> {
        self.text(name).map(|text| Message::text(Role::Assistant, text))
    }

    /// The item that a benchmark's own reader makes of all fields.
    pub fn read_by(&mut self, reader: fn(&Map<String, Value>) -> Result<Item, String>) -> Option<Item> {
        reader(&self.row.fields).map_err(|message| self.note(ProblemKind::WrongValue, message)).ok()
    }

    fn as_text(&mut self, name: &str, value: Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text),
            other => {
                self.wrong_type(name, "a string", &other);
                None
            }
        }
    }

    /// A required list, empty where it is missing.
    pub fn required_list(&mut self, name: &str) -> Vec<Value> {
        match self.required(name) {
            Some(Value::Array(list)) => list,
            Some(other) => {
                self.wrong_type(name, "a list", &other);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// A required list of messages.
    pub fn required_messages(&mut self, name: &str) -> Vec<Value> {
        let list = self.required_list(name);
        if list.is_empty() && self.problems.is_empty() {
            let message = format!("`{name}`: expected at least one message, got none");
            self.note(ProblemKind::NoMessages, message);
        }
        list
    }

    /// An optional object.
    pub fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.take(name)? {
            Value::Object(object) => Some(object),
            other => {
                self.wrong_type(name, "an object", &other);
                None
            }
        }
    }

    /// The images of a field: a column of images, or one value or several that name images.
    pub fn images(&mut self, name: &str) -> Vec<Image> {
        if let Some(images) = self.row.images.remove(name) {
            self.in_columns.extend(images.iter().map(|_| (name.to_owned(), Map::new())));
            return images;
        }
        let values = match self.take(name) {
            None => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(single) => vec![single],
        };
        let values = values.into_iter().enumerate();
        values.filter_map(|(index, value)| self.image(&format!("{name}[{index}]"), value)).collect()
    }

    /// The images of a column, or where it shows none those of `image`.
    pub fn images_or_image(&mut self, name: &str) -> Vec<Image> {
        let images = self.images(name);
        if images.is_empty() { self.images("image") } else { images }
    }

    /// The image of a field that was decoded, or all of its images, if they could be.
    pub fn decoded<T>(&mut self, name: &str, outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|message| self.note(ProblemKind::BrokenImage, format!("`{name}`: {message}"))).ok()
    }

    /// The messages of a list of objects with a role and a text, under a layout's names for these.
    pub fn turns(&mut self, name: &str, role_key: &str, text_key: &str) -> Vec<(Role, String)> {
        let mut turns = Vec::new();
        for (index, value) in self.required_messages(name).into_iter().enumerate() {
            let at = format!("{name}[{index}]");
            let Value::Object(mut message) = value else {
                self.wrong_type(&at, "an object", &value);
                continue;
            };
            // Messages that came from elsewhere often kept their own names.
            let role = [role_key, "from", "role"].into_iter().find_map(|key| message.shift_remove(key));
            let text = [text_key, "value", "content"].into_iter().find_map(|key| message.shift_remove(key));
            self.note_left(&at, &message);
            let Some(role) = self.role(&at, role.as_ref()) else {
                continue;
            };
            match text {
                Some(Value::String(text)) => turns.push((role, text)),
                Some(other) => self.wrong_type(&format!("{at}.{text_key}"), "a string", &other),
                None => {
                    let message = format!("`{at}`: expected a field `{text_key}`, got none");
                    self.note(ProblemKind::MissingField, message);
                }
            }
        }
        turns
    }

    /// The role that a value names, by any of the names in use.
    pub fn role(&mut self, at: &str, value: Option<&Value>) -> Option<Role> {
        let got = match value {
            Some(Value::String(name)) => match role_of(name) {
                Some(role) => return Some(role),
                None => format!("system, user (human) or assistant (gpt), got `{name}`"),
            },
            Some(other) => {
                self.wrong_type(at, "a role", other);
                return None;
            }
            None => "a role, got none".to_owned(),
        };
        self.note(ProblemKind::UnknownRole, format!("`{at}`: expected {got}"));
        None
    }

    /// Takes the item's fields where they have the item's types; others stay.
    pub fn item(&mut self, truth: TruthAs) -> Item {
        take_item(&mut self.row.fields, truth, self.row.number)
    }

    /// Shows the item's images as their columns say, where each is from a column; what is not kept is noted.
    fn keep_options(&mut self, item: &mut Item) {
        let columns = std::mem::take(&mut self.in_columns);
        let mut shown: Vec<&mut ImageOptions> = Vec::new();
        for part in item.messages.iter_mut().flat_map(|message| &mut message.content) {
            if let Part::Image { options, .. } = part {
                shown.push(options);
            }
        }
        let read: Result<Vec<ImageOptions>, _> =
            columns.iter().map(|(_, options)| ImageOptions::read(options)).collect();
        match read {
            Ok(read) if shown.len() == read.len() && shown.iter().all(|options| options.is_empty()) => {
                shown.into_iter().zip(read).for_each(|(shown, options)| *shown = options);
            }
            _ => columns.iter().for_each(|(at, options)| self.note_left(at, options)),
        }
    }

    /// The record of an item and all fields that were not taken.
    pub fn record(mut self, mut item: Item, images: Vec<Image>) -> Record {
        self.keep_options(&mut item);
        let mut images_left = std::mem::take(&mut self.row.images);
        images_left.retain(|_, images| !images.is_empty());
        for name in images_left.into_keys() {
            let message = format!("`{name}`: the bytes of this column are not kept");
            self.note(ProblemKind::NotKept, message);
        }
        let mut extra = self.row.fields;
        extra.retain(|_, value| !value.is_null());
        Record { item, images, extra }
    }
}

/// A place in every row and message: `messages[].content[]` for `messages[2].content[0]`.
fn without_indices(at: &str) -> String {
    let mut place = String::new();
    for part in at.split_inclusive('[') {
        place.push_str(if place.ends_with('[') {
            part.trim_start_matches(|letter: char| letter.is_ascii_digit())
        } else {
            part
        });
    }
    place
}
