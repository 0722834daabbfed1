//! Names on the hub: from a cache in the published layout without network, and from a small server into one.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// What the hub's branch is moved to while a test runs.
const LATER_COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl")
}

/// `scruple` with no setting of the hub's from outside; returns exit code, standard output and standard error.
fn scruple(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("scruple").unwrap();
    for name in ["HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_ENDPOINT"] {
        command.env_remove(name);
    }
    command.env("HOME", folder).env_remove("XDG_CACHE_HOME");
    let output = command.current_dir(folder).args(arguments).envs(settings.iter().copied()).output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code().unwrap(), stdout, stderr)
}

/// Lays a folder out as the hub's tools do: blobs by content, a snapshot of links, a branch that names it.
fn store(cache: &Path, repository: &str, source: &Path) {
    let folder = cache.join(format!("models--{}", repository.replace('/', "--")));
    let snapshot = folder.join("snapshots").join(COMMIT);
    for part in ["refs", "blobs"] {
        fs_err::create_dir_all(folder.join(part)).unwrap();
    }
    fs_err::create_dir_all(&snapshot).unwrap();
    fs_err::write(folder.join("refs/main"), COMMIT).unwrap();
    for (number, entry) in fs_err::read_dir(source).unwrap().enumerate() {
        let entry = entry.unwrap();
        let blob = format!("blob{number}");
        fs_err::copy(entry.path(), folder.join("blobs").join(&blob)).unwrap();
        symlink(Path::new("../../blobs").join(blob), snapshot.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_name_in_the_cache_works_without_network() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("hf/hub");
    store(&cache, "tiny/vlm", &fixture().join("model"));
    store(&cache, "tiny/lora", &fixture().join("adapter"));
    let (home, cache) = (folder.path().join("hf"), cache.display().to_string());
    let home = home.display().to_string();
    for settings in [[("HF_HOME", home.as_str())], [("HF_HUB_CACHE", cache.as_str())]] {
        let settings = [settings[0], ("HF_HUB_OFFLINE", "1")];
        let (code, output, error) = scruple(folder.path(), &["inspect", "--model", "tiny/vlm", "--json"], &settings);
        assert_eq!(code, 0, "{error}");
        let found: Value = serde_json::from_str(&output).unwrap();
        assert_eq!(found["family"], "Qwen2.5-VL");
    }
    let settings = [("HF_HOME", home.as_str()), ("HF_HUB_OFFLINE", "true")];
    let merge = ["merge", "--model", "tiny/vlm", "--adapter", "tiny/lora", "--out", "merged", "model.dtype=bfloat16"];
    let (code, _, error) = scruple(folder.path(), &merge, &settings);
    assert_eq!(code, 0, "{error}");
    let bytes = fs_err::read(folder.path().join("merged/model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert!(tensors.tensors().iter().all(|(_, tensor)| tensor.dtype() == safetensors::Dtype::BF16));

    // A folder of the same name wins, broken as it may be.
    fs_err::create_dir_all(folder.path().join("tiny/vlm")).unwrap();
    let (code, _, error) = scruple(folder.path(), &["inspect", "--model", "tiny/vlm"], &settings);
    assert!(code == 4 && error.contains("tiny/vlm/config.json"), "{error}");
}

#[test]
fn a_name_that_is_nowhere_is_told_with_the_places() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("HF_HUB_OFFLINE", "1")];
    let (code, _, error) = scruple(folder.path(), &["inspect", "--model", "tiny/vlm"], &settings);
    assert_eq!(code, 4);
    for part in
        ["tiny/vlm: neither a folder nor whole in the cache", ".cache/huggingface/hub", "HF_HUB_OFFLINE", "hint:"]
    {
        assert!(error.contains(part), "{error}");
    }
    let (code, _, error) = scruple(folder.path(), &["inspect", "--model", "no/such/folder"], &settings);
    assert!(code == 4 && error.contains("no such folder"), "{error}");

    let server = Server::start(BTreeMap::new());
    let (code, _, error) =
        scruple(folder.path(), &["inspect", "--model", "tiny/vlm"], &[("HF_ENDPOINT", &server.address)]);
    assert!(code == 4 && error.contains("404") && error.contains(&server.address), "{error}");
}

#[test]
fn a_name_is_fetched_once_and_only_the_files_that_are_needed() {
    let mut files = BTreeMap::from([
        ("README.md".to_owned(), b"# tiny".to_vec()),
        ("train.py".to_owned(), b"print()".to_vec()),
        ("vocab.json".to_owned(), b"{}".to_vec()),
        ("merges.txt".to_owned(), Vec::from("#version: 0.2")),
    ]);
    files.extend(files_of(&fixture().join("model")));
    let server = Server::start(files);
    let folder = tempfile::tempdir().unwrap();
    let settings = [("HF_ENDPOINT", server.address.as_str()), ("HF_TOKEN", "hf_secret")];
    let (code, _, error) = scruple(folder.path(), &["inspect", "--model", "tiny/vlm"], &settings);
    assert_eq!(code, 0, "{error}");
    let snapshot = snapshots(folder.path()).join(COMMIT);
    assert_eq!(
        fs_err::read(snapshot.join("model.safetensors")).unwrap(),
        fs_err::read(fixture().join("model/model.safetensors")).unwrap()
    );
    for name in ["vocab.json", "merges.txt"] {
        assert!(snapshot.join(name).exists(), "{name}");
    }
    let asked = server.asked();
    assert!(!asked.iter().any(|request| request.contains("README") || request.contains(".py")), "{asked:?}");
    assert!(asked.iter().all(|request| request.ends_with("Bearer hf_secret")), "{asked:?}");

    let (code, _, error) = scruple(folder.path(), &["inspect", "tiny/vlm"], &settings);
    assert_eq!(code, 0, "{error}");
    assert_eq!(server.asked(), asked, "the cache is asked first");
}

#[test]
fn code_that_a_model_names_comes_with_it_into_the_folder_it_is_merged_into() {
    let model = fixture().with_file_name("internvl2_5");
    let mut files = files_of(&model.join("model"));
    let code = ["modeling_internvl_chat.py", "modeling_intern_vit.py", "configuration_internvl_chat.py"];
    for name in code {
        files.insert(name.to_owned(), format!("# {name}\n").into_bytes());
    }
    files.insert("examples/run.py".to_owned(), Vec::new());
    let server = Server::start(files);
    let folder = tempfile::tempdir().unwrap();
    let adapter = model.join("adapter").display().to_string();
    let merge = ["merge", "--model", "tiny/vlm", "--adapter", &adapter, "--out", "merged"];
    let (code_of_exit, _, error) = scruple(folder.path(), &merge, &[("HF_ENDPOINT", &server.address)]);
    assert_eq!(code_of_exit, 0, "{error}");
    let merged = folder.path().join("merged");
    for name in code {
        assert_eq!(fs_err::read_to_string(merged.join(name)).unwrap(), format!("# {name}\n"));
    }
    assert!(!merged.join("examples").exists());
}

/// A folder with a sample to train on, `train.jsonl`, which `rl` takes as a prompt.
fn folder_with_data() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let picture = fixture().join("images/a.png").display().to_string();
    let content = json!([{ "type": "image", "image": picture }, { "type": "text", "text": "What is it?" }]);
    let sample = json!({
        "id": "one", "truth": {},
        "messages": [
            { "role": "user", "content": content }, { "role": "assistant", "content": "A red square." },
        ],
    });
    fs_err::write(folder.path().join("train.jsonl"), sample.to_string()).unwrap();
    folder
}

const SFT: [&str; 9] = [
    "sft",
    "--out",
    "run",
    "model.path=tiny/vlm",
    "data.train=train.jsonl",
    "sft.general_ratio=0",
    "sft.max_length=300",
    "sft.max_steps=1",
    "sft.train_batch_size=1",
];
const RL: [&str; 5] = ["rl", "--out", "run", "model.path=tiny/vlm", "data.prompts=train.jsonl"];

/// Lines of a table, but for those of what this machine was measured to do.
fn with_rates(table: &str) -> usize {
    table.lines().filter(|line| !line.contains("FLOP")).count()
}

#[test]
fn a_dry_run_fetches_no_weights_and_the_run_after_it_does() {
    for (dry, branch_moves) in [(&SFT[..], false), (&SFT[..], true), (&RL[..], false)] {
        let server = Server::start(files_of(&fixture().join("model")));
        let folder = folder_with_data();
        let settings = [("HF_ENDPOINT", server.address.as_str())];
        let scruple = |arguments: &[&str]| {
            let (code, output, error) = scruple(folder.path(), arguments, &settings);
            assert_eq!(code, 0, "{error}");
            output
        };
        let dry = [dry, &["--dry-run", "train.type=lora"]].concat();
        let table = scruple(&dry);
        assert!(table.contains("vision_tower: 220.19 k, frozen"), "{table}");
        let snapshot = snapshots(folder.path()).join(COMMIT);
        assert!(snapshot.join("tokenizer.json").exists() && !snapshot.join("model.safetensors").exists());
        let asked = server.asked();
        assert!(!asked.iter().any(|request| request.contains("safetensors")), "{asked:?}");
        assert_eq!(with_rates(&scruple(&dry)), with_rates(&table));
        assert_eq!(server.asked(), asked, "what the first dry run fetched is enough for the second");

        if branch_moves {
            LATER_COMMIT.clone_into(&mut server.head.lock().unwrap());
        }
        scruple(&SFT);
        assert_eq!(
            fs_err::read(snapshot.join("model.safetensors")).unwrap(),
            fs_err::read(fixture().join("model/model.safetensors")).unwrap()
        );
        assert_eq!(
            fs_err::read_dir(snapshots(folder.path())).unwrap().count(),
            1,
            "weights lie with the settings that they belong to"
        );
        let asked_later = server.asked().split_off(asked.len());
        assert!(
            asked_later
                .iter()
                .filter(|request| request.contains("/resolve/"))
                .all(|request| request.contains("/model.safetensors ")),
            "{asked_later:?}"
        );
        let n_asked = server.asked().len();
        scruple(&["inspect", "--model", "tiny/vlm"]);
        assert_eq!(server.asked().len(), n_asked, "all is there");
    }
}

#[test]
fn settings_that_another_tool_cached_alone_are_completed() {
    let server = Server::start(files_of(&fixture().join("model")));
    let folder = folder_with_data();
    let settings_alone = tempfile::tempdir().unwrap();
    fs_err::copy(fixture().join("model/config.json"), settings_alone.path().join("config.json")).unwrap();
    let cache = folder.path().join(".cache/huggingface/hub");
    store(&cache, "tiny/vlm", settings_alone.path());
    let dry = [&SFT[..], &["--dry-run"]].concat();
    let (code, _, error) = scruple(folder.path(), &dry, &[("HF_HUB_OFFLINE", "1")]);
    assert!(code == 4 && error.contains("nor whole in the cache"), "{error}");
    let (code, _, error) = scruple(folder.path(), &dry, &[("HF_ENDPOINT", &server.address)]);
    assert_eq!(code, 0, "{error}");
    assert!(!server.asked().iter().any(|request| request.contains("safetensors")));
    let (code, _, error) = scruple(folder.path(), &dry, &[("HF_HUB_OFFLINE", "1")]);
    assert_eq!(code, 0, "{error}");
    let (code, _, error) = scruple(folder.path(), &SFT, &[("HF_HUB_OFFLINE", "1")]);
    assert!(code == 4 && error.contains("nor whole in the cache"), "{error}");
}

/// The files of a folder by their names.
fn files_of(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs_err::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs_err::read(entry.path()).unwrap())
        })
        .collect()
}

