//! Bodies on the wire, and the keys that name them.

use std::path::Path;

use align::types::{Detail, Message, Role};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::image_chunks::CHUNK_BYTES;
use crate::settings::{MaxTokensName, Parameter};

fn request(image: &Path) -> ChatRequest {
    let image = Part::image(image);
    let text = Part::Text { text: "What \"is\" it?\n".to_owned() };
    ChatRequest {
        id: "a".to_owned(),
        messages: vec![
            Message::text(Role::System, "Be brief."),
            Message { role: Role::User, content: vec![image.clone(), image, text] },
        ],
        params: ChatParams { max_tokens: 8, seed: 3, ..ChatParams::default() },
    }
}

fn settings() -> RoleSettings {
    RoleSettings { model: "m".to_owned(), ..RoleSettings::default() }
}

#[test]
fn images_of_any_size_are_whole_on_the_wire() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    for size in [10, CHUNK_BYTES as usize, CHUNK_BYTES as usize + 1, 3 * CHUNK_BYTES as usize - 1] {
        let mut image = b"\x89PNG".to_vec();
        image.extend((0..size).map(|byte| byte as u8));
        fs_err::write(&path, &image).unwrap();
        let body = WireBody::chat(&request(&path), &settings()).unwrap();
        let length = body.length().unwrap();
        let chunks: Vec<Bytes> = body.into_stream().map(Result::unwrap).collect();
        let bytes = chunks.concat();
        assert_eq!(length, bytes.len() as u64);
        let sent: Value = serde_json::from_slice(&bytes).unwrap();
        let url = format!("data:image/png;base64,{}", STANDARD.encode(&image));
        let part = json!({ "type": "image_url", "image_url": { "url": url } });
        assert_eq!(
            sent["messages"][1]["content"],
            json!([part, part, { "type": "text", "text": "What \"is\" it?\n" }])
        );
        assert_eq!((sent["model"].as_str(), sent["seed"].as_u64()), (Some("m"), Some(3)));
    }
}

#[test]
fn a_key_follows_from_content_and_not_from_paths() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a.png", "b.png", "c.png"].map(|name| folder.path().join(name));
    for (path, content) in paths.iter().zip(["\u{89}PNG1", "\u{89}PNG1", "\u{89}PNG2"]) {
        let bytes: Vec<u8> = content.chars().map(|letter| letter as u8).collect();
        fs_err::write(path, bytes).unwrap();
    }
    let mut hashes = ImageHashes::default();
    let mut key = |path: &Path, url: &str, role: &str, weights: &str| {
        let at = RoleSettings { url: url.to_owned(), ..settings() };
        let body = WireBody::chat(&request(path), &at).unwrap();
        body.key(role, weights, &mut hashes).unwrap()
    };
    let first = key(&paths[0], "http://a/v1", "judge", "");
    assert_eq!(first, key(&paths[1], "http://a/v1", "judge", ""));
    assert_ne!(first, key(&paths[2], "http://a/v1", "judge", ""));
    assert_eq!(first, key(&paths[0], "http://b/v1", "judge", ""), "a model may move");
    assert_ne!(first, key(&paths[0], "http://a/v1", "writer", ""));
    assert_ne!(first, key(&paths[0], "http://a/v1", "judge", "weights"));
}

#[test]
fn detail_is_sent_and_sizes_tell_requests_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    fs_err::write(&path, b"\x89PNG").unwrap();
    let mut hashes = ImageHashes::default();
    let mut sent = |options: ImageOptions| {
        let mut request = request(&path);
        request.messages[1].content[1] = Part::Image { image: path.clone(), options };
        let body = WireBody::chat(&request, &settings()).unwrap();
        let key = body.key("judge", "", &mut hashes).unwrap();
        let bytes = body.clone().into_stream().map(Result::unwrap).collect::<Vec<Bytes>>().concat();
        assert_eq!(body.length().unwrap(), bytes.len() as u64);
        (key, serde_json::from_slice::<Value>(&bytes).unwrap()["messages"][1]["content"].clone())
    };
    let plain = sent(ImageOptions::default());
    let detailed = sent(ImageOptions { detail: Some(Detail::Low), ..ImageOptions::default() });
    assert_eq!(detailed.1[1]["image_url"]["detail"], "low");
    assert_eq!((&detailed.1[0], &detailed.1[2]), (&plain.1[0], &plain.1[2]));
    let small = sent(ImageOptions { max_pixels: Some(5000), ..ImageOptions::default() });
    assert_eq!(small.1, plain.1);
    let smaller = sent(ImageOptions { max_pixels: Some(4000), ..ImageOptions::default() });
    let keys = [plain.0, detailed.0, small.0, smaller.0];
    assert!((1..4).all(|index| !keys[..index].contains(&keys[index])));
    // That of an answer which is in journals since before images had options.
    assert_eq!(hex::encode(plain.0), "741a408fd552f6a67f08fe074ea8ff6fe10825128a6d0c85e6bb2070e76b4ccd");
}

#[test]
fn what_is_not_sent_still_tells_requests_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    fs_err::write(&path, b"\x89PNG").unwrap();
    let settings = RoleSettings {
        omit: vec![Parameter::Seed, Parameter::Temperature],
        max_tokens_name: MaxTokensName::MaxCompletionTokens,
        ..settings()
    };
    let mut hashes = ImageHashes::default();
    let keys = [1, 2, 1].map(|seed| {
        let mut request = request(&path);
        request.params.seed = seed;
        let body = WireBody::chat(&request, &settings).unwrap();
        let key = body.key("judge", "", &mut hashes).unwrap();
        let bytes: Vec<Bytes> = body.into_stream().map(Result::unwrap).collect();
        let sent: Value = serde_json::from_slice(&bytes.concat()).unwrap();
        let mut names: Vec<&String> = sent.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["max_completion_tokens", "messages", "model"]);
        key
    });
    assert_eq!(keys[0], keys[2]);
    assert_ne!(keys[0], keys[1], "two seeds are two requests");
}

#[test]
fn a_nucleus_is_sent_where_there_is_one_and_token_ids_tell_requests_apart() {
    fn sent(request: &ChatRequest) -> Value {
        let body = WireBody::chat(request, &settings()).unwrap();
        let bytes: Vec<Bytes> = body.into_stream().map(Result::unwrap).collect();
        serde_json::from_slice(&bytes.concat()).unwrap()
    }

    fn key(request: &ChatRequest) -> Key {
        let body = WireBody::chat(request, &settings()).unwrap();
        body.key("policy", "", &mut ImageHashes::default()).unwrap()
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    fs_err::write(&path, b"\x89PNG").unwrap();
    let mut request = request(&path);
    let plain = key(&request);
    assert!(sent(&request)["top_p"].is_null() && sent(&request)["ignore_eos"].is_null());
    request.params.token_ids = true;
    assert_ne!(key(&request), plain);
    request.params.top_p = 0.9;
    request.params.ignore_eos = true;
    let sent = sent(&request);
    assert_eq!((sent["top_p"].as_f64(), sent["ignore_eos"].as_bool()), (Some(0.9), Some(true)));
    assert!(sent["token_ids"].is_null());
}
