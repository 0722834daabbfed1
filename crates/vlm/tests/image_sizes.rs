//! Images whose size their message gives, pixel by pixel as qwen-vl-utils and transformers resize them.

use std::path::Path;

use serde_json::Value;
use vlm::image_processor::{ImageProcessor, ImageSettings, ImageSize, QwenImageProcessor};
use vlm::resample::RgbImage;

/// The picture of `fixtures/make_image_size_fixtures.py`.
fn picture(height: usize, width: usize) -> RgbImage {
    let mut pixels = Vec::new();
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        pixels.extend((0..3).map(|c| ((x * (7 + c) + y * (13 - c) + x * y / (5 + c)) % 256) as u8));
    }
    RgbImage::new(width, height, pixels).unwrap()
}

fn number(object: &Value, name: &str) -> Option<usize> {
    Some(object.get(name)?.as_u64().unwrap() as usize)
}

#[test]
fn sizes_of_single_images_are_those_of_the_library() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/image_sizes.jsonl");
    for line in fs_err::read_to_string(path).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let processor = QwenImageProcessor::new(ImageSettings {
            min_pixels: number(&case, "min_pixels").unwrap(),
            max_pixels: number(&case, "max_pixels").unwrap(),
            patch_size: number(&case, "patch_size").unwrap(),
            rescale_factor: 1.0,
            image_mean: [0.0; 3],
            image_std: [1.0; 3],
            ..ImageSettings::default()
        });
        let given = |name| number(&case["settings"], name).map(|value| value as u32);
        let size = ImageSize {
            min_pixels: given("min_pixels"),
            max_pixels: given("max_pixels"),
            resized_height: given("resized_height"),
            resized_width: given("resized_width"),
        };
        let image = picture(number(&case, "height").unwrap(), number(&case, "width").unwrap());
        let outcome = processor.resize(image, &size).and_then(|image| processor.process(&image));
        let Some(checksum) = case.get("checksum") else {
            assert!(outcome.is_err(), "{line}");
            continue;
        };
        let patches = outcome.unwrap();
        assert_eq!(
            patches.grid().to_vec(),
            serde_json::from_value::<Vec<usize>>(case["grid"].clone()).unwrap(),
            "{line}"
        );
        let values = patches.pixel_values().into_iter().zip((0..65_521).map(|index| index + 1).cycle());
        let sum: u64 = values.map(|(value, weight)| value as u64 * weight).sum();
        assert_eq!(sum % (1 << 32), checksum.as_u64().unwrap(), "{line}");
    }
}
