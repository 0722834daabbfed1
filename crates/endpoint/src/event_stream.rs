//! Answers that come as an event stream though nobody asked for one: put together into the response that they stand for.

use serde_json::{Map, Value, json};

/// Fields of a message that grow from event to event.
const GROWING: [&str; 4] = ["content", "reasoning_content", "reasoning", "refusal"];
/// What the last event says.
const DONE: &str = "[DONE]";

/// Whether a response is an event stream, by its type or its beginning.
pub(crate) fn is_event_stream(content_type: &str, text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let is_named = content_type.trim_start().starts_with("text/event-stream");
    is_named || ["data:", "event:", ":"].into_iter().any(|field| text.starts_with(field))
}

/// The response that an event stream stands for.
///
/// Errors: what is wrong with the stream.
pub(crate) fn response(text: &str) -> Result<Value, String> {
    let mut whole = Whole::default();
    let mut data = String::new();
    // An empty line ends an event; one more, so that the last ends too.
    for line in text.trim_start_matches('\u{feff}').lines().chain([""]) {
        if let Some(more) = line.strip_prefix("data:") {
            data.push_str(more.trim_start());
            data.push('\n');
        } else if line.is_empty() && !data.is_empty() {
            whole.add(data.trim())?;
            data.clear();
        }
    }
    whole.conclude()
}

/// What is known of the response.
#[derive(Default)]
struct Whole {
    message: Map<String, Value>,
    finish_reason: Value,
    /// What stands beside the choices, such as usage or an error, and within a choice beside the message.
    rest: Map<String, Value>,
    error_of_choice: Value,
    has_choice: bool,
    is_done: bool,
}

impl Whole {
    fn add(&mut self, data: &str) -> Result<(), String> {
        if data == DONE {
            self.is_done = true;
            return Ok(());
        }
        let event: Value = serde_json::from_str(data).map_err(|_| "expected events of JSON".to_owned())?;
        for (name, value) in event.as_object().into_iter().flatten() {
            if name != "choices" && !value.is_null() {
                self.rest.insert(name.clone(), value.clone());
            }
        }
        let choices = event["choices"].as_array().into_iter().flatten();
        for choice in choices.filter(|choice| choice["index"].as_u64().unwrap_or(0) == 0) {
            self.has_choice = true;
            self.extend(&choice["delta"]);
            // Some say the whole message once more at the end.
            if let Value::Object(message) = &choice["message"] {
                self.message.clone_from(message);
            }
            for (known, value) in
                [(&mut self.finish_reason, &choice["finish_reason"]), (&mut self.error_of_choice, &choice["error"])]
            {
                if !value.is_null() && value != "" {
                    known.clone_from(value);
                }
            }
        }
        Ok(())
    }

    fn extend(&mut self, delta: &Value) {
        for (name, value) in delta.as_object().into_iter().flatten() {
            match (self.message.get_mut(name), value) {
                (_, Value::Null) => {}
                (Some(Value::String(known)), Value::String(more)) if GROWING.contains(&name.as_str()) => {
                    known.push_str(more);
                }
                (Some(Value::Array(known)), Value::Array(more)) => known.extend(more.iter().cloned()),
                _ => {
                    self.message.insert(name.clone(), value.clone());
                }
            }
        }
    }

    fn conclude(mut self) -> Result<Value, String> {
        if self.has_choice {
            let is_over = self.is_done || !self.finish_reason.is_null() || self.rest.contains_key("error");
            if !is_over && self.error_of_choice.is_null() {
                return Err("the event stream breaks off".to_owned());
            }
            let choice = json!({
                "message": self.message, "finish_reason": self.finish_reason, "error": self.error_of_choice,
            });
            self.rest.insert("choices".to_owned(), json!([choice]));
        }
        Ok(Value::Object(self.rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(delta: &Value, finish_reason: &Value) -> String {
        format!("data: {}\n\n", json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": finish_reason }] }))
    }

    #[test]
    fn events_make_a_response() {
        let text = [
            ": a comment\r\n\r\n".to_owned(),
            event(&json!({ "role": "assistant", "reasoning_content": "a " }), &Value::Null),
            event(&json!({ "reasoning_content": "b", "content": null }), &Value::Null),
            event(&json!({ "content": "one " }), &Value::Null),
            event(&json!({ "content": "two" }), &json!("length")),
            format!("data:{}\n\ndata: [DONE]\n\n", json!({ "choices": [], "usage": { "prompt_tokens": 3 } })),
        ];
        let whole = response(&text.concat()).unwrap();
        assert_eq!(whole["choices"][0]["message"]["content"], "one two");
        assert_eq!(whole["choices"][0]["message"]["reasoning_content"], "a b");
        assert_eq!(whole["choices"][0]["finish_reason"], "length");
        assert_eq!(whole["usage"]["prompt_tokens"], 3);
        assert!(response(&text[..4].concat()).unwrap_err().contains("breaks off"));
        assert!(response(&event(&json!({ "content": "one" }), &json!(""))).unwrap_err().contains("breaks off"));
        assert!(response(&format!("{}data: {{\"choi", text[3])).is_err());
        let failed = response(&format!("{}data: {{\"error\": {{\"message\": \"no\"}}}}", text[3])).unwrap();
        assert_eq!(failed["error"]["message"], "no");
        let message = json!({ "choices": [{ "message": { "content": "whole" }, "finish_reason": "stop" }] });
        assert_eq!(
            response(&format!("{}data: {message}", text[3])).unwrap()["choices"][0]["message"]["content"],
            "whole"
        );
    }

    #[test]
    fn streams_are_known_by_type_or_beginning() {
        for (kind, text, expected) in [
            ("text/event-stream; charset=utf-8", ": hm", true),
            ("application/json", "\n data: {}", true),
            ("application/json", ": hm\n\ndata: {}", true),
            ("", "event: message\ndata: {}", true),
            ("application/json", "{\"data\": 1}", false),
        ] {
            assert_eq!(is_event_stream(kind, text), expected, "{kind} {text}");
        }
    }
}
