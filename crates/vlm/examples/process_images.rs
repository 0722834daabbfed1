//! Reads and processes images as a model takes them and prints the rate as one JSON line; `bench/images.py` runs it
//! beside Hugging Face's processors.
//!
//!     cargo run --release --example process_images -- MODEL_DIR ROUNDS OUT_DIR IMAGE...
//!
//! Every image is read and decoded again in every round, on RAYON_NUM_THREADS threads. The values of
//! each are left in `OUT_DIR/<number>.f32`, for comparison.

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use rayon::prelude::*;
use serde_json::json;
use vlm::processor::Processor;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, rounds, out, images @ ..] = &arguments[..] else {
        return Err("expected: process_images MODEL_DIR ROUNDS OUT_DIR IMAGE...".into());
    };
    let processor = Processor::open(model.as_ref())?;
    let mut values = process(&processor, images)?;
    let mut seconds: Vec<f64> = Vec::new();
    for _ in 0..rounds.parse()? {
        let began = Instant::now();
        values = process(&processor, images)?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    for (number, values) in values.iter().enumerate() {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        fs_err::write(PathBuf::from(out).join(format!("{number}.f32")), bytes)?;
    }
    seconds.sort_by(f64::total_cmp);
    println!("{}", json!({ "images_per_s": images.len() as f64 / seconds[seconds.len() / 2] }));
    Ok(())
}

fn process(processor: &Processor, images: &[String]) -> Result<Vec<Vec<f32>>, vlm::error::Error> {
    images.par_iter().map(|path| Ok(processor.image_processor().process_file(&path.into())?.pixel_values())).collect()
}
