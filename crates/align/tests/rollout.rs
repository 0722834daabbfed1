//! Reflection on scripted responses: who reflects, what is accepted, and what never counts.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use align::chat::ChatError;
use align::reward::RewardConfig;
use align::rollout::{Group, GroupRequest, Rollout, RolloutConfig, reflection_prompt, sample_groups, split_correction};
use align::training::TrainingError;
use align::types::Item;
use align::verdict::{Judge, Judgement};
use fake_engine::FakeEngine;
use fake_engine::scripted::{self, HAZARDOUS, SAFE, UNSAFE, WordJudge, item};

/// Samples one group of `config.num_generations` for a prompt whose responses are all of one kind or mixed.
fn sample_group(engine: &mut FakeEngine, config: &RolloutConfig, seed: u64) -> Group<'static> {
    let item: &'static Item = Box::leak(Box::new(item(HAZARDOUS)));
    let reward = RewardConfig::default();
    let rollout = Rollout { config, reward: &reward, judge: &WordJudge };
    sample_groups(engine, &[GroupRequest { item, seed }], &rollout).unwrap().remove(0)
}

fn config(num_generations: usize) -> RolloutConfig {
    RolloutConfig { num_generations, max_completion_length: 20, max_reflection_length: 20, ..RolloutConfig::default() }
}

fn accepted(group: &Group) -> usize {
    group.members.iter().filter(|member| member.accepted_correction().is_some()).count()
}

/// An engine that answers unsafely and corrects itself in reflection.
fn correcting() -> FakeEngine {
    scripted::engine(&[(UNSAFE, 1.0)], &[(&format!("i overlooked it {SAFE}"), 1.0)])
}

#[test]
fn corrections_fill_at_most_half_the_group() {
    for (num_generations, expected) in [(2, 1), (3, 1), (5, 2), (8, 4)] {
        let group = sample_group(&mut correcting(), &config(num_generations), 1);
        assert_eq!(accepted(&group), expected, "of {num_generations}");
        let kept = group.members.iter().filter(|member| member.accepted_correction().is_none());
        assert!(kept.count() >= 1);
        assert_eq!(group.members.iter().filter(|member| member.correction.is_some()).count(), num_generations);
    }
}

#[test]
fn the_last_unsafe_response_stays_as_a_negative() {
    let all = RolloutConfig { max_corrected_share: 1.0, ..config(4) };
    assert_eq!(accepted(&sample_group(&mut correcting(), &all, 1)), 3);
    let none_kept = RolloutConfig { min_unsafe_kept: 0, ..all };
    assert_eq!(accepted(&sample_group(&mut correcting(), &none_kept, 1)), 4);
    let all_kept = RolloutConfig { min_unsafe_kept: 4, ..config(4) };
    let group = sample_group(&mut correcting(), &all_kept, 1);
    assert!(group.members.iter().all(|member| member.correction.is_none()), "nothing to gain, so nothing sampled");
}

#[test]
fn a_correction_holds_its_context_its_parts_and_its_judgement() {
    let group = sample_group(&mut correcting(), &config(2), 1);
    let member = group.members.iter().find(|member| member.accepted_correction().is_some()).unwrap();
    let correction = member.accepted_correction().unwrap();
    assert_eq!(correction.reflection, "i overlooked it");
    assert_eq!(correction.response, SAFE);
    assert_eq!(correction.messages.len(), 3);
    assert_eq!(correction.messages[1].plain_text(), UNSAFE);
    let prompt = correction.messages[2].plain_text();
    assert!(
        prompt.contains("the answer helps with something harmful") && prompt.contains("no spoon there"),
        "{prompt}"
    );
    assert!(member.trained_reward().unwrap() > member.reward.as_ref().unwrap().total);
    let records = group.records(3, &[Some(0.5), None], Path::new("run"));
    assert_eq!((records[0].advantage, records[1].advantage), (Some(0.5), None));
    assert!(records.iter().any(|record| record.correction.as_ref().is_some_and(|one| one.accepted)));
    assert_eq!(records[1].messages, group.item.prompt());
}

#[test]
fn corrections_that_gain_nothing_are_not_accepted() {
    for reply in [format!("so what {UNSAFE}"), "i see".into(), "<think> mumble </think>".into()] {
        let mut engine = scripted::engine(&[(UNSAFE, 1.0)], &[(&reply, 1.0)]);
        let group = sample_group(&mut engine, &config(4), 1);
        assert_eq!(accepted(&group), 0, "{reply}");
        assert!(group.members.iter().all(|member| member.correction.is_some()));
    }
    let truncated = RolloutConfig { max_reflection_length: 4, ..config(4) };
    assert_eq!(accepted(&sample_group(&mut correcting(), &truncated, 1)), 0);
}

#[test]
fn safe_and_unscored_responses_do_not_reflect() {
    for reply in [SAFE, "mumble"] {
        let mut engine = scripted::engine(&[(reply, 1.0)], &[(SAFE, 1.0)]);
        let group = sample_group(&mut engine, &config(4), 1);
        assert!(group.members.iter().all(|member| member.correction.is_none()), "{reply}");
    }
    let mut engine = scripted::engine(&[("mumble", 1.0)], &[]);
    let group = sample_group(&mut engine, &config(4), 1);
    assert!(group.members.iter().all(|member| member.reward.is_err() && member.trained_reward().is_none()));
}

#[test]
fn reflection_can_be_turned_off_or_limited() {
    let off = RolloutConfig { reflect: false, ..config(6) };
    assert!(sample_group(&mut correcting(), &off, 1).members.iter().all(|member| member.correction.is_none()));
    let limited = RolloutConfig { max_reflections: 2, ..config(6) };
    let group = sample_group(&mut correcting(), &limited, 1);
    assert_eq!(group.members.iter().filter(|member| member.correction.is_some()).count(), 2);
}