/// Where what was fetched below a home folder lies.
fn snapshots(home: &Path) -> PathBuf {
    home.join(".cache/huggingface/hub/models--tiny--vlm/snapshots")
}

/// A hub of one repository, `tiny/vlm`, for as long as the test runs. Its files are the same at every commit.
struct Server {
    address: String,
    /// For each request, its path and what it says to be allowed.
    asked: Arc<Mutex<Vec<String>>>,
    /// The branch's commit.
    head: Arc<Mutex<String>>,
}

impl Server {
    fn start(files: BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let head = Arc::new(Mutex::new(COMMIT.to_owned()));
        let (log, branch) = (Arc::clone(&asked), Arc::clone(&head));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let newest = branch.lock().unwrap().clone();
                answer(&stream.unwrap(), &files, &newest, &log);
            }
        });
        Self { address, asked, head }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// The value of a header of a request's.
fn header<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    let line = head.iter().find(|line| line.to_lowercase().starts_with(name))?;
    Some(line.split_once(": ")?.1)
}

fn answer(mut stream: &TcpStream, files: &BTreeMap<String, Vec<u8>>, newest: &str, log: &Mutex<Vec<String>>) {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)) else {
        return;
    };
    let authorization = header(&head, "authorization").unwrap_or_default();
    log.lock().unwrap().push(format!("{path} {authorization}"));
    let commit_of = |revision: &str| if revision == "main" { newest } else { COMMIT }.to_owned();
    let listed = path.strip_prefix("/api/models/tiny/vlm/revision/");
    let found = path
        .strip_prefix("/tiny/vlm/resolve/")
        .and_then(|place| place.split_once('/'))
        .and_then(|(revision, name)| Some((commit_of(revision), files.get_key_value(name)?)));
    let (status, headers, body) = if let Some(revision) = listed.filter(|_| !files.is_empty()) {
        let siblings: Vec<Value> = files.keys().map(|name| json!({ "rfilename": name })).collect();
        let listing = json!({ "sha": commit_of(revision), "siblings": siblings }).to_string();
        ("200 OK", String::new(), listing.into_bytes())
    } else if let Some((commit, (name, bytes))) = found {
        let range = header(&head, "range").unwrap();
        let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let start: usize = start.parse().unwrap();
        let end = end.parse().map_or(bytes.len(), |last: usize| last + 1).min(bytes.len());
        let place = format!("Content-Range: bytes {start}-{}/{}\r\n", end - 1, bytes.len());
        let headers = format!("{place}ETag: \"{name}-etag\"\r\nX-Repo-Commit: {commit}\r\n");
        ("206 Partial Content", headers, bytes[start..end].to_vec())
    } else {
        ("404 Not Found", String::new(), Vec::new())
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).unwrap();
}
