//! Models by their names on the Hugging Face hub: found in the cache that the hub's own tools share, or fetched into
//! it.
//!
//! Honored as those tools do: `HF_HOME`, `HF_HUB_CACHE`, `HF_HUB_OFFLINE`, `HF_TOKEN`, `HF_ENDPOINT`. Differs: what
//! the cache holds whole is taken as it is, without asking whether the hub has something newer; what it holds in part
//! is completed at the same commit, so that settings and weights belong together.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Component, Path, PathBuf};

use hf_hub::api::RepoInfo;
use hf_hub::api::sync::{Api, ApiBuilder, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use vlm::adapter::{ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE};
use vlm::companions::{COMPANION_FILES, has_processor, is_code, names_code};
use vlm::config::CONFIG_FILE;
use vlm::weights::{INDEX_FILE, WEIGHTS_FILE, shard_names};

use crate::errors::Failure;

/// The branch that a name stands for.
const BRANCH: &str = "main";

/// What is looked for under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A model.
    Model,
    /// A model's shape, tokenizer, template and image settings: all that is read of it but weights.
    Description,
    /// A LoRA adapter in PEFT layout.
    Adapter,
}

impl Kind {
    /// The file that says what a repository holds.
    fn first_file(self) -> &'static str {
        match self {
            Self::Model | Self::Description => CONFIG_FILE,
            Self::Adapter => ADAPTER_CONFIG_FILE,
        }
    }
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
    let places = format!("{repository}: neither a folder nor whole in the cache {}", cache.path().display());
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
    let is_plain = text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_./".contains(letter));
    (is_plain && text.matches('/').count() == 1).then(|| text.to_owned())
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
    let token = match variable("HF_TOKEN") {
        Some(token) => token,
        // What `hf auth login` leaves.
        None => fs_err::read_to_string(home().ok()?.join("token")).ok()?,
    };
    Some(token.trim().to_owned()).filter(|token| !token.is_empty())
}

/// The snapshot of the branch, if the cache holds all of it that is read.
fn cached(cache: &Cache, repository: &str, kind: Kind) -> Option<PathBuf> {
    let snapshot = begun(cache, repository, kind)?;
    // A model without a tokenizer is whole where the hub has none; what is missing is reported when it is opened.
    let is_whole = match kind {
        Kind::Adapter => snapshot.join(ADAPTER_WEIGHTS_FILE).exists(),
        Kind::Model => has_weights(&snapshot),
        // `config.json` is fetched after the others here, but alone by tools that look for no more.
        Kind::Description => has_weights(&snapshot) || has_processor(&snapshot),
    };
    is_whole.then_some(snapshot)
}

fn has_weights(snapshot: &Path) -> bool {
    match shards(snapshot) {
        Some(shards) => shards.iter().all(|shard| snapshot.join(shard).exists()),
        None => snapshot.join(WEIGHTS_FILE).exists(),
    }
}

/// The snapshot of the branch, if the cache holds the file that says what it is.
fn begun(cache: &Cache, repository: &str, kind: Kind) -> Option<PathBuf> {
    let repository = cache.repo(Repo::model(repository.to_owned()));
    let described = repository.get(kind.first_file())?;
    described.parent().map(Path::to_owned)
}

fn shards(snapshot: &Path) -> Option<BTreeSet<String>> {
    shard_names(snapshot).ok().flatten()
}

/// Fetches what is read of a model, small files first; files that the cache has are not fetched again.
fn fetch(cache: &Cache, repository: &str, kind: Kind) -> Result<PathBuf, String> {
    let begun = begun(cache, repository, kind);
    let commit = begun.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    let hosted = Hosted::open(cache, repository, commit)?;
    hosted.check(kind.first_file())?;
    match kind {
        Kind::Adapter => {
            hosted.get(ADAPTER_CONFIG_FILE)?;
            hosted.get(ADAPTER_WEIGHTS_FILE)?;
        }
        Kind::Description => hosted.get_description()?,
        Kind::Model => {
            hosted.get_description()?;
            hosted.get_code()?;
            hosted.get_weights()?;
        }
    }
    Ok(hosted.snapshot)
}

/// A repository on the hub at one commit.
struct Hosted {
    repository: ApiRepo,
    listed: BTreeSet<String>,
    snapshot: PathBuf,
}

impl Hosted {
    /// The branch's commit, or the one given, which the branch may have left behind.
    fn open(cache: &Cache, name: &str, commit: Option<&str>) -> Result<Self, String> {
        let api = api(cache).map_err(|error| error.to_string())?;
        let (mut repository, mut info) = at_revision(&api, name, BRANCH)?;
        if let Some(commit) = commit.filter(|commit| *commit != info.sha) {
            (repository, info) = at_revision(&api, name, commit)?;
        }
        Ok(Self {
            repository,
            snapshot: cache.repo(Repo::model(name.to_owned())).pointer_path(&info.sha),
            listed: info.siblings.into_iter().map(|file| file.rfilename).collect(),
        })
    }

    fn check(&self, file: &str) -> Result<(), String> {
        if self.listed.contains(file) { Ok(()) } else { Err(format!("it has no file {file}")) }
    }

    /// Fetches a file into the snapshot, unless it is there.
    fn get(&self, file: &str) -> Result<(), String> {
        self.check(file)?;
        let place = self.snapshot.join(file);
        if place.exists() {
            return Ok(());
        }
        let fetched = self.repository.download(file);
        let fetched = fetched.map_err(|error| format!("{file}: {error}"))?;
        if fetched == place { Ok(()) } else { Err(format!("{file}: it changed meanwhile: try again")) }
    }

    /// Fetches what lies beside the weights, `config.json` last: where it is, the others are.
    fn get_description(&self) -> Result<(), String> {
        let companions = COMPANION_FILES.into_iter().filter(|file| self.listed.contains(*file));
        companions.chain([CONFIG_FILE]).try_for_each(|file| self.get(file))
    }

    /// Fetches the code that the settings name, if they name any.
    fn get_code(&self) -> Result<(), String> {
        if !names_code(&self.snapshot).map_err(|error| error.to_string())? {
            return Ok(());
        }
        let mut code = self.listed.iter().filter(|file| is_code(file));
        code.try_for_each(|file| self.get(file))
    }

    fn get_weights(&self) -> Result<(), String> {
        if !self.listed.contains(INDEX_FILE) {
            return self.get(WEIGHTS_FILE);
        }
        self.get(INDEX_FILE)?;
        let shards = shards(&self.snapshot).ok_or_else(|| format!("{INDEX_FILE} is no shard index"))?;
        shards.iter().try_for_each(|file| self.get(file))
    }
}

fn at_revision(api: &Api, name: &str, revision: &str) -> Result<(ApiRepo, RepoInfo), String> {
    let revision = Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned());
    let repository = api.repo(revision);
    let info = repository.info().map_err(|error| error.to_string())?;
    Ok((repository, info))
}

fn api(cache: &Cache) -> Result<Api, hf_hub::api::sync::ApiError> {
    ApiBuilder::from_cache(cache.clone())
        .with_endpoint(endpoint())
        .with_token(token())
        .with_progress(std::io::stderr().is_terminal())
        .build()
}