#[test]
fn a_completion_is_split_at_its_first_thinking() {
    assert_eq!(split_correction(" so <think>a</think> <think>b"), ("so", "<think>a</think> <think>b"));
    assert_eq!(split_correction("<think>a"), ("", "<think>a"));
    assert_eq!(split_correction("no more"), ("no more", ""));
}

#[test]
fn the_reflection_prompt_names_the_part_and_the_findings() {
    let reward = RewardConfig::default();
    let mut verdict = scripted::verdict(0.0, 0.0);
    insta::assert_snapshot!(reflection_prompt("{risk}: {evidence}", &reward, &verdict), @"the thinking misjudges the risk and the answer helps with something harmful: no spoon there");
    verdict.answer.insert("safety".into(), 9.0);
    verdict.hallucinations.clear();
    insta::assert_snapshot!(reflection_prompt("{risk}: {evidence}", &reward, &verdict), @"the thinking misjudges the risk: the images read together with the request");
}

#[test]
fn bad_settings_are_refused_by_key() {
    fn message(change: fn(&mut RolloutConfig)) -> String {
        let mut config = RolloutConfig::default();
        change(&mut config);
        config.validate("rollout").unwrap_err().to_string()
    }
    assert!(RolloutConfig::default().validate("rollout").is_ok());
    insta::assert_snapshot!(message(|config| config.num_generations = 1), @"`rollout.num_generations`: expected a whole number from 2 to 1000000, got 1");
    insta::assert_snapshot!(message(|config| config.temperature = 0.0), @"`rollout.temperature`: expected a number above 0, got 0");
    insta::assert_snapshot!(message(|config| config.top_p = 1.5), @"`rollout.top_p`: expected a number above 0 and at most 1, got 1.5");
    insta::assert_snapshot!(message(|config| config.max_reflection_length = 0), @"`rollout.max_reflection_length`: expected a whole number of at least 1, got 0");
    insta::assert_snapshot!(message(|config| config.reflection_prompt = " ".into()), @"`rollout.reflection_prompt`: expected some words, got ` `");
}

/// Judges nothing before the engine has come to a prompt of this number, and stops once its verdicts are given.
struct Patient {
    last_prompt: Arc<AtomicUsize>,
    waits_for: usize,
    verdicts_left: AtomicUsize,
}

impl Judge for Patient {
    fn name(&self) -> &'static str {
        "patient"
    }

    fn judge(&self, responses: &[(&Item, &str)]) -> Result<Vec<Judgement>, ChatError> {
        let began = Instant::now();
        while self.last_prompt.load(Ordering::SeqCst) < self.waits_for {
            assert!(began.elapsed() < Duration::from_mins(1), "sampling waits for the judge");
            std::thread::yield_now();
        }
        let left = self.verdicts_left.load(Ordering::SeqCst).checked_sub(responses.len());
        self.verdicts_left.store(left.ok_or(ChatError::Interrupted)?, Ordering::SeqCst);
        WordJudge.judge(responses)
    }
}

/// Samples groups of three for `hazard-1` to `hazard-4`, noting the prompt that the engine has come to.
fn sample_four(
    batch_size: usize,
    last_prompt: &Arc<AtomicUsize>,
    judge: &dyn Judge,
) -> Result<Vec<String>, TrainingError> {
    let last_prompt = last_prompt.clone();
    let mut engine = FakeEngine::new(scripted::VOCABULARY, move |messages| {
        let prompt = messages[0].plain_text();
        let number = prompt.rsplit('-').next().and_then(|number| number.parse().ok());
        last_prompt.fetch_max(number.unwrap_or(0), Ordering::SeqCst);
        let corrected = format!("i overlooked it {SAFE}");
        vec![(if messages.len() == 1 { UNSAFE.to_owned() } else { corrected }, 1.0)]
    });
    let items: Vec<Item> = (1..=4).map(|number| item(&format!("hazard-{number}"))).collect();
    let prompts: Vec<GroupRequest> = items.iter().map(|item| GroupRequest { item, seed: 5 }).collect();
    let (config, reward) = (RolloutConfig { batch_size, ..config(3) }, RewardConfig::default());
    let rollout = Rollout { config: &config, reward: &reward, judge };
    let groups = sample_groups(&mut engine, &prompts, &rollout)?;
    Ok(groups.iter().map(|group| format!("{:?}", group.records(1, &[], Path::new("run")))).collect())
}

#[test]
fn the_judge_works_while_the_next_prompts_are_sampled_and_changes_nothing() {
    let last_prompt = Arc::default();
    let at_once = sample_four(0, &last_prompt, &WordJudge).unwrap();
    let last_prompt: Arc<AtomicUsize> = Arc::default();
    // The first two are judged only after the third was requested.
    let patient =
        Patient { last_prompt: last_prompt.clone(), waits_for: 3, verdicts_left: AtomicUsize::new(usize::MAX) };
    assert_eq!(sample_four(2, &last_prompt, &patient).unwrap(), at_once);
}

#[test]
fn a_judge_that_must_stop_ends_the_rollout_with_its_reason() {
    let last_prompt: Arc<AtomicUsize> = Arc::default();
    let patient = Patient { last_prompt: last_prompt.clone(), waits_for: 0, verdicts_left: AtomicUsize::new(7) };
    let ended = sample_four(1, &last_prompt, &patient);
    assert!(matches!(ended, Err(TrainingError::Judge(ChatError::Interrupted))));
}
