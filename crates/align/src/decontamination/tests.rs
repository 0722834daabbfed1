//! Near-duplicates are found by text and by image, and others are not.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::image::{GrayImage, ImageHash};
use super::text::{PERMUTATIONS, Shingles, TextIndex};
use super::*;
use crate::types::Part;

const LONG: &str = "Look at both pictures with care and describe what the person in the first one holds, where they \
    stand, who else can be seen beside them and what the weather is like; then tell me whether the object in the second \
    picture could be brought along on a walk through the park in the evening.";

/// The number of the text closest to this one.
fn closest(index: &TextIndex, text: &str) -> Option<usize> {
    index.closest(&Shingles::of(text)).map(|(number, _)| number)
}

#[test]
fn texts_are_found_whatever_their_case_and_punctuation_and_with_a_word_changed() {
    let mut index = TextIndex::new(0.7);
    index.insert(LONG, 7);
    index.insert("How do I put out a candle safely?", 8);
    assert_eq!(closest(&index, &LONG.to_uppercase().replace(',', " --")), Some(7));
    assert_eq!(closest(&index, &LONG.replace("evening", "morning")), Some(7));
    assert_eq!(closest(&index, "how do I put out a candle, safely"), Some(8));
    assert_eq!(closest(&index, "How do I put out a candle safely, please?"), Some(8));
    assert_eq!(closest(&index, "How do I light a fire in the oven?"), None);
    assert_eq!(closest(&index, ""), None);
    assert_eq!(closest(&index, "!?"), None);
    // Half of it is not the whole.
    assert_eq!(closest(&index, &LONG[..LONG.len() / 2]), None);
}

