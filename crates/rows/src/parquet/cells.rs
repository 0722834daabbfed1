//! From JSON values and images to columns of cells.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, StringBuilder,
    StructBuilder, make_builder,
};
use arrow_schema::{DataType, Field, Fields};
use serde_json::Value;

use crate::columns::{ColumnType, json_text};
use crate::image::Image;
use crate::row::Row;

/// The Arrow type of a column.
pub(super) fn data_type(column: &ColumnType) -> DataType {
    match column {
        ColumnType::Text | ColumnType::JsonText | ColumnType::Nothing => DataType::Utf8,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Integer => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::List(element) => list_of(data_type(element)),
        ColumnType::Struct(fields) => {
            let fields = fields.iter().map(|(name, column)| Field::new(name, data_type(column), true));
            DataType::Struct(fields.collect())
        }
        ColumnType::Images => list_of(DataType::Struct(image_fields())),
    }
}

fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", element, true)))
}

fn image_fields() -> Fields {
    vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)].into()
}

/// About how many bytes a row takes.
pub(super) fn size(row: &Row) -> usize {
    let images = row.images.values().flatten().map(|image| match image {
        Image::Bytes { bytes, .. } => bytes.len(),
        _ => 0,
    });
    images.sum::<usize>() + row.fields.values().map(value_size).sum::<usize>()
}

fn value_size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(value_size).sum::<usize>() + 8,
        Value::Object(object) => object.values().map(value_size).sum::<usize>() + 8,
        _ => 8,
    }
}

/// A column of the rows' values under a name. A value of another type than the column's would become null; there
/// is none, since the types are found from these very rows.
pub(super) fn array(name: &str, column: &ColumnType, rows: &[Row]) -> ArrayRef {
    let mut builder = make_builder(&data_type(column), rows.len());
    for row in rows {
        match column {
            ColumnType::Images => append_images(builder.as_mut(), row.images.get(name)),
            _ => append(builder.as_mut(), column, row.fields.get(name)),
        }
    }
    builder.finish()
}

/// The builder as the type that [`make_builder`] made for the column.
fn typed<T: ArrayBuilder>(builder: &mut dyn ArrayBuilder) -> &mut T {
    builder.as_any_mut().downcast_mut().expect("a builder has the type that it was made for")
}

type AnyListBuilder = ListBuilder<Box<dyn ArrayBuilder>>;

fn append(builder: &mut dyn ArrayBuilder, column: &ColumnType, value: Option<&Value>) {
    match column {
        ColumnType::Text => typed::<StringBuilder>(builder).append_option(value.and_then(Value::as_str)),
        ColumnType::JsonText | ColumnType::Nothing => {
            let text = value.filter(|value| !value.is_null()).map(json_text);
            typed::<StringBuilder>(builder).append_option(text);
        }
        ColumnType::Bool => typed::<BooleanBuilder>(builder).append_option(value.and_then(Value::as_bool)),
        ColumnType::Integer => typed::<Int64Builder>(builder).append_option(value.and_then(Value::as_i64)),
        ColumnType::Float => typed::<Float64Builder>(builder).append_option(value.and_then(Value::as_f64)),
        ColumnType::List(element) => {
            let builder = typed::<AnyListBuilder>(builder);
            let list = value.and_then(Value::as_array);
            for value in list.into_iter().flatten() {
                append(builder.values().as_mut(), element, Some(value));
            }
            builder.append(list.is_some());
        }
        ColumnType::Struct(fields) => {
            let builder = typed::<StructBuilder>(builder);
            let object = value.and_then(Value::as_object);
            for ((name, column), builder) in fields.iter().zip(builder.field_builders_mut()) {
                append(builder.as_mut(), column, object.and_then(|object| object.get(name)));
            }
            builder.append(object.is_some());
        }
        ColumnType::Images => append_images(builder, None),
    }
}

fn append_images(builder: &mut dyn ArrayBuilder, images: Option<&Vec<Image>>) {
    let builder = typed::<AnyListBuilder>(builder);
    for image in images.into_iter().flatten() {
        append_image(builder.values().as_mut(), image);
    }
    // A row without images has an empty list, which every reader takes.
    builder.append(true);
}

fn append_image(builder: &mut dyn ArrayBuilder, image: &Image) {
    let builder = typed::<StructBuilder>(builder);
    let (bytes, path) = match image {
        Image::Bytes { bytes, name } => (Some(&bytes[..]), name.clone()),
        other => (None, other.reference()),
    };
    let [bytes_builder, path_builder] = builder.field_builders_mut() else {
        unreachable!("a image has two fields");
    };
    typed::<BinaryBuilder>(bytes_builder.as_mut()).append_option(bytes);
    typed::<StringBuilder>(path_builder.as_mut()).append_option(path);
    builder.append(true);
}
