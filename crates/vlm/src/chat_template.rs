//! A dialogue as the text a model was trained on: the folder's Jinja chat template, rendered.
//!
//! Templates are rendered as Hugging Face's `apply_chat_template` renders them, by [`jinja`]; `tools` and `documents` are
//! `None`, as there without any.

mod content;

use std::path::{Path, PathBuf};

use content::ContentFormats;
use jinja::{Template, Value};
use serde_json::Value as Json;

use crate::error::Error;
use crate::json_file::read_json;
use crate::stored_file::read_stored;
use crate::tokenizer::settings::{SPECIAL_KEYS, named_token};

/// Arguments of transformers' `apply_chat_template`, and `messages`, which is what templates call the first of them.
const ARGUMENTS: [&str; 16] = [
    "add_generation_prompt",
    "chat_template",
    "continue_final_message",
    "conversation",
    "documents",
    "max_length",
    "messages",
    "padding",
    "processor_kwargs",
    "return_assistant_tokens_mask",
    "return_dict",
    "return_tensors",
    "tokenize",
    "tokenizer_kwargs",
    "tools",
    "truncation",
];

/// Variables of a template beside the messages, by name (`enable_thinking`). Names that it does not read have no
/// effect.
pub type Variables = serde_json::Map<String, Json>;

/// Whether a name is not available for variables: templates have it anyway, or it controls their rendering.
pub fn is_reserved(name: &str) -> bool {
    ARGUMENTS.contains(&name) || SPECIAL_KEYS.contains(&name)
}

/// A compiled chat template.
pub struct ChatTemplate {
    path: PathBuf,
    source: String,
    template: Template,
    tokens: Vec<(String, Value)>,
    formats: ContentFormats,
}

impl ChatTemplate {
    /// Reads a folder's template: `chat_template.jinja`, else `chat_template.json`, else the one in
    /// `tokenizer_config.json` (of several, the one named `default`).
    ///
    /// Errors: `Io` for a file that cannot be read; `File` naming the file for a template that does not parse, or when
    /// there is none.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let tokenizer_config = folder.join("tokenizer_config.json");
        let config = read_json(&tokenizer_config)?.unwrap_or(Json::Null);
        let (path, source) = find_source(folder, &config)?.ok_or_else(|| {
            Error::file(
                folder,
                "expected a chat template in chat_template.jinja, chat_template.json or the key `chat_template` \
                      of tokenizer_config.json, got none",
            )
        })?;
        let tokens = special_tokens(&config).map_err(|error| Error::file(&tokenizer_config, describe(&error)))?;
        Self::new(&source, &path, tokens)
    }

    /// Compiles a template that came from `path`.
    ///
    /// Errors: `File` naming `path` and the line if the template does not parse.
    pub fn from_source(source: &str, path: &Path) -> Result<Self, Error> {
        Self::new(source, path, Vec::new())
    }

    fn new(source: &str, path: &Path, tokens: Vec<(String, Value)>) -> Result<Self, Error> {
        let template = Template::parse(source).map_err(|error| Error::file(path, describe(&error)))?;
        let formats = ContentFormats::find(|messages| {
            let variables = all_variables(messages, &Variables::new(), &tokens, true).ok()?;
            template.render(variables).ok()
        });
        Ok(Self { path: path.to_owned(), source: source.to_owned(), template, tokens, formats })
    }

    /// Its text, as it stands in the folder.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders a list of messages, and after them the opening of the assistant's turn with `add_generation_prompt`. The
    /// folder's tokens and the arguments take precedence over variables of the same name. Messages of words alone are
    /// strings to the template, unless it takes lists of parts only.
    ///
    /// Errors: `Input` with the template's own message if it refuses the messages, or if it fails on them; for images
    /// where it prints what it is given as text.
    pub fn render(&self, messages: &Json, variables: &Variables, add_generation_prompt: bool) -> Result<String, Error> {
        let messages = self.formats.fit(messages)?;
        all_variables(&messages, variables, &self.tokens, add_generation_prompt)
            .and_then(|variables| self.template.render(variables))
            .map_err(|error| Error::Input(format!("{}: {}", self.path.display(), describe(&error))))
    }
}

