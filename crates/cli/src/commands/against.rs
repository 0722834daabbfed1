//! The evaluation sets that prompts and items are compared with, as commands name and read them.

use std::path::Path;

use align::decontamination::image::GrayImage;
use align::decontamination::{DecontaminationConfig, Decontaminator};
use benchmarks::{Images, read_set};
use clap::Args;
use vlm::image_processor::read_image;

use crate::arguments::flag;
use crate::config::Override;
use crate::errors::Result;

/// Images of more pixels are not compared: they would take too much memory.
const MAX_IMAGE_PIXELS: u64 = 50_000_000;

/// The sets that are named on the command line.
#[derive(Debug, Args)]
pub struct AgainstArguments {
    /// Drop what is in this evaluation set: a file of items, or the folder of a benchmark (`scruple benchmarks` lists
    /// them); short for `decontamination.against.NAME=PATH`; may be given several times
    #[arg(long, value_name = "NAME=PATH", value_parser = named_path)]
    against: Vec<(String, String)>,
}

impl AgainstArguments {
    /// The settings that they are short for.
    pub fn flags(&self) -> impl Iterator<Item = Option<Override>> {
        let sets = self.against.iter();
        sets.map(|(name, path)| flag("--against", &["decontamination", "against", name], Some(path)))
    }
}

fn named_path(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), path.to_owned())),
        _ => Err(format!("expected NAME=PATH such as mossbench=benchmarks, got {text}")),
    }
}

/// The evaluation sets of the settings, ready to be compared with; none where they name none.
///
/// Errors: of data, or of settings for a folder that is no benchmark's.
pub fn decontaminator(config: &DecontaminationConfig) -> Result<Option<Decontaminator<'_>>> {
    let mut sets = Vec::new();
    // Images that come within files are needed as files while they are hashed.
    let images = tempfile::tempdir()?;
    for (name, path) in &config.against {
        sets.push((name.clone(), read_set(name, path, &mut Images::Kept(images.path().to_owned()))?));
    }
    Ok((!sets.is_empty()).then(|| Decontaminator::new(config, &gray, sets)).transpose()?)
}

/// An image's brightness.
fn gray(path: &Path) -> Result<GrayImage, String> {
    let image = read_image(path, MAX_IMAGE_PIXELS).map_err(|error| error.to_string())?;
    GrayImage::from_rgb(image.width(), image.pixels()).ok_or_else(|| "expected pixels, got none".to_owned())
}
