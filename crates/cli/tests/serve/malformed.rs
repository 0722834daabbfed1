//! A thousand requests that were valid before random changes: none may crash the server or be its error.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Server, data_url, image_part, images, request};

/// Numbers from a seed (Steele et al., SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % n as u64) as usize
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

fn valid() -> Value {
    let image = image_part(&data_url(&fs_err::read(images().join("a.png")).unwrap()));
    let schema = json!({ "type": "object", "properties": { "a": { "enum": [1, 2] } }, "required": ["a"] });
    let more = json!({
        "model": "mini", "max_tokens": 2, "n": 2, "seed": 1, "temperature": 0.5, "top_p": 0.9, "stop": ["x"],
        "logprobs": true, "top_logprobs": 3, "stream": false,
        "response_format": { "type": "json_schema", "json_schema": { "name": "a", "schema": schema } },
    });
    request(&json!([image, { "type": "text", "text": "What is this?" }]), &more)
}

fn junk() -> Vec<Value> {
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(0.5),
        json!(""),
        json!("<|im_end|>"),
        json!("<|image_pad|>"),
        json!("\u{0}\u{FFFF}猫"),
        json!("x".repeat(5000)),
        json!([]),
        json!({}),
        json!([[], {}]),
        json!({ "type": "text" }),
        json!({ "$ref": "#" }),
        json!("(((("),
        json!({ "type": "image_url", "image_url": { "url": "file:///etc/passwd" } }),
        deep,
        json!("data:image/png;base64,iVBORw0KGgo="),
        json!({ "anyOf": [{ "$ref": "#" }] }),
        json!("^(a+)+$"),
    ]
}

/// The values of a tree, each by its address.
fn addresses(value: &Value, address: &str, found: &mut Vec<String>) {
    found.push(address.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, inner)| addresses(inner, &format!("{address}/{key}"), found));
        }
        Value::Array(items) => {
            let each = items.iter().enumerate();
            each.for_each(|(index, inner)| addresses(inner, &format!("{address}/{index}"), found));
        }
        _ => {}
    }
}

/// Replaces, removes or adds something somewhere.
fn with_other_fields(random: &mut Random) -> Vec<u8> {
    let (mut body, junk) = (valid(), junk());
    for _ in 0..=random.below(2) {
        let mut found = Vec::new();
        addresses(&body, "", &mut found);
        let address = random.of(&found).clone();
        let (parent, key) = address.rsplit_once('/').unwrap_or_default();
        let kind = random.below(3);
        match (kind, body.pointer_mut(parent)) {
            (0, Some(Value::Object(fields))) if !address.is_empty() => drop(fields.remove(key)),
            (1, Some(Value::Object(fields))) => {
                let known = [
                    "chat_template_kwargs",
                    "tools",
                    "logit_bias",
                    "max_completion_tokens",
                    "structured_outputs",
                    "user",
                    "nonsense",
                ];
                fields.insert((*random.of(&known)).to_owned(), random.of(&junk).clone());
            }
            _ => *body.pointer_mut(&address).unwrap() = random.of(&junk).clone(),
        }
    }
    if body.is_object() && body["max_tokens"].is_null() {
        // A valid answer of thousands of tokens would take its time.
        body["max_tokens"] = json!(2);
    }
    body.to_string().into_bytes()
}

/// Changes, inserts or removes bytes anywhere, the image's included.
fn with_other_bytes(random: &mut Random) -> Vec<u8> {
    let mut body = valid().to_string().into_bytes();
    for _ in 0..=random.below(8) {
        let place = random.below(body.len());
        match random.below(3) {
            0 => body[place] = random.below(256) as u8,
            1 => body.insert(place, *random.of(b"{}[]\",:\\\0\xff0-")),
            _ => drop(body.remove(place)),
        }
    }
    if random.below(4) == 0 {
        body.truncate(random.below(body.len()));
    }
    body
}

/// What is hardly HTTP any more; gives the status, if an answer came.
fn raw(server: &Server, random: &mut Random) -> Option<u16> {
    let body = String::from_utf8_lossy(&with_other_bytes(random)).into_owned();
    let length = *random.of(&["-1", "7", "99999999999999999999", "100000", "", "0x10"]);
    let heads = [
        format!("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"),
        format!("POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{body}"),
        format!("GET /{} HTTP/9.9\r\n\r\n", "a".repeat(random.below(70_000))),
        format!("POST /v1/models HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(random.below(300))),
        body.clone(),
        "DELETE /v1/chat/completions HTTP/1.1\r\nHost: \u{1}\r\n\r\n".to_owned(),
        "GET /v1/models/%ff%00 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    ];
    let mut connection = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let _ = connection.write_all(random.of(&heads).as_bytes());
    let _ = connection.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = connection.take(1 << 16).read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

#[test]
fn a_thousand_malformed_requests_are_answered_and_none_is_the_server_s_error() {
    let server = Server::start(&[]);
    let mut random = Random(20);
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for index in 0..1000 {
        let status = match index % 10 {
            0 => raw(&server, &mut random).unwrap_or(0),
            1..6 => {
                let body = with_other_fields(&mut random);
                let answer = server.send(&body, None);
                assert!(answer.status < 500, "{}: {}", String::from_utf8_lossy(&body), answer.text);
                answer.status
            }
            _ => server.send(&with_other_bytes(&mut random), None).status,
        };
        assert!(status < 500, "request {index}: {status}");
        *statuses.entry(status).or_default() += 1;
    }
    // Some changes are harmless; most are not.
    let refused: usize = statuses.iter().filter(|(status, _)| **status >= 400).map(|(_, count)| count).sum();
    assert!(refused > 600, "{statuses:?}");
    server.get("/health").success();
    server.chat(&valid()).success();
    server.wait_for("scruple_num_requests_waiting", 0.0);
}
