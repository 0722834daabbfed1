//! From the cells of columns to JSON values and images.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Fields};
use serde_json::{Map, Number, Value};

use crate::record::Image;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Values that JSON can hold.
    Value,
    /// A image, or a list of them.
    Images,
}

/// What a column of this type holds.
///
/// Errors: the type, where it cannot be kept.
pub(super) fn content(data_type: &DataType) -> Result<Content, String> {
    let inner = match data_type {
        DataType::List(field) | DataType::LargeList(field) => field.data_type(),
        other => other,
    };
    if is_image(inner) {
        return Ok(Content::Images);
    }
    json_type(data_type).map(|()| Content::Value)
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

fn is_image(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(fields) => field_of(fields, "bytes").is_some_and(|index| is_bytes(fields[index].data_type())),
        other => is_bytes(other),
    }
}

fn field_of(fields: &Fields, name: &str) -> Option<usize> {
    fields.iter().position(|field| field.name() == name)
}

fn json_type(data_type: &DataType) -> Result<(), String> {
    match data_type {
        DataType::Null | DataType::Boolean | DataType::Float32 | DataType::Float64 => Ok(()),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(()),
        integer if integer.is_integer() => Ok(()),
        DataType::List(field) | DataType::LargeList(field) => json_type(field.data_type()),
        DataType::Struct(fields) => fields.iter().try_for_each(|field| json_type(field.data_type())),
        DataType::Dictionary(_, values) => json_type(values),
        other => Err(format!("its type is {other}")),
    }
}

/// The value of a cell; fields of objects that are null are left out.
///
/// Errors: a value that JSON cannot hold, such as NaN.
pub(super) fn value(array: &ArrayRef, index: usize) -> Result<Value, String> {
    if array.is_null(index) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Boolean => array.as_boolean().value(index).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(index).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(index).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(index).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(index).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(index).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(index).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(index).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(index).into(),
        DataType::Float32 => number(array.as_primitive::<Float32Type>().value(index).into())?,
        DataType::Float64 => number(array.as_primitive::<Float64Type>().value(index))?,
        DataType::Utf8 => array.as_string::<i32>().value(index).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(index).into(),
        DataType::Utf8View => array.as_string_view().value(index).into(),
        DataType::List(_) => list(&array.as_list::<i32>().value(index))?,
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(index))?,
        DataType::Struct(fields) => {
            let mut object = Map::new();
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                let value = value(column, index)?;
                if !value.is_null() {
                    object.insert(field.name().clone(), value);
                }
            }
            object.into()
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys()[index];
            value(dictionary.values(), key)?
        }
        _ => Value::Null,
    })
}

fn number(number: f64) -> Result<Value, String> {
    Number::from_f64(number).map(Value::Number).ok_or_else(|| format!("{number} is not kept"))
}

fn list(elements: &ArrayRef) -> Result<Value, String> {
    (0..elements.len()).map(|index| value(elements, index)).collect()
}

/// The images of a cell, and how many of them have neither bytes nor a path.
pub(super) fn images(array: &ArrayRef, index: usize) -> (Vec<Image>, usize) {
    if array.is_null(index) {
        return (Vec::new(), 0);
    }
    let elements = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(index),
        DataType::LargeList(_) => array.as_list::<i64>().value(index),
        _ => array.slice(index, 1),
    };
    let found: Vec<Image> = (0..elements.len()).filter_map(|index| image(&elements, index)).collect();
    let missing = elements.len() - found.len();
    (found, missing)
}

fn image(array: &ArrayRef, index: usize) -> Option<Image> {
    if array.is_null(index) {
        return None;
    }
    let DataType::Struct(fields) = array.data_type() else {
        let bytes = bytes(array, index)?;
        return Some(Image::Bytes { bytes, name: None });
    };
    let [paths, contents] = ["path", "bytes"].map(|name| field_of(fields, name).map(|at| array.as_struct().column(at)));
    let path = paths.and_then(|paths| value(paths, index).ok()).and_then(|path| path.as_str().map(str::to_owned));
    match contents.and_then(|column| bytes(column, index)) {
        Some(bytes) => Some(Image::Bytes { bytes, name: path }),
        None => path.map(|path| Image::File(path.into())),
    }
}

fn bytes(array: &ArrayRef, index: usize) -> Option<Arc<[u8]>> {
    if array.is_null(index) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().value(index).into(),
        DataType::LargeBinary => array.as_binary::<i64>().value(index).into(),
        DataType::BinaryView => array.as_binary_view().value(index).into(),
        _ => return None,
    })
}
