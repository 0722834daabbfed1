//! Models by their names on the Hugging Face hub: found in the cache that the hub's own tools share, or fetched into
//! it.
//!
//! Honoured as those tools do: `HF_HOME`, `HF_HUB_CACHE`, `HF_HUB_OFFLINE`, `HF_TOKEN`, `HF_ENDPOINT`. Differs: what
//! the cache holds whole is taken as it is, without asking whether the hub has something newer.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Component, Path, PathBuf};

use hf_hub::api::sync::{Api, ApiBuilder, ApiRepo};
use hf_hub::{Cache, Repo};
use vlm::adapter::{ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE};
use vlm::companions::{COMPANION_FILES, is_code, names_code};
use vlm::config::CONFIG_FILE;
use vlm::weights::{INDEX_FILE, WEIGHTS_FILE, shard_names};

use crate::errors::Failure;

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
    let hosted = Hosted::open(cache, repository)?;
    let first = match kind {
        Kind::Model => CONFIG_FILE,
        Kind::Adapter => ADAPTER_CONFIG_FILE,
    };
    let snapshot = hosted.get(first)?.parent().map(Path::to_owned).unwrap_or_default();
    let weights = match kind {
        Kind::Adapter => BTreeSet::from([ADAPTER_WEIGHTS_FILE.to_owned()]),
        Kind::Model => {
            hosted.get_companions(&snapshot)?;
            hosted.weight_files(&snapshot)?
        }
    };
    for file in &weights {
        hosted.get(file)?;
    }
    Ok(snapshot)
}

/// A repository on the hub and the names of its files.
struct Hosted {
    repository: ApiRepo,
    listed: BTreeSet<String>,
}

impl Hosted {
    fn open(cache: &Cache, repository: &str) -> Result<Self, String> {
        let show = |error: hf_hub::api::sync::ApiError| error.to_string();
        let repository = api(cache).map_err(show)?.repo(Repo::model(repository.to_owned()));
        let listed = repository.info().map_err(show)?.siblings;
        Ok(Self {
            repository,
            listed: listed.into_iter().map(|file| file.rfilename).collect(),
        })
    }

    /// A file's place in the cache, where it is from now on.
    fn get(&self, file: &str) -> Result<PathBuf, String> {
        if self.listed.contains(file) {
            self.repository.get(file).map_err(|error| format!("{file}: {error}"))
        } else {
            Err(format!("it has no file {file}"))
        }
    }

    /// Fetches what lies beside the weights; code only where the settings name some.
    fn get_companions(&self, snapshot: &Path) -> Result<(), String> {
        for file in COMPANION_FILES.into_iter().filter(|file| self.listed.contains(*file)) {
            self.get(file)?;
        }
        if names_code(snapshot).map_err(|error| error.to_string())? {
            for file in self.listed.iter().filter(|file| is_code(file)) {
                self.get(file)?;
            }
        }
        Ok(())
    }

    fn weight_files(&self, snapshot: &Path) -> Result<BTreeSet<String>, String> {
        if !self.listed.contains(INDEX_FILE) {
            return Ok(BTreeSet::from([WEIGHTS_FILE.to_owned()]));
        }
        self.get(INDEX_FILE)?;
        shards(snapshot).ok_or_else(|| format!("{INDEX_FILE} is no shard index"))
    }
}

fn api(cache: &Cache) -> Result<Api, hf_hub::api::sync::ApiError> {
    ApiBuilder::from_cache(cache.clone())
        .with_endpoint(endpoint())
        .with_token(token())
        .with_progress(std::io::stderr().is_terminal())
        .build()
}
