//! Data files line by line: dialogues in and items out, one at a time, so that a file may be larger than memory.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use diagnostic::excerpt;
use serde::de::DeserializeOwned;

use super::container::conversion;
use super::media::unshown_column;
use super::{
    DataError, GivenLines, ImageReference, Item, Message, Part, image_file_name, is_media_column, relative_to,
};
use crate::files::{try_write_lines, write_atomically};

/// A line of a data file: a dialogue with an id.
pub trait Dialogue: DeserializeOwned {
    /// What a line holds, for messages.
    const FIELDS: &str = "`id` and `messages`";

    /// Unique in its file.
    fn id(&self) -> &str;

    /// The dialogue.
    fn messages(&mut self) -> &mut [Message];
}

impl Dialogue for Item {
    fn id(&self) -> &str {
        &self.id
    }

    fn messages(&mut self) -> &mut [Message] {
        &mut self.messages
    }
}

/// The dialogues of a file, one JSON object a line (blank lines and a byte order mark are skipped), image paths
/// resolved against the file's folder. Of the lines read nothing is kept but a hash of each id (8 bytes), and not even
/// that [with ids unchecked](Self::with_ids_unchecked). It ends after an error.
///
/// Errors: `Io` naming the file; `Line` naming file and line for bad JSON, an unknown role, a line without messages, an
/// image that is no file or an id that occurs twice; `Empty` for a file without lines.
#[derive(Debug)]
pub struct Dialogues<T> {
    path: PathBuf,
    lines: GivenLines,
    /// Hashes of the ids read; none where ids are not checked.
    ids: Option<HashSet<u64>>,
    is_empty: bool,
    has_ended: bool,
    embedded: Option<PathBuf>,
    kind: PhantomData<fn() -> T>,
}

impl<T: Dialogue> Dialogues<T> {
    /// Opens a file.
    ///
    /// Errors: `Io` naming the file.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        Ok(Self {
            path: path.to_owned(),
            lines: GivenLines::open(path, T::FIELDS)?,
            ids: Some(HashSet::new()),
            is_empty: true,
            has_ended: false,
            embedded: None,
            kind: PhantomData,
        })
    }

    /// Also takes images that stand within the file, as data URLs or in base64: they become files of this folder, named by their hash.
    #[must_use]
    pub fn with_embedded_in(mut self, folder: &Path) -> Self {
        self.embedded = Some(folder.to_owned());
        self
    }

    /// Takes ids as they come, for callers that know them to be unique or check it by other means. Then a file of any
    /// length takes the same memory.
    #[must_use]
    pub fn with_ids_unchecked(mut self) -> Self {
        self.ids = None;
        self
    }

    /// The line of the last dialogue, counted from one.
    pub fn line(&self) -> usize {
        self.lines.line()
    }

    fn read_next(&mut self) -> Result<Option<T>, DataError> {
        match self.lines.read()? {
            Some(dialogue) => self.checked(dialogue).map(Some),
            None => self.end(),
        }
    }

    fn end(&self) -> Result<Option<T>, DataError> {
        if self.is_empty {
            let path = self.path.clone();
            return Err(DataError::Empty { path });
        }
        Ok(None)
    }

    fn checked(&mut self, mut dialogue: T) -> Result<T, DataError> {
        if dialogue.messages().is_empty() {
            return Err(self.problem("`messages` is empty: expected at least one message".into()));
        }
        if let Some(ids) = &mut self.ids
            && !ids.insert(hash(dialogue.id()))
        {
            self.check_unique(dialogue.id())?;
        }
        self.is_empty = false;
        let mut parts = dialogue.messages().iter().flat_map(|message| &message.content);
        let shows_images = parts.any(|part| matches!(part, Part::Image { .. }));
        if let Some(column) = unshown_column(self.lines.text(), shows_images) {
            return Err(self.unshown(column));
        }
        for part in dialogue.messages().iter_mut().flat_map(|message| &mut message.content) {
            if let Part::Image { image, .. } = part {
                *image = self.file_of(image)?;
            }
        }
        Ok(dialogue)
    }

    /// The problem that a column holds what no message shows, which would be left out in silence.
    fn unshown(&self, column: &str) -> DataError {
        if is_media_column(column) {
            return self.problem(format!("`{column}` holds a video or audio: expected text and images only"));
        }
        let hint = conversion(&self.path);
        self.problem(format!("`{column}` holds images that no message shows: expected them in `content`; {hint}"))
    }

    /// The file of an image: a path, or an image within the line where there is a folder for these.
    fn file_of(&self, image: &Path) -> Result<PathBuf, DataError> {
        let read = ImageReference::read(&image.to_string_lossy());
        let bytes = match read.map_err(|problem| self.problem(format!("an image: {problem}")))? {
            ImageReference::Bytes(bytes) => bytes,
            ImageReference::File(path) => return Ok(self.path.parent().unwrap_or(Path::new("")).join(path)),
            ImageReference::Remote(address) => {
                let problem =
                    format!("expected an image file, got the address {}, which is not fetched", excerpt(&address));
                return Err(self.problem(problem));
            }
        };
        let Some(folder) = &self.embedded else {
            let problem = "expected an image file, got the image itself: `scruple data convert FILE --to openai --out NEW` makes \
                           files of them";
            return Err(self.problem(problem.to_owned()));
        };
        let path = folder.join(image_file_name(&bytes));
        if !path.exists() {
            write_atomically(&path, &bytes)?;
        }
        Ok(path)
    }

    /// Looks the last dialogue's id up in the lines before it: two ids may share a hash.
    ///
    /// Errors: `Line` naming both lines where it occurs there; `Io` naming the file.
    pub fn check_unique(&self, id: &str) -> Result<(), DataError> {
        let mut earlier = GivenLines::open(&self.path, T::FIELDS)?;
        while let Some(dialogue) = earlier.read::<T>()?
            && earlier.line() < self.line()
        {
            if dialogue.id() == id {
                let (id, first) = (excerpt(id), earlier.line());
                return Err(self.problem(format!("id `{id}` already occurs on line {first}: expected unique ids")));
            }
        }
        Ok(())
    }

    fn problem(&self, problem: String) -> DataError {
        self.lines.problem(problem)
    }
}

