//! Files of a model's folder beside its weights and `config.json`: downloaded with them, and copied byte for byte into
//! every folder that the model is saved in.

use std::path::Path;

use crate::config::CONFIG_FILE;
use crate::error::Error;
use crate::json_file::read_json;

/// Files that we, transformers or vLLM read with the weights, where the folder has them.
pub const COMPANION_FILES: [&str; 13] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "video_preprocessor_config.json",
    "vocab.json",
];

/// Files of which any is enough to read a tokenizer.
const VOCABULARIES: [&str; 3] = ["tokenizer.json", "tokenizer.model", "vocab.json"];

/// Files of which any is enough to know how images are prepared.
const IMAGE_SETTINGS: [&str; 2] = ["preprocessor_config.json", "processor_config.json"];

/// Settings that may name classes of the folder's own code.
const NAMING_CODE: [&str; 4] =
    [CONFIG_FILE, "preprocessor_config.json", "processor_config.json", "tokenizer_config.json"];

/// Whether a folder has what samples are prepared with: a vocabulary, and settings for images.
pub fn has_processor(folder: &Path) -> bool {
    [&VOCABULARIES[..], &IMAGE_SETTINGS].into_iter().all(|names| names.iter().any(|name| folder.join(name).exists()))
}

/// Whether a folder's settings name code beside them (`auto_map`), without which others cannot load it: that of
/// InternVL's original layout. Nothing here runs it.
///
/// Errors: `Io` or `File` for settings that cannot be read.
pub fn names_code(folder: &Path) -> Result<bool, Error> {
    for name in NAMING_CODE {
        let settings = read_json(&folder.join(name))?;
        if settings.is_some_and(|settings| settings.get("auto_map").is_some()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a file of that name is such code. All of it belongs together: the modules named import the others.
pub fn is_code(name: &str) -> bool {
    name.ends_with(".py") && !name.contains('/')
}

/// Copies the companions of `source`, and its code where its settings name any, to another folder; nothing happens when
/// both are the same.
///
/// Errors: `Io` naming the file; as [`names_code`].
pub(crate) fn copy_companions(source: &Path, target: &Path) -> Result<(), Error> {
    fs_err::create_dir_all(target)?;
    if fs_err::canonicalize(source)? == fs_err::canonicalize(target)? {
        return Ok(());
    }
    let with_code = names_code(source)?;
    for entry in fs_err::read_dir(source)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let belongs = COMPANION_FILES.contains(&name) || (with_code && is_code(name));
        if belongs && path.is_file() {
            fs_err::copy(&path, target.join(name))?;
        }
    }
    Ok(())
}
