//! Images on their way from one file to another. If the target holds paths, paths stay paths and bytes become files next
//! to the output; if it holds bytes, files become bytes.

use std::io::Read;
use std::path::{Path, PathBuf};

use align::files::write_atomically;
use align::types::{image_extension, image_file_name, relative_to};

use crate::error::FormatError;
use crate::format::ImageStorage;
use crate::record::Record;
use rows::Image;

/// The largest image file that is read (bytes).
pub(crate) const MAX_IMAGE_BYTES: u64 = 256 << 20;

/// Why an image was not carried over.
pub(crate) enum NotCarried {
    /// Its item cannot be written and is left out.
    Item(String),
    /// Nothing can be written.
    Output(FormatError),
}

/// Where an output's images go. New files are removed again unless the output is kept.
pub(crate) struct ImageFiles {
    storage: ImageStorage,
    /// The output's folder.
    folder: PathBuf,
    /// The folder for images that came as bytes.
    images: PathBuf,
    made: Vec<PathBuf>,
    /// The number of files written.
    pub n_written: usize,
}

impl ImageFiles {
    /// For an output that holds images in this way; `images` is the folder for those that come as bytes, by default one
    /// named after the output, next to it.
    pub fn new(output: &Path, storage: ImageStorage, images: Option<&Path>) -> Self {
        let folder = output.parent().unwrap_or(Path::new("")).to_owned();
        let stem = output.file_stem().unwrap_or_default().to_string_lossy();
        let images = images.map_or_else(|| folder.join(format!("{stem}_images")), Path::to_owned);
        Self { storage, folder, images, made: Vec::new(), n_written: 0 }
    }

    /// The record with its images as the output holds them; `path` is the one that the format prescribes, relative to the
    /// output.
    pub fn carry(&mut self, record: &Record, path: Option<&Path>) -> Result<Record, NotCarried> {
        let mut images = Vec::new();
        for image in &record.images {
            images.push(match (self.storage, image, path) {
                (ImageStorage::TextOnly, ..) | (ImageStorage::Bytes, Image::Bytes { .. }, _) => image.clone(),
                (ImageStorage::Bytes, Image::File(file), _) => Image::Bytes {
                    bytes: read(file).map_err(NotCarried::Item)?.into(),
                    name: file.file_name().map(|name| name.to_string_lossy().into_owned()),
                },
                (ImageStorage::Bytes, Image::Remote(address), _) => return Err(not_fetched(address)),
                (ImageStorage::Paths, _, Some(path)) => self.write_as(image, path)?,
                (ImageStorage::Paths, Image::File(file), None) => Image::File(relative_to(file, &self.folder)),
                (ImageStorage::Paths, Image::Bytes { bytes, .. }, None) => self.write_hashed(bytes)?,
                (ImageStorage::Paths, Image::Remote(_), None) => image.clone(),
            });
        }
        Ok(record.with_images(images))
    }

    /// The record with paths for images that are to become files.
    pub fn with_stand_ins(&self, record: &Record) -> Record {
        let mut images = record.images.clone();
        for image in &mut images {
            if self.storage == ImageStorage::Paths && matches!(image, Image::Bytes { .. }) {
                *image = Image::File(PathBuf::from("image"));
            }
        }
        record.with_images(images)
    }

    /// Writes bytes under a name made of their hash, so that an image that is shown often is there once.
    fn write_hashed(&mut self, bytes: &[u8]) -> Result<Image, NotCarried> {
        let path = self.images.join(image_file_name(bytes));
        self.write(&path, bytes)?;
        Ok(Image::File(relative_to(&path, &self.folder)))
    }

    /// Writes an image to the path that the format prescribes.
    fn write_as(&mut self, image: &Image, path: &Path) -> Result<Image, NotCarried> {
        let bytes = match image {
            Image::Bytes { bytes, .. } => bytes.to_vec(),
            Image::File(file) => read(file).map_err(NotCarried::Item)?,
            Image::Remote(address) => return Err(not_fetched(address)),
        };
        let (expected, got) = (path.extension().unwrap_or_default(), image_extension(&bytes));
        if expected != got {
            let why = format!("its image is {got}, expected {}", expected.to_string_lossy());
            return Err(NotCarried::Item(why));
        }
        self.write(&self.folder.join(path), &bytes)?;
        Ok(Image::File(path.to_owned()))
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<(), NotCarried> {
        let has_same_length = fs_err::metadata(path).is_ok_and(|existing| existing.len() == bytes.len() as u64);
        if has_same_length && fs_err::read(path).is_ok_and(|existing| existing == bytes) {
            return Ok(());
        }
        let is_new = !path.exists();
        write_atomically(path, bytes).map_err(|error| NotCarried::Output(error.into()))?;
        self.n_written += 1;
        if is_new {
            self.made.push(path.to_owned());
        }
        Ok(())
    }

    /// Keeps the files, since the output that refers to them is complete.
    pub fn keep(&mut self) {
        self.made.clear();
    }
}

impl Drop for ImageFiles {
    fn drop(&mut self) {
        for path in &self.made {
            // A file that cannot be removed does no harm: nothing refers to it.
            let _ = fs_err::remove_file(path);
        }
        // This removes the folder only if it is empty.
        if !self.made.is_empty() {
            let _ = fs_err::remove_dir(&self.images);
        }
    }
}

fn not_fetched(address: &str) -> NotCarried {
    NotCarried::Item(format!("its image is an address: {address}"))
}

/// The bytes of an image file.
///
/// Errors: why it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = fs_err::File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(MAX_IMAGE_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_IMAGE_BYTES {
        return Err(format!("{}: more than {MAX_IMAGE_BYTES} bytes", path.display()));
    }
    Ok(bytes)
}
