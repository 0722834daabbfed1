//! How a folder says its images are processed: which file counts, and which settings are supported.

#[allow(dead_code, reason = "each test file uses its part of what all share")]
mod common;

use std::path::Path;

use common::settings_files::{read, without_weights, write};
use serde_json::{Value, json};
use tempfile::TempDir;
use vlm::processor::Processor;
use vlm::resample::RgbImage;

const OLDER: &str = "preprocessor_config.json";
const NEWER: &str = "processor_config.json";

/// A fixture's folder without weights and settings of images, and those settings.
fn folder(fixture: &str) -> (TempDir, Value) {
    let folder = without_weights(fixture);
    let settings = read(folder.path(), OLDER);
    fs_err::remove_file(folder.path().join(OLDER)).unwrap();
    (folder, settings)
}

/// The first values of a small gray image and its tokens, by a folder's settings.
fn processed(folder: &Path) -> Result<(Vec<f32>, usize), String> {
    let processor = Processor::open(folder).map_err(|error| error.to_string())?;
    let image = RgbImage::new(200, 100, vec![100; 3 * 200 * 100]).unwrap();
    let patches = processor.image_processor().process(&image).map_err(|error| error.to_string())?;
    let values = patches.pixel_values();
    Ok((vec![values[0], values[values.len() - 1]], patches.n_tokens()))
}

fn with(settings: &Value, changes: &Value) -> Value {
    let mut settings = settings.clone();
    for (name, value) in changes.as_object().unwrap() {
        settings[name] = value.clone();
    }
    settings
}

#[test]
fn the_nested_settings_of_the_newer_file_come_first() {
    for (fixture, limit) in [("qwen2_5_vl", "max_pixels"), ("internvl", "max_patches")] {
        let (folder, settings) = folder(fixture);
        let path = folder.path();
        assert!(processed(path).unwrap_err().contains("got no file"), "{fixture}");
        write(path, OLDER, &settings);
        let older = processed(path).unwrap();
        let least = if limit == "max_pixels" { json!(4 * 28 * 28) } else { json!(1) };
        let smaller = with(&settings, &json!({ limit: least }));

        write(path, NEWER, &json!({ "processor_class": "Processor", "image_seq_length": 256 }));
        assert_eq!(processed(path).unwrap(), older, "{fixture}: a file without such a section");
        write(path, NEWER, &json!({ "image_processor": null }));
        assert_eq!(processed(path).unwrap(), older, "{fixture}");
        write(path, NEWER, &json!({ "image_processor": smaller, "video_processor": { "max_frames": 768 } }));
        let newer = processed(path).unwrap();
        assert!(newer.1 < older.1, "{fixture}: {newer:?}, older: {older:?}");
        fs_err::remove_file(path.join(OLDER)).unwrap();
        assert_eq!(processed(path).unwrap(), newer, "{fixture}: the newer file alone");

        write(path, NEWER, &json!({ "image_processor": with(&smaller, &json!({ "resample": 2 })) }));
        let message = processed(path).unwrap_err();
        assert!(
            message.contains("processor_config.json: field `image_processor.resample`: expected 3, got 2"),
            "{message}"
        );
    }
}

