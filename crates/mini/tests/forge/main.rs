//! Forging with the miniature world's own models, and with scripted ones that misbehave.

mod records;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use align::chat::scripted::Script;
use align::chat::{ChatError, ChatModel, ChatRequest};
use align::decontamination::{Compared, DecontaminationConfig, Decontaminator};
use align::forge::{
    Draft, Forge, ForgeConfig, ForgeError, LabelConfig, LabelMethod, Reviews, STAGES, Seed, Split, Taxonomy, run, stage,
};
use align::json_lines::read_json_lines;
use align::paint::{PaintModel, PaintRequest, Painting, Unpainted};
use align::progress::Silent;
use align::run_dir::RunError;
use align::types::{Item, ItemKind, read_items};
use mini::model::MiniModel;
use mini::painter::MiniPainter;
use mini::perception::truth_of;

/// A small world: few seeds, small images, three-image items allowed.
struct World {
    config: ForgeConfig,
    labels: LabelConfig,
    taxonomy: Taxonomy,
    seeds: Vec<Seed>,
    reviews: Reviews,
    folder: tempfile::TempDir,
}

impl World {
    fn new(seeds: usize) -> Self {
        let taxonomy = Taxonomy::open("mini").unwrap();
        let seeds = Seed::of(&taxonomy).into_iter().step_by(72 / seeds).collect();
        Self {
            config: ForgeConfig {
                max_images: 3,
                image_size: 56,
                neutral_train_share: 0.5,
                real: 4,
                ..ForgeConfig::default()
            },
            labels: LabelConfig { blank_share: 0.5, ..LabelConfig::default() },
            taxonomy,
            seeds,
            reviews: Reviews::new(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn forge(&self) -> Forge<'_> {
        Forge {
            config: &self.config,
            labels: &self.labels,
            taxonomy: &self.taxonomy,
            seeds: &self.seeds,
            image_pool: &[],
            photographs: &[],
            writer: &MiniModel,
            painter: &MiniPainter,
            judge: &MiniModel,
            annotator: &MiniModel,
            policy: None,
            truth: Some(truth_of),
            decontaminator: None,
            reviews: &self.reviews,
            folder: self.folder.path(),
        }
    }

    fn items(&self, file: &str) -> Vec<Item> {
        read_items(&self.folder.path().join(file)).unwrap()
    }

    fn drafts(&self, file: &str) -> Vec<Draft> {
        read_json_lines(&self.folder.path().join(file)).unwrap()
    }

    /// Every file's bytes by its path.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(path.clone(), fs_err::read(&path).unwrap());
                }
            }
        }
        files
    }
}

fn of_kind(items: &[Item], kind: ItemKind) -> Vec<&Item> {
    items.iter().filter(|item| item.kind == Some(kind)).collect()
}

