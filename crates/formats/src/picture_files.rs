//! Pictures on their way from one file to another: paths stay paths, bytes become files beside the output where the
//! target holds paths, and files become bytes where it holds these.

use std::io::Read;
use std::path::{Path, PathBuf};

use align::run_dir::write_atomically;
use align::types::{picture_ending, picture_file_name, relative_to};

use crate::error::FormatError;
use crate::format::Holds;
use crate::record::{Picture, Record};

/// The largest picture file that is read (bytes).
pub(crate) const MAX_PICTURE_BYTES: u64 = 256 << 20;

/// Why a picture did not get where it should.
pub(crate) enum Hindrance {
    /// Its item cannot be written, and is left out.
    Item(String),
    /// Nothing can be written.
    Output(FormatError),
}

/// Where an output's pictures go. Files that were made are taken back unless the output is kept.
pub(crate) struct PictureFiles {
    holds: Holds,
    /// The output's folder.
    folder: PathBuf,
    /// The folder for pictures that came as bytes.
    images: PathBuf,
    made: Vec<PathBuf>,
    /// How many files were written.
    pub written: usize,
}

impl PictureFiles {
    /// For an output that holds pictures so; `images` is the folder for those that came as bytes, by default one named
    /// after the output, beside it.
    pub fn new(output: &Path, holds: Holds, images: Option<&Path>) -> Self {
        let folder = output.parent().unwrap_or(Path::new("")).to_owned();
        let stem = output.file_stem().unwrap_or_default().to_string_lossy();
        let images = images.map_or_else(|| folder.join(format!("{stem}_images")), Path::to_owned);
        Self {
            holds,
            folder,
            images,
            made: Vec::new(),
            written: 0,
        }
    }

    /// The record with its pictures as the output holds them; `place` is where the format wants them to lie.
    pub fn carry(&mut self, record: &Record, place: Option<&Path>) -> Result<Record, Hindrance> {
        let mut pictures = Vec::new();
        for picture in &record.pictures {
            pictures.push(match (self.holds, picture, place) {
                (Holds::Nothing, ..) | (Holds::Bytes, Picture::Bytes { .. }, _) => picture.clone(),
                (Holds::Bytes, Picture::File(path), _) => Picture::Bytes {
                    bytes: read(path).map_err(Hindrance::Item)?.into(),
                    name: path.file_name().map(|name| name.to_string_lossy().into_owned()),
                },
                (Holds::Bytes, Picture::Remote(address), _) => {
                    return Err(Hindrance::Item(format!("its picture is an address: {address}")));
                }
                (Holds::Paths, _, Some(place)) => self.lay(picture, place)?,
                (Holds::Paths, Picture::File(path), None) => Picture::File(relative_to(path, &self.folder)),
                (Holds::Paths, Picture::Bytes { bytes, .. }, None) => self.write_hashed(bytes)?,
                (Holds::Paths, Picture::Remote(_), None) => picture.clone(),
            });
        }
        Ok(record.with_pictures(pictures))
    }

    /// The record with paths for pictures that are to become files.
    pub fn with_stand_ins(&self, record: &Record) -> Record {
        let pictures = record.pictures.iter().map(|picture| match (self.holds, picture) {
            (Holds::Paths, Picture::Bytes { .. }) => Picture::File(PathBuf::from("picture")),
            _ => picture.clone(),
        });
        record.with_pictures(pictures.collect())
    }

    /// Writes bytes under a name made of their hash, so that a picture shown often is there once.
    fn write_hashed(&mut self, bytes: &[u8]) -> Result<Picture, Hindrance> {
        let path = self.images.join(picture_file_name(bytes));
        self.write(&path, bytes)?;
        Ok(Picture::File(relative_to(&path, &self.folder)))
    }

    /// Lays a picture where the format wants it.
    fn lay(&mut self, picture: &Picture, place: &Path) -> Result<Picture, Hindrance> {
        let bytes = match picture {
            Picture::Bytes { bytes, .. } => bytes.to_vec(),
            Picture::File(path) => read(path).map_err(Hindrance::Item)?,
            Picture::Remote(address) => {
                return Err(Hindrance::Item(format!("its picture is an address: {address}")));
            }
        };
        let (expected, got) = (place.extension().unwrap_or_default(), picture_ending(&bytes));
        if expected != got {
            let problem = format!("its picture is {got}, expected {}", expected.to_string_lossy());
            return Err(Hindrance::Item(problem));
        }
        self.write(&self.folder.join(place), &bytes)?;
        Ok(Picture::File(place.to_owned()))
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<(), Hindrance> {
        let as_long = fs_err::metadata(path).is_ok_and(|there| there.len() == bytes.len() as u64);
        if as_long && fs_err::read(path).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        let is_new = !path.exists();
        write_atomically(path, bytes).map_err(|error| Hindrance::Output(error.into()))?;
        self.written += 1;
        if is_new {
            self.made.push(path.to_owned());
        }
        Ok(())
    }

    /// Keeps the files: the output that refers to them is there.
    pub fn keep(&mut self) {
        self.made.clear();
    }
}

impl Drop for PictureFiles {
    fn drop(&mut self) {
        for path in &self.made {
            // What cannot be taken back does no harm: nothing refers to it.
            let _ = fs_err::remove_file(path);
        }
        // Only where it is empty.
        if !self.made.is_empty() {
            let _ = fs_err::remove_dir(&self.images);
        }
    }
}

/// A picture's file as bytes.
///
/// Errors: why it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = fs_err::File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(MAX_PICTURE_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_PICTURE_BYTES {
        return Err(format!("{}: more than {MAX_PICTURE_BYTES} bytes", path.display()));
    }
    Ok(bytes)
}
