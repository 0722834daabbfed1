//! Prompts whose ids are not unique, and prompts that cannot be ranked.

use super::*;
use crate::json_lines::read_json_lines;
use crate::types::write_items;

#[test]
fn a_pool_with_an_id_that_stands_twice_is_refused_before_anything_is_sampled() {
    let folder = tempfile::tempdir().unwrap();
    let mut items = pool();
    // Of two ids that stand twice, the one whose second line comes first is named.
    items[12].id = "h9".into();
    items[25].id = "h0".into();
    let file = folder.path().join("pool.jsonl");
    write_items(&file, &items).unwrap();
    let (config, reward) = (small(), reward());
    let curation = Curation { pool: Pool::File(&file), ..curation(&reward, &config) };
    let model = Digits::new();
    let answers = folder.path().join("answers");
    let refused = run(&[Policy::alone(&model)], &curation, &answers, &mut Silent);
    let message = refused.unwrap_err().to_string().replace(&file.display().to_string(), "POOL");
    insta::assert_snapshot!(message, @"POOL:13: id `h9` already occurs on line 10: expected unique ids");
    assert_eq!(model.answered.get(), 0);
}

/// Scores of the prompt `once` the first sample alone, each prompt having four.
struct Picky;

impl Judge for Picky {
    fn name(&self) -> &'static str {
        "picky"
    }

    fn judge(&self, responses: &[(&Item, &str)]) -> Result<Vec<Judgement>, ChatError> {
        let judgements = DigitJudge.judge(responses)?;
        let picky = judgements.into_iter().enumerate().map(|(index, judgement)| {
            let (item, _) = responses[index];
            let is_first = index.is_multiple_of(4);
            if item.id != "once" || is_first { judgement } else { Err(Unscored::new("once is enough")) }
        });
        Ok(picky.collect())
    }
}

#[test]
fn a_prompt_with_one_scored_sample_is_not_ranked() {
    let folder = tempfile::tempdir().unwrap();
    let mut items = pool();
    items[4].id = "once".into();
    let (config, reward) = (small(), reward());
    let curation = Curation { pool: Pool::Items(&items), judge: &Picky, ..curation(&reward, &config) };
    let summary = run(&[Policy::alone(&Digits::new())], &curation, folder.path(), &mut Silent).unwrap();
    assert_eq!(summary.dropped[&DropReason::TooFewScored], 2);
    let records: Vec<CurationRecord> = read_json_lines(&folder.path().join("curation.jsonl")).unwrap();
    let once = records.iter().find(|record| record.id == "once").unwrap();
    assert_eq!((once.n_scored, once.reason), (1, Some(DropReason::TooFewScored)));
    assert!(once.q.is_some() && once.flip_rate.is_none());

    let folder = tempfile::tempdir().unwrap();
    let few = [item("once", ItemKind::Hazardous), item("mute", ItemKind::Benign)];
    let curation = Curation { pool: Pool::Items(&few), ..curation };
    let message = run(&[Policy::alone(&Digits::new())], &curation, folder.path(), &mut Silent).unwrap_err().to_string();
    assert!(message.ends_with("of 2 prompts, 2 had fewer than 2 scored samples"), "{message}");
    assert!(folder.path().join("curation.jsonl").exists());
}