impl std::fmt::Debug for ChatTemplate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ChatTemplate").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The template's text and the file that contains it.
fn find_source(folder: &Path, tokenizer_config: &Json) -> Result<Option<(PathBuf, String)>, Error> {
    let path = folder.join("chat_template.jinja");
    if path.is_file() {
        let source = String::from_utf8(read_stored(&path)?)
            .map_err(|error| Error::file(&path, format!("expected UTF-8: {error}")))?;
        return Ok(Some((path, source)));
    }
    let path = folder.join("chat_template.json");
    if let Some(config) = read_json(&path)? {
        let source = default_source(&path, config.get("chat_template").unwrap_or(&Json::Null))?;
        return Ok(Some((path, source.to_owned())));
    }
    let path = folder.join("tokenizer_config.json");
    match tokenizer_config.get("chat_template") {
        None | Some(Json::Null) => Ok(None),
        Some(template) => {
            let source = default_source(&path, template)?.to_owned();
            Ok(Some((path, source)))
        }
    }
}

/// The template of a key `chat_template`: its text, or of several by name the one named `default`.
fn default_source<'a>(path: &Path, template: &'a Json) -> Result<&'a str, Error> {
    let (source, names) = match template {
        Json::Array(named) => {
            let name = |entry: &'a Json| entry.get("name").and_then(Json::as_str);
            let default = named.iter().find(|entry| name(entry) == Some("default"));
            (default.and_then(|entry| entry.get("template")), named.iter().filter_map(name).collect())
        }
        Json::Object(named) => (named.get("default"), named.keys().map(String::as_str).collect()),
        source => (Some(source), Vec::new()),
    };
    source.and_then(Json::as_str).ok_or_else(|| {
        let names: Vec<&str> = names;
        let got = if names.is_empty() { "no string".to_owned() } else { format!("those named {}", names.join(", ")) };
        Error::file(path, format!("key `chat_template`: expected a template, or one named default, got {got}"))
    })
}

/// The special tokens of a folder by the names that templates use: transformers' `special_tokens_map`.
fn special_tokens(config: &Json) -> jinja::Result<Vec<(String, Value)>> {
    let named = |config: &Json, key: &str| Some((key.to_owned(), Value::str(named_token(config, key)?)));
    let mut tokens: Vec<_> = SPECIAL_KEYS.iter().filter_map(|key| named(config, key)).collect();
    if let Some(extra) = config.get("extra_special_tokens").filter(|extra| extra.is_object()) {
        tokens.extend(extra.as_object().into_iter().flatten().filter_map(|(key, _)| named(extra, key)));
    }
    let additional = config.get("additional_special_tokens").and_then(Json::as_array).filter(|list| !list.is_empty());
    if let Some(additional) = additional {
        let texts: Vec<Json> = additional.iter().map(|token| token.get("content").unwrap_or(token).clone()).collect();
        tokens.push(("additional_special_tokens".to_owned(), Value::from_json(&Json::Array(texts))?));
    }
    Ok(tokens)
}

/// All that a template is given, the arguments after what they take precedence over.
fn all_variables(
    messages: &Json,
    variables: &Variables,
    tokens: &[(String, Value)],
    add_generation_prompt: bool,
) -> jinja::Result<Vec<(String, Value)>> {
    let arguments = [
        ("messages", Value::from_json(messages)?),
        ("tools", Value::None),
        ("documents", Value::None),
        ("add_generation_prompt", Value::Bool(add_generation_prompt)),
    ];
    let is_argument = |name: &str| arguments.iter().any(|argument| argument.0 == name);
    let is_token = |name: &str| tokens.iter().any(|token| token.0 == name);
    let mut all = Vec::new();
    for (name, value) in variables.iter().filter(|(name, _)| !is_argument(name) && !is_token(name)) {
        all.push((name.clone(), Value::from_json(value)?));
    }
    all.extend(tokens.iter().filter(|(name, _)| !is_argument(name)).cloned());
    all.extend(arguments.into_iter().map(|(name, value)| (name.to_owned(), value)));
    Ok(all)
}

