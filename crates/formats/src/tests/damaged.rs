//! Valid files of every format, damaged: never a panic, and never more memory than a whole file could want, whatever the
//! damage says of lengths.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use align::progress::Silent;
use image::ImageFormat;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::image_values::image_columns_file;
use super::samples::{config, convert, convert_from, file_of, folder, image_file, write_lines, written_formats};
use crate::error::FormatError;
use crate::format::Format;
use crate::layouts::{hf, openai};
use rows::RowsError;

/// The address space that the readers may take (KiB): an image's decoder alone may take 1 GiB.
const MEMORY_KIB: usize = 3 << 20;
/// Set where the address space is limited.
const IS_LIMITED: &str = "SCRUPLE_TEST_IS_LIMITED";

/// What is done to a file's bytes.
#[derive(Clone, Debug)]
enum Damage {
    /// It ends here.
    End(prop::sample::Index),
    /// So many bytes are missing.
    Gap(prop::sample::Index, usize),
    /// These bytes stand there instead: lengths that lie, among others.
    Other(prop::sample::Index, Vec<u8>),
    /// These bytes stand before.
    More(prop::sample::Index, Vec<u8>),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::End(at) => bytes.truncate(at.index(bytes.len())),
            Self::Gap(at, length) => {
                let at = at.index(bytes.len());
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Self::Other(at, other) => {
                let at = at.index(bytes.len());
                for (byte, other) in bytes[at..].iter_mut().zip(other) {
                    *byte = *other;
                }
            }
            Self::More(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
        }
    }
}

/// Bytes, among them lengths as thrift, parquet and PNG write them: as large as can be, and of about 2 GiB.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 1..8),
        1 => Just(vec![0xff, 0xff, 0xff, 0xff, 0x0f]),
        1 => Just(vec![0xfe, 0xff, 0xff, 0xff, 0x0f]),
        1 => Just(vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        1 => Just(vec![0x7f, 0xff, 0xff, 0xff]),
        1 => Just(vec![0xff, 0xff, 0xff, 0x7f]),
        1 => Just(b"[[[[[[[[".to_vec()),
        1 => Just(b"1e999,".to_vec()),
        1 => Just(b"\"\\ud800\"".to_vec()),
    ]
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        1 => at().prop_map(Damage::End),
        1 => (at(), 1..40_usize).prop_map(|(at, length)| Damage::Gap(at, length)),
        4 => (at(), bytes()).prop_map(|(at, bytes)| Damage::Other(at, bytes)),
        1 => (at(), bytes()).prop_map(|(at, bytes)| Damage::More(at, bytes)),
    ]
}

/// A row whose kind, number of images and label depend on its index.
fn row(index: usize) -> Value {
    let kind = ["hazardous", "benign", "general"][index % 3];
    let image = json!({ "type": "image", "image": "a.png" });
    let mut content = vec![image; [0, 1, 2, 1][index % 4]];
    content.push(json!({ "type": "text", "text": format!("Question {index}?") }));
    let mut messages = vec![json!({ "role": "user", "content": content })];
    if index % 5 > 1 {
        messages.push(json!({ "role": "assistant", "content": "An answer." }));
    }
    let truth = json!({ "options": ["1", "2"], "answer": "2" });
    json!({ "id": format!("i{index}"), "messages": messages, "kind": kind, "category": "C", "truth": truth, "n": index })
}

/// The files' formats, extensions and bytes, made once; `folder` is that of their images.
fn files() -> &'static [(Format, String, Vec<u8>)] {
    static FILES: OnceLock<Vec<(Format, String, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = folder();
        write_image(folder.path());
        let source = folder.path().join("source.jsonl");
        write_lines(&source, &(0..24).map(row).collect::<Vec<_>>());
        let mut files = Vec::new();
        let mut add = |format: Format, path: &Path| {
            let extension = path.extension().unwrap().to_string_lossy().into_owned();
            files.push((format, extension, fs_err::read(path).unwrap()));
        };
        for format in written_formats() {
            let valid = file_of(folder.path(), format.name(), format);
            convert(&source, &valid, format).unwrap();
            add(format, &valid);
        }
        for valid in image_columns_file(folder.path()) {
            add(hf::FORMAT, &valid);
        }
        files
    })
}

fn write_image(folder: &Path) {
    fs_err::write(folder.join("a.png"), image_file(ImageFormat::Png, 8, 1)).unwrap();
}

proptest! {
    #![proptest_config(config(250))]

    fn is_read_without_a_panic(
        (format, extension, valid) in prop::sample::select(files()),
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let folder = folder();
        write_image(folder.path());
        let mut bytes = valid;
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        let damaged = folder.path().join(format!("damaged.{extension}"));
        fs_err::write(&damaged, bytes).unwrap();
        for format in [Some(format), None] {
            // It may look like a file of another kind now, which is named.
            let outcome = crate::check(&damaged, format, &mut Silent);
            prop_assert!(matches!(outcome, Ok(_) | Err(FormatError::Rows(RowsError::Foreign { .. }))), "{outcome:?}");
        }
        // It may or may not be possible to convert it.
        let _ = convert_from(Some(format), &damaged, &folder.path().join("back.jsonl"), openai::FORMAT);
    }
}

/// The test runs itself again in a process whose memory is limited: what asks for more ends it.
#[test]
fn damaged_files_of_every_format_are_read_without_a_panic_in_bounded_memory() {
    if std::env::var_os(IS_LIMITED).is_some() {
        return is_read_without_a_panic();
    }
    let program = std::env::current_exe().unwrap();
    let name = concat!("tests::damaged::", "damaged_files_of_every_format_are_read_without_a_panic_in_bounded_memory");
    let command = format!("ulimit -v {MEMORY_KIB} 2>/dev/null; exec \"$0\" --exact \"$1\" --test-threads 1");
    let child = Command::new("sh").args(["-c", &command]).arg(program).arg(name).env(IS_LIMITED, "1").output().unwrap();
    let text = String::from_utf8_lossy(&[child.stdout, child.stderr].concat()).into_owned();
    assert!(child.status.success() && text.contains("1 passed"), "{text}");
}
