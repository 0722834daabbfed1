//! The one reader of images: every form in which columns and parts of messages name one, in JSON and in parquet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use align::progress::Silent;
use align::types::{Dialogues, ImageOptions, Item, image_paths, read_items, shown_images};
use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, FixedSizeBinaryArray, FixedSizeListArray, Int64Array, LargeBinaryArray, LargeListArray,
    LargeStringArray, ListArray, RecordBatch, StringArray, StructArray,
};
use arrow_schema::{Field, Fields};
use image::ImageFormat;
use serde_json::{Value, json};

use super::samples::{convert, convert_from, folder, image_file, records, write_lines};
use crate::check;
use crate::format::Format;
use crate::layouts::{hf, openai, sharegpt, swift, trl, verl};
use crate::record_reader::RecordReader;
use rows::{Image, ProblemKind};

fn png() -> Vec<u8> {
    image_file(ImageFormat::Png, 6, 40)
}

fn problems(path: &Path) -> Vec<ProblemKind> {
    let report = check(path, None, &mut Silent).unwrap();
    report.problems.iter().map(|problem| problem.kind).collect()
}

#[track_caller]
fn shows_it(path: &Path, format: Format, case: &str) {
    assert!(problems(path).iter().all(|kind| *kind == ProblemKind::PathEscapes), "{case}: {:?}", problems(path));
    assert_eq!(RecordReader::open(path, None).unwrap().format, format, "{case}");
    let shown = &records(path, format)[0].images;
    assert_eq!(shown[..], [Image::unnamed(png())], "{case}");
}

/// Every form of an image in JSON that a column or a part may have.
fn forms(folder: &Path) -> Vec<Value> {
    let base64 = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, png());
    let wrapped: Vec<String> =
        base64.as_bytes().chunks(20).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    fs_err::write(folder.join("a b.png"), png()).unwrap();
    let address = format!("file://{}", folder.join("a%20b.png").display());
    vec![
        json!("a b.png"),
        json!("file://a%20b.png"),
        json!(base64),
        json!(wrapped.join("\r\n")),
        json!(format!("data:image/png;base64,{}", wrapped.join("\n"))),
        json!({ "path": "a b.png" }),
        json!({ "path": "a b.png", "bytes": null }),
        json!({ "path": "b.png", "bytes": base64 }),
        json!({ "bytes": base64.trim_end_matches('=') }),
        json!({ "image": "file://a%20b.png" }),
        json!({ "image": { "path": "a b.png" } }),
        json!({ "image": { "bytes": base64, "path": null } }),
        json!({ "url": "a b.png" }),
        json!({ "image_url": { "url": address } }),
        json!({ "base64": base64 }),
        json!({ "source": { "type": "base64", "media_type": "image/png", "data": base64 } }),
    ]
}

#[test]
fn images_are_read_in_every_form_in_columns_and_in_parts() {
    let folder = folder();
    let path = folder.path().join("d.jsonl");
    let say = |content: Value| json!([{ "role": "user", "content": content }]);
    for form in forms(folder.path()) {
        let case = form.to_string();
        for column in [form.clone(), json!([form])] {
            write_lines(&path, &[json!({ "messages": say("<image>Which?".into()), "images": column })]);
            shows_it(&path, swift::FORMAT, &case);
        }
        let talk = json!([{ "from": "human", "value": "<image>Which?" }]);
        write_lines(&path, &[json!({ "conversations": talk, "image": form })]);
        shows_it(&path, sharegpt::FORMAT, &case);
        write_lines(&path, &[json!({ "prompt": say("<image>Which?".into()), "images": [form], "data_source": "d" })]);
        shows_it(&path, verl::FORMAT, &case);
        let typed = ["image", "image_url", "input_image"].map(|kind| json!({ "type": kind, "image": form }));
        let bare = json!({ "image": form });
        for part in typed.into_iter().chain([bare, json!({ "type": "image_url", "image_url": form })]) {
            let parts = json!([part, { "type": "text", "text": "Which?" }]);
            write_lines(&path, &[json!({ "id": "1", "messages": say(parts) })]);
            shows_it(&path, openai::FORMAT, &format!("{part}"));
            // What is checked without an error is what commands read.
            let read: Result<Vec<Item>, _> =
                Dialogues::open(&path).unwrap().with_embedded_in(&folder.path().join("embedded")).collect();
            let read = read.unwrap_or_else(|error| panic!("{part}: {error}"));
            let shown = image_paths(&read[0].messages).next().unwrap();
            assert_eq!(fs_err::read(shown).unwrap(), png(), "{part}");
        }
    }
}

