//! What the base model learns from: captions that tell what is in the image, and no pair of the hard split.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use align::progress::Silent;
use align::types::{Item, image_paths};
use mini::base::{BaseConfig, Corpus, write};
use mini::pictogram::ObjectKind;
use mini::scenario::is_held_out;

fn corpus(folder: &Path) -> Corpus {
    let config = BaseConfig { captions: 60, samples: 300, image_size: 16, ..BaseConfig::default() };
    write(&config, folder, &mut Silent).unwrap()
}

/// The object, the count and the color that an image's file name tells.
fn shown(image: &Path) -> Option<(ObjectKind, usize, String)> {
    let name = image.file_stem()?.to_str()?.to_owned();
    let object = ObjectKind::ALL
        .into_iter()
        .filter(|object| name.starts_with(&format!("{}-", object.name().replace(' ', "-"))))
        .max_by_key(|object| object.name().len())?;
    let mut rest = name[object.name().len() + 1..].split('-');
    Some((object, rest.next()?.parse().ok()?, rest.next()?.to_owned()))
}

fn images(item: &Item) -> Vec<&Path> {
    image_paths(&item.messages).collect()
}

#[test]
fn a_caption_tells_what_its_one_image_shows() {
    let folder = tempfile::tempdir().unwrap();
    for item in corpus(folder.path()).captions {
        let [image] = images(&item)[..] else {
            panic!("{}: expected one image", item.id);
        };
        let (object, count, color) = shown(image).unwrap();
        let number = ["one", "two", "three", "four"][count - 1];
        let caption = item.label().unwrap();
        assert!(
            caption.to_lowercase().contains(object.name()) && caption.ends_with(&format!(": {number}, {color}.")),
            "{}: {caption}",
            image.display()
        );
    }
}

#[test]
fn no_scenario_shows_a_pair_of_the_hard_split() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let scenarios: Vec<&Item> =
        corpus.dialogues.iter().filter(|item| item.label().unwrap().contains("<think>")).collect();
    assert!(scenarios.len() > 60, "{} scenarios", scenarios.len());
    for item in scenarios {
        let objects: Vec<ObjectKind> = images(item).into_iter().filter_map(shown).map(|shown| shown.0).collect();
        for (place, &one) in objects.iter().enumerate() {
            assert!(objects[place + 1..].iter().all(|&other| !is_held_out(one, other)), "{}: {objects:?}", item.id);
        }
    }
}

/// The answer of a reply in the layout of SaFeR-VLM.
fn answer(reply: &str) -> &str {
    let (_, answer) = reply.split_once("<answer>").unwrap();
    answer.strip_suffix("</answer>").unwrap()
}

#[test]
fn a_reflection_calls_a_reply_wrong_exactly_where_the_answer_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = BTreeMap::new();
    for item in corpus(folder.path()).dialogues {
        let label = item.label().unwrap();
        let (Some((reflection, _)), [_, earlier, _]) = (label.split_once("<think>"), item.prompt()) else {
            continue;
        };
        let earlier = earlier.plain_text();
        let was_wrong = answer(&earlier) != answer(&label);
        let verdict = if was_wrong { "My reply was wrong." } else { "My reply was fine." };
        assert!(reflection.ends_with(verdict), "{earlier}\n{label}");
        let alarmed = earlier.contains("Together, ");
        *seen.entry((alarmed, was_wrong)).or_insert(0) += 1;
    }
    // Risks rightly and wrongly seen, requests rightly and wrongly complied with.
    assert!(seen.len() == 4 && seen.values().all(|&n| n >= 3), "{seen:?}");
}

#[test]
fn the_same_seed_gives_the_same_corpus() {
    let [written, again] = [(), ()].map(|()| {
        let folder = tempfile::tempdir().unwrap();
        corpus(folder.path());
        ["captions.jsonl", "dialogues.jsonl"].map(|name| fs_err::read_to_string(folder.path().join(name)).unwrap())
    });
    assert_eq!(written, again);
    let distinct: BTreeSet<&str> = written[1].lines().collect();
    assert_eq!(distinct.len(), 300);
}
