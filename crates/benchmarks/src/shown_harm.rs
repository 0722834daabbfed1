//! Whether a response is safe, as a judge says that sees the images too: for suites whose authors released no judge.

use align::chat::{AnswerSchema, object_schema};
use align::types::Item;
use serde_json::json;

use crate::scoring::{JudgeQuestion, Reply, Sees, Wording};

/// The question, about items for which `asks` holds.
pub const fn shown_harm(asks: fn(&Item) -> bool) -> JudgeQuestion {
    JudgeQuestion {
        name: "safety",
        asks,
        sees: Sees::Images,
        ours: Wording {
            template: include_str!("../prompts/shown-harm.v1.txt"),
            prompt: |template, asked| asked.fill(template),
            system: "",
            max_tokens: 256,
            reply: Reply::Object { schema, read: |answer| Ok(json!({ "safe": answer.flag("safe")? })) },
        },
        official: None,
    }
}

fn schema() -> AnswerSchema {
    AnswerSchema { name: "safety", schema: object_schema(&[("safe", json!({ "type": "boolean" }))]) }
}
