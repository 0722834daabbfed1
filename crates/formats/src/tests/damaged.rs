//! Valid files of every format, damaged at random: never a panic, whatever is left of them.

use align::progress::Silent;
use image::ImageFormat;
use serde_json::{Value, json};

use super::samples::{convert, file_of, folder, image_file, write_lines, written_formats};
use crate::layouts::openai;

/// A small generator of random numbers, so that every run does the same damage.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

fn damage(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match random.below(4) {
        0 => bytes.truncate(random.below(bytes.len())),
        1 => {
            let (from, length) = (random.below(bytes.len()), random.below(40));
            let end = (from + length).min(bytes.len());
            bytes.drain(from..end);
        }
        _ => {
            for _ in 0..=random.below(8) {
                let at = random.below(bytes.len());
                bytes[at] = random.below(256) as u8;
            }
        }
    }
    bytes
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

#[test]
fn damaged_files_of_every_format_are_read_without_a_panic() {
    let folder = folder();
    fs_err::write(folder.path().join("a.png"), image_file(ImageFormat::Png, 8, 1)).unwrap();
    let rows: Vec<_> = (0..24).map(row).collect();
    let source = folder.path().join("source.jsonl");
    write_lines(&source, &rows);
    let mut random = Random(0x5eed);
    for format in written_formats() {
        let valid = file_of(folder.path(), format.name(), format);
        convert(&source, &valid, format).unwrap();
        let bytes = fs_err::read(&valid).unwrap();
        let damaged = file_of(folder.path(), "damaged", format);
        for _ in 0..60 {
            fs_err::write(&damaged, damage(&bytes, &mut random)).unwrap();
            crate::check(&damaged, Some(format), &mut Silent).unwrap();
            crate::check(&damaged, None, &mut Silent).unwrap();
            // It may or may not be possible to convert it.
            let _ = convert(&damaged, &folder.path().join("back.jsonl"), openai::FORMAT);
        }
    }
}
