//! What stands in results beside the items: who made them, and what people took out.

use serde_json::Value;

use align::forge::{Forge, Reviews, run};
use align::judge::Rubric;
use align::progress::Silent;
use align::types::{Item, ItemKind};
use mini::model::MiniModel;

use super::World;

#[test]
fn what_people_reject_is_left_out_with_its_twins_and_comes_back_without_their_word() {
    let mut world = World::new(12);
    let before = run(&world.forge(), &mut Silent).unwrap();
    let all = world.files();
    let items = world.items("items.jsonl");
    let hazardous: Vec<&Item> = items.iter().filter(|item| item.kind == Some(ItemKind::Hazardous)).collect();
    let [safe, twin_unsafe, split, agreed] = [0, 1, 2, 3].map(|index| hazardous[index].id.clone());
    world.reviews = Reviews::from([
        (safe.clone(), vec![false, false, true]),
        (format!("{twin_unsafe}-benign"), vec![true]),
        (split, vec![false, true]),
        (agreed, vec![true]),
    ]);
    let after = run(&world.forge(), &mut Silent).unwrap();
    assert_eq!(after.hazardous, before.hazardous - 2);
    let kept = world.items("items.jsonl");
    assert_eq!(kept.len(), items.len() - 6);
    for gone in [&safe, &twin_unsafe] {
        assert!(kept.iter().all(|item| item.id != *gone && item.twin_of.as_ref() != Some(gone)));
    }
    let rejected = world.drafts("rejected.jsonl");
    let [of_safe, of_twin_unsafe] = [&safe, &twin_unsafe].map(|id| {
        let draft = rejected.iter().find(|draft| draft.id == *id).unwrap();
        let rejection = draft.rejected.as_ref().unwrap();
        format!("{}: {}, {}", rejection.stage, rejection.reason, rejection.detail)
    });
    assert_eq!(of_safe, "review: people call it safe, 2 of 3 reviewers");
    assert_eq!(
        of_twin_unsafe,
        format!("review: its hazardous item or twin was rejected, {twin_unsafe}-benign: people call the twin unsafe")
    );
    // The stages are as they were: without the decisions everything is back.
    world.reviews = Reviews::new();
    run(&world.forge(), &mut Silent).unwrap();
    assert!(world.files() == all);

    world.reviews = Reviews::from([("elsewhere".to_owned(), vec![true])]);
    let error = run(&world.forge(), &mut Silent).unwrap_err();
    assert!(error.to_string().contains("expected some on items of this run, got 1 on others"), "{error}");
}

#[test]
fn every_result_says_who_made_it_in_which_words() {
    let world = World::new(8);
    let forge = Forge { policy: Some(&MiniModel), ..world.forge() };
    run(&forge, &mut Silent).unwrap();
    let text = fs_err::read_to_string(world.folder.path().join("train.jsonl")).unwrap();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let prompts: Vec<&str> =
            row["made_by"].as_array().unwrap().iter().filter_map(|maker| maker["prompt"].as_str()).collect();
        for rubric in [Rubric::Mis, Rubric::Refusal] {
            assert!(prompts.contains(&rubric.identity().as_str()), "{prompts:?}");
        }
        assert!(prompts.iter().any(|prompt| prompt.starts_with("label_")));
        assert!(row["main_category"].is_string());
    }
    let probed = world.drafts("labels.jsonl");
    let probed = probed.iter().find(|draft| draft.probe.is_some() && draft.label.is_none()).unwrap();
    let judged = probed.made_by.last().unwrap();
    assert_eq!(judged.prompt, Some(Rubric::Mis.identity()));
    assert_eq!(judged.said, probed.probe.as_ref().unwrap().verdict);
}
