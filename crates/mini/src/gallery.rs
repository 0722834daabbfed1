//! The images of the miniature world as files, each rendered once.

use std::collections::HashSet;
use std::path::PathBuf;

use align::seeds::derive_seed;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::pictogram::{self, Color, ObjectKind, Style};

/// One image to render.
#[derive(Clone, Debug)]
pub struct Shot {
    /// What it shows.
    pub object: ObjectKind,
    /// How many of it.
    pub count: usize,
    /// The main color.
    pub color: Color,
    /// The drawing style.
    pub style: Style,
    /// Whether a hazard sign stands in a corner.
    pub hazard_sign: bool,
}

impl Shot {
    /// One object in a random color, without a sign.
    pub fn random(rng: &mut impl RngExt, object: ObjectKind, style: Style) -> Self {
        Self { object, count: 1, color: Color::ALL[rng.random_range(0..Color::ALL.len())], style, hazard_sign: false }
    }

    fn file_name(&self, variant: usize) -> String {
        format!(
            "{}-{}-{}-{}{}-{variant}.png",
            self.object.name().replace(' ', "-"),
            self.count,
            self.color.name(),
            match self.style {
                Style::Plain => "plain",
                Style::Sketch => "sketch",
            },
            if self.hazard_sign { "-sign" } else { "" },
        )
    }
}

/// Renders images into a folder, each file once.
#[derive(Debug)]
pub struct Gallery {
    folder: PathBuf,
    size: u32,
    seed: u64,
    written: HashSet<String>,
}

impl Gallery {
    /// A gallery in the folder, which is made; images of the same seed are the same.
    ///
    /// Errors: the operating system's, naming the folder.
    pub fn create(folder: PathBuf, size: u32, seed: u64) -> std::io::Result<Self> {
        fs_err::create_dir_all(&folder)?;
        Ok(Self { folder, size, seed, written: HashSet::new() })
    }

    /// The file of a shot; different variants differ in pose, place, background and clutter.
    ///
    /// Errors: the operating system's, naming the file.
    pub fn image(&mut self, shot: &Shot, variant: usize) -> std::io::Result<PathBuf> {
        let name = shot.file_name(variant);
        let path = self.folder.join(&name);
        if self.written.insert(name.clone()) {
            let mut rng = ChaCha8Rng::seed_from_u64(derive_seed(self.seed, &name, &[]));
            let scene = pictogram::scene(&mut rng, shot.object, shot.count, shot.color, shot.style, shot.hazard_sign);
            fs_err::write(&path, pictogram::render(&scene, self.size).png())?;
        }
        Ok(path)
    }

    /// The file of the black image, which shows nothing.
    ///
    /// Errors: the operating system's, naming the file.
    pub fn black(&mut self) -> std::io::Result<PathBuf> {
        let path = self.folder.join("black.png");
        if self.written.insert("black.png".to_owned()) {
            fs_err::write(&path, pictogram::black(self.size).png())?;
        }
        Ok(path)
    }
}
