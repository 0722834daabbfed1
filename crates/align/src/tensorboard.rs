//! TensorBoard event files, written by hand: TFRecord frames around protobuf events that hold scalars.
//!
//! Sources: TensorFlow's `core/lib/io/record_writer.cc` (a frame is the length as u64, its masked CRC, the data, its
//! masked CRC, all little-endian) and `core/util/event.proto` with `core/framework/summary.proto` (field numbers).

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

/// An event file open for appending.
#[derive(Debug)]
pub struct EventWriter {
    file: fs_err::File,
    /// The file's length in bytes.
    pub length: u64,
}

impl EventWriter {
    /// Opens or creates an event file. A new one begins with the format's version.
    ///
    /// Errors: the operating system's, naming the file.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let file = fs_err::OpenOptions::new().append(true).create(true).open(path)?;
        let length = file.metadata()?.len();
        let mut writer = Self { file, length };
        writer.begin()?;
        Ok(writer)
    }

    /// Appends a step's scalars as one event at the present time.
    ///
    /// Errors: the operating system's, naming the file.
    pub fn write_scalars(&mut self, step: usize, scalars: &BTreeMap<String, f64>) -> std::io::Result<()> {
        self.append(&scalar_event(now(), step, scalars))
    }

    /// Waits until everything appended is on the disk.
    ///
    /// Errors: the operating system's, naming the file.
    pub fn sync(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }

    /// Keeps the first `length` bytes alone; a kill may have torn what follows. A file shorter than that stays as it is:
    /// the curves it lacks are also in `metrics.jsonl`.
    ///
    /// Errors: the operating system's, naming the file.
    pub fn truncate(&mut self, length: u64) -> std::io::Result<()> {
        self.length = self.length.min(length);
        self.file.set_len(self.length)?;
        self.begin()
    }

    fn begin(&mut self) -> std::io::Result<()> {
        if self.length == 0 { self.append(&version_event(now())) } else { Ok(()) }
    }

    fn append(&mut self, event: &[u8]) -> std::io::Result<()> {
        let frame = frame(event);
        if let Err(error) = self.file.write_all(&frame) {
            self.file.set_len(self.length).ok();
            return Err(error);
        }
        self.length += frame.len() as u64;
        Ok(())
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// `Event { wall_time = 1, file_version = 3 }`
fn version_event(wall_time: f64) -> Vec<u8> {
    let mut event = Vec::new();
    put_fixed64(&mut event, 1, wall_time);
    put_bytes(&mut event, 3, b"brain.Event:2");
    event
}

/// `Event { wall_time = 1, step = 2, summary = 5 { value = 1 { tag = 1, simple_value = 2 } … } }`
fn scalar_event(wall_time: f64, step: usize, scalars: &BTreeMap<String, f64>) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, scalar) in scalars {
        let mut value = Vec::new();
        put_bytes(&mut value, 1, tag.as_bytes());
        put_key(&mut value, 2, 5);
        value.extend((*scalar as f32).to_le_bytes());
        put_bytes(&mut summary, 1, &value);
    }
    let mut event = Vec::new();
    put_fixed64(&mut event, 1, wall_time);
    put_key(&mut event, 2, 0);
    put_varint(&mut event, step as u64);
    put_bytes(&mut event, 5, &summary);
    event
}

fn put_key(message: &mut Vec<u8>, field: u64, wire_type: u64) {
    put_varint(message, field << 3 | wire_type);
}

fn put_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

fn put_fixed64(message: &mut Vec<u8>, field: u64, value: f64) {
    put_key(message, field, 1);
    message.extend(value.to_le_bytes());
}

fn put_bytes(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_key(message, field, 2);
    put_varint(message, bytes.len() as u64);
    message.extend(bytes);
}

/// A TFRecord frame.
fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut frame = Vec::with_capacity(data.len() + 16);
    frame.extend(length);
    frame.extend(masked_crc(&length).to_le_bytes());
    frame.extend(data);
    frame.extend(masked_crc(data).to_le_bytes());
    frame
}

/// A checksum that can itself be stored in checksummed data.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: events are small and rare.
fn crc32c(data: &[u8]) -> u32 {
    const REFLECTED_POLYNOMIAL: u32 = 0x82f6_3b78;
    !data.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (REFLECTED_POLYNOMIAL & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    /// The value every description of CRC-32C gives for the digits 1 to 9.
    #[test]
    fn the_checksum_is_castagnoli() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    /// Both frames as TensorBoard 2.21.0's own `RecordWriter` and protobuf classes write them.
    #[test]
    fn frames_equal_tensorboards_own() {
        assert_eq!(
            hex(&frame(&version_event(1_700_000_000.5))),
            "1800000000000000a37f4b220900002040fc54d9411a0d627261696e2e4576656e743a322b353110"
        );
        let scalars = [("loss".to_owned(), 2.5), ("reward/mean".to_owned(), -0.125)].into();
        assert_eq!(
            hex(&frame(&scalar_event(1_700_000_001.25, 300, &scalars))),
            "2f000000000000006d5d1d500900005040fc54d94110ac022a210a0b0a046c6f737315000020400a120a0b7265776172642f6d65616e15\
             000000be349c788c"
        );
    }

    #[test]
    fn a_truncated_file_can_be_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.out.tfevents.test");
        let scalars = [("loss".to_owned(), 1.0)].into();
        let mut writer = EventWriter::open(&path).unwrap();
        let header = writer.length;
        writer.write_scalars(1, &scalars).unwrap();
        let after_one = writer.length;
        writer.write_scalars(2, &scalars).unwrap();
        drop(writer);
        let mut writer = EventWriter::open(&path).unwrap();
        writer.truncate(after_one).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), after_one);
        writer.truncate(0).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), header);
    }
}
