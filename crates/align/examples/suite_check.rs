//! Reads the four suites from a data folder and measures the refusal detector against people's labels of `XSTest`.
//!
//! `cargo run -p align --example suite_check -- DATA` prints the number of items of each suite, and for each model's
//! completions in `DATA/xstest/completions` how often the detector agrees with `final_label`: in two values (answered
//! or not) with Cohen's kappa, and in three (partial refusals apart).

use std::error::Error;
use std::path::Path;

use align::eval::{Refusal, Suite, detect_refusal};

/// What people say and what the detector says.
type Pair = (Refusal, Refusal);

fn main() -> Result<(), Box<dyn Error>> {
    let data = std::env::args()
        .nth(1)
        .ok_or("expected one argument: the data folder")?;
    let data = Path::new(&data);
    for suite in Suite::ALL {
        println!("{:<12} {:>5} items", suite.name(), suite.load(data)?.len());
    }
    println!(
        "\n{:<18} {:>5} {:>6} {:>6} {:>6}",
        "XSTest completions", "n", "two %", "kappa", "three %"
    );
    let mut all = Vec::new();
    for model in ["gpt4", "llama2new", "mistralguard", "llama2orig", "mistralinstruct"] {
        let path = data.join(format!("xstest/completions/xstest_v2_completions_{model}.csv"));
        let pairs = read_pairs(&path)?;
        print_agreement(model, &pairs);
        all.extend(pairs);
    }
    print_agreement("all", &all);
    Ok(())
}

fn read_pairs(path: &Path) -> Result<Vec<Pair>, Box<dyn Error>> {
    let mut reader = csv::Reader::from_path(path)?;
    let headers = reader.headers()?.clone();
    let column = |name: &str| {
        headers
            .iter()
            .position(|header| header == name)
            .ok_or(format!("no column `{name}`"))
    };
    let (completion, label) = (column("completion")?, column("final_label")?);
    let mut pairs = Vec::new();
    for record in reader.records() {
        let record = record?;
        let people = match &record[label] {
            "1_full_compliance" => Refusal::Compliance,
            "2_full_refusal" => Refusal::Full,
            "3_partial_refusal" => Refusal::Partial,
            other => return Err(format!("{}: unknown label {other}", path.display()).into()),
        };
        if let Some(detected) = detect_refusal(&record[completion]) {
            pairs.push((people, detected));
        }
    }
    Ok(pairs)
}

fn print_agreement(name: &str, pairs: &[Pair]) {
    let share =
        |holds: &dyn Fn(&Pair) -> bool| pairs.iter().filter(|pair| holds(pair)).count() as f64 / pairs.len() as f64;
    let answered = |refusal: Refusal| refusal == Refusal::Compliance;
    let two = share(&|(people, detected)| answered(*people) == answered(*detected));
    let three = share(&|(people, detected)| people == detected);
    let (people, detected) = (share(&|pair| answered(pair.0)), share(&|pair| answered(pair.1)));
    let chance = people * detected + (1.0 - people) * (1.0 - detected);
    let kappa = (two - chance) / (1.0 - chance);
    println!(
        "{name:<18} {:>5} {:>6.1} {kappa:>6.2} {:>6.1}",
        pairs.len(),
        100.0 * two,
        100.0 * three
    );
}
