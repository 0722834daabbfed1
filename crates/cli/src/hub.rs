//! Models by their names on the Hugging Face hub: found in the cache that the hub's own tools share, or fetched into it.
//!
//! Honoured as those tools do: `HF_HOME`, `HF_HUB_CACHE`, `HF_HUB_OFFLINE`, `HF_TOKEN`, `HF_ENDPOINT`. Differs: what the
//! cache holds whole is taken as it is, without asking whether the hub has something newer.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Component, Path, PathBuf};

use hf_hub::api::sync::{Api, ApiBuilder, ApiRepo};
use hf_hub::{Cache, Repo};
use vlm::adapter::{ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE};
use vlm::config::CONFIG_FILE;
use vlm::weights::{INDEX_FILE, WEIGHTS_FILE, shard_names};

use crate::errors::Failure;

/// Files that a model is read from beside its weights, where it has them.
const MODEL_FILES: [&str; 10] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
];

/// What is looked for under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A model.
    Model,
    /// A LoRA adapter in PEFT layout.
    Adapter,
}

/// The folder that a model's or an adapter's name stands for: itself where there is one of that name; else, if it reads
/// `owner/name`, the hub's snapshot in the cache, fetched first if it is not whole there. Any other name comes back as
/// it is, for the caller to say what is wrong with it.
///
/// Errors: of model when the name is in neither place, or fetching it fails.
pub fn folder(name: &Path, kind: Kind) -> Result<PathBuf, Failure> {
    let Some(repository) = repository_name(name).filter(|_| !name.exists()) else {
        return Ok(name.to_owned());
    };
    let cache = Cache::new(cache_folder()?);
    if let Some(snapshot) = cached(&cache, &repository, kind) {
        return Ok(snapshot);
    }
    let places = format!(
        "{repository}: neither a folder nor in the cache {}",
        cache.path().display()
    );
    if is_set("HF_HUB_OFFLINE") {
        let failure = Failure::model(format!("{places}, and HF_HUB_OFFLINE is set"));
        return Err(failure.hint("unset HF_HUB_OFFLINE to fetch it, or name a folder"));
    }
    fetch(&cache, &repository, kind).map_err(|problem| {
        let failure = Failure::model(format!("{places}; fetching it from {} failed: {problem}", endpoint()));
        failure.hint("check the name and the network; models that ask for consent need a token in HF_TOKEN")
    })
}

/// A path that reads as a name on the hub does: an owner and a name, of letters, digits, `-`, `_` and `.`.
fn repository_name(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let [Component::Normal(_), Component::Normal(_)] = path.components().collect::<Vec<_>>()[..] else {
        return None;
    };
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    (text.chars().all(is_plain) && text.matches('/').count() == 1).then(|| text.to_owned())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn is_set(name: &str) -> bool {
    let value = variable(name).unwrap_or_default().to_uppercase();
    ["1", "ON", "YES", "TRUE"].contains(&value.as_str())
}

fn home() -> Result<PathBuf, Failure> {
    if let Some(home) = variable("HF_HOME") {
        return Ok(home.into());
    }
    let cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache")));
    let problem = "no home folder is known to look for the hub's cache in";
    let cache = cache.ok_or_else(|| Failure::model(problem).hint("set HF_HOME"))?;
    Ok(cache.join("huggingface"))
}

fn cache_folder() -> Result<PathBuf, Failure> {
    match variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE")) {
        Some(cache) => Ok(cache.into()),
        None => Ok(home()?.join("hub")),
    }
}

fn endpoint() -> String {
    let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
    endpoint.trim_end_matches('/').to_owned()
}

fn token() -> Option<String> {
    let of_login = || fs_err::read_to_string(home().ok()?.join("token")).ok();
    let token = variable("HF_TOKEN").or_else(of_login)?;
    Some(token.trim().to_owned()).filter(|token| !token.is_empty())
}

/// The snapshot of the main branch, if the cache holds all of it that is read.
fn cached(cache: &Cache, repository: &str, kind: Kind) -> Option<PathBuf> {
    let first = match kind {
        Kind::Model => CONFIG_FILE,
        Kind::Adapter => ADAPTER_CONFIG_FILE,
    };
    let repository = cache.repo(Repo::model(repository.to_owned()));
    let snapshot = repository.get(first)?.parent()?.to_owned();
    let is_whole = match kind {
        Kind::Adapter => snapshot.join(ADAPTER_WEIGHTS_FILE).exists(),
        // A model without a tokenizer is whole where the hub has none; what is missing is told when it is opened.
        Kind::Model => match shards(&snapshot) {
            Some(shards) => shards.iter().all(|shard| snapshot.join(shard).exists()),
            None => snapshot.join(WEIGHTS_FILE).exists(),
        },
    };
    is_whole.then_some(snapshot)
}

fn shards(snapshot: &Path) -> Option<BTreeSet<String>> {
    shard_names(snapshot).ok().flatten()
}

/// Fetches what is read of a model, small files first; files that the cache has are not fetched again.
fn fetch(cache: &Cache, repository: &str, kind: Kind) -> Result<PathBuf, String> {
    let show = |error: hf_hub::api::sync::ApiError| error.to_string();
    let api = api(cache).map_err(show)?;
    let repository = api.repo(Repo::model(repository.to_owned()));
    let listed = repository.info().map_err(show)?.siblings;
    let listed: BTreeSet<String> = listed.into_iter().map(|file| file.rfilename).collect();
    let get = |repository: &ApiRepo, file: &str| {
        if listed.contains(file) {
            repository.get(file).map_err(|error| format!("{file}: {error}"))
        } else {
            Err(format!("it has no file {file}"))
        }
    };
    let (first, weights) = match kind {
        Kind::Adapter => (ADAPTER_CONFIG_FILE, vec![ADAPTER_WEIGHTS_FILE.to_owned()]),
        Kind::Model => {
            for file in MODEL_FILES.into_iter().filter(|file| listed.contains(*file)) {
                get(&repository, file)?;
            }
            let shards = if listed.contains(INDEX_FILE) {
                let index = get(&repository, INDEX_FILE)?;
                let found = index.parent().and_then(shards);
                found.ok_or_else(|| format!("{INDEX_FILE} is no shard index"))?
            } else {
                BTreeSet::from([WEIGHTS_FILE.to_owned()])
            };
            (CONFIG_FILE, shards.into_iter().collect())
        }
    };
    for file in &weights {
        get(&repository, file)?;
    }
    let first = get(&repository, first)?;
    Ok(first.parent().map(Path::to_owned).unwrap_or_default())
}

fn api(cache: &Cache) -> Result<Api, hf_hub::api::sync::ApiError> {
    ApiBuilder::from_cache(cache.clone())
        .with_endpoint(endpoint())
        .with_token(token())
        .with_progress(std::io::stderr().is_terminal())
        .build()
}
