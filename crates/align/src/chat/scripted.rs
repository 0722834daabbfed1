//! Models that answer by a script, for tests.

use std::cell::RefCell;

use super::{ChatAnswer, ChatError, ChatModel, ChatRequest, Unanswered};

/// Answers each request by a function.
pub struct Script<F> {
    answer: F,
    /// The requests, in the order in which they were answered.
    pub requested: RefCell<Vec<ChatRequest>>,
}

impl<F: Fn(&ChatRequest) -> Result<String, String>> Script<F> {
    /// A model that answers by the function; its errors are failures to answer.
    pub fn new(answer: F) -> Self {
        Self { answer, requested: RefCell::default() }
    }
}

impl<F: Fn(&ChatRequest) -> Result<String, String>> ChatModel for Script<F> {
    fn name(&self) -> &'static str {
        "script"
    }

    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        // Handed over backwards: no order is promised.
        let requests: Vec<ChatRequest> = requests.collect();
        for (index, request) in requests.into_iter().enumerate().rev() {
            let answer = (self.answer)(&request)
                .map(|text| ChatAnswer { prompt_tokens: 1, completion_tokens: 1, ..ChatAnswer::of(text) })
                .map_err(Unanswered::new);
            self.requested.borrow_mut().push(request);
            on_answer(index, answer);
        }
        Ok(())
    }
}
