//! A dialogue as the text a model was trained on: the folder's Jinja chat template, rendered.
//!
//! The environment is the one Hugging Face's `apply_chat_template` sets up: blocks trimmed, loop controls, Python's
//! string and list methods, `raise_exception`, `strftime_now`, and a `tojson` that writes what `json.dumps` would.

mod clock;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, ErrorKind, Value};
use serde::Serialize;
use serde_json::Value as Json;

use crate::error::Error;
use crate::json_file::read_json;
use crate::tokenizer::settings::named_token;

/// The name of the one template of an environment.
const NAME: &str = "chat_template";

/// Tokens of `tokenizer_config.json` that a template may name.
const NAMED_TOKENS: [&str; 4] = ["bos_token", "eos_token", "pad_token", "unk_token"];

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
    ARGUMENTS.contains(&name) || NAMED_TOKENS.contains(&name)
}

/// A compiled chat template.
pub struct ChatTemplate {
    path: PathBuf,
    environment: Environment<'static>,
    tokens: BTreeMap<String, Value>,
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
        let tokens = NAMED_TOKENS
            .iter()
            .filter_map(|&key| Some((key.to_owned(), Value::from(named_token(&config, key)?))))
            .collect();
        Ok(Self { tokens, ..Self::from_source(source, &path)? })
    }

    /// Compiles a template that came from `path`.
    ///
    /// Errors: `File` naming `path` and the line if the template does not parse.
    pub fn from_source(source: String, path: &Path) -> Result<Self, Error> {
        let mut environment = environment();
        environment.add_template_owned(NAME, source).map_err(|error| Error::file(path, describe(&error)))?;
        Ok(Self { path: path.to_owned(), environment, tokens: BTreeMap::new() })
    }

    /// Renders a list of messages, and after them the opening of the assistant's turn with `add_generation_prompt`. The
    /// folder's tokens and the arguments take precedence over variables of the same name.
    ///
    /// Errors: `Input` with the template's own message if it refuses the messages, or if it fails on them.
    pub fn render(&self, messages: &Json, variables: &Variables, add_generation_prompt: bool) -> Result<String, Error> {
        let variables = variables.iter();
        let mut context: BTreeMap<String, Value> =
            variables.map(|(name, value)| (name.clone(), to_template_value(value))).collect();
        context.extend(self.tokens.clone());
        context.insert("messages".into(), to_template_value(messages));
        context.insert("add_generation_prompt".into(), Value::from(add_generation_prompt));
        self.environment
            .get_template(NAME)
            .and_then(|template| template.render(Value::from(context)))
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
        let source = fs_err::read_to_string(&path)?;
        return Ok(Some((path, source)));
    }
    let path = folder.join("chat_template.json");
    if let Some(config) = read_json(&path)? {
        let source = config
            .get("chat_template")
            .and_then(Json::as_str)
            .ok_or_else(|| Error::file(&path, "key `chat_template`: expected a template, got no string"))?;
        return Ok(Some((path, source.to_owned())));
    }
    let source = match tokenizer_config.get("chat_template") {
        Some(Json::String(source)) => Some(source.as_str()),
        Some(Json::Array(named)) => named
            .iter()
            .find(|entry| entry.get("name").and_then(Json::as_str) == Some("default"))
            .and_then(|entry| entry.get("template")?.as_str()),
        _ => None,
    };
    Ok(source.map(|source| (folder.join("tokenizer_config.json"), source.to_owned())))
}

/// The environment `apply_chat_template` sets up (transformers, `utils/chat_template_utils.py`).
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .expect("whitespace rules alone cannot conflict"),
    );
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |message: String| -> Result<Value, minijinja::Error> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", |format: String| clock::format_now(&format));
    environment.add_filter("tojson", to_python_json);
    environment
}

/// The error and its line in the template.
fn describe(error: &minijinja::Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) => format!("chat template, line {line}: {what}"),
        None => format!("chat template: {what}"),
    }
}

