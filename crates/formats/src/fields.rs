//! The fields of a row, taken one by one: what has another type than it should is noted, what is left is kept.

use align::types::{Item, ItemKind, Role};
use serde_json::{Map, Value};

use crate::fault::{Fault, FaultKind};
use crate::record::{Picture, Record};
use crate::rows::Row;

/// The item's own fields, which layouts that have room for them hold under these names.
pub(crate) const OWN: [&str; 6] = ["id", "split", "kind", "category", "twin_of", "truth"];

/// How a container holds the truth, whose form differs from item to item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    /// As it is.
    Json,
    /// As JSON in a string, where columns have types.
    Text,
}

/// The fields of a row that are not yet taken.
pub(crate) struct Fields<'a> {
    row: Row,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Fields<'a> {
    /// The row's fields; faults are added to the list.
    pub fn new(row: Row, faults: &'a mut Vec<Fault>) -> Self {
        Self { row, faults }
    }

    /// Notes a fault.
    pub fn fault(&mut self, kind: FaultKind, problem: impl Into<String>) {
        self.faults.push(Fault::new(kind, problem));
    }

    /// The list of faults.
    pub fn faults(&mut self) -> &mut Vec<Fault> {
        self.faults
    }

    /// The row's number, counted from one.
    pub fn number(&self) -> usize {
        self.row.number
    }

    /// A field that need not be there; null is nothing.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.row.fields.shift_remove(name).filter(|value| !value.is_null())
    }

    /// Whether a field is there.
    pub fn has(&self, name: &str) -> bool {
        self.row.fields.contains_key(name) || self.row.pictures.contains_key(name)
    }

    /// A field that need not be there, without taking it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.row.fields.get(name)
    }

    /// All fields that are not yet taken.
    pub fn all(&self) -> &Map<String, Value> {
        &self.row.fields
    }

    /// Puts a field back, or in another's place.
    pub fn put(&mut self, name: &str, value: Value) {
        self.row.fields.insert(name.to_owned(), value);
    }

    /// A field that must be there.
    pub fn required(&mut self, name: &str) -> Option<Value> {
        let value = self.take(name);
        if value.is_none() {
            self.fault(FaultKind::MissingField, format!("expected a field `{name}`, got none"));
        }
        value
    }

    /// A text that need not be there.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let value = self.take(name)?;
        self.as_text(name, value)
    }

    /// A text that says something, of a field that a file may have under this name, if any.
    pub fn filled_text(&mut self, name: Option<&str>) -> Option<String> {
        self.text(name?).filter(|text| !text.is_empty())
    }

    /// A text that must be there.
    pub fn required_text(&mut self, name: &str) -> Option<String> {
        let value = self.required(name)?;
        self.as_text(name, value)
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

    /// A list that must be there.
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

    /// An object that need not be there.
    pub fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.take(name)? {
            Value::Object(object) => Some(object),
            other => {
                self.wrong_type(name, "an object", &other);
                None
            }
        }
    }

    /// Notes that a field holds another type than it should.
    pub fn wrong_type(&mut self, name: &str, expected: &str, got: &Value) {
        self.fault(
            FaultKind::WrongType,
            format!("`{name}`: expected {expected}, got {}", shown(got)),
        );
    }

    /// The pictures of a field: a column of pictures, or strings, or objects with a path.
    pub fn pictures(&mut self, name: &str) -> Vec<Picture> {
        if let Some(pictures) = self.row.pictures.remove(name) {
            return pictures;
        }
        let list = match self.take(name) {
            None => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(single) => vec![single],
        };
        list.into_iter()
            .filter_map(|value| self.picture(name, &value))
            .collect()
    }

    /// The picture that a value refers to.
    pub fn picture(&mut self, name: &str, value: &Value) -> Option<Picture> {
        let reference = value.as_str().or_else(|| value.get("path").and_then(Value::as_str));
        let Some(reference) = reference else {
            self.wrong_type(name, "a path, an address or a data URL", value);
            return None;
        };
        match Picture::from_reference(reference) {
            Ok(picture) => Some(picture),
            Err(problem) => {
                self.fault(FaultKind::BrokenImage, format!("`{name}`: {problem}"));
                None
            }
        }
    }

    /// The messages of a list of `{role, content}` under the names that a layout has for them, content as text.
    pub fn turns(&mut self, name: &str, role_key: &str, text_key: &str) -> Vec<(Role, String)> {
        let list = self.required_list(name);
        if list.is_empty() && self.faults.is_empty() {
            self.fault(
                FaultKind::NoMessages,
                format!("`{name}`: expected at least one message, got none"),
            );
        }
        let mut turns = Vec::new();
        for (index, value) in list.into_iter().enumerate() {
            let place = format!("{name}[{index}]");
            let Value::Object(mut message) = value else {
                self.wrong_type(&place, "an object", &value);
                continue;
            };
            let role = message.shift_remove(role_key);
            let text = message.shift_remove(text_key);
            for left in message.keys() {
                self.fault(FaultKind::NotKept, format!("`{name}[].{left}` is not kept"));
            }
            let Some(role) = self.role(&place, role.as_ref()) else {
                continue;
            };
            match text {
                Some(Value::String(text)) => turns.push((role, text)),
                Some(other) => self.wrong_type(&format!("{place}.{text_key}"), "a string", &other),
                None => self.fault(
                    FaultKind::MissingField,
                    format!("`{place}`: expected a field `{text_key}`, got none"),
                ),
            }
        }
        turns
    }

    /// A speaker by any of the names in use.
    pub fn role(&mut self, place: &str, value: Option<&Value>) -> Option<Role> {
        match value {
            Some(Value::String(name)) => {
                let role = role_of(name);
                if role.is_none() {
                    self.fault(
                        FaultKind::UnknownRole,
                        format!("`{place}`: expected system, user (human) or assistant (gpt), got `{name}`"),
                    );
                }
                role
            }
            Some(other) => {
                self.wrong_type(place, "a role", other);
                None
            }
            None => {
                self.fault(FaultKind::UnknownRole, format!("`{place}`: expected a role, got none"));
                None
            }
        }
    }

    /// Takes the item's own fields where they are what an item has; others stay with the rest.
    pub fn item(&mut self, truth: Truth) -> Item {
        let number = self.number();
        let own = take_own(&mut self.row.fields, truth);
        Item {
            id: own.id.unwrap_or_else(|| format!("row-{number}")),
            ..own.item
        }
    }

    /// The record of an item and all fields that were not taken.
    pub fn record(mut self, item: Item, pictures: Vec<Picture>) -> Record {
        for name in std::mem::take(&mut self.row.pictures).into_keys() {
            self.fault(
                FaultKind::NotKept,
                format!("`{name}`: pictures of this column are not kept"),
            );
        }
        let mut extra = self.row.fields;
        extra.retain(|_, value| !value.is_null());
        Record { item, pictures, extra }
    }
}

