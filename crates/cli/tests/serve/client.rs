//! A server of the binary under test, and a client that knows no more than HTTP and JSON.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};

/// A running `scruple serve`; killed when dropped.
pub struct Server {
    child: Child,
    pub url: String,
    agent: ureq::Agent,
}

/// A response: its status, headers and body.
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Checks status and code of an error in OpenAI's shape; returns its message.
    #[track_caller]
    pub fn refusal(&self, status: u16, code: &str) -> String {
        let body = self.json();
        let error = &body["error"];
        assert_eq!((self.status, error["code"].as_str()), (status, Some(code)), "{body}");
        assert!(error["type"].is_string() && error.get("param").is_some(), "{body}");
        error["message"].as_str().unwrap().to_owned()
    }

    /// Checks that all went well; returns the body.
    #[track_caller]
    pub fn success(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }
}

/// The miniature world's base model.
pub fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base")
}

/// Images `a.png` to `f.png`.
pub fn images() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl/images")
}

/// An image's bytes as a data URL.
pub fn data_url(bytes: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!("data:image/png;base64,{text}")
}

/// The file of one of the images as a message part.
pub fn image_data(name: &str) -> Value {
    image_part(&data_url(&fs_err::read(images().join(name)).unwrap()))
}

/// A message part that shows an image.
pub fn image_part(url: &str) -> Value {
    json!({ "type": "image_url", "image_url": { "url": url } })
}

/// A request with one message of the user's, and more fields.
pub fn request(content: &Value, more: &Value) -> Value {
    let mut body = json!({ "messages": [{ "role": "user", "content": content }] });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

impl Server {
    /// Serves the base model with further arguments on a port that is free.
    pub fn start(arguments: &[&str]) -> Self {
        Self::of(&model(), arguments)
    }

    /// Serves a model.
    pub fn of(model: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_scruple"))
            .args(["serve", "--port", "0", "--model"])
            .arg(model)
            .args(["--served-model-name", "mini"])
            .args(arguments)
            .env_remove("SCRUPLE_API_KEY")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        Self { child, url, agent: config.build().into() }
    }

    /// Sends any bytes as a request's body, perhaps with a key.
    pub fn send(&self, body: &[u8], key: Option<&str>) -> Answer {
        let mut request = self.agent.post(format!("{}/v1/chat/completions", self.url));
        if let Some(key) = key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        read(request.header("Content-Type", "application/json").send(body).unwrap())
    }

    /// Requests completions.
    pub fn chat(&self, body: &Value) -> Answer {
        self.send(body.to_string().as_bytes(), None)
    }

    /// Requests completions; returns the first.
    #[track_caller]
    pub fn first_choice(&self, body: &Value) -> Value {
        self.chat(body).success()["choices"][0].clone()
    }

    /// Gets an address.
    pub fn get(&self, path: &str) -> Answer {
        read(self.agent.get(format!("{}{path}", self.url)).call().unwrap())
    }

    /// Begins to stream completions; gives each event's data as it comes.
    pub fn stream(&self, body: &Value) -> impl Iterator<Item = String> + use<> {
        let mut body = body.clone();
        body["stream"] = json!(true);
        let request = self.agent.post(format!("{}/v1/chat/completions", self.url));
        let response = request.send(body.to_string()).unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let lines = BufReader::new(response.into_body().into_reader()).lines();
        lines.filter_map(|line| line.unwrap().strip_prefix("data: ").map(str::to_owned))
    }

    /// A number of `/metrics`.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or("0").parse().unwrap()
    }

    /// Waits until a number of `/metrics` is what it is to be: an answer may be with its client before it is counted.
    #[track_caller]
    pub fn wait_for(&self, name: &str, value: f64) {
        let began = Instant::now();
        while self.metric(name) != value {
            assert!(began.elapsed() < Duration::from_mins(1), "{name} never became {value}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Tells the process to end, as a service manager does.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits for the process to end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let mut text = String::new();
    response.body_mut().as_reader().read_to_string(&mut text).unwrap();
    let retry_after = response.headers().get("retry-after");
    Answer {
        status: response.status().as_u16(),
        retry_after: retry_after.map(|seconds| seconds.to_str().unwrap().to_owned()),
        text,
    }
}
