//! Who may ask, how much, and which files.

use serde_json::{Value, json};

use crate::client::{Server, data_url, picture, pictures, request};

fn hello(more: &Value) -> Value {
    request(&json!("Hello"), more)
}

#[test]
fn too_much_is_refused_before_it_is_worked_on() {
    let arguments = [
        "--max-request-bytes",
        "80000",
        "--max-image-bytes",
        "25000",
        "--max-image-pixels",
        "8000",
    ];
    let server = Server::start(&[&arguments[..], &["--limit-mm-per-prompt", r#"{"image": 2}"#]].concat());
    let show = |names: &[&str]| {
        let part = |name: &&str| picture(&data_url(&fs_err::read(pictures().join(name)).unwrap()));
        let parts: Vec<Value> = names.iter().map(part).collect();
        server.chat(&request(&json!(parts), &json!({ "max_tokens": 2 })))
    };
    show(&["a.png", "c.png"]).success();
    let place = |index: usize| format!("`messages[0].content[{index}].image_url.url`");
    let message = show(&["a.png", "c.png", "a.png"]).refusal(413, "too_large");
    assert_eq!(
        message,
        format!("{}: expected at most 2 pictures in a prompt, got more", place(2))
    );
    let message = show(&["b.png"]).refusal(413, "too_large");
    assert_eq!(
        message,
        format!("{}: expected a picture of at most 25000 bytes, got more", place(0))
    );
    let message = show(&["e.png"]).refusal(400, "invalid_value");
    assert!(message.contains("expected 1 to 8000 pixels, got 90 x 118"), "{message}");
    let message = server
        .chat(&hello(&json!({ "user": "u".repeat(90_000) })))
        .refusal(413, "too_large");
    assert_eq!(message, "the request: expected at most 80000 bytes, got more");
    let message = server
        .chat(&hello(&json!({ "max_tokens": 1_000_000_000 })))
        .refusal(400, "context_length_exceeded");
    assert!(
        message.contains("expected at most 4096 tokens with its completion"),
        "{message}"
    );
    server.chat(&hello(&json!({ "n": 65 }))).refusal(400, "invalid_value");
}

#[test]
fn beyond_those_that_may_wait_comes_429_and_a_client_that_goes_makes_room() {
    let server = Server::start(&["--max-num-seqs", "1", "--max-waiting", "1"]);
    let endless = hello(&json!({ "max_tokens": 4000, "ignore_eos": true }));
    let mut first = server.stream(&endless);
    first.next().expect("an event");
    std::thread::scope(|scope| {
        let second = scope.spawn(|| server.chat(&hello(&json!({ "max_tokens": 2 }))));
        server.wait_for("scruple_num_requests_waiting", 1.0);
        server.wait_for("scruple_num_requests_running", 1.0);
        let third = server.chat(&hello(&json!({ "max_tokens": 2 })));
        assert_eq!(
            third.refusal(429, "queue_full"),
            "1 requests wait already, as many as may: try again later"
        );
        assert_eq!(third.retry_after.as_deref(), Some("1"));
        drop(first);
        second.join().unwrap().success();
    });
    server.wait_for("scruple_num_requests_running", 0.0);
    assert!(server.metric("scruple_generation_tokens_total") < 4000.0);
}

#[test]
fn a_key_is_asked_for_and_health_is_open() {
    let server = Server::start(&["--api-key", "secret"]);
    let body = hello(&json!({ "max_tokens": 2 })).to_string();
    for key in [None, Some("wrong"), Some(""), Some("secrets")] {
        let message = server.send(body.as_bytes(), key).refusal(401, "invalid_api_key");
        assert!(
            message.contains("Authorization: Bearer") && !message.contains("secret"),
            "{message}"
        );
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
        fs_err::copy(pictures().join("a.png"), target).unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("outside.png"), root.join("link.png")).unwrap();
    let outside = folder.path().join("outside.png").display().to_string();
    let server = Server::start(&["--allowed-local-media-path", root.to_str().unwrap()]);
    let closed = Server::start(&[]);
    let show = |server: &Server, url: &str| server.chat(&request(&json!([picture(url)]), &json!({ "max_tokens": 2 })));

    let absolute = format!("file://{}", root.join("inside.png").display());
    for url in ["inside.png", "./inside.png", &absolute] {
        show(&server, url).success();
        assert!(
            show(&closed, url)
                .refusal(400, "invalid_value")
                .contains("--allowed-local-media-path")
        );
    }
    let encoded = "file://%2e%2e/outside.png";
    let refused = [
        "../outside.png",
        "link.png",
        "nothing.png",
        ".",
        &outside,
        encoded,
        "root/../../outside.png",
    ];
    for url in refused {
        let message = show(&server, url).refusal(400, "invalid_value");
        let expected = "expected a file beneath the folder of --allowed-local-media-path";
        assert!(message.ends_with(expected), "{url}: {message}");
    }
    let message = show(&server, "https://example.org/a.png").refusal(400, "invalid_value");
    assert!(
        message.ends_with("got `https://`: this server fetches nothing"),
        "{message}"
    );
    fs_err::write(root.join("broken.png"), b"no picture").unwrap();
    let message = show(&server, "broken.png").refusal(400, "invalid_value");
    assert!(
        message.ends_with("expected PNG, JPEG, WebP, BMP or GIF, got something else"),
        "{message}"
    );
}
