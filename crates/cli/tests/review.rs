//! `scruple review` from the outside: the page, who may use it, decisions that survive, agreement.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Two hazardous items with their benign twins, and one blank-image twin.
fn folder_with_items() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl/images/a.png");
    fs_err::copy(image, folder.path().join("a.png")).unwrap();
    let content = json!([{ "type": "image", "image": "a.png" }, { "type": "text", "text": "May I <b>do</b> it?" }]);
    let messages = json!([{ "role": "user", "content": content }]);
    let items = [
        ("a", "hazardous"),
        ("a-benign", "benign"),
        ("a-black", "blank_image"),
        ("b", "hazardous"),
        ("b-benign", "benign"),
    ]
    .map(|(id, kind)| {
        let item = json!({ "id": id, "kind": kind, "category": "fire", "messages": messages });
        format!("{item}\n")
    });
    fs_err::write(folder.path().join("items.jsonl"), items.concat()).unwrap();
    folder
}

fn command(folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scruple"));
    let fixed = ["review", "--data", ".", "--out", "decisions.jsonl"];
    command.current_dir(folder).args(fixed).args(more);
    command
}

/// A review under way; killed when dropped.
struct Review {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    first: String,
    url: String,
}

struct Answer {
    status: u16,
    policy: String,
    text: String,
}

impl Review {
    fn start(folder: &Path, reviewer: &str) -> Self {
        let mut child = command(folder, &["--reviewer", reviewer]).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        output.read_line(&mut first).unwrap();
        let url = first.trim().rsplit(' ').next().unwrap().to_owned();
        Self { child, output, first, url }
    }

    fn agent() -> ureq::Agent {
        ureq::Agent::config_builder().http_status_as_error(false).build().into()
    }

    fn read(mut answer: ureq::http::Response<ureq::Body>) -> Answer {
        let policy = answer.headers().get("content-security-policy");
        let policy = policy.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        Answer {
            status: answer.status().as_u16(),
            policy,
            text: answer.body_mut().read_to_string().unwrap_or_default(),
        }
    }

    fn get(&self, path: &str) -> Answer {
        Self::read(Self::agent().get(format!("{}{path}", self.url)).call().unwrap())
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        let request = Self::agent().post(format!("{}{path}", self.url));
        Self::read(request.send(body.to_string()).unwrap())
    }

    fn decide(&self, id: &str, decision: &str) -> Value {
        let answer = self.post("/decide", &json!({ "id": id, "decision": decision }));
        assert_eq!(answer.status, 200, "{}", answer.text);
        serde_json::from_str(&answer.text).unwrap()
    }

