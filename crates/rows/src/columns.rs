//! The types of columns, found from the rows before the first of them is written.

use serde_json::{Map, Value, json};

use super::row::Row;

/// What a column holds.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnType {
    /// Text.
    Text,
    /// True or false.
    Bool,
    /// Whole numbers of 64 bits.
    Integer,
    /// Floating point numbers of 64 bits.
    Float,
    /// A list.
    List(Box<ColumnType>),
    /// An object with these fields, each of which may be missing.
    Struct(Vec<(String, ColumnType)>),
    /// Nothing: what lists hold that are empty in every row so far.
    Nothing,
    /// Values that no column type holds without changing them, as JSON in text.
    JsonText,
    /// A list of images.
    Images,
}

impl ColumnType {
    /// A list of this.
    #[must_use]
    pub fn list(self) -> Self {
        Self::List(Box::new(self))
    }

    /// An object with these fields.
    pub fn object<const N: usize>(fields: [(&str, Self); N]) -> Self {
        Self::Struct(fields.map(|(name, column)| (name.to_owned(), column)).into())
    }

    /// The type that holds a value and gives it back as it was, where one does.
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Nothing,
            Value::String(_) => Self::Text,
            Value::Bool(_) => Self::Bool,
            Value::Number(number) if number.is_i64() => Self::Integer,
            Value::Number(number) if number.is_f64() => Self::Float,
            Value::Array(list) => {
                let element = list.iter().map(Self::of).reduce(Self::joined);
                element.unwrap_or(Self::Nothing).list()
            }
            Value::Object(object) if !object.is_empty() => {
                let fields = object.iter().map(|(name, value)| (name.clone(), Self::of(value)));
                Self::Struct(fields.collect())
            }
            // Objects without fields and numbers beyond 63 bits have no type there.
            Value::Object(_) | Value::Number(_) => Self::JsonText,
        }
    }

    /// The type that holds the values of both.
    fn joined(self, other: Self) -> Self {
        match (self, other) {
            (one, two) if one == two => one,
            (Self::Nothing, other) | (other, Self::Nothing) => other,
            (Self::List(one), Self::List(two)) => one.joined(*two).list(),
            (Self::Struct(mut one), Self::Struct(two)) => {
                for (name, column) in two {
                    match one.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, known)) => *known = known.clone().joined(column),
                        None => one.push((name, column)),
                    }
                }
                Self::Struct(one)
            }
            _ => Self::JsonText,
        }
    }

    /// Makes a value what a parquet file gives back: a null field of an object is none, JSON in text stays text.
    fn echo(&self, value: &mut Value) {
        match (self, value) {
            (_, Value::Null) => {}
            (Self::JsonText, value) => *value = json_text(value).into(),
            (Self::List(element), Value::Array(list)) => list.iter_mut().for_each(|value| element.echo(value)),
            (Self::Struct(fields), Value::Object(object)) => {
                object.retain(|_, value| !value.is_null());
                for (name, column) in fields {
                    if let Some(value) = object.get_mut(name) {
                        column.echo(value);
                    }
                }
            }
            _ => {}
        }
    }

    /// The column as the `datasets` library describes it.
    fn feature(&self) -> Value {
        let dtype = match self {
            Self::Text | Self::JsonText | Self::Nothing => "string",
            Self::Bool => "bool",
            Self::Integer => "int64",
            Self::Float => "float64",
            // A plain list is understood by every version of the library; its class for lists has changed its name.
            Self::List(element) => return json!([element.feature()]),
            Self::Struct(fields) => return features(fields).into(),
            Self::Images => return json!([{ "_type": "Image" }]),
        };
        json!({ "dtype": dtype, "_type": "Value" })
    }
}

/// Columns of text.
pub fn text_columns<const N: usize>(names: [&'static str; N]) -> Vec<(&'static str, ColumnType)> {
    names.map(|name| (name, ColumnType::Text)).into()
}

/// Columns as the `datasets` library describes them, by name.
fn features(columns: &[(String, ColumnType)]) -> Map<String, Value> {
    columns.iter().map(|(name, column)| (name.clone(), column.feature())).collect()
}

/// A file's columns: those that its layout declares, then those that its rows have besides.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    columns: Vec<(String, ColumnType)>,
    n_fixed: usize,
}

impl Columns {
    /// The columns that a layout declares, whether rows have them or not.
    pub fn fixed(columns: Vec<(&'static str, ColumnType)>) -> Self {
        let columns: Vec<_> = columns.into_iter().map(|(name, column)| (name.to_owned(), column)).collect();
        Self { n_fixed: columns.len(), columns }
    }

    /// Adds the columns of a row.
    pub fn add(&mut self, row: &Row) {
        for (name, value) in row.fields.iter().filter(|(_, value)| !value.is_null()) {
            match self.columns.iter().position(|(known, _)| known == name) {
                Some(index) if index < self.n_fixed => {}
                Some(index) => {
                    let known = self.columns[index].1.clone();
                    self.columns[index].1 = known.joined(ColumnType::of(value));
                }
                None => self.columns.push((name.clone(), ColumnType::of(value))),
            }
        }
    }

    /// The columns as the `datasets` library describes them, by name.
    pub fn features(&self) -> Map<String, Value> {
        features(&self.columns)
    }

    /// The columns' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// Every column and what it holds.
    pub fn iter(&self) -> impl Iterator<Item = &(String, ColumnType)> {
        self.columns.iter()
    }

    /// The fields as a parquet file gives them back.
    pub fn echo(&self, fields: &mut Map<String, Value>) {
        fields.retain(|_, value| !value.is_null());
        for (name, column) in &self.columns {
            if let Some(value) = fields.get_mut(name) {
                column.echo(value);
            }
        }
    }
}

/// A value as a cell of text holds it: text as it is, everything else as JSON.
pub(super) fn json_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