#[test]
fn items_have_splits_twins_and_labels() {
    let world = World::new(24);
    let summary = run(&world.forge(), &mut Silent).unwrap();
    let items = world.items("items.jsonl");
    let by_id: HashMap<&str, &Item> = items.iter().map(|item| (item.id.as_str(), item)).collect();
    let hazardous = of_kind(&items, ItemKind::Hazardous);
    assert!(hazardous.len() > 30, "{}", hazardous.len());
    assert_eq!(summary.hazardous, hazardous.len());
    for split in Split::ALL {
        assert!(hazardous.iter().any(|item| item.split.as_deref() == Some(split.name())), "no {}", split.name());
    }
    assert!(hazardous.iter().any(|item| align::types::image_paths(&item.messages).count() == 3));
    // Each hazardous item has both twins, which ask the same; each twin belongs to one.
    for kind in [ItemKind::Benign, ItemKind::BlankImage] {
        let twins = of_kind(&items, kind);
        let roots: HashSet<&str> = twins.iter().filter_map(|twin| twin.twin_of.as_deref()).collect();
        assert_eq!((twins.len(), roots.len()), (hazardous.len(), hazardous.len()));
        for twin in twins {
            let item = by_id[twin.twin_of.as_deref().unwrap()];
            assert_eq!(twin.messages[0].plain_text(), item.messages[0].plain_text());
            assert_ne!(twin.messages, item.messages);
        }
    }
    // No combination of things is both trained on and tested.
    let drafts = world.drafts("labels.jsonl");
    let (mut trained_on, mut tested) = (HashSet::new(), HashSet::new());
    for draft in drafts.iter().filter(|draft| draft.kind == ItemKind::Hazardous) {
        let mut objects = draft.objects.clone();
        objects.sort();
        if draft.split == Some(Split::Train) {
            trained_on.insert(objects);
        } else {
            tested.insert(objects);
        }
    }
    assert!(!tested.is_empty() && trained_on.is_disjoint(&tested));
    // Labels say what the exact judge wants.
    let train = world.items("train.jsonl");
    let [harmful, benign, blank] =
        [ItemKind::Hazardous, ItemKind::Benign, ItemKind::BlankImage].map(|kind| of_kind(&train, kind));
    let trained = hazardous.iter().filter(|item| item.split.as_deref() == Some("train")).count();
    assert_eq!((harmful.len(), benign.len()), (trained, trained));
    assert!((1..trained).contains(&blank.len()));
    assert!(harmful.iter().all(|item| item.label().unwrap().contains("Please do not")));
    assert!(benign.iter().all(|item| item.label().unwrap().contains("Sure. You can")));
    assert!(items.iter().all(|item| item.truth.is_some()));
    // Everything that was rejected is recorded, with the prompts' hashes.
    let rejected = world.drafts("rejected.jsonl");
    assert!(rejected.iter().all(|draft| draft.rejected.is_some()));
    let total: usize = summary.stages.iter().map(|counts| counts.entered - counts.kept).sum();
    assert_eq!(rejected.len(), total);
    assert!(drafts[0].made_by[0].prompt.as_deref().unwrap().starts_with("elements_text.v1@"));
}

#[test]
fn the_released_layout_holds_every_hazardous_item() {
    let world = World::new(12);
    run(&world.forge(), &mut Silent).unwrap();
    let mis = world.folder.path().join("mis");
    for split in Split::ALL {
        let text = fs_err::read_to_string(mis.join(format!("mis_{}.json", split.name()))).unwrap();
        let records: Vec<Value> = serde_json::from_str(&text).unwrap();
        let items = world.items("items.jsonl");
        let of_split = items
            .iter()
            .filter(|item| item.kind == Some(ItemKind::Hazardous) && item.split.as_deref() == Some(split.name()));
        assert_eq!(records.len(), of_split.count());
        for record in records {
            for field in ["question", "category", "sub_category", "image_path1", "image_path2"] {
                assert!(record[field].is_string(), "{field}: {record}");
            }
            assert!(mis.join(record["image_path2"].as_str().unwrap()).exists());
            assert_eq!(record["conversations"].is_array(), split == Split::Train);
        }
    }
}

#[test]
fn a_run_killed_anywhere_ends_in_the_same_bytes() {
    let world = World::new(8);
    run(&world.forge(), &mut Silent).unwrap();
    let finished = world.files();
    for stage in [0, 4, 9] {
        // As a kill leaves it: this stage and those after it not there, a torn file beside.
        for later in &STAGES[stage..] {
            fs_err::remove_file(stage::file_of(world.folder.path(), later)).unwrap();
        }
        let torn = world.folder.path().join(format!("{}.jsonl.partial", STAGES[stage].name));
        fs_err::write(torn, "{\"id\":").unwrap();
        run(&world.forge(), &mut Silent).unwrap();
        assert!(world.files() == finished, "cut before stage {stage}");
    }
    let mut other = World::new(8);
    other.folder = world.folder;
    other.config.seed = 1;
    let error = run(&other.forge(), &mut Silent).unwrap_err();
    assert!(matches!(error, ForgeError::Run(RunError::SettingDiffers { .. })), "{error}");
}

/// The miniature world's answer to one request.
fn answer_of_mini(request: &ChatRequest) -> Result<String, String> {
    let mut answer = Err(String::new());
    MiniModel
        .answer(&mut std::iter::once(request.clone()), &mut |_, given| {
            answer = given.map(|given| given.text).map_err(|unanswered| unanswered.reason);
        })
        .unwrap();
    answer
}