/// An item's own fields as a row has them.
pub(crate) struct Own {
    /// The id, if the row has one.
    pub id: Option<String>,
    /// The rest, with no messages and no id.
    pub item: Item,
}

/// Takes an item's own fields out of an object. An id that is a number becomes text, and stays beside it.
pub(crate) fn take_own(fields: &mut Map<String, Value>, truth: Truth) -> Own {
    let id = match fields.get("id") {
        Some(Value::String(id)) if !id.is_empty() => {
            let id = id.clone();
            fields.shift_remove("id");
            Some(id)
        }
        Some(Value::Number(id)) => Some(id.to_string()),
        _ => None,
    };
    let mut text = |name: &str| match fields.get(name) {
        Some(Value::String(_)) => match fields.shift_remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        },
        _ => None,
    };
    let (split, category, twin_of) = (text("split"), text("category"), text("twin_of"));
    let kind = fields.get("kind").and_then(kind_of);
    if kind.is_some() {
        fields.shift_remove("kind");
    }
    let truth = fields
        .shift_remove("truth")
        .filter(|value| !value.is_null())
        .map(|value| match (&value, truth) {
            (Value::String(text), Truth::Text) => serde_json::from_str(text).unwrap_or(value),
            _ => value,
        });
    Own {
        id,
        item: Item {
            id: String::new(),
            messages: Vec::new(),
            split,
            kind,
            category,
            twin_of,
            truth,
        },
    }
}

/// Puts an item's own fields into an object that does not hold them yet.
pub(crate) fn put_own(fields: &mut Map<String, Value>, record: &Record, truth: Truth) {
    let item = &record.item;
    let numeric = record.extra.get("id").filter(|id| id.to_string() == item.id);
    let id = numeric.cloned().unwrap_or_else(|| item.id.clone().into());
    let kind = item.kind.and_then(|kind| serde_json::to_value(kind).ok());
    let text = |text: &Option<String>| text.clone().map(Value::String);
    let truth = item.truth.as_ref().map(|value| match truth {
        Truth::Json => value.clone(),
        Truth::Text => value.to_string().into(),
    });
    let values = [
        Some(id),
        text(&item.split),
        kind,
        text(&item.category),
        text(&item.twin_of),
        truth,
    ];
    for (name, value) in OWN.into_iter().zip(values) {
        if let Some(value) = value
            && !fields.contains_key(name)
        {
            fields.insert(name.to_owned(), value);
        }
    }
}

/// Puts what else a record holds beside a layout's own fields, except under names that mean something there.
pub(crate) fn put_extra(fields: &mut Map<String, Value>, record: &Record, reserved: &[&str]) {
    for (name, value) in &record.extra {
        let taken = reserved.contains(&name.as_str()) || OWN.contains(&name.as_str());
        if !taken && !fields.contains_key(name) {
            fields.insert(name.clone(), value.clone());
        }
    }
}

/// A role by any of the names in use.
pub(crate) fn role_of(name: &str) -> Option<Role> {
    match name {
        "system" => Some(Role::System),
        "user" | "human" => Some(Role::User),
        "assistant" | "gpt" => Some(Role::Assistant),
        _ => None,
    }
}

/// A role's name in OpenAI's layout.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

/// The kind that a value names.
pub(crate) fn kind_of(value: &Value) -> Option<ItemKind> {
    serde_json::from_value(value.clone()).ok()
}

/// A value as a message shows it: whole where it is short.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
