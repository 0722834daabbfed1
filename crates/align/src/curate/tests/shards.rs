//! Proof that parts put together are the whole, wherever a run was stopped.

use proptest::prelude::*;

use super::*;
use crate::decontamination::image::GrayImage;
use crate::decontamination::{Compared, DecontaminationConfig, Decontaminator};
use crate::types::{Part, write_items};

/// Everything that a curation leaves behind.
const FILES: [&str; 5] = ["samples.jsonl", "sampling.json", "curation.jsonl", "curated.jsonl", "summary.json"];

fn files(folder: &Path) -> Vec<(&'static str, String)> {
    FILES.map(|name| (name, std::fs::read_to_string(folder.join(name)).unwrap())).into()
}

fn shard(
    index: u64,
    of: u64,
    curation: &Curation,
    folder: &Path,
    patience: usize,
) -> Result<ShardSummary, CurateError> {
    let model = Digits::with_patience(patience);
    run_shard(Shard { index, of }, &[Policy::alone(&model)], curation, folder, &mut Silent)
}

fn merged(shards: &[PathBuf], curation: &Curation, folder: &Path) -> Result<CurationSummary, CurateError> {
    merge(shards, 1, curation, folder, &mut Silent)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn shards_merge_to_the_whole(of in 1..5_u64, n in 1..60_usize, batch_size in 1..9_usize, patience in 1..160_usize) {
        let folder = tempfile::tempdir().unwrap();
        let items: Vec<Item> = (0..n).map(|number| {
            let kind = if number.is_multiple_of(3) { ItemKind::Benign } else { ItemKind::Hazardous };
            item(&format!("p{number}"), kind)
        }).collect();
        let config = CurateConfig { batch_size, num_kept: 20, ..small() };
        let reward = reward();
        let whole = Curation { pool: Pool::Items(&items), ..curation(&reward, &config) };
        let whole_folder = folder.path().join("whole");
        let outcome = run(&[Policy::alone(&Digits::new())], &whole, &whole_folder, &mut Silent);
        prop_assume!(outcome.is_ok());

        // The shards read a file, in batches of another size, and are stopped on the way.
        let file = folder.path().join("pool.jsonl");
        write_items(&file, &items).unwrap();
        let larger = CurateConfig { batch_size: batch_size + 1, ..config.clone() };
        let part = Curation { pool: Pool::File(&file), ..curation(&reward, &larger) };
        let folders: Vec<PathBuf> = (1..=of).map(|index| folder.path().join(format!("part-{index}"))).collect();
        for (index, part_folder) in (1..).zip(&folders) {
            let _ = shard(index, of, &part, part_folder, patience);
            shard(index, of, &part, part_folder, usize::MAX).unwrap();
        }
        let merged_folder = folder.path().join("merged");
        let backwards: Vec<PathBuf> = folders.iter().rev().cloned().collect();
        let same_size = Curation { config: whole.config, ..part };
        merged(&backwards, &same_size, &merged_folder).unwrap();
        prop_assert_eq!(files(&merged_folder), files(&whole_folder));
    }
}

// Machines that sample shards need not keep the pool in the same place.
#[test]
fn shards_of_a_pool_fit_together_wherever_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(place("here/world/images")).unwrap();
    let items: Vec<Item> = pool()
        .into_iter()
        .map(|mut item| {
            let image = place("here/world/images").join(format!("{}.png", item.id));
            item.messages[0].content.insert(0, Part::image(image));
            item
        })
        .collect();
    write_items(&place("here/world/pool.jsonl"), &items).unwrap();
    let (config, reward) = (small(), reward());
    let sample = |index: u64, file: &Path| {
        let part = Curation { pool: Pool::File(file), ..curation(&reward, &config) };
        shard(index, 2, &part, &place(&format!("parts/{index}")), usize::MAX)
    };
    sample(1, &place("here/world/pool.jsonl")).unwrap();
    sample(1, &place("here/../here/world/./pool.jsonl")).unwrap();
    std::fs::rename(place("here"), place("there")).unwrap();
    let moved = place("there/world/pool.jsonl");
    sample(2, &moved).unwrap();
    let whole = Curation { pool: Pool::File(&moved), ..curation(&reward, &config) };
    merged(&[place("parts/1"), place("parts/2")], &whole, &place("merged")).unwrap();

    // Other images under the same ids are another pool.
    std::fs::create_dir(place("there/world/black")).unwrap();
    let other = std::fs::read_to_string(&moved).unwrap().replace("images/", "black/");
    std::fs::write(&moved, other).unwrap();
    let message = sample(2, &moved).unwrap_err().to_string();
    assert!(message.contains("`items_sha256` differs"), "{message}");
}