impl<T: Dialogue> Iterator for Dialogues<T> {
    type Item = Result<T, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let next = self.read_next().transpose();
        self.has_ended = !matches!(next, Some(Ok(_)));
        next
    }
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Reads a file of items whole, as [`read_dialogues`].
///
/// Errors: those of [`Dialogues`].
pub fn read_items(path: &Path) -> Result<Vec<Item>, DataError> {
    read_dialogues(path)
}

/// Reads a file of dialogues whole; [`Dialogues`] says what they are.
///
/// Errors: those of [`Dialogues`].
pub fn read_dialogues<T: Dialogue>(path: &Path) -> Result<Vec<T>, DataError> {
    Dialogues::open(path)?.collect()
}

/// Writes items as JSON lines, atomically: the file appears whole or not at all. Image paths are written relative to
/// the file's folder where one leads to the other, so that the whole can be moved.
///
/// Errors: `Io` naming the file.
pub fn write_items(path: &Path, items: &[Item]) -> Result<(), DataError> {
    write_each_item(path, items.iter().cloned().map(Ok))
}

/// As [`write_items`], of items that come one at a time.
///
/// Errors: `Io` naming the file; the first of the items' own.
pub fn write_each_item(path: &Path, items: impl Iterator<Item = Result<Item, DataError>>) -> Result<(), DataError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let relative = items.map(|item| {
        let mut item = item?;
        for part in item.messages.iter_mut().flat_map(|message| &mut message.content) {
            if let Part::Image { image, .. } = part {
                *image = relative_to(image, folder);
            }
        }
        Ok(item)
    });
    try_write_lines(path, relative)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.jsonl");
        std::fs::write(&path, text).unwrap();
        let message = read_items(&path).unwrap_err().to_string();
        message.replace(&path.display().to_string(), "FILE")
    }

    fn line(id: &str) -> String {
        format!("{{\"id\":\"{id}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Why?\"}}]}}\n")
    }

    #[test]
    fn lines_are_read_one_at_a_time_and_blank_ones_are_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.jsonl");
        std::fs::write(&path, format!("{}\r\n\n{}", line("a").trim_end(), line("b").trim_end())).unwrap();
        let mut items = Dialogues::<Item>::open(&path).unwrap();
        assert_eq!(items.next().unwrap().unwrap().id, "a");
        assert_eq!(items.line(), 1);
        assert_eq!(items.next().unwrap().unwrap().id, "b");
        assert_eq!(items.line(), 3);
        assert!(items.next().is_none() && items.next().is_none());
    }

    #[test]
    fn unchecked_ids_may_repeat_until_they_are_looked_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.jsonl");
        std::fs::write(&path, line("a") + &line("b") + &line("a")).unwrap();
        let mut items = Dialogues::<Item>::open(&path).unwrap().with_ids_unchecked();
        assert_eq!(items.nth(1).unwrap().unwrap().id, "b");
        items.check_unique("b").unwrap();
        assert_eq!(items.next().unwrap().unwrap().id, "a");
        let message = items.check_unique("a").unwrap_err().to_string();
        assert!(message.contains(":3: id `a` already occurs on line 1"), "{message}");
        assert!(items.next().is_none());
        std::fs::write(&path, "\n").unwrap();
        let mut nothing = Dialogues::<Item>::open(&path).unwrap().with_ids_unchecked();
        assert!(matches!(nothing.next(), Some(Err(DataError::Empty { .. }))));
    }

    #[test]
    fn a_byte_order_mark_and_numbers_for_ids_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.jsonl");
        let second = line("b").replace("\"b\",", "7,\"twin_of\":3.0,\"split\":1,\"category\":null,");
        std::fs::write(&path, format!("\u{feff}{}{second}", line("a"))).unwrap();
        let items = read_items(&path).unwrap();
        assert_eq!((items[0].id.as_str(), items[1].id.as_str()), ("a", "7"));
        assert_eq!((items[1].twin_of.as_deref(), items[1].split.as_deref()), (Some("3"), Some("1")));
    }

    #[test]
    fn embedded_images_become_files_once_where_there_is_a_folder_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.jsonl");
        let url = "data:image/png;base64,iVBORw0KGgo=";
        let content = format!("[{{\"type\":\"image_url\",\"image_url\":{{\"url\":\"{url}\"}}}}]");
        let [first, second] = ["a", "b"].map(|id| line(id).replace("\"Why?\"", &content));
        std::fs::write(&path, format!("{first}{second}")).unwrap();
        let images = folder.path().join("images");
        let read: Result<Vec<Item>, _> = Dialogues::open(&path).unwrap().with_embedded_in(&images).collect();
        let read = read.unwrap();
        let file = crate::types::image_paths(&read[0].messages).next().unwrap();
        assert_eq!(read[0].messages, read[1].messages);
        assert!(file.starts_with(&images) && file.extension().unwrap() == "png", "{}", file.display());
        assert_eq!(std::fs::read(file).unwrap(), b"\x89PNG\r\n\x1a\n");

        let refused = problem(first.as_bytes());
        assert!(refused.starts_with("FILE:1: expected an image file, got the image itself: "), "{refused}");
        let remote = problem(first.replace(url, "https://a.org/b.png").as_bytes());
        assert!(remote.contains("the address https://a.org/b.png, which is not fetched"), "{remote}");
    }

    #[test]
    fn what_a_line_shows_beside_its_messages_is_refused() {
        let with = |more: &str| line("a").replace("}]}", &format!("}}],{more}}}"));
        for (more, expected) in [
            (r#""videos":["a.mp4"]"#, "`videos` holds a video or audio: expected text and images only"),
            (r#""audio":{"path":"a.wav"}"#, "`audio` holds a video or audio: "),
            (r#""images":["a.png"]"#, "`images` holds images that no message shows: expected them in `content`; "),
            (r#""image":"a.png""#, "`scruple data convert FILE --to openai --out NEW.jsonl` makes such lines of it"),
        ] {
            let refused = problem(with(more).as_bytes());
            assert!(refused.starts_with("FILE:1: ") && refused.contains(expected), "{refused}");
        }
        for more in [r#""videos":[],"image":null,"audio":"""#, r#""note":"video","split":"images""#] {
            let more = format!("{}{}", with(more), line("a"));
            assert!(problem(more.as_bytes()).starts_with("FILE:2: id `a` already"), "{more}");
        }
    }

    #[test]
    fn problems_name_their_line() {
        let twice = problem(format!("{}\n{}{}", line("a"), line("b"), line("a")).as_bytes());
        assert_eq!(twice, "FILE:4: id `a` already occurs on line 1: expected unique ids");
        let nothing = "FILE: no items: expected at least one JSON object, one a line, got an empty file";
        assert_eq!(problem(b"\n"), nothing);
        let empty = problem(b"{\"id\":\"a\",\"messages\":[]}");
        assert_eq!(empty, "FILE:1: `messages` is empty: expected at least one message");
        assert!(
            problem(format!("{}x\n", line("a")).as_bytes()).starts_with("FILE:2: column 1: expected a value, got `x`")
        );
        let no_text = problem(&[line("a").as_bytes(), b"\xff\n"].concat());
        assert!(no_text.starts_with("FILE:2: column 1: expected UTF-8"), "{no_text}");
    }
}