#[test]
fn settings_are_done_or_refused_by_name() {
    for (fixture, changes, expected) in [
        ("qwen2_5_vl", json!({ "do_resize": false }), "field `do_resize`: expected true, got false"),
        ("qwen2_5_vl", json!({ "do_rescale": false }), "field `do_rescale`: expected true, got false"),
        ("qwen2_5_vl", json!({ "do_normalize": false }), "field `do_normalize`: expected true, got false"),
        ("qwen2_5_vl", json!({ "do_convert_rgb": false }), "field `do_convert_rgb`: expected true, got false"),
        ("qwen2_5_vl", json!({ "resample": 2 }), "field `resample`: expected 3, got 2"),
        (
            "qwen2_5_vl",
            json!({ "image_mean": [0.5, 0.5] }),
            "field `image_mean`: expected a number for each color channel",
        ),
        ("qwen2_5_vl", json!({ "image_std": 0 }), "field `image_std`: expected numbers other than zero"),
        ("qwen2_5_vl", json!({ "rescale_factor": "1/255" }), "field `rescale_factor`: expected a positive number"),
        (
            "qwen2_5_vl",
            json!({ "patch_size": 16 }),
            "field `patch_size`: expected 14, the vision tower's in config.json, got 16",
        ),
        (
            "qwen2_5_vl",
            json!({ "merge_size": 1 }),
            "field `merge_size`: expected 2, the vision tower's in config.json, got 1",
        ),
        ("qwen2_5_vl", json!({ "temporal_patch_size": 1 }), "field `temporal_patch_size`: expected 2"),
        (
            "qwen2_5_vl",
            json!({ "min_pixels": null, "max_pixels": null, "size": { "height": 448, "width": 448 } }),
            "field `size.shortest_edge`: expected a positive integer, got nothing",
        ),
        (
            "qwen2_5_vl",
            json!({ "max_pixels": null, "size": { "shortest_edge": 3136 } }),
            "field `size.longest_edge`: expected a positive integer, got nothing",
        ),
        ("qwen2_5_vl", json!({ "max_pixels": null, "size": 448 }), "field `size`: expected an object, got 448"),
        (
            "qwen2_5_vl",
            json!({ "min_pixels": 1_000_000_000_000_u64, "max_pixels": 2_000_000_000_000_u64 }),
            "field `min_pixels`: expected at most",
        ),
        (
            "qwen2_5_vl",
            json!({ "image_processor_type": "CLIPImageProcessor" }),
            "field `image_processor_type`: expected \"Qwen2VLImageProcessor\" or",
        ),
        ("qwen2_5_vl", json!({ "center_crop_fraction": 0.9 }), "field `center_crop_fraction`: not known here"),
        ("internvl", json!({ "do_resize": false }), "field `do_resize`: expected true, got false"),
        ("internvl", json!({ "do_rescale": false }), "field `do_rescale`: expected true, got false"),
        ("internvl", json!({ "do_normalize": false }), "field `do_normalize`: expected true, got false"),
        ("internvl", json!({ "resample": 0 }), "field `resample`: expected 3, got 0"),
        (
            "internvl",
            json!({ "size": { "height": 448, "width": 448 } }),
            "field `size`: expected a height and a width of 56, the vision tower's image_size",
        ),
        (
            "internvl",
            json!({ "size": { "shortest_edge": 56 } }),
            "field `size.height`: expected a positive integer, got nothing",
        ),
        ("internvl", json!({ "min_patches": 6 }), "field `min_patches`: expected 1 to max_patches, 5, got 6"),
        ("internvl", json!({ "max_patches": 1_000_000 }), "field `max_patches`: expected at most 256"),
        (
            "internvl",
            json!({ "image_processor_type": "Qwen2VLImageProcessor" }),
            "field `image_processor_type`: expected \"GotOcr2ImageProcessor\" or",
        ),
        ("internvl", json!({ "use_thumbnail": true }), "field `use_thumbnail`: not known here"),
    ] {
        let (folder, settings) = folder(fixture);
        write(folder.path(), OLDER, &with(&settings, &changes));
        let message = processed(folder.path()).unwrap_err();
        assert!(message.contains(expected), "{fixture} {changes}: {message}");
    }
}

#[test]
fn settings_that_are_left_out_have_the_defaults_of_the_library() {
    for (fixture, defaults) in [
        (
            "qwen2_5_vl",
            json!({
                "do_resize": true, "do_rescale": true, "do_normalize": true, "do_convert_rgb": true, "resample": 3,
                "rescale_factor": 1.0 / 255.0, "image_mean": [0.481_454_66, 0.457_827_5, 0.408_210_73],
                "image_std": [0.268_629_54, 0.261_302_58, 0.275_777_11], "patch_size": 14, "temporal_patch_size": 2,
                "merge_size": 2, "min_pixels": 3136, "max_pixels": 1_003_520,
            }),
        ),
        (
            "internvl",
            json!({
                "do_resize": true, "do_rescale": true, "do_normalize": true, "do_convert_rgb": true, "resample": 3,
                "rescale_factor": 1.0 / 255.0, "image_mean": [0.481_454_66, 0.457_827_5, 0.408_210_73],
                "image_std": [0.268_629_54, 0.261_302_58, 0.275_777_11], "min_patches": 1, "max_patches": 12,
                "size": { "height": 384, "width": 384 }, "crop_to_patches": false,
            }),
        ),
    ] {
        let (folder, settings) = folder(fixture);
        for (name, default) in defaults.as_object().unwrap() {
            let mut without = settings.clone();
            without.as_object_mut().unwrap().shift_remove(name);
            write(folder.path(), OLDER, &without);
            let without = processed(folder.path());
            write(folder.path(), OLDER, &with(&settings, &json!({ name: null })));
            assert_eq!(processed(folder.path()), without, "{fixture} {name}: null");
            write(folder.path(), OLDER, &with(&settings, &json!({ name: default })));
            match (without, processed(folder.path())) {
                (Ok(without), Ok(stated)) => assert_eq!(without, stated, "{fixture} {name}"),
                (Err(without), Err(_)) => assert!(without.contains(name.as_str()), "{without}"),
                (without, stated) => panic!("{fixture} {name}: {without:?}, stated: {stated:?}"),
            }
        }
    }
}
