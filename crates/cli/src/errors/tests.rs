//! Errors of every library: which code they end with and what they say.

use align::engine::EngineError;
use align::types::DataError;

use super::*;

fn check(error: impl Into<Failure>, code: u8) {
    let failure = error.into();
    assert_eq!(exit_code(failure.kind()), code, "{failure}");
}

#[test]
fn each_kind_of_error_has_its_exit_code() {
    fn disk_full() -> std::io::Error {
        std::io::Error::from(std::io::ErrorKind::StorageFull)
    }

    fn item() -> EngineError {
        EngineError::Item { id: "a".into(), problem: "x".into() }
    }

    check(std::io::Error::other("anything"), 1);
    check(Failure::settings("x"), 2);
    check(DataError::Empty { path: "a".into() }, 3);
    check(EngineError::Data("x".into()), 3);
    check(std::io::Error::from(std::io::ErrorKind::NotFound), 3);
    check(item(), 3);
    check(align::eval::EvalError::Chat(item().into()), 3);
    check(EngineError::Model("x".into()), 4);
    check(EngineError::Numerics("x".into()), 5);
    check(Failure::interrupted("x"), 6);
    check(disk_full(), 7);
    check(DataError::Io(disk_full()), 7);
    check(EngineError::Io(disk_full()), 7);
    check(Failure::output("while saving").because(&EngineError::Io(disk_full())), 7);
}

#[test]
fn a_reader_that_hangs_up_is_no_failure() {
    fn hung_up() -> std::io::Error {
        std::io::Error::from(std::io::ErrorKind::BrokenPipe)
    }

    check(hung_up(), 0);
    check(Failure::output("cannot write").because(&DataError::Io(hung_up())), 0);
}

#[test]
fn the_item_that_an_engine_refuses_is_known_through_every_library() {
    let item = EngineError::Item { id: "a".into(), problem: "x".into() };
    let failure = Failure::from(align::eval::EvalError::Chat(item.into())).at("data.jsonl:3");
    assert_eq!(failure.diagnosis.item.as_deref(), Some("a"));
    assert_eq!(failure.to_string(), "data.jsonl:3: item `a`: x");
}

/// An error behind an error.
#[derive(Debug, thiserror::Error)]
#[error("the disk cannot be read")]
struct Unreadable(#[source] std::io::Error);

impl Diagnostic for Unreadable {
    fn diagnosis(&self) -> Diagnosis {
        Kind::Output.into()
    }
}

#[test]
fn causes_and_hint_are_printed_apart() {
    let cause = Unreadable(std::io::Error::other("the disk is made of cheese"));
    let failure = Failure::output("out.jsonl: cannot write").hint("eat it").because(&cause);
    insta::assert_snapshot!(render(&failure, false), @r#"
    error: out.jsonl: cannot write
      caused by: the disk cannot be read
      caused by: the disk is made of cheese

    hint: eat it
    "#);
    assert!(render(&failure, true).starts_with("\u{1b}[1;31merror\u{1b}[0m: out.jsonl"));
}

#[test]
fn a_cause_that_its_message_repeats_is_printed_once() {
    let failure = Failure::from(EngineError::Io(std::io::Error::other("no route")));
    assert_eq!(render(&failure, false), "error: no route\n");
}
