//! Answers that are held to a format, sampled at a temperature at which the model would never keep to it by itself.

use serde_json::{Value, json};

use crate::client::{Server, request};

fn texts(server: &Server, more: &Value) -> Vec<String> {
    let mut body =
        request(&json!("What is a kettle?"), &json!({ "n": 6, "seed": 3, "temperature": 1.5, "max_tokens": 400 }));
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    let answer = server.chat(&body).success();
    let mut texts = Vec::new();
    for choice in answer["choices"].as_array().unwrap() {
        assert_eq!(choice["finish_reason"], "stop", "{choice}");
        texts.push(choice["message"]["content"].as_str().unwrap().to_owned());
    }
    texts
}

#[test]
fn json_satisfies_its_schema() {
    let server = Server::start(&[]);
    let schema = json!({
        "type": "object",
        "properties": {
            "verdict": { "enum": ["safe", "unsafe"] },
            "score": { "type": "integer", "minimum": 0, "maximum": 10 },
            "certain": { "type": "boolean" },
            "reasons": { "type": "array", "items": { "$ref": "#/$defs/reason" }, "maxItems": 3 },
        },
        "required": ["verdict", "score", "certain", "reasons"],
        "additionalProperties": false,
        "$defs": { "reason": { "type": "string", "maxLength": 12 } },
    });
    let openai =
        json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "v", "schema": schema } } });
    let vllm = json!({ "structured_outputs": { "json": schema } });
    let answers = texts(&server, &openai);
    assert_eq!(answers, texts(&server, &vllm));
    assert_ne!(answers[0], answers[1], "completions of a request differ");
    for text in answers {
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let object = value.as_object().unwrap();
        assert_eq!(object.len(), 4, "{text}");
        assert!(["safe", "unsafe"].contains(&object["verdict"].as_str().unwrap()));
        assert!(object["score"].as_u64().unwrap() <= 10 && object["certain"].is_boolean(), "{text}");
        let reasons = object["reasons"].as_array().unwrap();
        assert!(reasons.len() <= 3 && reasons.iter().all(|reason| reason.as_str().unwrap().chars().count() <= 12));
    }
}

#[test]
fn choices_and_expressions_are_kept_to() {
    let server = Server::start(&[]);
    let choice = texts(&server, &json!({ "structured_outputs": { "choice": ["yes", "no \"really\"", "maybe"] } }));
    assert!(choice.iter().all(|text| ["yes", "no \"really\"", "maybe"].contains(&text.as_str())), "{choice:?}");
    for text in texts(&server, &json!({ "structured_outputs": { "regex": "[a-c]{2,5}-[0-9]{3}" } })) {
        let (letters, digits) = text.split_once('-').unwrap();
        assert!((2..=5).contains(&letters.len()) && letters.chars().all(|letter| ('a'..='c').contains(&letter)));
        assert!(digits.len() == 3 && digits.chars().all(|digit| digit.is_ascii_digit()), "{text}");
    }
    // JSON of any kind may never end, so that only those that end are looked at.
    let body = request(
        &json!("What is a kettle?"),
        &json!({ "n": 6, "seed": 1, "max_tokens": 100, "response_format": { "type": "json_object" } }),
    );
    for choice in server.chat(&body).success()["choices"].as_array().unwrap() {
        let text = choice["message"]["content"].as_str().unwrap();
        assert!(text.starts_with('{'), "{text}");
        if choice["finish_reason"] == "stop" {
            assert!(serde_json::from_str::<Value>(text).unwrap().is_object(), "{text}");
        }
    }
}

#[test]
fn what_no_grammar_can_be_made_of_is_refused() {
    let server = Server::start(&[]);
    for (format, code, start) in [
        (of_schema(&json!({ "type": "nonsense" })), "unsupported_format", "`response_format`: "),
        (of_schema(&json!({ "$ref": "https://example.org/schema.json" })), "unsupported_format", "`response_format`: "),
        (json!({ "structured_outputs": { "regex": "(" } }), "unsupported_format", "`structured_outputs`: "),
        (
            of_schema(&json!(7)),
            "invalid_value",
            "`response_format.json_schema.schema`: expected a JSON schema, which is an object, got 7",
        ),
        (
            json!({ "response_format": { "type": "xml" } }),
            "invalid_value",
            "`response_format.type`: expected \"text\", \"json_object\" or \"json_schema\", got \"xml\"",
        ),
        (
            json!({ "structured_outputs": { "json": {}, "regex": "a" } }),
            "invalid_value",
            "`structured_outputs`: expected one of `json`, `regex` and `choice`",
        ),
        (
            json!({ "response_format": { "type": "json_object" }, "ignore_eos": true }),
            "invalid_value",
            "`ignore_eos`: expected false",
        ),
    ] {
        let message = server.chat(&request(&json!("Hello"), &format)).refusal(400, code);
        assert!(message.starts_with(start), "{format}: {message}");
    }
}

fn of_schema(schema: &Value) -> Value {
    json!({ "response_format": { "type": "json_schema", "json_schema": { "schema": schema } } })
}
