//! A run's directory under kills, resumption, other settings and refusals of the operating system.

use diagnostic::Diagnostic as _;

use super::*;

fn config() -> Value {
    json!({"sft": {"learning_rate": 1e-5, "epochs": 2}, "model": "tiny"})
}

fn metrics(loss: f64) -> BTreeMap<String, f64> {
    [("epoch".to_owned(), 0.5), ("loss".to_owned(), loss)].into()
}

fn take_step(run: &mut RunDir, step: usize) {
    run.append_rollouts(&[json!({ "step": step, "response": "response" })]).unwrap();
    run.append_metrics(step, &metrics(1.0 / step as f64)).unwrap();
}

fn save(run: &mut RunDir, step: usize) {
    fs_err::create_dir_all(run.checkpoint_folder(step)).unwrap();
    fs_err::write(run.checkpoint_folder(step).join("model.safetensors"), b"weights").unwrap();
    run.save_state(step, &json!({"position": step * 10})).unwrap();
}

fn read(run: &RunDir, name: &str) -> String {
    fs_err::read_to_string(run.folder.join(name)).unwrap()
}

#[test]
fn a_resumed_run_leaves_the_files_of_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut uninterrupted = RunDir::open(&folder.path().join("a"), &config(), 7, None).unwrap();
    (1..=6).for_each(|step| take_step(&mut uninterrupted, step));

    let killed_folder = folder.path().join("b");
    let mut killed = RunDir::open(&killed_folder, &config(), 7, None).unwrap();
    for step in 1..=5 {
        take_step(&mut killed, step);
        if step % 2 == 0 {
            save(&mut killed, step);
        }
    }
    // The kill came while a line, an event and the checkpoint of step 5 were being written.
    for name in [METRICS, ROLLOUTS, EVENTS] {
        let mut text = fs_err::read(killed_folder.join(name)).unwrap();
        text.extend(b"{\"step\": 6, \"lo");
        fs_err::write(killed_folder.join(name), text).unwrap();
    }
    fs_err::create_dir_all(killed.checkpoint_folder(5)).unwrap();
    fs_err::write(killed_folder.join("checkpoint-5.partial"), b"").unwrap();
    drop(killed);

    let mut resumed = RunDir::open(&killed_folder, &config(), 7, None).unwrap();
    let (step, checkpoint) = resumed.latest_checkpoint().unwrap().unwrap();
    assert_eq!((step, &checkpoint), (4, &resumed.checkpoint_folder(4)));
    resumed.rewind_to(step).unwrap();
    assert_eq!(resumed.load_state::<Value>(step).unwrap(), json!({"position": 40}));
    assert!(!resumed.checkpoint_folder(5).exists() && !killed_folder.join("checkpoint-5.partial").exists());
    (5..=6).for_each(|step| take_step(&mut resumed, step));
    for name in [METRICS, ROLLOUTS] {
        assert_eq!(read(&resumed, name), read(&uninterrupted, name));
    }
    assert_eq!(resumed.events.length, uninterrupted.events.length);
    assert_eq!(read(&uninterrupted, METRICS).lines().next(), Some(r#"{"step":1,"epoch":0.5,"loss":1.0}"#));
}

#[test]
fn rewinding_to_the_beginning_empties_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = RunDir::open(folder.path(), &config(), 7, None).unwrap();
    take_step(&mut run, 1);
    save(&mut run, 1);
    run.mark_done().unwrap();
    assert!(run.is_done());
    run.rewind_to(0).unwrap();
    assert!(!run.is_done());
    assert_eq!(run.latest_checkpoint().unwrap(), None);
    assert_eq!((read(&run, METRICS).len(), read(&run, ROLLOUTS).len()), (0, 0));
}

#[test]
fn checkpoints_are_ordered_by_number_and_pruned_from_the_oldest() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = RunDir::open(folder.path(), &config(), 7, None).unwrap();
    for step in [9, 10, 100] {
        save(&mut run, step);
    }
    run.prune_checkpoints(2).unwrap();
    assert_eq!(run.latest_checkpoint().unwrap().unwrap().0, 100);
    assert!(!run.checkpoint_folder(9).exists() && run.checkpoint_folder(10).exists());
    run.prune_checkpoints(0).unwrap();
    assert_eq!(run.complete_checkpoints().unwrap().len(), 1);
    let trainer_state: Value = read_json(&run.checkpoint_folder(100).join(TRAINER_STATE)).unwrap();
    assert_eq!(trainer_state["global_step"], 100);
}

