//! What a file calls its columns, the fields of its messages and its roles.
//!
//! Source: LLaMA-Factory's `data/README.md`; what an entry leaves out has the names given there.

use align::types::{Role, is_media_column};
use diagnostic::from_json_value;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::roles::OPEN_AI;

/// The names of columns; none where a column is not to be read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub(in crate::layouts) struct ColumnNames {
    pub messages: String,
    pub prompt: String,
    pub query: Option<String>,
    pub response: Option<String>,
    pub history: Option<String>,
    pub system: Option<String>,
    pub images: Option<String>,
    /// Columns of films and sound, which no row may have.
    pub videos: Option<String>,
    pub audios: Option<String>,
}

impl Default for ColumnNames {
    fn default() -> Self {
        Self {
            messages: "conversations".to_owned(),
            prompt: "instruction".to_owned(),
            query: Some("input".to_owned()),
            response: Some("output".to_owned()),
            history: Some("history".to_owned()),
            system: Some("system".to_owned()),
            images: Some("images".to_owned()),
            videos: None,
            audios: None,
        }
    }
}

/// The names of a message's fields, and of the roles.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::layouts) struct TagNames {
    pub role_tag: String,
    pub content_tag: String,
    pub user_tag: String,
    pub assistant_tag: String,
    pub system_tag: String,
}

impl Default for TagNames {
    fn default() -> Self {
        Self {
            role_tag: "from".to_owned(),
            content_tag: "value".to_owned(),
            user_tag: "human".to_owned(),
            assistant_tag: "gpt".to_owned(),
            system_tag: "system".to_owned(),
        }
    }
}

impl ColumnNames {
    /// The names that an entry gives, all text or null.
    pub fn read(given: Map<String, Value>) -> Result<Self, String> {
        from_json_value(&given.into()).map_err(|problem| problem.to_string())
    }

    /// The columns of films and sound.
    pub fn media(&self) -> impl Iterator<Item = &str> {
        [&self.videos, &self.audios].into_iter().flatten().map(String::as_str).filter(|name| !is_media_column(name))
    }
}

impl TagNames {
    /// The names of messages as OpenAI writes them.
    pub fn open_ai() -> Self {
        Self {
            role_tag: OPEN_AI.role.to_owned(),
            content_tag: OPEN_AI.content.to_owned(),
            user_tag: OPEN_AI.of(Role::User).to_owned(),
            assistant_tag: OPEN_AI.of(Role::Assistant).to_owned(),
            system_tag: OPEN_AI.of(Role::System).to_owned(),
        }
    }

    /// The names with those that an entry gives in their place.
    pub fn with(self, given: Map<String, Value>) -> Self {
        let mut names = self;
        for (name, value) in given {
            let known = match name.as_str() {
                "role_tag" => &mut names.role_tag,
                "content_tag" => &mut names.content_tag,
                "user_tag" => &mut names.user_tag,
                "assistant_tag" => &mut names.assistant_tag,
                "system_tag" => &mut names.system_tag,
                _ => continue,
            };
            if let Value::String(value) = value {
                *known = value;
            }
        }
        names
    }

    /// The usual name of the role that a file calls so.
    pub fn role(&self, name: &str) -> Option<&'static str> {
        if name == self.user_tag {
            Some("human")
        } else if name == self.assistant_tag {
            Some("gpt")
        } else if name == self.system_tag {
            Some("system")
        } else {
            None
        }
    }
}
