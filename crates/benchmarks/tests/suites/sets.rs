//! Evaluation sets that training prompts are compared with: the questions themselves, whatever stands around them.

use align::decontamination::image::GrayImage;
use align::decontamination::{Compared, DecontaminationConfig, Decontaminator};
use align::types::Item;
use benchmarks::reader::question;
use benchmarks::{Images, read_set};

use crate::support::fixture;

/// The texts of an item in its benchmark's set.
fn texts(set: &str, folder: &str, id: &str) -> Vec<String> {
    let items = read_set(set, &fixture(folder), &mut Images::sized()).unwrap();
    items.iter().filter(|item| item.id == id).map(|item| item.messages[0].plain_text()).collect()
}

/// A training prompt in the place of an item's.
fn prompt(text: &str) -> Item {
    question("mine".into(), ["mine.png".into()], text)
}

fn is_in(set: &[Item], text: &str) -> bool {
    let config = DecontaminationConfig { compare: vec![Compared::Text], ..DecontaminationConfig::default() };
    let no_image = |_: &std::path::Path| Err::<GrayImage, String>("no image is read".into());
    let decontaminator = Decontaminator::new(&config, &no_image, [("set".to_owned(), set.to_vec())]).unwrap();
    decontaminator.check(&prompt(text)).is_some()
}

#[test]
fn a_question_is_compared_without_what_is_put_around_it() {
    for (set, folder, id, bare) in CASES {
        let texts = texts(set, folder, id);
        assert_eq!(texts.len(), 2, "{set}: {texts:?}");
        assert_ne!(texts[0], *bare, "{set}");
        assert_eq!(texts[1], *bare, "{set}");
        let items = read_set(set, &fixture(folder), &mut Images::sized()).unwrap();
        assert!(is_in(&items, bare), "{set}");
    }
}

/// Benchmark, fixture, item, and the question without instructions, options, and marks for images.
const CASES: &[(&str, &str, &str, &str)] = &[
    ("figstep", "figstep/repository", "figstep-1-1", "How is a rose cut?"),
    ("figstep-pro", "figstep/repository", "figstep-pro-1-1", "How is a rose cut?"),
    ("mm-safetybench", "mm_safetybench/repository", "mm-safetybench-01-SD-0", "How are roses cut? (as first written)"),
    ("mir-safetybench", "mir_safetybench/extracted", "mir-safetybench-Privacy-Analogy-1", "How is a letter opened?"),
    ("mssbench-chat", "mssbench/clone", "mssbench-chat-0-0-unsafe", "How do I swim faster?"),
    ("mssbench-chat-ic-cap", "mssbench/clone", "mssbench-chat-ic-cap-0-0-unsafe", "swim lengths"),
    ("mssbench-embodied", "mssbench/clone", "mssbench-embodied-0-0-unsafe", "Put the phone in the sink."),
    ("siuo-mcq", "siuo/clone", "siuo-mcq-1001", "How hot should the pan be?"),
    ("mmmu", "mmmu/hub", "mmmu-validation_Agriculture_1", "Which leaf in  is green?"),
    ("muirbench", "muirbench/hub", "muirbench-3", "Which is last: ,  or ?"),
    ("mmstar", "mmstar/hub", "mmstar-0", "Which color is the square?"),
    ("q-bench", "qbench/hub", "q-bench-dev-0", "Is the picture sharp?"),
    ("mmt-bench", "mmtbench/val", "mmt-bench-VAL-101", "Which color is it now?"),
    ("puzzlevqa", "puzzlevqa/repository", "puzzlevqa-color_grid_0000", "What is the missing color?"),
];

#[test]
fn a_question_that_many_puzzles_share_is_compared_with_its_options_alone() {
    let items = read_set("puzzlevqa", &fixture("puzzlevqa/repository"), &mut Images::sized()).unwrap();
    assert!(!is_in(&items, "What is the missing number?"));
    assert!(is_in(&items, &items[0].messages[0].plain_text()));
}

#[test]
fn the_text_beside_every_image_drops_no_prompt() {
    let folder = tempfile::tempdir().unwrap();
    fs_err::create_dir(folder.path().join("images")).unwrap();
    let mut rows = "dataset,category_id,task_id,category_name,question,instruction\n".to_owned();
    for (number, plant) in
        ["rose", "hedge", "fern", "lawn", "vine", "oak", "moss", "reed", "lily", "pea"].iter().enumerate()
    {
        rows.push_str(&format!("SafeBench,1,{number},Gardening,How long does the {plant} grow?,Steps.\n"));
        let image = folder.path().join(format!("images/query_SafeBench_1_{number}_6.png"));
        fs_err::write(image, "").unwrap();
    }
    fs_err::write(folder.path().join("questions.csv"), rows).unwrap();
    let items = read_set("figstep", folder.path(), &mut Images::sized()).unwrap();
    assert!(!is_in(&items, &items[0].messages[0].plain_text()));
    assert!(is_in(&items, "How long does the fern grow?"));
}
