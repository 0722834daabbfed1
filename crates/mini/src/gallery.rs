//! The pictures of the miniature world as files: what is on them, drawn once.

use std::collections::HashSet;
use std::path::PathBuf;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::pictogram::{self, Color, ObjectKind, Style};
use align::training::derive_seed;

/// One picture to take.
#[derive(Clone, Debug)]
pub struct Shot {
    /// What it shows.
    pub object: ObjectKind,
    /// How many of it.
    pub count: usize,
    /// The main colour.
    pub color: Color,
    /// The drawing style.
    pub style: Style,
    /// Whether a hazard sign stands in a corner.
    pub hazard_sign: bool,
}

impl Shot {
    /// One object in a random colour, without a sign.
    pub fn random(rng: &mut impl RngExt, object: ObjectKind, style: Style) -> Self {
        Self {
            object,
            count: 1,
            color: Color::ALL[rng.random_range(0..Color::ALL.len())],
            style,
            hazard_sign: false,
        }
    }
}

/// Draws pictures into a folder, each file once.
#[derive(Debug)]
pub struct Gallery {
    folder: PathBuf,
    size: u32,
    seed: u64,
    written: HashSet<String>,
}

impl Gallery {
    /// A gallery in the folder, which is made; pictures of the same seed are the same.
    ///
    /// Errors: the operating system's, naming the folder.
    pub fn create(folder: PathBuf, size: u32, seed: u64) -> std::io::Result<Self> {
        fs_err::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            size,
            seed,
            written: HashSet::new(),
        })
    }

    /// The file of a shot; different variants differ in pose, place, background and clutter.
    ///
    /// Errors: the operating system's, naming the file.
    pub fn picture(&mut self, shot: &Shot, variant: usize) -> std::io::Result<PathBuf> {
        let style = match shot.style {
            Style::Plain => "plain",
            Style::Sketch => "sketch",
        };
        let sign = if shot.hazard_sign { "-sign" } else { "" };
        let object = shot.object.name().replace(' ', "-");
        let name = format!(
            "{object}-{}-{}-{style}{sign}-{variant}.png",
            shot.count,
            shot.color.name()
        );
        let path = self.folder.join(&name);
        if self.written.insert(name.clone()) {
            let mut rng = ChaCha8Rng::seed_from_u64(derive_seed(self.seed, &name, &[]));
            let scene = pictogram::scene(
                &mut rng,
                shot.object,
                shot.count,
                shot.color,
                shot.style,
                shot.hazard_sign,
            );
            fs_err::write(&path, pictogram::render(&scene, self.size).png())?;
        }
        Ok(path)
    }

    /// The black picture.
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
