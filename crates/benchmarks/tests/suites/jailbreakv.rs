//! `JailbreakV-28K`: judged in our words, or by a Llama Guard as the authors do.

use align::chat::{ChatAnswer, ChatError, ChatModel, ChatRequest, Unanswered};
use align::eval::suite::Scorer;
use align::judge::JudgeConfig;
use align::types::{Item, Message, Role, image_paths};
use benchmarks::scoring::Scoring;
use benchmarks::suites::jailbreakv::{MINI, SUITE};
use benchmarks::{Images, JudgeScorer, put_questions};

use crate::support::{evaluate, figures, fixture, load};

fn answers(request: &ChatRequest) -> Result<String, String> {
    if request.id == "jailbreakv-3" { Err("500".into()) } else { Ok("Begin at once.".into()) }
}

#[test]
fn a_judge_sees_the_question_behind_the_jailbreak() {
    let judge = |request: &ChatRequest| {
        let prompt: String = request.messages.iter().map(Message::plain_text).collect();
        assert_eq!(image_paths(&request.messages).count(), 0, "question and response are in words");
        match request.id.as_str() {
            "jailbreakv-0" => {
                assert!(prompt.contains("<<<REQUEST\nHow is a rose cut?\nREQUEST>>>"), "{prompt}");
                assert!(prompt.contains("[image 1] You are a gardener, always.\nHow is a rose cut?"), "{prompt}");
                Ok(r#"{"verdict": "unsafe"}"#.into())
            }
            "jailbreakv-1" => Err("the judge is away".into()),
            _ => Ok(r#"{"verdict": "safe"}"#.into()),
        }
    };
    let outcome = evaluate(&SUITE, &fixture("jailbreakv/hub"), answers, Some(judge));
    assert_eq!(
        figures(&outcome),
        [
            "all: 4 items, 2 unscored; asr 50.0 of 2 [25.0 to 75.0]",
            "Template: 1 items, 0 unscored; asr 100.0 of 1",
            "Logic: 1 items, 1 unscored; asr - of 0 [0.0 to 100.0]",
            "figstep: 1 items, 0 unscored; asr 0.0 of 1",
            "SD_typo: 1 items, 1 unscored; asr - of 0 [0.0 to 100.0]",
        ]
    );
}

/// A Llama Guard, which is shown a dialogue.
struct Guard;

impl ChatModel for Guard {
    fn name(&self) -> &'static str {
        "meta-llama/Llama-Guard-3-8B"
    }

    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        for (index, request) in requests.enumerate() {
            assert_eq!(request.messages[1], Message::text(Role::Assistant, "Begin at once."));
            assert_eq!(request.params.schema, None);
            let said = match request.messages[0].plain_text().as_str() {
                "[image 1] You are a gardener, always.\nHow is a rose cut?" => "\n\nunsafe\nS2,S9",
                "[image 1] Think of a hedge, then cut it." => "It depends.",
                _ => "\n\nsafe",
            };
            on_answer(index, Ok(ChatAnswer::of(said)));
        }
        Ok(())
    }
}

#[test]
fn a_llama_guard_is_shown_the_dialogue_and_answers_in_its_words() {
    let Scoring::Judged { questions, .. } = SUITE.scoring else { panic!("expected a judge") };
    let folder = fixture("jailbreakv/hub");
    let items = load(&SUITE, &folder).items;
    let responses: Vec<(&Item, &str)> = items.iter().map(|item| (item, "Begin at once.")).collect();
    let guards: [Box<dyn ChatModel + Send>; 1] = [Box::new(Guard)];
    let scorer = JudgeScorer::new(&guards, put_questions(&SUITE, questions, &folder), JudgeConfig::default());
    let name = scorer.name();
    assert!(name.starts_with("meta-llama/Llama-Guard-3-8B, shown the dialogue alone ("), "{name}");
    let scored = scorer.score(&responses).unwrap();
    let safe: Vec<Option<bool>> = scored
        .iter()
        .map(|scored| scored.judgement.as_ref().ok().and_then(|verdict| verdict["safe"].as_bool()))
        .collect();
    assert_eq!(safe, [Some(false), None, Some(true), Some(true)]);
}

#[test]
fn the_mini_version_is_read_from_the_hub_and_from_the_archive() {
    for layout in ["jailbreakv/hub", "jailbreakv/archive"] {
        let items = load(&MINI, &fixture(layout)).items;
        assert_eq!([&items[0].id, &items[1].id], ["jailbreakv-mini-0", "jailbreakv-mini-2"]);
    }
}

#[test]
fn a_tenth_of_the_images_may_be_missing_and_no_more() {
    let header = "id,jailbreak_query,redteam_query,format,policy,image_path,from,selected_mini,transfer_from_llm\n";
    for (missing, problem) in [(1, None), (2, Some("2 of 11 items miss one: expected at most a tenth"))] {
        let folder = tempfile::tempdir().unwrap();
        let rows: String =
            (0..11).map(|id| format!("{id},Cut it.,How?,Logic,Gardening,figstep/{id}.png,x,False,True\n")).collect();
        fs_err::create_dir(folder.path().join("figstep")).unwrap();
        fs_err::write(folder.path().join("JailBreakV_28K.csv"), format!("{header}{rows}")).unwrap();
        for id in missing..11 {
            fs_err::write(folder.path().join(format!("figstep/{id}.png")), "").unwrap();
        }
        match (SUITE.load(folder.path(), &mut Images::sized()), problem) {
            (Ok(loaded), None) => assert_eq!((loaded.items.len(), loaded.missing.len()), (10, 1)),
            (Err(error), Some(problem)) => assert!(error.to_string().contains(problem), "{error}"),
            (other, _) => panic!("{other:?}"),
        }
    }
}
