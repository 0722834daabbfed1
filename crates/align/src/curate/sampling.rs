//! Draws and judges the samples of a curation, and keeps a journal so that no answer is drawn twice.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{CurateError, Curation};
use crate::engine::{Engine, SampleRequest, SamplingParams};
use crate::progress::Progress;
use crate::run_dir::{AnswerFolder, Journal, read_journal};
use crate::training::derive_seed;
use crate::types::Item;
use crate::verdict::Judgement;

/// One answer; one line of `samples.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
struct Sample {
    id: String,
    number: usize,
    response: String,
    judgement: Judgement,
}

/// The judgements of all samples, by prompt and sample number.
#[derive(Debug, Default)]
pub(super) struct Judgements {
    by_prompt: HashMap<String, BTreeMap<usize, Judgement>>,
}

impl Judgements {
    /// The judgements of one prompt's samples, in the order of their numbers.
    pub(super) fn of(&self, id: &str) -> impl Iterator<Item = &Judgement> {
        self.by_prompt.get(id).into_iter().flat_map(BTreeMap::values)
    }

    /// How many samples there are.
    pub(super) fn len(&self) -> usize {
        self.by_prompt.values().map(BTreeMap::len).sum()
    }

    fn insert(&mut self, sample: Sample) {
        self.by_prompt
            .entry(sample.id)
            .or_default()
            .insert(sample.number, sample.judgement);
    }

    /// The sample numbers that a prompt still lacks.
    fn missing(&self, id: &str, num_samples: usize) -> Vec<usize> {
        let there = self.by_prompt.get(id);
        (0..num_samples)
            .filter(|sample| !there.is_some_and(|there| there.contains_key(sample)))
            .collect()
    }
}

/// Draws and judges whatever the folder's journal lacks, and returns the judgements of all samples.
///
/// A sample depends on its seed, prompt and weights alone, so a run that was killed ends with the same samples as one
/// that was not.
pub(super) fn draw(
    engine: &mut dyn Engine,
    curation: &Curation,
    output: AnswerFolder,
    progress: &mut dyn Progress,
) -> Result<Judgements, CurateError> {
    output.open("samples.jsonl", "sampling.json", settings(curation)?)?;
    let path = output.path.join("samples.jsonl");
    let mut judgements = Judgements::default();
    for sample in read_journal(&path)? {
        judgements.insert(sample);
    }
    let mut journal = Journal::open(&path)?;
    let total = curation.items.len();
    progress.begin("curate", total);
    for (batch, items) in curation.items.chunks(curation.config.batch_size).enumerate() {
        if progress.interrupted() {
            journal.sync()?;
            return Err(CurateError::Interrupted {
                done: batch * curation.config.batch_size,
                total,
            });
        }
        for sample in draw_batch(engine, curation, items, &judgements)? {
            journal.append(&sample)?;
            judgements.insert(sample);
        }
        progress.advance(items.len());
    }
    journal.sync()?;
    progress.end();
    Ok(judgements)
}

/// Draws and judges the samples that a batch of prompts still lacks.
fn draw_batch(
    engine: &mut dyn Engine,
    curation: &Curation,
    items: &[Item],
    judgements: &Judgements,
) -> Result<Vec<Sample>, CurateError> {
    let config = curation.config;
    let wanted: Vec<(&Item, Vec<usize>)> = items
        .iter()
        .map(|item| (item, judgements.missing(&item.id, config.num_samples)))
        .filter(|(_, missing)| !missing.is_empty())
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let request = |(item, missing): &(&Item, Vec<usize>)| SampleRequest {
        id: item.id.clone(),
        messages: item.prompt().to_vec(),
        seeds: missing
            .iter()
            .map(|sample| derive_seed(config.seed, &format!("curate {}", item.id), &[*sample as u64]))
            .collect(),
    };
    let requests: Vec<SampleRequest> = wanted.iter().map(request).collect();
    let sampled = engine.sample(&requests, &sampling_params(curation))?;
    let mut numbers = Vec::new();
    let mut responses = Vec::new();
    for ((item, missing), sampled) in wanted.iter().zip(&sampled) {
        for (number, completion) in missing.iter().zip(&sampled.completions) {
            numbers.push(*number);
            responses.push((*item, completion.text.as_str()));
        }
    }
    let judged = curation.judge.judge(&responses)?;
    let sample = |((number, (item, response)), judgement): ((usize, &(&Item, &str)), Judgement)| Sample {
        id: item.id.clone(),
        number,
        response: (*response).to_owned(),
        judgement,
    };
    Ok(numbers.into_iter().zip(&responses).zip(judged).map(sample).collect())
}

fn sampling_params(curation: &Curation) -> SamplingParams {
    SamplingParams {
        temperature: curation.config.temperature,
        top_p: curation.config.top_p,
        max_new_tokens: curation.config.max_completion_length,
        ignore_eos: false,
    }
}

/// What must be the same for samples to belong together.
fn settings(curation: &Curation) -> Result<serde_json::Value, CurateError> {
    let mut hasher = Sha256::new();
    for item in curation.items {
        hasher.update(serde_json::to_vec(item).map_err(std::io::Error::from)?);
    }
    let sha256 = hasher
        .finalize()
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    Ok(json!({
        "num_samples": curation.config.num_samples,
        "temperature": curation.config.temperature,
        "top_p": curation.config.top_p,
        "max_completion_length": curation.config.max_completion_length,
        "seed": curation.config.seed,
        "judge": curation.judge.name(),
        "items_sha256": sha256,
    }))
}