#[test]
fn what_is_no_image_is_refused_where_it_stands() {
    let folder = folder();
    let path = folder.path().join("d.jsonl");
    for form in [json!(3), json!(true), json!({}), json!({ "width": 4 }), json!({ "source": { "type": "file" } })] {
        let messages = json!([{ "role": "user", "content": "<image>Which?" }]);
        write_lines(&path, &[json!({ "messages": messages, "images": [form] })]);
        let report = check(&path, None, &mut Silent).unwrap();
        let problem = &report.problems[0];
        assert_eq!(problem.kind, ProblemKind::WrongType, "{form}");
        assert!(problem.message.starts_with("`images[0]"), "{form}: {}", problem.message);
    }
}

#[test]
fn addresses_elsewhere_are_kept_as_they_are_and_said_to_be_remote() {
    let folder = folder();
    let path = folder.path().join("d.jsonl");
    for address in
        ["https://a.org/b.png", "HTTPS://A.org/b.png", "s3://a/b.png", "gs://a/b", "oss://a/b", "hf://datasets/a/b.png"]
    {
        let part = json!([{ "type": "image", "image": address }, { "type": "text", "text": "Which?" }]);
        write_lines(&path, &[json!({ "id": "1", "messages": [{ "role": "user", "content": part }] })]);
        assert_eq!(problems(&path), [ProblemKind::RemoteImage], "{address}");
        let out = folder.path().join("new/out.jsonl");
        let report = convert(&path, &out, swift::FORMAT).unwrap();
        assert_eq!(report.losses, []);
        let row: Value = serde_json::from_str(&fs_err::read_to_string(&out).unwrap()).unwrap();
        assert_eq!(row["images"], json!([address]));
        let refused = convert(&path, &folder.path().join("out.parquet"), hf::FORMAT).unwrap_err().to_string();
        assert!(refused.contains(address), "{refused}");
    }
}

fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// One cell with a list of all these values, of each kind of list that parquet keeps.
fn lists_of(values: &ArrayRef) -> Vec<ArrayRef> {
    let field = Arc::new(Field::new("item", values.data_type().clone(), true));
    let length = values.len();
    let shape = || vec![Some(vec![None::<i32>; length])];
    let (small, large) = (
        ListArray::from_iter_primitive::<Int32Type, _, _>(shape()),
        LargeListArray::from_iter_primitive::<Int32Type, _, _>(shape()),
    );
    vec![
        Arc::new(ListArray::new(field.clone(), small.offsets().clone(), values.clone(), None)),
        Arc::new(LargeListArray::new(field.clone(), large.offsets().clone(), values.clone(), None)),
        Arc::new(FixedSizeListArray::new(field, length as i32, values.clone(), None)),
    ]
}

fn list_of(values: &ArrayRef) -> ArrayRef {
    lists_of(values).remove(0)
}

fn object(fields: Vec<(&str, ArrayRef)>) -> ArrayRef {
    let (names, arrays): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    let fields: Fields =
        names.iter().zip(&arrays).map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    Arc::new(StructArray::new(fields, arrays, None))
}

fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// Messages of one question.
fn question() -> ArrayRef {
    list_of(&object(vec![("role", text(&[Some("user")])), ("content", text(&[Some("<image>Which?")]))]))
}

/// One image, in every type of column that may hold it.
fn image_columns() -> Vec<ArrayRef> {
    let bytes = png();
    let path = || text(&[Some("a.png")]);
    let binary: ArrayRef = Arc::new(BinaryArray::from(vec![&bytes[..]]));
    let large: ArrayRef = Arc::new(LargeBinaryArray::from(vec![&bytes[..]]));
    let fixed: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([bytes.clone()].into_iter()).unwrap());
    let large_text: ArrayRef = Arc::new(LargeStringArray::from(vec![Some("a.png")]));
    let mut dictionary = StringDictionaryBuilder::<Int32Type>::new();
    dictionary.append_value("a.png");
    let dictionary: ArrayRef = Arc::new(dictionary.finish());
    let hf = object(vec![("bytes", binary.clone()), ("path", path())]);
    let elements = [
        path(),
        large_text.clone(),
        dictionary.clone(),
        binary,
        large.clone(),
        fixed,
        hf.clone(),
        object(vec![("bytes", large), ("path", large_text)]),
        object(vec![("bytes", Arc::new(BinaryArray::from(vec![None::<&[u8]>]))), ("path", path())]),
        object(vec![("image", path())]),
        object(vec![("image", dictionary)]),
        object(vec![("image", hf)]),
    ];
    elements.iter().flat_map(|element| [vec![element.clone()], lists_of(element)].concat()).collect()
}

