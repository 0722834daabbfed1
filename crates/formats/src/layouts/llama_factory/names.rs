//! What a file calls its columns, the fields of its messages and its roles.
//!
//! Source: LLaMA-Factory's `data/README.md`; what an entry leaves out has the names given there.

use serde::Deserialize;

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
        }
    }
}

/// The names of a message's fields, and of the roles.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
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

impl TagNames {
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
