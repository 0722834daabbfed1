//! `scruple forge` from the outside: against an endpoint that spoils one call in five, killed on the way, out of
//! budget, and with the miniature world's base model behind `scruple serve`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use align::chat::{AnswerSchema, ChatModel, ChatParams, ChatRequest};
use align::paint::PaintRequest;
use align::types::{Message, Role};
use fake_endpoint::FakeEndpoint;
use mini::model::MiniModel;
use mini::painter;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What the writer's prompts ask for, by words that only they hold.
const ASKED: [(&str, &str); 4] = [
    ("\"records\"", "elements"),
    ("\"keep\"", "instruction"),
    ("\"query\": \"...\"", "detox"),
    ("harmless twin", "twin"),
];

/// The miniature world's writer, who answers by the words alone.
fn write(words: &str) -> String {
    // What is asked stands first, before an answer to be mended.
    let name = ASKED.iter().find(|(mark, _)| words.contains(mark)).map(|(_, name)| *name);
    let request = ChatRequest {
        id: String::new(),
        messages: vec![Message::text(Role::User, words)],
        params: ChatParams {
            max_tokens: 1,
            seed: Sha256::digest(words).iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte)),
            schema: name.map(|name| AnswerSchema { name, schema: Value::Null }),
            ..ChatParams::default()
        },
    };
    let mut text = String::new();
    MiniModel
        .answer(&mut std::iter::once(request), &mut |_, answer| {
            text = answer.map_or_else(|unanswered| unanswered.reason, |answer| answer.text);
        })
        .unwrap();
    text
}

fn paint(prompt: &str, seed: u64) -> Vec<u8> {
    let request = PaintRequest { id: String::new(), prompt: prompt.to_owned(), size: 56, seed };
    painter::paint(&request).unwrap().bytes
}

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/forge_mini.toml")
}

