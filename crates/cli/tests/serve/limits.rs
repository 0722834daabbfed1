//! Which clients are served, how much, and which files.

use serde_json::{Value, json};

use crate::client::{Answer, Server, data_url, image_data, image_part, images, model, request};

fn hello(more: &Value) -> Value {
    request(&json!("Hello"), more)
}

/// Requests an answer about images.
fn show(server: &Server, names: &[&str]) -> Answer {
    let parts: Vec<Value> = names.iter().map(|name| image_data(name)).collect();
    server.chat(&request(&json!(parts), &json!({ "max_tokens": 2 })))
}

#[test]
fn too_much_is_refused_before_it_is_worked_on() {
    let arguments = ["--max-request-bytes", "80000", "--max-image-bytes", "25000", "--max-image-pixels", "8000"];
    let server = Server::start(&[&arguments[..], &["--limit-mm-per-prompt", r#"{"image": 2}"#]].concat());
    show(&server, &["a.png", "c.png"]).success();
    assert_eq!(
        show(&server, &["a.png", "c.png", "a.png"]).refusal(413, "too_large"),
        "`messages[0].content[2].image_url.url`: expected at most 2 images in a prompt, got more"
    );
    assert_eq!(
        show(&server, &["b.png"]).refusal(413, "too_large"),
        "`messages[0].content[0].image_url.url`: expected an image of at most 25000 bytes, got more"
    );
    let message = show(&server, &["e.png"]).refusal(400, "invalid_value");
    assert!(message.contains("expected 1 to 8000 pixels, got 90 x 118"), "{message}");
    let message = server.chat(&hello(&json!({ "user": "u".repeat(90_000) }))).refusal(413, "too_large");
    assert_eq!(message, "the request: expected at most 80000 bytes, got more");
    let message = server.chat(&hello(&json!({ "max_tokens": 1_000_000_000 }))).refusal(400, "context_length_exceeded");
    assert!(message.contains("expected at most 4096 tokens with its completion"), "{message}");
    server.chat(&hello(&json!({ "n": 65 }))).refusal(400, "invalid_value");
}

#[test]
fn what_cannot_be_served_costs_no_vision_pass() {
    let server = Server::start(&["--max-model-len", "120"]);
    let encoded = "scruple_images_encoded_total";
    let image = image_part(&data_url(&fs_err::read(images().join("a.png")).unwrap()));
    let ask = |text: &str, more: &Value| server.chat(&request(&json!([image, { "type": "text", "text": text }]), more));
    ask("Hi", &json!({ "model": "other" })).refusal(404, "model_not_found");
    ask("Hi", &json!({ "max_tokens": 120 })).refusal(400, "context_length_exceeded");
    ask(&"kettle ".repeat(200), &json!({})).refusal(400, "context_length_exceeded");
    ask("Hi", &json!({ "structured_outputs": { "regex": "(" } })).refusal(400, "unsupported_format");
    ask("Hi", &json!({ "stop_token_ids": [100_000] })).refusal(400, "invalid_value");
    assert_eq!(server.metric(encoded), 0.0);
    for _ in 0..2 {
        ask("Hi", &json!({ "max_tokens": 2 })).success();
    }
    assert_eq!(server.metric(encoded), 1.0, "an image met again is known");
}

#[test]
fn a_prompt_and_its_completion_are_as_long_as_allowed() {
    let server = Server::start(&["--max-model-len", "100"]);
    assert_eq!(server.get("/v1/models").success()["data"][0]["max_model_len"], 100);
    let answer = server.chat(&hello(&json!({ "ignore_eos": true }))).success();
    assert_eq!(answer["usage"]["total_tokens"], 100, "without a limit of its own, all that is left");
    let message = server.chat(&hello(&json!({ "max_tokens": 99 }))).refusal(400, "context_length_exceeded");
    assert!(message.starts_with("`messages`: expected at most 100 tokens with its completion, got "), "{message}");
}

/// Keys and values of the miniature model's token: 4 layers, 2 heads of 32 numbers.
const BYTES_PER_TOKEN: usize = 2 * 4 * 2 * 32 * 4;

/// An answer that takes more than half of 512 tokens.
fn long_answer(server: &Server, seed: usize) -> Value {
    let more = json!({ "max_tokens": 300, "ignore_eos": true, "seed": seed });
    server.first_choice(&hello(&more))
}

#[test]
fn requests_wait_for_memory_and_what_never_fits_is_refused() {
    let bytes = (512 * BYTES_PER_TOKEN).to_string();
    let server = Server::start(&["--kv-cache-memory-bytes", &bytes]);
    assert_eq!(server.metric("scruple_kv_cache_tokens_limit"), 512.0);
    let message = server.chat(&hello(&json!({ "n": 8, "max_tokens": 100 }))).refusal(400, "context_length_exceeded");
    assert!(message.starts_with("`n`: expected completions that fit the KV cache, 512 tokens; got 8 of"), "{message}");
    let most = server.get("/v1/models").success()["data"][0]["max_model_len"].clone();
    assert!((300..512).contains(&most.as_u64().unwrap()), "{most}");

    let alone: Vec<Value> = (0..3).map(|seed| long_answer(&server, seed)).collect();
    std::thread::scope(|scope| {
        let server = &server;
        let clients: Vec<_> = (0..3).map(|seed| scope.spawn(move || long_answer(server, seed))).collect();
        let mut most_cached = 0.0_f64;
        while !clients.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            most_cached = most_cached.max(server.metric("scruple_kv_cache_tokens"));
            assert!(server.metric("scruple_num_requests_running") <= 1.0, "each takes more than half");
        }
        assert!((256.0..=512.0).contains(&most_cached), "{most_cached}");
        for (client, alone) in clients.into_iter().zip(&alone) {
            assert_eq!(&client.join().unwrap(), alone);
        }
    });
    server.wait_for("scruple_kv_cache_tokens", 0.0);
}

#[test]
fn lengths_that_cannot_be_had_end_the_start() {
    let bytes = (1056 * BYTES_PER_TOKEN).to_string();
    for (arguments, problem, hint) in [
        (
            &["--max-model-len", "5000"][..],
            "--max-model-len: expected at most 4096, which the model takes, got 5000",
            "",
        ),
        (
            &["--max-model-len", "900", "--kv-cache-memory-bytes", &bytes],
            "--max-model-len: expected at most 800, for which there is memory, got 900",
            "hint: --kv-cache-memory-bytes",
        ),
        (&["--kv-cache-memory-bytes", "1000"], "expected space for 256 tokens, got 0", ""),
    ] {
        let mut scruple = assert_cmd::Command::cargo_bin("scruple").unwrap();
        scruple.args(["serve", "--port", "0", "--model"]).arg(model()).args(arguments);
        let output = scruple.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(problem) && message.contains(hint), "{message}");
    }
}

#[test]
fn beyond_those_that_may_wait_comes_429_and_a_client_that_disconnects_frees_memory() {
    let server = Server::start(&["--max-num-seqs", "1", "--max-waiting", "1"]);
    let endless = hello(&json!({ "max_tokens": 4000, "ignore_eos": true }));
    let mut first = server.stream(&endless);
    first.next().expect("an event");
    std::thread::scope(|scope| {
        let second = scope.spawn(|| server.chat(&hello(&json!({ "max_tokens": 2 }))));
        server.wait_for("scruple_num_requests_waiting", 1.0);
        server.wait_for("scruple_num_requests_running", 1.0);
        let third = server.chat(&hello(&json!({ "max_tokens": 2 })));
        assert_eq!(third.refusal(429, "queue_full"), "1 requests are waiting, the queue is full: try again later");
        assert_eq!(third.retry_after.as_deref(), Some("1"));
        drop(first);
        second.join().unwrap().success();
    });
    server.wait_for("scruple_num_requests_running", 0.0);
    assert!(server.metric("scruple_generation_tokens_total") < 4000.0);
}

#[test]
fn a_key_is_required_and_health_is_open() {
    let server = Server::start(&["--api-key", "secret"]);
    let body = hello(&json!({ "max_tokens": 2 })).to_string();
    for key in [None, Some("wrong"), Some(""), Some("secrets")] {
        let message = server.send(body.as_bytes(), key).refusal(401, "invalid_api_key");
        assert!(message.contains("Authorization: Bearer") && !message.contains("secret"), "{message}");
    }
    server.send(body.as_bytes(), Some("secret")).success();
    server.get("/v1/models").refusal(401, "invalid_api_key");
    server.get("/health").success();
    server.wait_for("scruple_request_failure_total{reason=\"invalid_api_key\"}", 5.0);
}

#[test]
fn files_are_read_beneath_the_allowed_folder_alone() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs_err::create_dir(&root).unwrap();
    for target in [root.join("inside.png"), folder.path().join("outside.png")] {
        fs_err::copy(images().join("a.png"), target).unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("outside.png"), root.join("link.png")).unwrap();
    let outside = folder.path().join("outside.png").display().to_string();
    let server = Server::start(&["--allowed-local-media-path", root.to_str().unwrap()]);
    let closed = Server::start(&[]);
    let show =
        |server: &Server, url: &str| server.chat(&request(&json!([image_part(url)]), &json!({ "max_tokens": 2 })));

    let absolute = format!("file://{}", root.join("inside.png").display());
    for url in ["inside.png", "./inside.png", &absolute] {
        show(&server, url).success();
        assert!(show(&closed, url).refusal(400, "invalid_value").contains("--allowed-local-media-path"));
    }
    let encoded = "file://%2e%2e/outside.png";
    let refused = ["../outside.png", "link.png", "nothing.png", ".", &outside, encoded, "root/../../outside.png"];
    for url in refused {
        let message = show(&server, url).refusal(400, "invalid_value");
        let expected = "expected a file beneath the folder of --allowed-local-media-path";
        assert!(message.ends_with(expected), "{url}: {message}");
    }
    let message = show(&server, "https://example.org/a.png").refusal(400, "invalid_value");
    assert!(message.ends_with("got `https://`: this server fetches nothing"), "{message}");
    fs_err::write(root.join("broken.png"), b"no image").unwrap();
    let message = show(&server, "broken.png").refusal(400, "invalid_value");
    assert!(message.ends_with("expected PNG, JPEG, WebP, BMP or GIF, got something else"), "{message}");
}
