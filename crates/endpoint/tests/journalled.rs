//! A model on this machine with the journal before it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use align::chat::{ChatAnswer, ChatError, ChatModel, ChatParams, ChatRequest, Unanswered};
use align::types::{Message, Role};
use endpoint::{Journal, Journalled, RoleSettings};

/// Repeats the question in capitals, and fails at questions that say so.
#[derive(Default)]
struct Shouter {
    asked: Cell<usize>,
}

impl ChatModel for &Shouter {
    fn name(&self) -> &'static str {
        "shouter"
    }

    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        // Two at a time, so that requests are drawn while earlier ones are answered.
        let mut requests = requests.enumerate().peekable();
        while requests.peek().is_some() {
            let batch: Vec<_> = requests.by_ref().take(2).collect();
            for (index, request) in batch {
                self.asked.set(self.asked.get() + 1);
                let question = request.messages[0].plain_text();
                on_answer(index, shout(&question));
            }
        }
        Ok(())
    }
}

fn shout(question: &str) -> Result<ChatAnswer, Unanswered> {
    if question.contains("fail") {
        let reason = "asked to".to_owned();
        return Err(Unanswered { reason });
    }
    Ok(ChatAnswer {
        text: question.to_uppercase(),
        is_cut_off: false,
        prompt_tokens: 3,
        completion_tokens: 2,
    })
}

fn request(question: &str) -> ChatRequest {
    ChatRequest {
        id: question.to_owned(),
        messages: vec![Message::text(Role::User, question)],
        params: ChatParams {
            temperature: 1.0,
            max_tokens: 8,
            seed: 1,
            schema: None,
        },
    }
}

/// Answers by index, as text or reason.
fn ask(model: &impl ChatModel, questions: &[&str]) -> BTreeMap<usize, Result<String, String>> {
    let mut answers = BTreeMap::new();
    let mut requests = questions.iter().map(|question| request(question));
    let mut on_answer = |index, outcome: Result<ChatAnswer, Unanswered>| {
        let outcome = outcome
            .map(|answer| answer.text)
            .map_err(|unanswered| unanswered.reason);
        assert!(answers.insert(index, outcome).is_none(), "{index} was answered twice");
    };
    model.answer(&mut requests, &mut on_answer).unwrap();
    answers
}

#[test]
fn what_was_answered_is_not_asked_again_and_what_failed_is() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(Journal::open(&folder.path().join("calls.sqlite")).unwrap());
    let shouter = Shouter::default();
    let model = |origin: &str| {
        let settings = RoleSettings::default();
        Journalled::new("labeller", settings, origin.to_owned(), journal.clone(), &shouter)
    };
    let first = ask(&model("weights 1"), &["a", "fail", "b"]);
    assert_eq!(first.len(), 3);
    assert_eq!(shouter.asked.get(), 3);

    let questions = ["c", "b", "d", "fail", "a", "e"];
    let second = ask(&model("weights 1"), &questions);
    assert_eq!(shouter.asked.get(), 3 + 4, "only c, d, e and what failed");
    let expected: BTreeMap<_, _> = questions
        .iter()
        .map(|question| {
            let answer = shout(question).map(|answer| answer.text);
            answer.map_err(|unanswered| unanswered.reason)
        })
        .enumerate()
        .collect();
    assert_eq!(second, expected);
    assert_eq!(journal.answered("labeller"), 2);
    let spent = journal.spent("labeller").unwrap();
    assert_eq!((spent.calls, spent.prompt_tokens, spent.cost), (5, 15, 0.0));

    ask(&model("weights 2"), &["a"]);
    assert_eq!(shouter.asked.get(), 8, "other weights may answer otherwise");
}
