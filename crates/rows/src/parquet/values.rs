//! From the cells of columns to JSON values and images.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Fields};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Number, Value};

use crate::image::Image;

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

/// Whether a column of this type is one of images and of nothing else. Bytes within other types are values, as data
/// URLs, which every reader of images takes.
fn is_image(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(fields) => {
            field_of(fields, "bytes").is_some_and(|index| is_bytes(fields[index].data_type()))
                && fields.iter().all(|field| ["bytes", "path"].contains(&field.name().as_str()))
        }
        other => is_bytes(other),
    }
}

fn field_of(fields: &Fields, name: &str) -> Option<usize> {
    fields.iter().position(|field| field.name() == name)
}

fn json_type(data_type: &DataType) -> Result<(), String> {
    match data_type {
        DataType::Null | DataType::Boolean | DataType::Float16 | DataType::Float32 | DataType::Float64 => Ok(()),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::FixedSizeBinary(_) => Ok(()),
        integer if integer.is_integer() => Ok(()),
        bytes if is_bytes(bytes) => Ok(()),
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            json_type(field.data_type())
        }
        DataType::ListView(field) | DataType::LargeListView(field) => json_type(field.data_type()),
        DataType::Struct(fields) => fields.iter().try_for_each(|field| json_type(field.data_type())),
        DataType::Dictionary(_, values) => json_type(values),
        other => Err(format!("its type is {other}")),
    }
}

/// The value of a cell; fields of objects that are null are left out, an object of nulls is null, bytes are data URLs.
///
/// Errors: a value that JSON cannot hold, such as NaN.
pub(super) fn value(array: &dyn Array, index: usize) -> Result<Value, String> {
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
        DataType::Float16 => number(array.as_primitive::<Float16Type>().value(index).to_f64())?,
        DataType::Float32 => number(array.as_primitive::<Float32Type>().value(index).into())?,
        DataType::Float64 => number(array.as_primitive::<Float64Type>().value(index))?,
        DataType::Utf8 => array.as_string::<i32>().value(index).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(index).into(),
        DataType::Utf8View => array.as_string_view().value(index).into(),
        DataType::Struct(fields) => {
            let mut object = Map::new();
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                let value = value(column, index)?;
                if !value.is_null() {
                    object.insert(field.name().clone(), value);
                }
            }
            // An object of nulls says no more than null.
            if object.is_empty() { Value::Null } else { object.into() }
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = value(dictionary.keys(), index)?.as_u64().unwrap_or_default();
            value(dictionary.values(), key as usize)?
        }
        _ => match (elements(array, index), bytes(array, index)) {
            (Some(elements), _) => list(&elements)?,
            (None, Some(bytes)) => format!("data:;base64,{}", BASE64_STANDARD.encode(bytes)).into(),
            (None, None) => Value::Null,
        },
    })
}

/// The elements of a list's cell; none for other types.
fn elements(array: &dyn Array, index: usize) -> Option<ArrayRef> {
    Some(match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(index),
        DataType::LargeList(_) => array.as_list::<i64>().value(index),
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(index),
        DataType::ListView(_) => array.as_list_view::<i32>().value(index),
        DataType::LargeListView(_) => array.as_list_view::<i64>().value(index),
        _ => return None,
    })
}

fn number(number: f64) -> Result<Value, String> {
    Number::from_f64(number).map(Value::Number).ok_or_else(|| format!("{number} is not kept"))
}

fn list(elements: &ArrayRef) -> Result<Value, String> {
    (0..elements.len()).map(|index| value(elements, index)).collect()
}

/// The images of a cell, and how many in a list of them have neither bytes nor a path.
pub(super) fn images(array: &dyn Array, index: usize) -> (Vec<Image>, usize) {
    if array.is_null(index) {
        return (Vec::new(), 0);
    }
    match elements(array, index) {
        Some(elements) => {
            let found: Vec<Image> = (0..elements.len()).filter_map(|index| image(&elements, index)).collect();
            let missing = elements.len() - found.len();
            (found, missing)
        }
        None => (image(array, index).into_iter().collect(), 0),
    }
}

fn image(array: &dyn Array, index: usize) -> Option<Image> {
    if array.is_null(index) {
        return None;
    }
    let DataType::Struct(fields) = array.data_type() else {
        return Some(Image::unnamed(bytes(array, index)?));
    };
    let [paths, contents] = ["path", "bytes"].map(|name| field_of(fields, name).map(|at| array.as_struct().column(at)));
    let path = paths.and_then(|paths| value(paths, index).ok()).and_then(|path| path.as_str().map(str::to_owned));
    // Some writers leave no bytes where there is a path, and some null.
    let bytes = contents.and_then(|column| bytes(column, index));
    match bytes.filter(|bytes| !bytes.is_empty() || path.is_none()) {
        Some(bytes) => Some(Image::Bytes { bytes: bytes.into(), name: path }),
        None => Image::from_reference(&path?).ok(),
    }
}

fn bytes(array: &dyn Array, index: usize) -> Option<&[u8]> {
    if array.is_null(index) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().value(index),
        DataType::LargeBinary => array.as_binary::<i64>().value(index),
        DataType::BinaryView => array.as_binary_view().value(index),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(index),
        _ => return None,
    })
}