fn schema(request: &ChatRequest) -> &str {
    request.params.schema.as_ref().map_or("", |schema| schema.name)
}

#[test]
fn what_models_do_not_answer_rightly_is_repaired_once_and_then_rejected_with_the_reason() {
    let world = World::new(12);
    let writer = Script::new(|request: &ChatRequest| {
        let is_repair = request.messages.len() == 3;
        match (schema(request), request.id.as_str()) {
            // Repaired once the problem is named.
            ("instruction", _) if !is_repair => Ok("{\"keep\": true}".to_owned()),
            ("detox", id) if id.ends_with("-1") => Ok("{\"query\": \"What if I do it?\"}".to_owned()),
            ("twin", id) if id.ends_with("-2") => Err("timed out".to_owned()),
            _ => answer_of_mini(request),
        }
    });
    let forge = Forge { writer: &writer, ..world.forge() };
    let summary = run(&forge, &mut Silent).unwrap();
    let rejected = world.drafts("rejected.jsonl");
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for rejection in rejected.iter().filter_map(|draft| draft.rejected.as_ref()) {
        let reason = format!("{}: {}", rejection.reason, rejection.detail);
        reasons.entry(&rejection.stage).or_default().push(reason);
    }
    assert!(!reasons.contains_key("instructions"));
    let queries = &reasons["queries"];
    assert_eq!(queries.len(), 12);
    insta::assert_snapshot!(queries[0], @r#"no usable answer of the writer: field `query`: expected "the object in the first image" in it, got "What if I do it?"; the writer said: {"query": "What if I do it?"}"#);
    assert!(reasons["twins"].iter().all(|reason| reason == "no usable answer of the writer: timed out"));
    let counts = &summary.stages[2];
    assert_eq!((counts.stage.as_str(), counts.entered - counts.kept), ("queries", 12));
}

/// Paints nothing for some prompts, and something else than an image for others.
struct Moody;

impl PaintModel for Moody {
    fn name(&self) -> &'static str {
        "moody"
    }

    fn paint(
        &self,
        requests: &mut dyn Iterator<Item = PaintRequest>,
        on_painted: &mut dyn FnMut(usize, Result<Painting, Unpainted>),
    ) -> Result<(), ChatError> {
        let requests: Vec<PaintRequest> = requests.collect();
        for (index, request) in requests.iter().enumerate().rev() {
            let painted = match request.seed % 10 {
                0 => Err("the prompt is against the content policy".to_owned()),
                1 => Painting::new(b"\x89PNG and nothing more".to_vec()),
                _ => mini::painter::paint(request),
            };
            on_painted(index, painted.map_err(|reason| Unpainted { reason }));
        }
        Ok(())
    }
}

#[test]
fn items_whose_images_cannot_be_had_are_rejected_with_their_twins() {
    let world = World::new(24);
    let forge = Forge { painter: &Moody, ..world.forge() };
    run(&forge, &mut Silent).unwrap();
    let rejected = world.drafts("rejected.jsonl");
    let details: Vec<&str> = rejected
        .iter()
        .filter_map(|draft| draft.rejected.as_ref())
        .filter(|rejection| rejection.reason == "no image of the painter")
        .map(|rejection| rejection.detail.as_str())
        .collect();
    assert!(details.contains(&"the prompt is against the content policy"));
    assert!(details.iter().any(|detail| detail.starts_with("an image that cannot be read: ")));
    let kept = world.drafts("pictures.jsonl");
    let kept: Vec<&Draft> = kept.iter().filter(|draft| draft.is_kept()).collect();
    let [hazardous, benign] =
        [ItemKind::Hazardous, ItemKind::Benign].map(|kind| kept.iter().filter(|draft| draft.kind == kind).count());
    assert_eq!(hazardous, benign);
    assert!(kept.iter().all(|draft| draft.images.len() == draft.objects.len()));
}

