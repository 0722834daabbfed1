//! Answers in the order of their requests, whatever the order in which they come.

use std::collections::BTreeMap;

use super::{ChatAnswer, ChatError, ChatModel, ChatRequest, Unanswered};

/// Hands every answer over in the order of the requests. Those that come early are held until it is their turn.
///
/// Errors: [`ChatError`] when the model stops early.
pub fn answer_in_order(
    model: &dyn ChatModel,
    requests: &mut dyn Iterator<Item = ChatRequest>,
    on_answer: &mut dyn FnMut(Result<ChatAnswer, Unanswered>),
) -> Result<(), ChatError> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    model.answer(requests, &mut |index, answer| {
        early.insert(index, answer);
        while let Some(answer) = early.remove(&next) {
            on_answer(answer);
            next += 1;
        }
    })
}

/// All answers in the order of the requests. `on_settled` is called as each request is settled.
///
/// Errors: [`ChatError`] when the model stops early.
pub fn answers(
    model: &dyn ChatModel,
    requests: Vec<ChatRequest>,
    on_settled: &mut dyn FnMut(),
) -> Result<Vec<Result<ChatAnswer, Unanswered>>, ChatError> {
    let silent = Unanswered::new(format!("{} gave no answer", model.name()));
    let mut answers = vec![Err(silent); requests.len()];
    model.answer(&mut requests.into_iter(), &mut |index, answer| {
        answers[index] = answer;
        on_settled();
    })?;
    Ok(answers)
}
