//! The base model that the program carries with it; `scruple base` makes it from nothing.

use std::path::Path;

use crate::errors::Result;
use align::files::write_atomically;
use vlm::config::{CONFIG_FILE, Config};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../../assets/base/", $name)).as_slice())),*]
    };
}

/// A Hugging Face folder, file by file.
const FILES: [(&str, &[u8]); 8] = files![
    "chat_template.json",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
];

/// The model's shape.
///
/// Errors: none, but for a program that was built with an unusable model.
pub fn config() -> Result<Config> {
    let described = FILES.into_iter().find(|(name, _)| *name == CONFIG_FILE);
    let bytes = described.map_or(&[][..], |(_, bytes)| bytes);
    let config = serde_json::from_slice(bytes).map_err(std::io::Error::from)?;
    Ok(Config::from_json(config, Path::new(CONFIG_FILE))?)
}

/// Writes the model's folder. A file that is there already stays as it is, its time of change included, by which answers
/// know their model.
///
/// Errors: the operating system's, naming the file.
pub fn unpack(folder: &Path) -> std::io::Result<()> {
    for (name, bytes) in FILES {
        let path = folder.join(name);
        if !fs_err::read(&path).is_ok_and(|found| found == bytes) {
            write_atomically(&path, bytes)?;
        }
    }
    Ok(())
}
