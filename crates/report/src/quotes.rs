//! What was said, on the page.

use align::tagged;
use maud::{Markup, html};

/// A response: its thinking, where there is some, and its answer.
pub fn response(prefix: &str, kind: &str, response: &str) -> Markup {
    let parts = tagged::parts(response);
    html! {
        @if let Some(think) = parts.think { (quote(&format!("{prefix}thinking"), kind, think)) }
        (quote(&format!("{prefix}answer"), kind, parts.answer))
    }
}

/// A text under its label; `kind` gives its color.
pub fn quote(label: &str, kind: &str, text: &str) -> Markup {
    html! {
        div.quote.(kind) {
            span.label { (label) }
            blockquote { (text) }
        }
    }
}
