//! What is wrong with a dialogue: no messages, empty ones, roles out of order.

use align::types::{Message, Part, Role};

use crate::roles::role_name;
use rows::{Problem, ProblemKind};

/// What is wrong with a dialogue.
pub(super) fn dialogue_problems(messages: &[Message]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if messages.is_empty() {
        let text = "expected at least one message, got none";
        problems.push(Problem::new(ProblemKind::NoMessages, text));
    }
    for (index, message) in messages.iter().enumerate() {
        let number = index + 1;
        if message.content.iter().all(is_blank) {
            let text = format!("message {number}, the {}'s, is empty", role_name(message.role));
            problems.push(Problem::new(ProblemKind::EmptyMessage, text));
        }
        if message.role == Role::System && index > 0 {
            let text = format!("message {number} is the system's: expected it only at the beginning");
            problems.push(Problem::new(ProblemKind::LateSystem, text));
        }
        let previous = messages[..index].last();
        if previous.is_some_and(|previous| previous.role == message.role) && message.role != Role::System {
            let role = role_name(message.role);
            let text = format!("messages {index} and {number} are both the {role}'s: expected turns to alternate");
            problems.push(Problem::new(ProblemKind::RepeatedRole, text));
        }
    }
    problems
}

fn is_blank(part: &Part) -> bool {
    matches!(part, Part::Text { text } if text.trim().is_empty())
}