/// The miniature forge with seven seeds of the kitchen's hazards.
fn forge(folder: &Path, out: &str, more: &[String]) -> Command {
    let seeds = ["fire", "burst", "shock", "gas", "cut", "burn", "poison"]
        .map(|name| format!("{}\n", json!({ "id": name, "text": "the kitchen", "subcategory": name })));
    fs_err::write(folder.join("seeds.jsonl"), seeds.concat()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_scruple"));
    command
        .current_dir(folder)
        .env_remove("OPENAI_API_KEY")
        .args(["forge", "--quiet", "--config"])
        .arg(config())
        .args(["--out", out, "data.seeds=seeds.jsonl", "forge.real=2"])
        .args(more);
    command
}

/// The writer and the painter behind an endpoint; the world itself judges and labels.
fn remote(fake: &FakeEndpoint) -> Vec<String> {
    let mut more = vec![
        "labels.method=informed".to_owned(),
        "forge.image_size=56".to_owned(),
        "role.policy.url=mini".to_owned(),
        "role.annotator.url=mini".to_owned(),
    ];
    for role in ["writer", "painter"] {
        more.push(format!("role.{role}.url={}", fake.url()));
        more.push(format!("role.{role}.model=fake"));
        more.push(format!("role.{role}.timeout=1"));
        more.push(format!("role.{role}.max_retries=9"));
    }
    more
}

fn finished(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    output
}

/// Every file of a run but the journal, which holds times.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs_err::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !name.to_string_lossy().contains("journal.") {
                files.insert(name, fs_err::read(&path).unwrap());
            }
        }
    }
    files
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs_err::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn copy_folder(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs_err::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn killed_again_and_again_beside_faults_it_ends_in_the_same_bytes_and_pays_once() {
    let fake = FakeEndpoint::start_painting(write, paint, 20).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let more = remote(&fake);
    let (mut calls_before, mut kills) = (0, 0);
    while kills < 4 {
        let mut child = forge(folder.path(), "forged", &more).stdout(Stdio::null()).spawn().unwrap();
        while fake.counts().calls < calls_before + 30 && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        calls_before = fake.counts().calls;
        kills += 1;
    }
    let output = finished(forge(folder.path(), "forged", &more));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let costs_of = |role: &str| printed.lines().any(|line| line.starts_with(role) && line.contains(" fake "));
    assert!(costs_of("writer") && costs_of("painter"), "{printed}");
    // A kill loses at most the calls in flight.
    let paid_again: usize = fake.counts().answered.values().map(|times| times - 1).sum();
    assert!(paid_again <= kills * 32, "{paid_again} answers were paid for again");

    // Once more: nothing is asked, nothing changes.
    let calls = fake.counts().calls;
    let forged = files(&folder.path().join("forged"));
    finished(forge(folder.path(), "forged", &more));
    assert!(files(&folder.path().join("forged")) == forged);
    // From the journal alone, uninterrupted: the same bytes.
    let again = folder.path().join("again");
    fs_err::create_dir_all(&again).unwrap();
    for name in ["journal.sqlite", "journal.sqlite-wal"] {
        let from = folder.path().join("forged").join(name);
        if from.exists() {
            fs_err::copy(from, again.join(name)).unwrap();
        }
    }
    copy_folder(&folder.path().join("forged/journal.images"), &again.join("journal.images"));
    finished(forge(folder.path(), "again", &more));
    assert_eq!(fake.counts().calls, calls);
    let uninterrupted = files(&again);
    assert_eq!(forged.keys().collect::<Vec<_>>(), uninterrupted.keys().collect::<Vec<_>>());
    for (name, bytes) in &forged {
        assert!(*bytes == uninterrupted[name], "{} differs", name.display());
    }

    // Every draft is an item or has a reason not to be.
    let rejected = lines(&folder.path().join("forged/rejected.jsonl"));
    assert!(rejected.iter().all(|line| line["rejected"]["reason"].is_string()));
    let reasons: Vec<&str> = rejected.iter().filter_map(|line| line["rejected"]["reason"].as_str()).collect();
    let of_faults = ["no image of the painter", "no usable answer of the writer"];
    assert!(of_faults.iter().any(|reason| reasons.contains(reason)), "{reasons:?}");
}

#[test]
fn a_spent_budget_ends_with_6_and_a_larger_one_resumes() {
    fn with_budget(folder: &Path, more: &[String], budget: &str) -> Output {
        let more = [more, &[format!("role.painter.max_cost={budget}")]].concat();
        forge(folder, "forged", &more).output().unwrap()
    }

    let fake = FakeEndpoint::start_painting(write, paint, 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut more = remote(&fake);
    more.push("role.painter.price_image=0.1".to_owned());
    let stopped = with_budget(folder.path(), &more, "1");
    let message = String::from_utf8_lossy(&stopped.stderr).into_owned();
    assert_eq!(stopped.status.code(), Some(6), "{message}");
    assert!(message.contains("role painter: max_cost of 1 is spent: 1.1000 so far"), "{message}");
    assert!(message.contains("hint: raise the budget and repeat the command"), "{message}");
    let finished = with_budget(folder.path(), &more, "100");
    assert!(finished.status.success(), "{}", String::from_utf8_lossy(&finished.stderr));
    assert!(fake.counts().answered.values().all(|&times| times == 1));
}

#[test]
fn what_people_rejected_is_dropped_and_costs_nothing() {
    let fake = FakeEndpoint::start_painting(write, paint, 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let more = remote(&fake);
    finished(forge(folder.path(), "forged", &more));
    let (forged, calls) = (folder.path().join("forged"), fake.counts().calls);
    let items = lines(&forged.join("items.jsonl"));
    let gone = items.iter().find(|item| item["kind"] == "hazardous").unwrap()["id"].clone();
    let decision = |decision: &str| {
        json!({ "id": gone, "reviewer": "ada", "decision": decision, "at": "2026-11-21T09:30:00Z" }).to_string() + "\n"
    };
    fs_err::write(folder.path().join("decisions.jsonl"), decision("safe")).unwrap();
    let with_decisions = || {
        let mut command = forge(folder.path(), "forged", &more);
        command.args(["--decisions", "decisions.jsonl"]);
        command
    };
    finished(with_decisions());
    assert_eq!(fake.counts().calls, calls);
    let left = lines(&forged.join("items.jsonl"));
    assert_eq!(left.len(), items.len() - 3);
    assert!(left.iter().all(|item| item["id"] != gone && item["twin_of"] != gone));
    let rejected = lines(&forged.join("rejected.jsonl"));
    let rejected = rejected.iter().find(|draft| draft["id"] == gone).unwrap();
    assert_eq!(rejected["rejected"]["reason"], "people call it safe");

    fs_err::write(folder.path().join("decisions.jsonl"), decision("skip")).unwrap();
    let output = with_decisions().output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("decisions.jsonl: expected decisions, got none that counts"), "{message}");
}

#[test]
fn items_of_evaluation_sets_are_rejected_with_their_twins() {
    let fake = FakeEndpoint::start_painting(write, paint, 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let more = remote(&fake);
    finished(forge(folder.path(), "forged", &more));
    let forged = folder.path().join("forged");
    let resolved = |folder: &Path| -> Value {
        serde_json::from_slice(&fs_err::read(folder.join("forge.resolved.json")).unwrap()).unwrap()
    };
    assert_eq!(resolved(&forged).get("decontamination"), None);

    // A benign-image twin of a test item, and the photographs of another item's copy.
    let items = lines(&forged.join("items.jsonl"));
    let real = items.iter().find(|item| item["split"] == "real").unwrap();
    let twin = items.iter().find(|item| {
        let of = item["twin_of"].as_str().unwrap_or_default();
        item["split"] == "benign" && !of.contains("real") && !real["id"].as_str().unwrap().starts_with(of)
    });
    let twin = twin.unwrap();
    fs_err::write(forged.join("held_out.jsonl"), format!("{real}\n{twin}\n")).unwrap();
    let held_out = format!("decontamination.against.held-out={}", forged.join("held_out.jsonl").display());
    // The miniature world asks the same of many things.
    let clean = [&more[..], &[held_out, r#"decontamination.compare=["image"]"#.to_owned()]].concat();
    finished(forge(folder.path(), "clean", &clean));
    let clean_folder = folder.path().join("clean");
    let left = lines(&clean_folder.join("items.jsonl"));
    for gone in [&real["id"], &twin["twin_of"]] {
        assert!(items.iter().any(|item| item["id"] == *gone));
        assert!(left.iter().all(|item| item["id"] != *gone && item["twin_of"] != *gone), "{gone}");
    }
    let rejected = lines(&clean_folder.join("rejected.jsonl"));
    for (id, stage) in [(&real["id"], "splits"), (&twin["id"], "unique")] {
        let draft = rejected.iter().find(|draft| draft["id"] == *id).unwrap();
        assert_eq!(draft["rejected"]["stage"], stage);
        assert_eq!(draft["rejected"]["reason"], "an image is in an evaluation set");
        assert_eq!(draft["rejected"]["detail"], format!("held-out: {}: 1.00", id.as_str().unwrap()));
    }
    let summary = &lines(&clean_folder.join("summary.json"))[0];
    let unique = summary["stages"].as_array().unwrap().iter().find(|counts| counts["stage"] == "unique").unwrap();
    assert!(unique["rejected"]["an image is in an evaluation set"].as_u64() >= Some(1), "{unique}");
    assert_eq!(resolved(&clean_folder)["decontamination"]["sets"], json!(["held-out"]));

    // Again: the same bytes, and no calls. Another set is another run.
    let (before, calls) = (files(&clean_folder), fake.counts().calls);
    finished(forge(folder.path(), "clean", &clean));
    assert!(files(&clean_folder) == before);
    assert_eq!(fake.counts().calls, calls);
    let other = forge(folder.path(), "clean", &more).output().unwrap();
    assert_eq!(other.status.code(), Some(2), "{}", String::from_utf8_lossy(&other.stderr));
}

#[test]
fn bad_settings_and_seeds_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let ends = |more: &[&str], code: i32, expected: &str| {
        let more: Vec<String> = more.iter().map(ToString::to_string).collect();
        let output = forge(folder.path(), "forged", &more).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(message.contains(expected), "{message}");
    };
    ends(&["forge.max_images=1"], 2, "`forge.max_images`: expected 2 to 9, got 1");
    ends(&["labels.tries=0"], 2, "`labels.tries`");
    ends(&["role.scribe.url=mini"], 2, "`role.scribe`: expected one of writer, painter, judge");
    ends(&["role.painter.url=local", "role.painter.model=m"], 2, "which paint, got \"local\"");
    ends(&["data.taxonomy=none.toml"], 2, "a taxonomy is `mis`, `mini` or a TOML file");
    ends(&["data.seeds=none.jsonl"], 3, "none.jsonl: no such file: expected seeds");
    fs_err::write(folder.path().join("bad.jsonl"), "{\"id\": \"a\", \"text\": \"b\", \"subcategory\": \"c\"}\n")
        .unwrap();
    ends(&["data.seeds=bad.jsonl"], 3, "bad.jsonl:1: `subcategory`: expected one of the taxonomy, got `c`");
}

/// A server of the miniature world's base model; killed when dropped.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start() -> Self {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base");
        let mut child = Command::new(env!("CARGO_BIN_EXE_scruple"))
            .args(["serve", "--served-model-name", "base", "--port", "0", "--model"])
            .arg(model)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap();
        Self { url: format!("{url}/v1"), child }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_base_model_behind_a_server_answers_and_labels() {
    let served = Served::start();
    let folder = tempfile::tempdir().unwrap();
    let more: Vec<String> = ["policy", "annotator"].map(|role| format!("role.{role}.url={}", served.url)).to_vec();
    finished(forge(folder.path(), "forged", &more));
    let forged = folder.path().join("forged");
    let items = lines(&forged.join("items.jsonl"));
    let count = |field: &str, value: &str| items.iter().filter(|item| item[field] == value).count();
    let hazardous = count("kind", "hazardous");
    assert!(hazardous >= 16, "{hazardous}");
    assert_eq!((count("kind", "benign"), count("kind", "blank_image")), (hazardous, hazardous));
    for split in ["train", "hard", "real", "benign", "black"] {
        assert!(count("split", split) > 0, "no {split}");
    }
    // The base model grants nearly every wish, and thinks again when told to.
    let drafts = lines(&forged.join("labels.jsonl"));
    let probed = drafts.iter().filter(|draft| draft["kind"] == "hazardous");
    let granted = probed.clone().filter(|draft| draft["probe"]["verdict"]["safe"] == false).count();
    assert!(granted * 2 > probed.count(), "{granted}");
    let train = lines(&forged.join("train.jsonl"));
    assert!(train.len() >= 12, "{}", train.len());
    // What comes out can be trained on as it is.
    let mut sft = Command::new(env!("CARGO_BIN_EXE_scruple"));
    sft.current_dir(folder.path())
        .args(["sft", "--out", "careful", "--dry-run", "data.train=forged/train.jsonl", "sft.general_ratio=0"])
        .arg(format!("model.path={}", Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base").display()));
    finished(sft);
}
