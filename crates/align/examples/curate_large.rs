//! Curates a large synthetic pool: a policy that answers at once, and a judge that takes 1 ms for each verdict, 64 of
//! them in flight as behind a network. Prints time and peak memory.
//!
//! ```sh
//! cargo run --release --example curate_large -- [PROMPTS] [SAMPLES] [FOLDER]
//! ```

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use align::chat::{ChatAnswer, ChatError, ChatModel, ChatRequest, Unanswered};
use align::curate::{self, CurateConfig, Curation, Policy, Pool};
use align::files::write_streamed;
use align::progress::Silent;
use align::reward::RewardConfig;
use align::types::Item;
use align::verdict::{Decision, Judge, Judgement, PerceptionLevel, Unscored, Verdict};
use serde_json::json;

const PROMPTS: usize = 159_000;
const SAMPLES: usize = 8;
const VERDICT_TAKES: Duration = Duration::from_millis(1);
const IN_FLIGHT: usize = 64;
/// Words of an answer, as long as a model's.
const WORDS: usize = 120;

/// Answers some hundred words and a number that the seed draws.
struct Talker;

impl ChatModel for Talker {
    fn name(&self) -> &'static str {
        "talker"
    }

    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        for (index, request) in requests.enumerate() {
            let text = format!("{}{}", "considered ".repeat(WORDS), request.params.seed % 11);
            on_answer(index, Ok(ChatAnswer::of(text)));
        }
        Ok(())
    }
}

/// Reads the number at the end, slowly.
struct SlowJudge;

impl Judge for SlowJudge {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn judge(&self, responses: &[(&Item, &str)]) -> Result<Vec<Judgement>, ChatError> {
        let lane = responses.len().div_ceil(IN_FLIGHT).max(1);
        Ok(std::thread::scope(|scope| {
            let lanes: Vec<_> = responses
                .chunks(lane)
                .map(|lane| scope.spawn(move || lane.iter().map(judge).collect::<Vec<_>>()))
                .collect();
            lanes.into_iter().flat_map(|lane| lane.join().unwrap_or_default()).collect()
        }))
    }
}

fn judge((_, response): &(&Item, &str)) -> Judgement {
    std::thread::sleep(VERDICT_TAKES);
    let number = response.rsplit(' ').next().and_then(|number| number.parse().ok());
    let Some(score) = number else {
        return Err(Unscored::new("no number"));
    };
    let scores = |names: [&str; 3]| names.map(|name| (name.to_owned(), score)).into();
    Ok(Verdict {
        safe: score >= 5.0,
        decision: Decision::Caution,
        perception_level: PerceptionLevel::L1,
        think: scores(["safety", "grounding", "logic"]),
        answer: scores(["safety", "helpfulness", "grounding"]),
        hallucinations: Vec::new(),
        contradictions: Vec::new(),
        format: true,
        correct: None,
    })
}

fn write_pool(path: &Path, n_prompts: usize) -> std::io::Result<()> {
    let categories: BTreeMap<usize, &str> =
        ["electric", "fire", "water", "poison", "height"].into_iter().enumerate().collect();
    write_streamed(path, |file| {
        for number in 0..n_prompts {
            let line = json!({
                "id": format!("synthetic/{number:07}"),
                "messages": [{ "role": "user", "content": [
                    { "type": "image", "image": format!("images/{number}-0.png") },
                    { "type": "image", "image": format!("images/{number}-1.png") },
                    { "type": "text", "text": format!("What happens if I put the first object, {number}, into the second?") },
                ] }],
                "split": "train",
                "kind": if number % 6 == 0 { "benign" } else { "hazardous" },
                "category": categories[&(number % 5)],
            });
            writeln!(file, "{line}")?;
        }
        Ok(())
    })
}

/// The most memory that was ever resident, in MB, as Linux tells it.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1000.0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let n_prompts = arguments.next().map_or(Ok(PROMPTS), |number| number.parse())?;
    let num_samples = arguments.next().map_or(Ok(SAMPLES), |number| number.parse())?;
    let folder = arguments.next().map_or_else(|| std::env::temp_dir().join("curate_large"), PathBuf::from);
    let pool = folder.join("pool.jsonl");
    write_pool(&pool, n_prompts)?;
    let config = CurateConfig { num_samples, batch_size: 256, ..CurateConfig::default() };
    let reward = RewardConfig::default();
    let curation = Curation {
        pool: Pool::File(&pool),
        judge: &SlowJudge,
        reward: &reward,
        config: &config,
        decontaminator: None,
        policy: &json!("talker"),
        sample_again: false,
    };
    let policies = [Policy { name: Some("talker".to_owned()), model: &Talker }];
    let runs = folder.join("run");
    let start = Instant::now();
    let summary = curate::run(&policies, &curation, &runs, &mut Silent)?;
    let size = std::fs::metadata(runs.join("samples.jsonl")).map_or(0.0, |file| file.len() as f64 / 1e6);
    println!(
        "{} prompts, {} samples, {} kept: {:.0} s, {:.0} MB at the peak; samples.jsonl {:.0} MB",
        summary.n_prompts,
        summary.n_samples,
        summary.n_kept,
        start.elapsed().as_secs_f64(),
        peak_memory().unwrap_or(f64::NAN),
        size,
    );
    Ok(())
}
