//! What is answered, and that it is the same by whichever way and in whatever company it is asked for.

use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

use crate::client::{Server, data_url, image_part, images, model, request};

/// A question about two images, by paths and a data URL.
fn question() -> Value {
    let second = fs_err::read(images().join("c.png")).unwrap();
    let text = "What happens if I put the object in the first image into the object in the second image?";
    json!([image_part("a.png"), image_part(&data_url(&second)), { "type": "text", "text": text }])
}

fn with_images() -> Server {
    Server::start(&["--allowed-local-media-path", images().to_str().unwrap()])
}

/// The text, the entries of log-probabilities and the end of each completion, put together from a stream's events.
fn assembled(events: &[String], n: usize) -> Vec<(String, Vec<Value>, String)> {
    let mut wholes = vec![(String::new(), Vec::new(), String::new()); n];
    let mut begun = vec![false; n];
    for event in events {
        let chunk: Value = serde_json::from_str(event).unwrap();
        assert_eq!(chunk["object"], "chat.completion.chunk");
        for choice in chunk["choices"].as_array().unwrap() {
            let index = choice["index"].as_u64().unwrap() as usize;
            let is_first = !std::mem::replace(&mut begun[index], true);
            assert_eq!(choice["delta"].get("role").is_some(), is_first, "{chunk}");
            let (text, logprobs, end) = &mut wholes[index];
            assert!(end.is_empty(), "nothing follows the end: {chunk}");
            text.push_str(choice["delta"]["content"].as_str().unwrap());
            logprobs.extend(choice["logprobs"]["content"].as_array().unwrap().iter().cloned());
            end.push_str(choice["finish_reason"].as_str().unwrap_or_default());
        }
    }
    wholes
}

#[test]
fn an_answer_has_openai_s_shape_and_a_stream_says_the_same() {
    let server = with_images();
    let more = json!({
        "model": "mini", "n": 3, "seed": 5, "temperature": 1, "max_tokens": 48, "logprobs": true, "top_logprobs": 2,
        "user": "someone",
    });
    let mut body = request(&question(), &more);
    let answer = server.chat(&body).success();
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("mini")));
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 3);
    let mut n_tokens = 0;
    for (index, choice) in choices.iter().enumerate() {
        assert_eq!((&choice["index"], &choice["message"]["role"]), (&json!(index), &json!("assistant")));
        let entries = choice["logprobs"]["content"].as_array().unwrap();
        n_tokens += entries.len();
        for entry in entries {
            let top = entry["top_logprobs"].as_array().unwrap();
            assert!(top.len() == 2 && top[0]["logprob"].as_f64() >= entry["logprob"].as_f64(), "{entry}");
        }
        let mut said: Vec<u8> = Vec::new();
        for entry in entries {
            let bytes = entry["bytes"].as_array().unwrap();
            said.extend(bytes.iter().map(|byte| byte.as_u64().unwrap() as u8));
        }
        let said = String::from_utf8(said).unwrap();
        assert_eq!(said.trim_end_matches("<|im_end|>"), choice["message"]["content"].as_str().unwrap());
    }
    let usage = &answer["usage"];
    assert_eq!(usage["completion_tokens"], n_tokens);
    assert!(usage["prompt_tokens"].as_u64().unwrap() > 30, "images count: {usage}");

    body["stream_options"] = json!({ "include_usage": true });
    let mut events: Vec<String> = server.stream(&body).collect();
    assert_eq!(events.pop().as_deref(), Some("[DONE]"));
    let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), usage));
    assert!(events.len() > 30, "{} events", events.len());
    for (choice, (text, logprobs, end)) in choices.iter().zip(assembled(&events, 3)) {
        assert_eq!(choice["message"]["content"], text);
        assert_eq!(choice["logprobs"]["content"], Value::Array(logprobs));
        assert_eq!(choice["finish_reason"], end);
    }
}