/// Parquet files of images in some of these types of column.
pub(super) fn image_columns_file(folder: &Path) -> Vec<PathBuf> {
    let columns = image_columns().into_iter().step_by(5).enumerate();
    columns
        .map(|(index, images)| {
            let path = folder.join(format!("{index}.parquet"));
            write_parquet(&path, vec![("messages", question()), ("images", images)]);
            path
        })
        .collect()
}

#[test]
fn images_are_read_from_every_type_of_column() {
    let folder = folder();
    fs_err::write(folder.path().join("a.png"), png()).unwrap();
    let path = folder.path().join("d.parquet");
    for images in image_columns() {
        let case = images.data_type().to_string();
        write_parquet(&path, vec![("messages", question()), ("images", images)]);
        shows_it(&path, hf::FORMAT, &case);
    }
}

#[test]
fn images_within_parts_are_read_from_parquet() {
    let folder = folder();
    let path = folder.path().join("d.parquet");
    let bytes = png();
    let binary: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&bytes[..]), None]));
    let image = object(vec![("bytes", binary), ("path", text(&[Some("a.png"), None]))]);
    let parts = object(vec![
        ("type", text(&[Some("image"), Some("text")])),
        ("text", text(&[None, Some("Which?")])),
        ("image", image),
    ]);
    let messages = list_of(&object(vec![("role", text(&[Some("user")])), ("content", list_of(&parts))]));
    write_parquet(&path, vec![("messages", messages)]);
    shows_it(&path, hf::FORMAT, "parts");
}

#[test]
fn what_stands_beside_an_image_in_parquet_is_kept_or_told() {
    let folder = folder();
    let path = folder.path().join("d.parquet");
    let bytes = png();
    let image = object(vec![
        ("bytes", Arc::new(BinaryArray::from(vec![&bytes[..]]))),
        ("max_pixels", Arc::new(Int64Array::from(vec![50_176]))),
        ("note", text(&[Some("large")])),
    ]);
    write_parquet(&path, vec![("messages", question()), ("images", list_of(&image))]);
    assert_eq!(problems(&path), [ProblemKind::NotKept, ProblemKind::ImageOptions]);
    for (to, lost) in [
        (openai::FORMAT, &["images[].note"][..]),
        (swift::FORMAT, &["images[].note", "messages[].content[].max_pixels"]),
    ] {
        let output = folder.path().join("out.jsonl");
        let report = convert(&path, &output, to).unwrap();
        assert_eq!(report.losses.iter().map(|loss| &*loss.field).collect::<Vec<_>>(), lost);
        let is_kept = fs_err::read_to_string(&output).unwrap().contains(r#""max_pixels":50176"#);
        assert_eq!(is_kept, to == openai::FORMAT);
    }
}

/// A row of every place in which formats say how images are shown, read and written as our own lines.
#[test]
fn how_images_are_shown_is_kept_from_every_format_that_says_it() {
    let folder = folder();
    fs_err::write(folder.path().join("a.png"), png()).unwrap();
    let asks = |parts: Value| json!([{ "role": "user", "content": parts }]);
    let words = json!({ "type": "text", "text": "Which?" });
    let shown = json!([{ "type": "image", "image": "a.png", "resized_height": 28.0, "resized_width": 56 }, words]);
    let column = json!([{ "path": "a.png", "resized_height": 28, "resized_width": 56 }]);
    for (format, row) in [
        (openai::FORMAT, json!({ "id": "i", "messages": asks(shown.clone()) })),
        (swift::FORMAT, json!({ "messages": asks(shown.clone()) })),
        (swift::FORMAT, json!({ "messages": asks(json!("<image>Which?")), "images": column })),
        (
            sharegpt::FORMAT,
            json!({ "conversations": [{ "from": "human", "value": "<image>Which?" }], "images": column }),
        ),
        (verl::FORMAT, json!({ "prompt": asks(json!("<image>Which?")), "images": column, "data_source": "d" })),
        (trl::FORMAT, json!({ "prompt": asks(json!([{ "type": "image" }, words])), "images": column })),
    ] {
        let (input, output) = (folder.path().join("in.jsonl"), folder.path().join("out.jsonl"));
        write_lines(&input, &[row]);
        let report = convert_from(Some(format), &input, &output, openai::FORMAT).unwrap();
        assert!(report.losses.is_empty(), "{format:?}: {:?}", report.losses);
        let read = read_items(&output).unwrap();
        let sizes: Vec<_> = shown_images(&read[0].messages).map(|(_, options)| options).collect();
        let size = ImageOptions { resized_height: Some(28), resized_width: Some(56), ..ImageOptions::default() };
        assert_eq!(sizes, [size], "{format:?}");
    }
}