#[test]
fn writing_without_spaces_and_the_shortest_texts_are_compared_too() {
    let mut index = TextIndex::new(0.7);
    index.insert("把第一张图片里的东西放进第二张图片里的东西会怎么样", 0);
    index.insert("Hm", 1);
    assert_eq!(closest(&index, "把第一张图片里的东西放进第二张图片里的东西会怎么样？"), Some(0));
    assert_eq!(closest(&index, "hm..."), Some(1));
    assert_eq!(closest(&index, "ha"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn equal_places_of_signatures_estimate_jaccard(common in 0..60_usize, one in 0..60_usize, other in 0..60_usize) {
        prop_assume!(common + one > 45 && common + other > 45);
        let [one, other] = [("a", one), ("b", other)].map(|(name, own)| {
            let shared = (0..common).map(|number| format!("shared{number}"));
            let words = shared.chain((0..own).map(|number| format!("{name}{number}")));
            Shingles::of(&words.collect::<Vec<_>>().join(" "))
        });
        let exact = one.jaccard(&other);
        let (left, right) = (one.signature(), other.signature());
        let equal = left.iter().zip(&right).filter(|(left, right)| left == right).count();
        let estimate = equal as f64 / PERMUTATIONS as f64;
        // Five standard errors.
        let error = (exact * (1.0 - exact) / PERMUTATIONS as f64).sqrt();
        prop_assert!((estimate - exact).abs() <= 5.0 * error + 0.02, "{estimate} for {exact}");
    }

    #[test]
    fn a_pair_is_found_exactly_if_it_is_similar_enough(changed in 0..20_usize, threshold in 0.3..0.95_f64) {
        let words: Vec<String> = (0..80).map(|number| format!("word{number}")).collect();
        let mut other = words.clone();
        for number in 0..changed {
            other[number * 4] = format!("new{number}");
        }
        let mut index = TextIndex::new(threshold);
        index.insert(&words.join(" "), 3);
        let shingles = Shingles::of(&other.join(" "));
        let exact = Shingles::of(&words.join(" ")).jaccard(&shingles);
        let found = index.closest(&shingles);
        prop_assert_eq!(found, (exact >= threshold).then_some((3, exact)));
    }
}

/// Soft blobs whose places the seed decides, `width` by `height`.
fn blobs(seed: u64, width: usize, height: usize) -> GrayImage {
    let mut blobs = Vec::new();
    for blob in 0..12 {
        let numbers = [0, 1, 2].map(|number| crate::seeds::derive_seed(seed, "blob", &[blob * 3 + number]));
        blobs.push(numbers.map(|number| (number % 1000) as f64 / 1000.0));
    }
    let mut pixels = Vec::new();
    for index in 0..width * height {
        let x = ((index % width) as f64 + 0.5) / width as f64;
        let y = ((index / width) as f64 + 0.5) / height as f64;
        let mut sum = 0.0;
        for [left, top, strength] in &blobs {
            let (across, down) = (x - left, y - top);
            sum += (strength - 0.5) * (-(across * across + down * down) / 0.02).exp();
        }
        pixels.push((128.0 + 240.0 * sum).clamp(0.0, 255.0) as u8);
    }
    GrayImage::new(width, pixels).unwrap()
}

/// The image as a lossy encoder leaves it: each pixel a few levels off, and each block of 8 by 8 too.
fn noisy(image: &GrayImage, width: usize) -> GrayImage {
    let mut pixels = Vec::new();
    for (index, brightness) in image.pixels.iter().enumerate() {
        let block = index / width / 8 * width + index % width / 8;
        let [pixel, block] = [("pixel", index), ("block", block)]
            .map(|(kind, number)| (crate::seeds::derive_seed(1, kind, &[number as u64]) % 9) as i32 - 4);
        pixels.push((i32::from(*brightness) + pixel + block).clamp(0, 255) as u8);
    }
    GrayImage::new(width, pixels).unwrap()
}

fn hash(image: &GrayImage) -> ImageHash {
    ImageHash::of(image).unwrap()
}

#[test]
fn an_image_keeps_its_hash_through_resizing_and_noise_and_others_have_another() {
    let most = DecontaminationConfig::default().image_distance;
    for seed in 0..6 {
        let original = hash(&blobs(seed, 240, 180));
        for (width, height) in [(120, 90), (360, 270), (213, 160), (97, 73), (50, 40)] {
            let distance = original.distance(hash(&blobs(seed, width, height)));
            assert!(distance <= most, "{width} x {height}: {distance}");
        }
        let distance = original.distance(hash(&noisy(&blobs(seed, 240, 180), 240)));
        assert!(distance <= most, "with noise: {distance}");
        let distance = original.distance(hash(&blobs(seed + 1000, 240, 180)));
        assert!(distance > 20, "{distance}");
    }
}

#[test]
fn blank_images_have_no_hash() {
    for base in [0, 248] {
        let noisy = (0..64 * 64).map(|pixel| base + (pixel % 7) as u8);
        assert_eq!(ImageHash::of(&GrayImage::new(64, noisy.collect()).unwrap()), None);
    }
    assert!(ImageHash::of(&blobs(1, 64, 64)).is_some());
    assert!(GrayImage::new(0, Vec::new()).is_none());
    assert!(GrayImage::new(3, vec![0; 4]).is_none());
    assert_eq!(ImageHash::of(&GrayImage::new(1, vec![9]).unwrap()), None);
}

fn item(id: &str, text: &str, images: &[&str]) -> Item {
    let mut content: Vec<Part> = Vec::new();
    content.extend(images.iter().map(Part::image));
    content.push(Part::Text { text: text.to_owned() });
    Item {
        id: id.into(),
        messages: vec![Message { role: Role::User, content }],
        split: None,
        kind: None,
        category: None,
        twin_of: None,
        truth: None,
    }
}

/// Files by name: `blank`, `broken`, or a number that is the seed of an image.
fn read(path: &Path) -> Result<GrayImage, String> {
    match path.to_str().unwrap() {
        "blank" => Ok(GrayImage::new(8, vec![0; 64]).unwrap()),
        seed => Ok(blobs(seed.parse().map_err(|_| "it is broken".to_owned())?, 90, 60)),
    }
}

#[test]
fn prompts_are_dropped_for_a_text_or_an_image_but_never_for_a_blank_one() {
    let config = DecontaminationConfig::default();
    let sets = [
        ("hard".to_owned(), vec![item("h1", "May I mix these two liquids?", &["1", "2"])]),
        ("blank".to_owned(), vec![item("b1", "Anything to see in here at all?", &["blank", "3"])]),
    ];
    let decontaminator = Decontaminator::new(&config, &read, sets).unwrap();
    let cause = |item: Item| {
        let found = decontaminator.check(&item);
        serde_json::to_string(&found.map(|found| found.cause)).unwrap()
    };
    insta::assert_snapshot!(cause(item("a", "may I mix these two liquids", &["8", "9"])), @r#"{"by":"text","set":"hard","item":"h1","similarity":1.0}"#);
    insta::assert_snapshot!(cause(item("a", "Where can one swim?", &["8", "2"])), @r#"{"by":"image","set":"hard","item":"h1","similarity":1.0,"image":"2"}"#);
    insta::assert_snapshot!(cause(item("a", "Where can one swim?", &["blank", "3"])), @r#"{"by":"image","set":"blank","item":"b1","similarity":1.0,"image":"3"}"#);
    insta::assert_snapshot!(cause(item("a", "Where can one swim?", &["blank", "9"])), @r#"null"#);
    insta::assert_snapshot!(cause(item("a", "Where can one swim?", &["8", "gone.png"])), @r#"{"by":"unreadable","image":"gone.png","problem":"it is broken"}"#);

    let text_alone = DecontaminationConfig { compare: vec![Compared::Text], ..DecontaminationConfig::default() };
    let sets = [("hard".to_owned(), vec![item("h1", "May I mix these two liquids?", &["1"])])];
    let decontaminator = Decontaminator::new(&text_alone, &read, sets).unwrap();
    assert_eq!(decontaminator.check(&item("a", "Where can one swim?", &["1", "gone.png"])), None);
}

#[test]
fn a_text_that_many_items_of_a_set_have_drops_no_prompt_by_itself() {
    let config = DecontaminationConfig::default();
    let set = |n_items: u32| {
        let items = (0..n_items).map(|number| item(&format!("f{number}"), "Fill in the list.", &[&number.to_string()]));
        items.collect::<Vec<_>>()
    };
    let twins = set(10).into_iter().map(|item| Item { twin_of: Some("f0".into()), ..item }).collect();
    let in_words = set(10).into_iter().map(|mut item| {
        item.messages[0].content.remove(0);
        item
    });
    for (items, is_found) in [(set(10), false), (set(9), true), (twins, true), (in_words.collect(), true)] {
        let decontaminator = Decontaminator::new(&config, &read, [("set".to_owned(), items)]).unwrap();
        let found = decontaminator.check(&item("a", "Fill in the list.", &["99"]));
        assert_eq!(found.is_some(), is_found, "{found:?}");
    }
    let decontaminator = Decontaminator::new(&config, &read, [("set".to_owned(), set(10))]).unwrap();
    let found = decontaminator.check(&item("a", "Fill in the list.", &["3"])).unwrap();
    assert_eq!(found.found(), Some(("set", Compared::Image)));
}

#[test]
fn a_set_that_cannot_be_read_is_an_error() {
    let config = DecontaminationConfig::default();
    let sets = [("hard".to_owned(), vec![item("h1", "Why?", &["gone.png"])])];
    let error = Decontaminator::new(&config, &read, sets).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some("set `hard`, item `h1`: gone.png: it is broken"));
}

#[test]
fn settings_out_of_range_are_named() {
    let base = DecontaminationConfig::default;
    let cases = [
        (DecontaminationConfig { text_similarity: 0.0, ..base() }, "`decontamination.text_similarity`"),
        (DecontaminationConfig { image_distance: 33, ..base() }, "`decontamination.image_distance`"),
        (DecontaminationConfig { compare: Vec::new(), ..base() }, "`decontamination.compare`"),
    ];
    for (config, expected) in cases {
        let message = config.validate("decontamination").unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let named: BTreeSet<&str> = [Compared::Text, Compared::Image].map(Compared::name).into();
    assert_eq!(named.len(), 2);
    base().validate("decontamination").unwrap();
}
