//! Errors of every room: which code they end with and what they say.

use align::engine::EngineError;
use align::types::DataError;

use super::*;

fn check(error: impl Into<anyhow::Error>, code: u8) {
    let error = error.into();
    assert_eq!(category_of(&error).exit_code(), code, "{error:#}");
}

#[test]
fn each_kind_of_error_has_its_exit_code() {
    let disk_full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
    check(anyhow::anyhow!("anything"), 1);
    check(Failure::usage("x"), 2);
    check(DataError::Empty { path: "a".into() }, 3);
    check(EngineError::Data("x".into()), 3);
    check(std::io::Error::from(std::io::ErrorKind::NotFound), 3);
    let item = || EngineError::Item {
        id: "a".into(),
        problem: "x".into(),
    };
    check(item(), 3);
    check(align::eval::EvalError::Engine(item()), 3);
    check(EngineError::Model("x".into()), 4);
    check(EngineError::Numerics("x".into()), 5);
    check(Failure::interrupted("x"), 6);
    check(disk_full(), 7);
    check(DataError::Io(disk_full()), 7);
    check(EngineError::Io(disk_full()), 7);
    check(
        anyhow::Error::from(EngineError::Io(disk_full())).context("while saving"),
        7,
    );
}

#[test]
fn causes_and_hint_are_printed_apart() {
    let cause = anyhow::anyhow!("the disk is made of cheese").context("the disk cannot be read");
    let error = anyhow::Error::from(Failure::output("out.jsonl: cannot write").hint("eat it").because(cause));
    insta::assert_snapshot!(render(&error, false), @r#"
    error: out.jsonl: cannot write
      caused by: the disk cannot be read
      caused by: the disk is made of cheese

    hint: eat it
    "#);
    assert!(render(&error, true).starts_with("\u{1b}[1;31merror\u{1b}[0m: out.jsonl"));
}

#[test]
fn a_cause_that_its_message_repeats_is_printed_once() {
    let error = anyhow::Error::from(EngineError::Io(std::io::Error::other("no route")));
    assert_eq!(render(&error, false), "error: no route\n");
}