#[test]
fn shards_that_do_not_fit_together_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (items, config, reward) = (pool(), small(), reward());
    let curation = Curation { pool: Pool::Items(&items), ..curation(&reward, &config) };
    let place = |name: &str| folder.path().join(name);
    shard(1, 2, &curation, &place("one"), usize::MAX).unwrap();
    shard(2, 2, &curation, &place("two"), 32).unwrap_err();
    shard(2, 3, &curation, &place("of-three"), usize::MAX).unwrap();
    run(&[Policy::alone(&Digits::new())], &curation, &place("whole"), &mut Silent).unwrap();
    let hotter = CurateConfig { temperature: 0.5, ..small() };
    let hot = Curation { config: &hotter, ..curation };
    shard(2, 2, &hot, &place("hot"), usize::MAX).unwrap();
    let message = |names: &[&str]| {
        let folders: Vec<PathBuf> = names.iter().map(|name| place(name)).collect();
        let error = merged(&folders, &curation, &place("merged")).unwrap_err().to_string();
        error.replace(&folder.path().display().to_string(), "DIR")
    };
    insta::assert_snapshot!(message(&["one"]), @"shard 2/2 is missing: expected the folders of all 2 shards");
    insta::assert_snapshot!(message(&["one", "one"]), @"DIR/one: expected each shard once, but DIR/one is shard 1/2 too");
    insta::assert_snapshot!(message(&["one", "of-three"]), @"DIR/of-three: expected a shard of 2 like the others, got 2/3");
    insta::assert_snapshot!(message(&["one", "whole"]), @"DIR/whole: expected a shard, got a whole curation");
    insta::assert_snapshot!(message(&["one", "nowhere"]), @"DIR/nowhere: no shard is there: expected sampling.json in it");
    insta::assert_snapshot!(message(&["one", "hot"]), @"DIR/hot/sampling.json: `temperature` differs from the run's: expected 0.5, got 1.0");
    insta::assert_snapshot!(message(&["one", "two"]), @"DIR/two: shard 2/2 is not complete: expected samples.jsonl in it");
    assert!(!place("merged").join("samples.jsonl").exists());
}

#[test]
fn contaminated_prompts_are_dropped_before_they_are_sampled_in_shards_too() {
    fn unread(_: &Path) -> Result<GrayImage, String> {
        Err("no image is read".to_owned())
    }

    let folder = tempfile::tempdir().unwrap();
    let mut items = pool();
    for (number, item) in items.iter_mut().enumerate() {
        item.messages = vec![Message::text(Role::User, format!("Number {number} stands by itself {number}"))];
    }
    let mut known = vec![items[3].clone(), items[25].clone()];
    known[0].id = "e0".into();
    known[1].id = "e1".into();
    let settings = DecontaminationConfig {
        compare: vec![Compared::Text],
        text_similarity: 1.0,
        ..DecontaminationConfig::default()
    };
    let decontaminator = Decontaminator::new(&settings, &unread, [("held-out".to_owned(), known)]).unwrap();
    let (config, reward) = (small(), reward());
    let curation =
        Curation { pool: Pool::Items(&items), decontaminator: Some(&decontaminator), ..curation(&reward, &config) };
    let whole = folder.path().join("whole");
    let impatient = Digits::with_patience(48);
    run(&[Policy::alone(&impatient)], &curation, &whole, &mut Silent).unwrap_err();
    let summary = run(&[Policy::alone(&Digits::new())], &curation, &whole, &mut Silent).unwrap();
    assert_eq!((summary.n_prompts, summary.n_samples), (31, 29 * 4));
    assert_eq!(summary.dropped[&DropReason::Contaminated], 2);
    let counts = summary.contamination.unwrap();
    assert_eq!((counts.by_set["held-out"], counts.by_match["text"], counts.n_unreadable), (2, 2, 0));
    let report = std::fs::read_to_string(whole.join("contaminated.jsonl")).unwrap();
    insta::assert_snapshot!(report, @r#"
    {"id":"h3","cause":{"by":"text","set":"held-out","item":"e0","similarity":1.0}}
    {"id":"b5","cause":{"by":"text","set":"held-out","item":"e1","similarity":1.0}}
    "#);

    let folders: Vec<PathBuf> = (1..=3).map(|index| folder.path().join(format!("part-{index}"))).collect();
    for (index, part) in (1..).zip(&folders) {
        shard(index, 3, &curation, part, usize::MAX).unwrap();
    }
    let merged_folder = folder.path().join("merged");
    merged(&folders, &curation, &merged_folder).unwrap();
    assert_eq!(files(&merged_folder), files(&whole));
    assert_eq!(std::fs::read_to_string(merged_folder.join("contaminated.jsonl")).unwrap(), report);
}

#[test]
fn samples_that_were_tampered_with_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    curate(&Digits::new(), &pool(), &small(), folder.path()).unwrap();
    let path = folder.path().join("samples.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let without_one: String = text.split_inclusive('\n').skip(1).collect();
    std::fs::write(&path, without_one).unwrap();
    let refused = curate(&Digits::new(), &pool(), &small(), folder.path()).unwrap_err();
    assert!(refused.to_string().ends_with("samples.jsonl: expected 4 samples of prompt `h0` next, got 3"), "{refused}");
}
