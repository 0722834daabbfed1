//! Reads every benchmark from a data folder and measures the refusal detector against people's labels of `XSTest`.
//!
//! `cargo run -p benchmarks --example suite_check -- DATA` prints the number of items of each benchmark, and for each
//! model's completions in `DATA/xstest/completions` how often the detector agrees with people: in two values (answered
//! or not) with Cohen's kappa, and in three (partial refusals apart).

use std::error::Error;
use std::path::Path;

use align::eval::{Refusal, detect_refusal};
use align::statistics::agreement::cohen_kappa;
use benchmarks::suites::xstest::{MODELS, completions};
use benchmarks::{Images, SUITES};

/// What people say and what the detector says.
type Pair = (Refusal, Refusal);

fn main() -> Result<(), Box<dyn Error>> {
    let data = std::env::args().nth(1).ok_or("expected one argument: the data folder")?;
    let data = Path::new(&data);
    for suite in SUITES {
        println!("{:<12} {:>5} items", suite.name, suite.load(data, &mut Images::sized())?.items.len());
    }
    println!("\n{:<18} {:>5} {:>6} {:>6} {:>6}", "XSTest completions", "n", "two %", "kappa", "three %");
    let mut all = Vec::new();
    for model in MODELS {
        let mut pairs = Vec::new();
        for completion in completions(&data.join("xstest"), model)? {
            pairs.extend(detect_refusal(&completion.completion).map(|detected| (completion.label, detected)));
        }
        print_agreement(model, &pairs);
        all.extend(pairs);
    }
    print_agreement("all", &all);
    Ok(())
}

fn print_agreement(name: &str, pairs: &[Pair]) {
    let answered: Vec<(bool, bool)> = pairs
        .iter()
        .map(|(people, detected)| (*people == Refusal::Compliance, *detected == Refusal::Compliance))
        .collect();
    let two = answered.iter().filter(|(people, detected)| people == detected).count();
    let three = pairs.iter().filter(|(people, detected)| people == detected).count();
    let n = pairs.len() as f64;
    println!(
        "{name:<18} {:>5} {:>6.1} {:>6.2} {:>6.1}",
        pairs.len(),
        100.0 * two as f64 / n,
        cohen_kappa(&answered).unwrap_or(f64::NAN),
        100.0 * three as f64 / n
    );
}