/// The error and its line in the template.
fn describe(error: &jinja::Error) -> String {
    match error.line {
        0 => format!("chat template: {}", error.message),
        line => format!("chat template, line {line}: {}", error.message),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(source: &str, messages: &Json) -> Result<String, String> {
        render_with(source, messages, &json!({}))
    }

    fn render_with(source: &str, messages: &Json, variables: &Json) -> Result<String, String> {
        let template = ChatTemplate::from_source(source, Path::new("t.jinja")).map_err(|e| e.to_string())?;
        let variables = variables.as_object().unwrap();
        template.render(messages, variables, true).map_err(|error| error.to_string())
    }

    #[test]
    fn variables_reach_the_template_and_override_neither_messages_nor_arguments() {
        // As in Qwen3's template.
        let thinking = "{% if enable_thinking is defined and enable_thinking is false %}quick{% else %}slow{% endif %}";
        for (variables, expected) in [
            (json!({}), "slow"),
            (json!({ "enable_thinking": true, "nobody_reads_this": [1] }), "slow"),
            (json!({ "enable_thinking": null }), "slow"),
            (json!({ "enable_thinking": false }), "quick"),
        ] {
            let rendered = render_with(thinking, &json!([]), &variables);
            assert_eq!(rendered.as_deref(), Ok(expected), "{variables}");
        }
        let nested = json!({ "style": { "words": ["a", "b"], "most": 3 } });
        let rendered = render_with("{{ style.words | join('-') }}{{ style['most'] + 1 }}", &json!([]), &nested);
        assert_eq!(rendered.as_deref(), Ok("a-b4"));

        let overriding = json!({ "messages": [], "add_generation_prompt": false });
        let rendered = render_with("{{ messages | length }}{{ add_generation_prompt }}", &json!([{}]), &overriding);
        assert_eq!(rendered.as_deref(), Ok("1True"));
        let beyond: Json = serde_json::from_str(r#"{ "x": 123456789012345678901234567890 }"#).unwrap();
        let refused = render_with("{{ x }}", &json!([]), &beyond).unwrap_err();
        assert!(refused.contains("beyond 64 bits"), "{refused}");
    }

    #[test]
    fn a_template_may_refuse_its_messages() {
        let problem = render("{{ raise_exception('system turns are not known') }}", &json!([])).unwrap_err();
        assert_eq!(problem, "t.jinja: chat template, line 1: system turns are not known");
    }

    #[test]
    fn a_template_that_does_not_parse_names_file_and_line() {
        let problem = render("a\n{% for %}", &json!([])).unwrap_err();
        assert!(problem.starts_with("t.jinja: chat template, line 2: "), "{problem}");
    }

    #[test]
    fn tools_and_documents_are_none() {
        let source = "{{ tools is defined }} {{ tools is none }} {% if not tools %}no{% endif %}\
                      {% for t in tools %}t{% else %} none{% endfor %} {{ documents }}";
        assert_eq!(render(source, &json!([])).as_deref(), Ok("True True no none None"));
    }

    #[test]
    fn of_several_files_the_nearest_template_counts() {
        let folder = tempfile::tempdir().unwrap();
        let none = ChatTemplate::open(folder.path()).unwrap_err().to_string();
        assert!(none.contains("expected a chat template in chat_template.jinja"), "{none}");
        let config = r#"{"eos_token": {"content": "E"}, "extra_special_tokens": {"image_token": "<i>"}, "chat_template": [{"name": "tools", "template": "no"},
            {"name": "default", "template": "config {{ eos_token }}"}]}"#;
        let variables = json!({ "eos_token": "forged" });
        for (name, text, expected) in [
            ("tokenizer_config.json", config, "config E"),
            ("chat_template.json", r#"{"chat_template": "json {{ sep_token }}{{ cls_token }}"}"#, "json "),
            ("chat_template.json", r#"{"chat_template": {"rag": "no", "default": "{{ image_token }}"}}"#, "<i>"),
            ("chat_template.jinja", "jinja", "jinja"),
        ] {
            fs_err::write(folder.path().join(name), text).unwrap();
            let template = ChatTemplate::open(folder.path()).unwrap();
            let rendered = template.render(&json!([]), variables.as_object().unwrap(), false);
            assert_eq!(rendered.unwrap(), expected);
        }
        fs_err::remove_file(folder.path().join("chat_template.jinja")).unwrap();
        fs_err::write(folder.path().join("chat_template.json"), r#"{"chat_template": {"rag": "x"}}"#).unwrap();
        let problem = ChatTemplate::open(folder.path()).unwrap_err().to_string();
        assert!(problem.contains("one named default, got those named rag"), "{problem}");
    }
}