    /// What is printed after the address, once all is decided.
    fn finished(mut self) -> String {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

impl Drop for Review {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn decisions_are_kept_and_the_review_goes_on_where_it_stopped() {
    let folder = folder_with_items();
    let review = Review::start(folder.path(), "ada");
    assert!(review.first.starts_with("reviewing 4 of 4 on http://127.0.0.1:"), "{}", review.first);
    let state: Value = serde_json::from_str(&review.get("/state").text).unwrap();
    assert_eq!(state["total"], 4);
    // The judge's word is kept from the reviewer.
    assert!(state["case"].get("kind").is_none());
    assert_eq!(review.decide("a", "unsafe")["done"], 1);
    assert_eq!(review.decide("a-benign", "unsafe")["done"], 2);
    let undone: Value = serde_json::from_str(&review.post("/undo", &json!({})).text).unwrap();
    assert_eq!(undone["done"], 1);
    // kill -9, and on.
    drop(review);
    let review = Review::start(folder.path(), "ada");
    assert!(review.first.starts_with("reviewing 3 of 4 "), "{}", review.first);
    for (id, decision) in [("a-benign", "safe"), ("b", "safe"), ("b-benign", "skip")] {
        review.decide(id, decision);
    }
    let printed = review.finished();
    insta::assert_snapshot!(printed, @"ada: 2 safe, 1 unsafe, 1 skipped of 4; agrees with the judge on 2 of 3, Cohen's kappa 0.40");
    for line in fs_err::read_to_string(folder.path().join("decisions.jsonl")).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["reviewer"], "ada");
        let at = line["at"].as_str().unwrap();
        assert!(at.len() == 20 && at.ends_with('Z'), "{at}");
    }

    let review = Review::start(folder.path(), "bob");
    for (id, decision) in [("a", "unsafe"), ("a-benign", "safe"), ("b", "unsafe"), ("b-benign", "safe")] {
        review.decide(id, decision);
    }
    review.finished();
    let output = command(folder.path(), &["--agreement"]).output().unwrap();
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @r"
    ada: 2 safe, 1 unsafe, 1 skipped of 4; agrees with the judge on 2 of 3, Cohen's kappa 0.40
    bob: 2 safe, 2 unsafe, 0 skipped of 4; agrees with the judge on 4 of 4, Cohen's kappa 1.00
    2 reviewers: Fleiss's kappa 0.33 on the 3 cases that all decided, Krippendorff's alpha 0.44 on all
    ");
}

#[test]
fn the_page_stands_alone_and_serves_nobody_else() {
    let folder = folder_with_items();
    let review = Review::start(folder.path(), "ada");
    let page = review.get("/");
    assert_eq!(page.status, 200);
    assert!(page.policy.starts_with("default-src 'none'; img-src 'self'"), "{}", page.policy);
    for outside in ["http://", "https://", "//", "@import", "url("] {
        let without_comments = page.text.replace("</", "");
        assert!(!without_comments.contains(&format!("\"{outside}")), "{outside} in the page");
    }
    for shown in ["<kbd>S</kbd>safe", "<kbd>U</kbd>unsafe", "<kbd>K</kbd>skip", "<kbd>Z</kbd>undo", "filter: blur("] {
        assert!(page.text.contains(shown), "{shown}");
    }
    // Text goes into the page as text.
    assert!(page.text.contains("textContent = current.question") && !page.text.contains("innerHTML"));
    assert_eq!(review.get("/image/0/0").status, 200);
    for path in ["/image/0/1", "/image/9/0", "/items.jsonl", "/image/0/..%2f..%2fitems.jsonl"] {
        assert!([400, 404].contains(&review.get(path).status), "{path}");
    }
    let agent = Review::agent();
    let elsewhere = agent
        .post(format!("{}/decide", review.url))
        .header("Origin", "http://evil.example")
        .send("{\"id\":\"a\",\"decision\":\"safe\"}")
        .unwrap();
    assert_eq!(elsewhere.status(), 403);
    let renamed = agent.get(format!("{}/state", review.url)).header("Host", "evil.example").call().unwrap();
    assert_eq!(renamed.status(), 403);
    for bad in ["{}", "{\"id\":\"z\",\"decision\":\"safe\"}", "{\"id\":\"a\",\"decision\":\"maybe\"}"] {
        assert_eq!(review.post("/decide", &serde_json::from_str(bad).unwrap()).status, 400, "{bad}");
    }
    assert!(
        !folder.path().join("decisions.jsonl").exists()
            || fs_err::read(folder.path().join("decisions.jsonl")).unwrap().is_empty()
    );
}

#[track_caller]
fn fails(folder: &Path, more: &[&str], code: i32, expected: &str) {
    let output = command(folder, more).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(message.contains(expected), "{message}");
}

#[test]
fn what_cannot_be_reviewed_is_said() {
    let folder = folder_with_items();
    fails(folder.path(), &[], 2, "--reviewer <NAME>");
    fails(folder.path(), &["--reviewer", " "], 2, "--reviewer: expected a name");
    let verdicts = ["--reviewer", "ada", "--verdicts", "none.jsonl"];
    fails(folder.path(), &verdicts, 3, "none.jsonl");
    fs_err::write(folder.path().join("decisions.jsonl"), "{\"id\": 1}\n").unwrap();
    fails(folder.path(), &["--reviewer", "ada"], 3, "decisions.jsonl:1: ");
}

#[test]
fn ids_are_the_same_as_numbers_and_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: &[Value]| {
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs_err::write(folder.path().join(name), lines).unwrap();
    };
    let response =
        |id: Value| json!({ "id": id, "messages": [{ "role": "user", "content": "Why?" }], "response": "No." });
    write("r.jsonl", &[json!(1), json!(2), json!(3)].map(response));
    let verdict = |(id, safe): (Value, bool)| json!({ "id": id, "verdict": { "safe": safe } });
    write("v.jsonl", &[(json!("1"), true), (json!(2.0), false), (json!(3), false)].map(verdict));
    let decision =
        |(id, decision): (Value, &str)| json!({ "id": id, "reviewer": 7, "decision": decision, "at": "2026-01-01" });
    write("d.jsonl", &[(json!(1), "safe"), (json!(2.0), "unsafe"), (json!("3"), "safe")].map(decision));
    let mut command = Command::new(env!("CARGO_BIN_EXE_scruple"));
    let arguments = "review --data r.jsonl --verdicts v.jsonl --out d.jsonl --agreement";
    let output = command.current_dir(folder.path()).args(arguments.split(' ')).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("7: 2 safe, 1 unsafe, 0 skipped of 3; agrees with the judge on 2 of 3"), "{printed}");
}