/// JSON as the template engine's value.
fn to_template_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Value::from(integer),
            (None, Some(integer)) => Value::from(integer),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(to_template_value).collect(),
        Json::Object(fields) => {
            Value::from_pairs(fields.iter().map(|(key, value)| (key.clone(), to_template_value(value))))
        }
    }
}

/// The filter `tojson`: the engine's own escapes `<`, `>`, `&` and `'` for HTML, `json.dumps` does not.
#[expect(clippy::needless_pass_by_value, reason = "the engine hands a filter's keywords over by value")]
fn to_python_json(value: &Value, indent: Option<Value>, options: Kwargs) -> Result<String, minijinja::Error> {
    let indent: Option<Value> = indent.or(options.get("indent")?);
    let indent = indent.and_then(|indent| usize::try_from(indent).ok());
    let safe = minijinja::filters::tojson(value, None, Kwargs::from_iter::<[(String, Value); 0]>([]))?;
    json_dumps(safe.as_str().unwrap_or_default(), indent)
        .map_err(|error| minijinja::Error::new(ErrorKind::InvalidOperation, format!("tojson: {error}")))
}

/// JSON as `json.dumps` writes it.
fn json_dumps(json: &str, indent: Option<usize>) -> Result<String, Box<dyn std::error::Error>> {
    let json: Json = serde_json::from_str(json)?;
    let mut bytes = Vec::new();
    match indent {
        Some(width) => {
            let spaces = vec![b' '; width];
            let layout = serde_json::ser::PrettyFormatter::with_indent(&spaces);
            json.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, layout))?;
        }
        None => json.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, OneLine))?,
    }
    Ok(String::from_utf8(bytes)?)
}

/// `json.dumps` on one line: a space after each comma and colon.
struct OneLine;

impl serde_json::ser::Formatter for OneLine {
    fn begin_array_value<W: std::io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: std::io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: std::io::Write + ?Sized>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
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
        let template = ChatTemplate::from_source(source.into(), Path::new("t.jinja")).map_err(|e| e.to_string())?;
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
    }

    #[test]
    fn blocks_are_trimmed_and_python_methods_work() {
        let source = "{% for m in messages %}\n    {% if m.role.startswith('a') %}\n{{ m['content'].strip().upper() }}\n    \
                      {%- endif %}\n{% endfor %}\n{% if add_generation_prompt %}>{% endif %}";
        let messages = json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": " yes "}]);
        assert_eq!(render(source, &messages).unwrap(), "YES>");
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
    fn to_json_writes_what_python_writes() {
        let messages = json!([{"a": 1, "b": ["<é'>", null, 2.5]}]);
        assert_eq!(render("{{ messages|tojson }}", &messages).unwrap(), r#"[{"a": 1, "b": ["<é'>", null, 2.5]}]"#);
        assert_eq!(render("{{ [1]|tojson(indent=2) }}", &json!([])).unwrap(), "[\n  1\n]");
    }

    #[test]
    fn of_several_files_the_nearest_template_counts() {
        let folder = tempfile::tempdir().unwrap();
        let none = ChatTemplate::open(folder.path()).unwrap_err().to_string();
        assert!(none.contains("expected a chat template in chat_template.jinja"), "{none}");
        let config = r#"{"eos_token": {"content": "E"}, "chat_template": [{"name": "tools", "template": "no"},
            {"name": "default", "template": "config {{ eos_token }}"}]}"#;
        let variables = json!({ "eos_token": "forged" });
        for (name, text, expected) in [
            ("tokenizer_config.json", config, "config E"),
            ("chat_template.json", r#"{"chat_template": "json"}"#, "json"),
            ("chat_template.jinja", "jinja", "jinja"),
        ] {
            fs_err::write(folder.path().join(name), text).unwrap();
            let template = ChatTemplate::open(folder.path()).unwrap();
            let rendered = template.render(&json!([]), variables.as_object().unwrap(), false);
            assert_eq!(rendered.unwrap(), expected);
        }
    }
}