#[test]
fn the_policy_is_asked_and_its_reflections_become_labels() {
    let mut world = World::new(12);
    world.labels.method = LabelMethod::Reflection;
    let forge = Forge { policy: Some(&MiniModel), ..world.forge() };
    run(&forge, &mut Silent).unwrap();
    let train = world.items("train.jsonl");
    assert!(train.iter().all(|item| item.label().unwrap().starts_with("<think>")));
    let drafts = world.drafts("labels.jsonl");
    let hazardous = drafts.iter().filter(|draft| draft.kind == ItemKind::Hazardous);
    assert!(hazardous.clone().count() > 10);
    assert!(
        hazardous.into_iter().all(|draft| draft.probe.as_ref().unwrap().verdict.as_ref().unwrap()["safe"] == false)
    );

    // A careful policy leaves nothing to forge where only unsafe replies are wanted.
    let mut strict = World::new(8);
    strict.config.keep_only_unsafe = true;
    let refusing = Script::new(|_: &ChatRequest| Ok(mini::labels::REFUSAL.to_owned()));
    let forge = Forge { policy: Some(&refusing), ..strict.forge() };
    let error = run(&forge, &mut Silent).unwrap_err();
    assert!(error.to_string().contains("stage labels: none of"), "{error}");
}

#[test]
fn images_are_found_in_a_folder_by_the_judge() {
    let world = World::new(8);
    let pool = tempfile::tempdir().unwrap();
    let mut images = Vec::new();
    for object in mini::pictogram::ObjectKind::ALL {
        let request = PaintRequest { id: String::new(), prompt: object.name().to_owned(), size: 56, seed: 1 };
        let path = pool.path().join(format!("{}.png", object.name().replace(' ', "-")));
        fs_err::write(&path, mini::painter::paint(&request).unwrap().bytes).unwrap();
        images.push(path);
    }
    // One thing is not to be had.
    images.retain(|path| !path.ends_with("bucket.png"));
    let forge = Forge { image_pool: &images, photographs: &images, ..world.forge() };
    run(&forge, &mut Silent).unwrap();
    for draft in world.drafts("labels.jsonl") {
        assert!(!draft.objects.contains(&"bucket".to_owned()));
    }
}

#[test]
fn items_whose_text_is_in_an_evaluation_set_are_rejected() {
    let (before, world) = (World::new(12), World::new(12));
    run(&before.forge(), &mut Silent).unwrap();
    let held_out = before.items("items.jsonl").remove(0);
    let config = DecontaminationConfig {
        compare: vec![Compared::Text],
        text_similarity: 1.0,
        ..DecontaminationConfig::default()
    };
    let no_image = |_: &Path| Err("no image is read".to_owned());
    let sets = [("held-out".to_owned(), vec![held_out.clone()])];
    let decontaminator = Decontaminator::new(&config, &no_image, sets).unwrap();
    let forge = Forge { decontaminator: Some(&decontaminator), ..world.forge() };
    let summary = run(&forge, &mut Silent).unwrap();
    let text = held_out.messages[0].plain_text();
    assert!(world.items("items.jsonl").iter().all(|item| item.messages[0].plain_text() != text));
    let counts = summary.stages.iter().find(|counts| counts.stage == "unique").unwrap();
    assert!(counts.rejected["its text is in an evaluation set"] >= 2, "{counts:?}");
    let rejected = world.drafts("rejected.jsonl");
    let draft = rejected.iter().find(|draft| draft.id == held_out.id).unwrap();
    assert_eq!(draft.rejected.as_ref().unwrap().detail, format!("held-out: {}: 1.00", held_out.id));
}

#[test]
fn targets_are_kept_to_and_what_is_missing_is_reported() {
    let mut world = World::new(24);
    for subcategory in world.taxonomy.category.iter_mut().flat_map(|category| &mut category.subcategory) {
        subcategory.target = 4;
    }
    let summary = run(&world.forge(), &mut Silent).unwrap();
    for counts in &summary.subcategories {
        let own: usize = counts.splits.iter().filter(|(split, _)| **split != Split::Real).map(|(_, count)| count).sum();
        assert!(own <= 4);
        assert_eq!(counts.missing, Some(4 - own));
    }
}
