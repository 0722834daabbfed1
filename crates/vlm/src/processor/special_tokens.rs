//! Special tokens in untrusted input that a template may render: they would forge a turn or an image.

use serde_json::Value;

use crate::chat_template::Variables;
use crate::error::Error;
use crate::tokenizer::Tokenizer;

/// Keys of a message whose values point to an image or video and are not rendered.
const POINTERS: &[&str] = &["image", "image_url", "video", "video_url", "url", "path"];

/// Refuses special tokens in messages.
///
/// Errors: `Input` naming the message and the token.
pub(super) fn refuse_in_messages(tokenizer: &Tokenizer, messages: &Value) -> Result<(), Error> {
    for (index, message) in messages.as_array().into_iter().flatten().enumerate() {
        for text in rendered_texts(message, POINTERS) {
            tokenizer.refuse_special_tokens(&text, &format!("message {}", index + 1))?;
        }
    }
    Ok(())
}

/// Refuses special tokens in a template's variables.
///
/// Errors: `Variable` naming the variable and the token.
pub(super) fn refuse_in_variables(tokenizer: &Tokenizer, variables: &Variables) -> Result<(), Error> {
    for (name, value) in variables {
        let texts = rendered_texts(value, &[]);
        if let Some(problem) = texts.iter().find_map(|text| tokenizer.forgery(text)) {
            let name = name.clone();
            return Err(Error::Variable { name, problem });
        }
    }
    Ok(())
}

/// The strings of a value that a template may render, except those under the keys `skipped`. Text parts that follow
/// each other are joined, since a token may be split between them.
fn rendered_texts(value: &Value, skipped: &[&str]) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(parts) => {
            let mut texts: Vec<String> = parts.iter().flat_map(|part| rendered_texts(part, skipped)).collect();
            for run in parts.chunk_by(|left, right| left.get("text").is_some() && right.get("text").is_some()) {
                texts.push(run.iter().filter_map(|part| part.get("text")?.as_str()).collect());
            }
            texts
        }
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| !skipped.contains(&key.as_str()))
            .flat_map(|(key, value)| std::iter::once(key.clone()).chain(rendered_texts(value, skipped)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}
