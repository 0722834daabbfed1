//! A model on this machine with the journal before it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use align::chat::{ChatAnswer, ChatError, ChatModel, ChatParams, ChatRequest, Unanswered};
use align::types::{Message, Role};
use endpoint::{Journal, Journalled};

/// Repeats the question in capitals, and fails at questions that say so.
#[derive(Default)]
struct Shouter {
    requested: Cell<usize>,
    batches: RefCell<Vec<usize>>,
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
        let before = self.requested.get();
        for (index, request) in requests.enumerate() {
            self.requested.set(self.requested.get() + 1);
            let question = request.messages[0].plain_text();
            if question == "stop" {
                return Err(ChatError::Interrupted);
            }
            on_answer(index, shout(&question));
        }
        self.batches.borrow_mut().push(self.requested.get() - before);
        Ok(())
    }
}

fn shout(question: &str) -> Result<ChatAnswer, Unanswered> {
    if question.contains("fail") {
        let reason = "as requested".to_owned();
        return Err(Unanswered::new(reason));
    }
    Ok(ChatAnswer { prompt_tokens: 3, completion_tokens: 2, ..ChatAnswer::of(question.to_uppercase()) })
}

fn request(question: &str) -> ChatRequest {
    ChatRequest {
        id: question.to_owned(),
        messages: vec![Message::text(Role::User, question)],
        params: ChatParams { temperature: 1.0, max_tokens: 8, seed: 1, ..ChatParams::default() },
    }
}

/// Answers by index, as text or reason.
fn ask(model: &impl ChatModel, questions: &[&str]) -> BTreeMap<usize, Result<String, String>> {
    let mut answers = BTreeMap::new();
    let mut requests = questions.iter().map(|question| request(question));
    model
        .answer(&mut requests, &mut |index, outcome| {
            let outcome = outcome.map(|answer| answer.text).map_err(|unanswered| unanswered.reason);
            assert!(answers.insert(index, outcome).is_none(), "{index} was answered twice");
        })
        .unwrap();
    answers
}

fn journal(folder: &tempfile::TempDir) -> Arc<Journal> {
    Arc::new(Journal::open(&folder.path().join("journal.sqlite")).unwrap())
}

fn journalled<'s>(journal: &Arc<Journal>, shouter: &'s Shouter, weights: &str) -> Journalled<&'s Shouter> {
    Journalled::new("annotator", weights.to_owned(), journal.clone(), shouter, 2)
}

#[test]
fn what_was_answered_is_not_requested_again_and_what_failed_is() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, shouter) = (journal(&folder), Shouter::default());
    let first = ask(&journalled(&journal, &shouter, "weights 1"), &["a", "fail", "b"]);
    assert_eq!(first.len(), 3);
    assert_eq!(shouter.requested.get(), 3);

    let questions = ["c", "b", "d", "fail", "a", "e"];
    let second = ask(&journalled(&journal, &shouter, "weights 1"), &questions);
    assert_eq!(shouter.requested.get(), 3 + 4, "only c, d, e and what failed");
    let expected: BTreeMap<_, _> = questions
        .iter()
        .map(|question| {
            let answer = shout(question).map(|answer| answer.text);
            answer.map_err(|unanswered| unanswered.reason)
        })
        .enumerate()
        .collect();
    assert_eq!(second, expected);
    assert_eq!(journal.answered("annotator"), 2);
    let spent = journal.spent("annotator").unwrap();
    assert_eq!((spent.calls, spent.prompt_tokens, spent.cost), (5, 15, 0.0));

    ask(&journalled(&journal, &shouter, "weights 2"), &["a"]);
    assert_eq!(shouter.requested.get(), 8, "other weights may answer otherwise");
    journal.clear().unwrap();
    ask(&journalled(&journal, &shouter, "weights 2"), &["a"]);
    assert_eq!(shouter.requested.get(), 9, "what is forgotten is requested again");
}

#[test]
fn requests_alike_are_answered_once_and_batches_are_whole_dialogues() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, shouter) = (journal(&folder), Shouter::default());
    let answers = ask(&journalled(&journal, &shouter, "weights"), &["a", "b", "a", "b", "c"]);
    assert_eq!(answers.len(), 5);
    assert_eq!(answers[&0], answers[&2]);
    assert_eq!(*shouter.batches.borrow(), [2, 1]);

    // Samples of one dialogue stay together, however many there are.
    let shouter = Shouter::default();
    let model = journalled(&journal, &shouter, "others");
    let mut requests = ["d", "e", "f"].iter().flat_map(|question| {
        (0..4).map(move |seed| {
            let mut request = request(question);
            request.params.seed = seed;
            request
        })
    });
    model.answer(&mut requests, &mut |_, _| ()).unwrap();
    assert_eq!(*shouter.batches.borrow(), [8, 4]);
}

#[test]
fn a_stop_keeps_what_was_answered_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, shouter) = (journal(&folder), Shouter::default());
    let model = journalled(&journal, &shouter, "weights");
    let mut requests = ["a", "b", "c", "stop"].iter().map(|question| request(question));
    let mut answered = 0;
    let ended = model.answer(&mut requests, &mut |_, _| answered += 1);
    assert!(matches!(ended, Err(ChatError::Interrupted)));
    assert_eq!(answered, 3);
    ask(&model, &["a", "b", "c"]);
    assert_eq!(shouter.requested.get(), 4);
}
