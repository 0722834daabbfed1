//! Who speaks in a dialogue, under the names that layouts have for it.

use align::types::Role;

/// How a layout names the fields of a message, and the roles.
pub(crate) struct TurnNames {
    /// The field for the role.
    pub role: &'static str,
    /// The field for the text.
    pub content: &'static str,
    system: &'static str,
    user: &'static str,
    assistant: &'static str,
}

/// The names in OpenAI's layout.
pub(crate) const OPEN_AI: TurnNames =
    TurnNames { role: "role", content: "content", system: "system", user: "user", assistant: "assistant" };

/// The names in sharegpt's layout.
pub(crate) const SHARE_GPT: TurnNames =
    TurnNames { role: "from", content: "value", system: "system", user: "human", assistant: "gpt" };

impl TurnNames {
    /// The name of a role.
    pub fn of(&self, role: Role) -> &'static str {
        match role {
            Role::System => self.system,
            Role::User => self.user,
            Role::Assistant => self.assistant,
        }
    }
}

/// A role's name in messages and reports.
pub(crate) fn role_name(role: Role) -> &'static str {
    OPEN_AI.of(role)
}

/// A role by any of the names in use.
pub(crate) fn role_of(name: &str) -> Option<Role> {
    match name {
        "system" => Some(Role::System),
        "user" | "human" => Some(Role::User),
        "assistant" | "gpt" => Some(Role::Assistant),
        _ => None,
    }
}