#[test]
fn a_run_is_only_resumed_with_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(RunDir::status(folder.path(), &config(), 7).unwrap(), RunStatus::New);
    let run = RunDir::open(folder.path(), &config(), 7, None).unwrap();
    assert_eq!(RunDir::status(folder.path(), &config(), 7).unwrap(), RunStatus::Resumable);
    run.mark_done().unwrap();
    assert_eq!(RunDir::status(folder.path(), &config(), 7).unwrap(), RunStatus::Done);

    let (mut other_rate, mut warmup) = (config(), config());
    other_rate["sft"]["learning_rate"] = json!(2e-5);
    warmup["sft"]["warmup"] = json!(0.1);
    for (config, seed, expected) in [
        (other_rate, 7, "`sft.learning_rate` differs from the run's: expected 0.00001, got 0.00002"),
        (warmup, 7, "`sft.warmup` differs from the run's: expected nothing, got 0.1"),
        (config(), 8, "`seed` differs from the run's: expected 7, got 8"),
    ] {
        let error = RunDir::open(folder.path(), &config, seed, None).unwrap_err();
        assert!(error.hint().unwrap().contains("`--restart`"));
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_run_without_its_settings_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    drop(RunDir::open(folder.path(), &config(), 7, None).unwrap());
    fs_err::remove_file(folder.path().join(CONFIG)).unwrap();
    let exists = RunDir::open(folder.path(), &config(), 7, None).unwrap_err().to_string();
    assert!(exists.ends_with("a run is already there"), "{exists}");
}

#[test]
fn removing_a_run_leaves_other_files_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = RunDir::open(folder.path(), &config(), 7, None).unwrap();
    take_step(&mut run, 1);
    save(&mut run, 1);
    run.mark_done().unwrap();
    drop(run);
    fs_err::write(folder.path().join("notes.txt"), "mine").unwrap();
    RunDir::remove(folder.path()).unwrap();
    let left: Vec<_> = fs_err::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
    let mut other = config();
    other["sft"]["learning_rate"] = json!(2e-5);
    let run = RunDir::open(folder.path(), &other, 8, None).unwrap();
    assert_eq!(run.latest_checkpoint().unwrap(), None);
    RunDir::remove(&folder.path().join("nowhere")).unwrap();
}

#[test]
fn settings_that_the_json_reader_rounds_still_compare_equal() {
    let folder = tempfile::tempdir().unwrap();
    let awkward: Vec<f64> = (1..2000).map(|index| 1.0 / (index as f64).powi(3)).collect();
    RunDir::open(folder.path(), &json!({ "rates": awkward }), 7, None).unwrap();
    RunDir::open(folder.path(), &json!({ "rates": awkward }), 7, None).unwrap();
}

#[test]
fn refusals_and_corruption_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    fs_err::write(&blocked, b"").unwrap();
    let message = RunDir::open(&blocked.join("run"), &config(), 7, None).unwrap_err().to_string();
    assert!(message.contains(&blocked.display().to_string()), "{message}");

    let mut run = RunDir::open(&folder.path().join("run"), &config(), 7, None).unwrap();
    take_step(&mut run, 1);
    save(&mut run, 1);
    fs_err::write(run.folder.join(METRICS), b"").unwrap();
    drop(run);
    let mut run = RunDir::open(&folder.path().join("run"), &config(), 7, None).unwrap();
    let message = run.rewind_to(1).unwrap_err().to_string();
    assert!(message.contains("metrics.jsonl: expected at least the"), "{message}");
    fs_err::write(run.checkpoint_folder(1).join(RUN_STATE), b"{").unwrap();
    let message = run.load_state::<Value>(1).unwrap_err().to_string();
    assert!(message.contains("run_state.json: line 1, column 1: the text ends"), "{message}");
}
