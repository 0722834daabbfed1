//! What a template takes as the content of a message: a string, a list of parts, or either.
//!
//! Hugging Face's functions pass on what they are given, so that it is the caller's to know; vLLM finds out from the
//! template's loops (`--chat-template-content-format`). Here the template is tried: words that a message says in one
//! form or the other are looked for in what it renders. Where it takes strings, messages of words alone are strings.

use serde_json::{Value as Json, json};

use crate::error::Error;

/// Roles whose messages a template may treat each in its own way; all others are taken as the user's.
const ROLES: [&str; 3] = ["system", "user", "assistant"];

/// What is looked for: digits have no case, and no template says them.
const PROBE: &str = "8417263509";

/// The forms of content that a template renders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Parts,
    Either,
    /// The words are in neither rendering.
    Unknown,
}

/// The forms of content that a template takes for each role.
#[derive(Clone, Debug)]
pub(super) struct ContentFormats([Format; 3]);

impl ContentFormats {
    /// Finds out with a function that renders messages.
    pub(super) fn find(render: impl Fn(&Json) -> Option<String>) -> Self {
        Self(ROLES.map(|role| {
            let shows = |as_parts| {
                let rendered = render(&dialogue(role, as_parts)).unwrap_or_default();
                // A list that is printed as text contains the words too.
                rendered.contains(PROBE) && !["'text': '", "\"text\": \""].iter().any(|raw| rendered.contains(raw))
            };
            match (shows(false), shows(true)) {
                (true, true) => Format::Either,
                (true, false) => Format::Text,
                (false, true) => Format::Parts,
                (false, false) => Format::Unknown,
            }
        }))
    }

    /// Messages in the form that the template takes.
    ///
    /// Errors: `Input` naming a message with images where the template takes words alone.
    pub(super) fn fit(&self, messages: &Json) -> Result<Json, Error> {
        let Some(messages) = messages.as_array() else { return Ok(messages.clone()) };
        let fitted = messages.iter().enumerate().map(|(index, message)| {
            let mut message = message.clone();
            let format = self.of_role(&message["role"]);
            if let Some(content) = message.get_mut("content") {
                fit_content(content, format).map_err(|got| {
                    Error::Input(format!(
                        "message {}: expected words alone, since the chat template takes content as text, got {got} \
                         (hint: use the chat template of the model's processor, which goes through the parts)",
                        index + 1
                    ))
                })?;
            }
            Ok(message)
        });
        fitted.collect()
    }

    fn of_role(&self, role: &Json) -> Format {
        let place = ROLES.iter().position(|known| role.as_str() == Some(known));
        self.0[place.unwrap_or(1)]
    }
}

/// A dialogue in which a role says the words.
fn dialogue(role: &str, as_parts: bool) -> Json {
    let message = |speaker: &str| {
        let words = if speaker == role { PROBE } else { "0" };
        let content = if as_parts { json!([{ "type": "text", "text": words }]) } else { json!(words) };
        json!({ "role": speaker, "content": content })
    };
    match role {
        "system" => json!([message("system"), message("user")]),
        "assistant" => json!([message("user"), message("assistant")]),
        _ => json!([message("user")]),
    }
}

/// Puts content into a form; the error is the type of a part that has none in it.
fn fit_content(content: &mut Json, format: Format) -> Result<(), String> {
    match (&*content, format) {
        (Json::String(words), Format::Parts) => *content = json!([{ "type": "text", "text": words }]),
        (Json::Array(parts), Format::Text | Format::Either | Format::Unknown) => {
            let words: Option<Vec<&str>> = parts.iter().map(words_of).collect();
            match words.as_deref() {
                Some([words]) => *content = json!(words),
                // As vLLM joins the parts for templates that take strings.
                Some(words) if format == Format::Text => *content = json!(words.join("\n")),
                None if format == Format::Text => {
                    let other = parts.iter().find(|part| words_of(part).is_none());
                    let kind = other.and_then(|part| part.get("type")?.as_str()).unwrap_or("part");
                    return Err(format!("a part of type `{kind}`"));
                }
                _ => {}
            }
        }
        _ => {}
    }
    Ok(())
}

/// The words of a part that has nothing else.
fn words_of(part: &Json) -> Option<&str> {
    if part.get("type").is_some_and(|kind| kind != "text") { None } else { part.get("text")?.as_str() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::chat_template::{ChatTemplate, Variables};

    fn render(source: &str, messages: &Json) -> Result<String, String> {
        let template = ChatTemplate::from_source(source, Path::new("t.jinja")).unwrap();
        template.render(messages, &Variables::new(), false).map_err(|error| error.to_string())
    }

    #[test]
    fn content_has_the_form_that_the_template_takes() {
        let prints = "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}";
        let iterates = "{% for m in messages %}{% for part in m['content'] %}{% if part.type == 'image' %}<i>\
                        {% else %}{{ part.text }}{% endif %}{% endfor %};{% endfor %}";
        let maps = "{% for m in messages %}{{ m.content | map(attribute='text') | join }};{% endfor %}";
        let indexes = "{% for m in messages %}{{ m.content[0].text }};{% endfor %}";
        let asks = "{% for m in messages %}{% if m.content is string %}s {{ m.content }}{% else %}l{% for p in m.content \
                    %} {{ p.text or '<i>' }}{% endfor %}{% endif %};{% endfor %}";
        // System messages are strings to it, the user's are lists.
        let mixed = "{% for m in messages %}{% if m.role == 'system' %}{{ m.content.strip() }}{% else %}{% for p in \
                     m.content %}{{ p.text }}{% endfor %}{% endif %};{% endfor %}";
        let text = |words: &str| json!({ "type": "text", "text": words });
        let image = json!({ "type": "image", "image": "a.png" });
        let message = |role: &str, content: Json| json!({ "role": role, "content": content });
        let one = json!([message("user", json!([text("It's")]))]);
        let as_string = json!([message("user", json!("It's"))]);
        let two = json!([message("user", json!([text("a"), text("b")]))]);
        let with_image = json!([message("user", json!([image, text("b")]))]);
        let with_system = json!([message("system", json!([text("S")])), message("user", json!([text("u")]))]);
        for (template, messages, expected) in [
            (prints, &one, "user:It's;"),
            (prints, &as_string, "user:It's;"),
            (prints, &two, "user:a\nb;"),
            (iterates, &one, "It's;"),
            (iterates, &as_string, "It's;"),
            (iterates, &two, "ab;"),
            (iterates, &with_image, "<i>b;"),
            (maps, &as_string, "It's;"),
            (indexes, &one, "It's;"),
            (asks, &one, "s It's;"),
            (asks, &as_string, "s It's;"),
            (asks, &two, "l a b;"),
            (asks, &with_image, "l <i> b;"),
            (mixed, &with_system, "S;u;"),
        ] {
            assert_eq!(render(template, messages).as_deref(), Ok(expected), "{template} {messages}");
        }
        let refused = render(prints, &with_image).unwrap_err();
        assert!(refused.starts_with("message 1: expected words alone") && refused.contains("`image`"), "{refused}");
    }
}
