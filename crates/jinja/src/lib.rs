//! Jinja2 as transformers sets it up for chat templates: a template renders the same bytes as there, or is refused with
//! a message that says what is not supported.
//!
//! The environment is that of `apply_chat_template` (transformers, `utils/chat_template_utils.py`): the immutable
//! sandbox, blocks trimmed, loop controls, `generation` blocks, `raise_exception`, `strftime_now`, and a `tojson` that
//! writes what `json.dumps` does. Values and operators are Python's. Differs: what a template may do is limited, the
//! clock is UTC, and a loop over `tools` or `documents` that are `None` is empty, where Python fails.
//!
//! Read in this order: `lexer`, `parser` and `syntax`, `value`, `operators`, then what templates call (`methods`,
//! `filters`, `predicates`), and `interpreter`, which runs them.

mod arguments;
mod budget;
mod clock;
mod error;
mod filters;
mod format;
mod interpreter;
mod json;
mod letters;
mod lexer;
mod lookup;
mod methods;
mod operators;
mod parser;
mod predicates;
mod printf;
mod str_format;
mod syntax;
mod text;
mod value;

pub use error::{Error, Result};
pub use value::Value;

/// A template that parsed.
#[derive(Debug)]
pub struct Template {
    statements: Vec<syntax::Statement>,
}

impl Template {
    /// Reads a template, whose lines may end as on any system.
    ///
    /// Errors: what is wrong, and in which line; tags that are not supported.
    pub fn parse(source: &str) -> Result<Self> {
        Ok(Self { statements: parser::parse(source)? })
    }

    /// Renders it with these variables.
    ///
    /// Errors: what the template itself refuses; what Jinja2 would refuse; what is not supported.
    pub fn render(&self, variables: Vec<(String, Value)>) -> Result<String> {
        interpreter::render(&self.statements, variables)
    }
}
