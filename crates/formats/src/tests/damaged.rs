//! Valid files of every format, damaged at random: never a panic, whatever is left of them.

use align::progress::Silent;
use image::ImageFormat;
use serde_json::json;

use super::samples::{convert, file_of, folder, picture, write_lines};
use crate::format::Format;

/// A small generator, so that every run damages alike.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

fn damage(bytes: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match chance.below(4) {
        0 => bytes.truncate(chance.below(bytes.len())),
        1 => {
            let (from, length) = (chance.below(bytes.len()), chance.below(40));
            let end = (from + length).min(bytes.len());
            bytes.drain(from..end);
        }
        _ => {
            for _ in 0..=chance.below(8) {
                let at = chance.below(bytes.len());
                bytes[at] = chance.below(256) as u8;
            }
        }
    }
    bytes
}

#[test]
fn damaged_files_of_every_format_are_read_without_a_panic() {
    let folder = folder();
    fs_err::write(folder.path().join("a.png"), picture(ImageFormat::Png, 8, 1)).unwrap();
    let row = |index: usize, kind: &str, images: usize, label: bool| {
        let image = json!({ "type": "image", "image": "a.png" });
        let mut content = vec![image; images];
        content.push(json!({ "type": "text", "text": format!("Question {index}?") }));
        let mut messages = vec![json!({ "role": "user", "content": content })];
        if label {
            messages.push(json!({ "role": "assistant", "content": "An answer." }));
        }
        let truth = json!({ "options": ["1", "2"], "answer": "2" });
        json!({ "id": format!("i{index}"), "messages": messages, "kind": kind, "category": "C", "truth": truth, "n": index })
    };
    let rows: Vec<_> = (0..24)
        .map(|index| {
            let kind = ["hazardous", "benign", "general"][index % 3];
            row(index, kind, [0, 1, 2, 1][index % 4], index % 5 > 1)
        })
        .collect();
    let source = folder.path().join("source.jsonl");
    write_lines(&source, &rows);
    let mut chance = Chance(0x5eed);
    for format in Format::ALL {
        let valid = file_of(folder.path(), format.name(), format);
        convert(&source, &valid, format).unwrap();
        let bytes = fs_err::read(&valid).unwrap();
        let damaged = file_of(folder.path(), "damaged", format);
        for _ in 0..60 {
            fs_err::write(&damaged, damage(&bytes, &mut chance)).unwrap();
            crate::check(&damaged, Some(format), &mut Silent).unwrap();
            crate::check(&damaged, None, &mut Silent).unwrap();
            // Whether it can still be converted is chance.
            let _ = convert(&damaged, &folder.path().join("back.jsonl"), Format::OpenAi);
        }
    }
}