/// Runs a command on a data file of one dialogue; returns the lines it writes.
fn lines_of(command: &str, model: &Path, messages: &Value, more: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data.jsonl"), folder.path().join("out.jsonl"));
    fs_err::write(&data, json!({ "id": "1", "messages": messages }).to_string()).unwrap();
    let mut scruple = Command::cargo_bin("scruple").unwrap();
    scruple.arg(command).arg("--model").arg(model).arg("--data").arg(&data).arg("--out").arg(&out);
    scruple.args(more).assert().success();
    let text = fs_err::read_to_string(&out).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn tokens_are_those_of_generate_and_log_probabilities_those_of_score() {
    let server = with_images();
    let more = json!({
        "n": 4, "seed": 11, "temperature": 1, "max_tokens": 40, "logprobs": true, "return_token_ids": true,
    });
    let answer = server.chat(&request(&question(), &more)).success();
    let [first, second] = ["a.png", "c.png"].map(|name| json!({ "type": "image", "image": images().join(name) }));
    let user = json!({ "role": "user", "content": [first, second, question()[2]] });
    let sampling = ["--temperature", "1", "--num-samples", "4", "--seed", "11", "--max-new-tokens", "40"];
    let generated = lines_of("generate", &model(), &json!([user]), &sampling);
    assert_eq!(generated.len(), 4);
    assert_eq!(answer["usage"]["prompt_tokens"], generated[0]["prompt_ids"].as_array().unwrap().len());
    let mut n_compared = 0;
    for (choice, line) in answer["choices"].as_array().unwrap().iter().zip(&generated) {
        assert_eq!(choice["token_ids"], line["output_ids"]);
        assert_eq!(choice["message"]["content"], line["text"]);
        assert_eq!(choice["finish_reason"], line["finish_reason"]);
        let reply = json!({ "role": "assistant", "content": line["text"] });
        let scored = &lines_of("score", &model(), &json!([user, reply]), &[])[0];
        let prompt_length = line["prompt_ids"].as_array().unwrap().len();
        let entries = choice["logprobs"]["content"].as_array().unwrap();
        for (index, entry) in entries.iter().enumerate() {
            // A text may be tokenized in another way than it was sampled.
            if scored["input_ids"][prompt_length + index] != line["output_ids"][index] {
                break;
            }
            let expected = scored["logprobs"][prompt_length + index].as_f64().unwrap();
            let off = (entry["logprob"].as_f64().unwrap() - expected).abs();
            assert!(off < 1e-4, "token {index}: expected {expected}, got {entry}");
            n_compared += 1;
        }
    }
    assert!(n_compared > 20, "{n_compared} tokens compared");
}

#[test]
fn a_chunked_prefill_is_answered_like_a_whole_one() {
    let server = Server::start(&["--max-num-batched-tokens", "16"]);
    // Some 1,500 tokens: three chunks.
    let words = "Is the red kettle beside the oven safe for the small cat that sleeps under the table? ".repeat(60);
    let question = json!(words);
    let more = json!({ "n": 2, "seed": 4, "temperature": 1, "max_tokens": 30, "return_token_ids": true });
    let answer = server.chat(&request(&question, &more)).success();
    let n_prompt = answer["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!((1100..4000).contains(&n_prompt), "{n_prompt}");
    let sampling = ["--temperature", "1", "--num-samples", "2", "--seed", "4", "--max-new-tokens", "30"];
    let user = json!({ "role": "user", "content": [{ "type": "text", "text": words }] });
    let generated = lines_of("generate", &model(), &json!([user]), &sampling);
    for (choice, line) in answer["choices"].as_array().unwrap().iter().zip(&generated) {
        assert_eq!(choice["token_ids"], line["output_ids"]);
    }
}

#[test]
fn every_family_is_served_and_so_is_an_adapter() {
    let fixtures = images().join("../..");
    let content = json!([image_part("a.png"), { "type": "text", "text": "Hi" }]);
    let greedy = json!({ "temperature": 0, "max_tokens": 12, "ignore_eos": true, "return_token_ids": true });
    let form = json!({ "structured_outputs": { "json": { "enum": [12, "ab", true] } } });
    let adapter = fixtures.join("qwen2_5_vl/adapter").display().to_string();
    let with_adapter = ["--adapter", &adapter];
    let plain: &[&str] = &[];
    let mut answers = Vec::new();
    for (family, adapter) in [
        ("qwen2_5_vl", plain),
        ("qwen2_5_vl", &with_adapter),
        ("qwen2_vl", plain),
        ("internvl2_5", plain),
        ("internvl", plain),
    ] {
        let folder = fixtures.join(family);
        let images = folder.join("images");
        let root = ["--allowed-local-media-path", images.to_str().unwrap()];
        let server = Server::of(&folder.join("model"), &[&root[..], adapter].concat());
        let choice = server.first_choice(&request(&content, &greedy));
        let shown = json!({ "type": "image", "image": images.join("a.png") });
        let user = json!({ "role": "user", "content": [shown, { "type": "text", "text": "Hi" }] });
        let sampling = ["--temperature", "0", "--max-new-tokens", "12", "sampling.ignore_eos=true"];
        let generated = lines_of("generate", &folder.join("model"), &json!([user]), &[&sampling[..], adapter].concat());
        assert_eq!(choice["token_ids"], generated[0]["output_ids"], "{family} {adapter:?}");
        let value = server.first_choice(&request(&content, &form))["message"]["content"].clone();
        assert!(["12", "\"ab\"", "true"].contains(&value.as_str().unwrap()), "{family}: {value}");
        answers.push(choice["token_ids"].clone());
    }
    assert_ne!(answers[0], answers[1], "the adapter changes the answer");
}

/// The completions that one of many clients gets.
fn answers_to(server: &Server, client: usize) -> Value {
    let content = json!(format!("What is a kettle? {}", "Tell me more. ".repeat(client % 5)));
    let more = json!({ "seed": client, "n": 1 + client % 2, "max_tokens": 10 + 3 * client, "temperature": 1 });
    server.chat(&request(&content, &more)).success()["choices"].clone()
}

#[test]
fn the_same_seed_gives_the_same_answer_alone_and_beside_others() {
    let server = Server::start(&["--max-num-seqs", "12"]);
    let alone: Vec<Value> = (0..16).map(|client| answers_to(&server, client)).collect();
    let together: Vec<Value> = std::thread::scope(|scope| {
        let server = &server;
        let clients: Vec<_> = (0..16).map(|client| scope.spawn(move || answers_to(server, client))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(alone, together);
    assert_ne!(alone[1], alone[6], "seeds differ");
    server.wait_for("scruple_num_requests_running", 0.0);
}

/// The first completion's tokens.
fn tokens(server: &Server, more: &Value) -> Vec<u64> {
    let mut body = request(
        &json!("What is a kettle?"),
        &json!({ "temperature": 0, "max_tokens": 24, "ignore_eos": true, "return_token_ids": true }),
    );
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    let choice = server.chat(&body).success()["choices"][0].clone();
    choice["token_ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect()
}

#[test]
fn vllm_s_sampling_fields_do_what_they_say() {
    let server = Server::start(&[]);
    let greedy = tokens(&server, &json!({}));
    assert_eq!(greedy.len(), 24);
    for cut in [json!({ "top_k": 1 }), json!({ "min_p": 1 })] {
        let mut cut = cut;
        cut["temperature"] = json!(5);
        assert_eq!(tokens(&server, &cut), greedy, "{cut}");
    }
    let neutral = json!({
        "temperature": 1, "seed": 6, "top_k": -1, "min_p": 0, "repetition_penalty": 1.0, "logit_bias": {}, "tools": [],
        "frequency_penalty": 0, "presence_penalty": 0, "min_tokens": 0, "stop_token_ids": [], "skip_special_tokens": true,
    });
    assert_eq!(tokens(&server, &neutral), tokens(&server, &json!({ "temperature": 1, "seed": 6 })));

    let (stop, before) = (greedy[5], greedy.iter().position(|token| *token == greedy[5]).unwrap());
    assert_eq!(tokens(&server, &json!({ "stop_token_ids": [stop] })), greedy[..=before]);
    let later = tokens(&server, &json!({ "stop_token_ids": [stop], "min_tokens": 20 }));
    assert!(later.len() > 20 && !later[..20].contains(&stop), "{later:?}");
    let end = tokens(&server, &json!({ "ignore_eos": false }));
    let least = tokens(&server, &json!({ "ignore_eos": false, "min_tokens": end.len() }));
    assert!(least.len() > end.len() && least[..end.len() - 1] == end[..end.len() - 1], "{end:?} {least:?}");

    let banned = tokens(&server, &json!({ "logit_bias": { greedy[0].to_string(): -100 } }));
    assert!(!banned.contains(&greedy[0]), "{banned:?}");
    let forced = tokens(&server, &json!({ "logit_bias": { "7": 100 } }));
    assert_eq!(forced, [7; 24]);
    let penalties = json!({ "frequency_penalty": 2, "presence_penalty": 2, "repetition_penalty": 100 });
    let mut penalized = penalties;
    penalized["logit_bias"] = json!({ "7": 100 });
    let penalized = tokens(&server, &penalized);
    assert_eq!(penalized[0], 7);
    assert_ne!(penalized, forced);
}

/// The text of a greedy answer, and the length of its prompt.
fn greedy_answer(server: &Server, messages: &Value) -> (Value, Value) {
    let answer = server.chat(&json!({ "messages": messages, "temperature": 0, "max_tokens": 16 })).success();
    (answer["choices"][0]["message"]["content"].clone(), answer["usage"]["prompt_tokens"].clone())
}

#[test]
fn messages_and_images_are_taken_as_other_servers_take_them() {
    let server = Server::start(&[]);
    let bytes = fs_err::read(images().join("a.png")).unwrap();
    let url = data_url(&bytes);
    let text = "What is this?";
    let plain = json!([image_part(&url), { "type": "text", "text": text }]);
    let expected = greedy_answer(&server, &json!([{ "role": "user", "content": plain }]));
    let data = url.split_once(',').unwrap().1;
    let lines: Vec<String> =
        data.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    for url in [
        format!("data:;base64,{data}"),
        format!("DATA:application/octet-stream;base64,{}", lines.join("\r\n")),
        format!("data:text/plain;base64,{}", data.replace('+', "-").replace('/', "_").replace('=', "")),
        format!("data:image/jpeg;base64,{}", data.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")),
    ] {
        let part = json!({ "type": "image_url", "image_url": url, "uuid": "1", "cache_control": {} });
        let messages = json!([{ "role": "user", "content": [part, text] }]);
        assert_eq!(greedy_answer(&server, &messages), expected, "{}", &url[..40]);
    }
    let sized = json!({ "type": "image_url", "image_url": { "url": url, "resized_height": 56 }, "resized_width": 56 });
    let (_, n_tokens) = greedy_answer(&server, &json!([{ "role": "user", "content": [sized, text] }]));
    assert!(n_tokens.as_u64() < expected.1.as_u64(), "{n_tokens} tokens, without a size {}", expected.1);
    let [after_null, after_nothing] = [json!(null), json!("")].map(|content| {
        let messages = json!([
            { "role": "user", "content": "Hi" }, { "role": "assistant", "content": content, "tool_calls": [] },
            { "role": "user", "content": plain }, { "role": "system", "content": "Be brief." },
        ]);
        greedy_answer(&server, &messages)
    });
    assert_eq!(after_null, after_nothing);
    let called = json!([{ "role": "user", "content": "Hi", "tool_calls": [{ "id": "1" }] }]);
    server.chat(&json!({ "messages": called })).refusal(400, "unsupported");
}

#[test]
fn completions_end_at_stop_strings_and_at_the_limit() {
    let server = Server::start(&[]);
    let question = json!("What is a kettle?");
    let whole = server.first_choice(&request(&question, &json!({ "temperature": 0 })));
    let text = whole["message"]["content"].as_str().unwrap();
    assert_eq!(whole["finish_reason"], "stop");
    let middle = &text[text.len() / 2..text.len() / 2 + 4];
    let expected = &text[..text.find(middle).unwrap()];
    let stops = json!({ "temperature": 0, "stop": ["never said", middle] });
    let stopped = server.first_choice(&request(&question, &stops));
    assert_eq!((&stopped["message"]["content"], &stopped["finish_reason"]), (&json!(expected), &json!("stop")));

    let truncated = server.first_choice(&request(&question, &json!({ "temperature": 0, "max_tokens": 3 })));
    assert_eq!(truncated["finish_reason"], "length");
    assert!(text.starts_with(truncated["message"]["content"].as_str().unwrap()));
    let endless = json!({ "temperature": 0, "max_tokens": 90, "ignore_eos": true, "return_token_ids": true });
    let endless = server.first_choice(&request(&question, &endless));
    assert_eq!(endless["token_ids"].as_array().unwrap().len(), 90);
}

#[test]
fn the_other_addresses_answer() {
    let server = Server::start(&[]);
    let card = server.get("/v1/models").success()["data"][0].clone();
    assert_eq!((&card["id"], &card["object"]), (&json!("mini"), &json!("model")));
    assert_eq!(server.get("/v1/models/mini").success(), card);
    assert_eq!(
        server.get("/v1/models/other/one").refusal(404, "model_not_found"),
        "`model`: expected `mini`, got `other/one`"
    );
    assert_eq!(server.get("/v1/nothing").refusal(404, "not_found"), "no such address: /v1/nothing");
    let wrong = server.get("/v1/chat/completions").refusal(405, "method_not_allowed");
    assert_eq!(wrong, "/v1/chat/completions does not take GET");
    let unknown = server.chat(&request(&json!("Hello"), &json!({ "model": "other" })));
    unknown.refusal(404, "model_not_found");
    assert_eq!(server.get("/health").success(), json!({ "status": "ok" }));

    server.chat(&request(&json!("Hello"), &json!({ "max_tokens": 2, "ignore_eos": true }))).success();
    server.wait_for("scruple_generation_tokens_total", 2.0);
    server.wait_for("scruple_request_success_total{finished_reason=\"length\"}", 1.0);
    server.wait_for("scruple_request_failure_total{reason=\"model_not_found\"}", 2.0);
    server.wait_for("scruple_time_to_first_token_seconds_count", 1.0);
    assert!(server.metric("scruple_prompt_tokens_total") > 5.0);
}
