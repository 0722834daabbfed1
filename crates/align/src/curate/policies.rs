//! Who answers: the local engine, models behind endpoints, or several of them.

use std::collections::BTreeMap;

use super::{CurateConfig, CurateError};
use crate::chat::{ChatModel, ChatParams, ChatRequest};
use crate::engine::{Engine, SampleRequest, SamplingParams};
use crate::seeds::derive_seed;
use crate::types::Item;

/// A policy whose answers are curated with.
pub struct Policy<'a> {
    /// Its name in the records; a local engine that answers alone needs none.
    pub name: Option<String>,
    /// The model.
    pub model: PolicyModel<'a>,
}

/// The model of a policy.
pub enum PolicyModel<'a> {
    /// A model with tokens and seeds of its own.
    Engine(&'a mut dyn Engine),
    /// A model that answers in words.
    Chat(&'a dyn ChatModel),
}

impl<'a> Policy<'a> {
    /// The local engine, answering alone.
    pub fn local(engine: &'a mut dyn Engine) -> Self {
        Self {
            name: None,
            model: PolicyModel::Engine(engine),
        }
    }
}

/// An answer, or why there is none.
pub(super) type Answer = Result<String, String>;

/// A prompt and the numbers of the samples that are wanted of it.
pub(super) struct Wanted<'a> {
    pub(super) item: &'a Item,
    pub(super) numbers: Vec<usize>,
}

impl Policy<'_> {
    /// Draws the samples wanted, and hands each over with its prompt's place in `wanted` and its number. A sample
    /// depends on its prompt, number and policy alone.
    pub(super) fn draw(
        &mut self,
        wanted: &[Wanted],
        config: &CurateConfig,
        on_answer: &mut dyn FnMut(usize, usize, Answer),
    ) -> Result<(), CurateError> {
        if wanted.iter().all(|wanted| wanted.numbers.is_empty()) {
            return Ok(());
        }
        match &mut self.model {
            PolicyModel::Engine(engine) => draw_from_engine(*engine, wanted, config, on_answer),
            PolicyModel::Chat(model) => draw_from_chat(*model, wanted, config, on_answer),
        }
    }
}

fn draw_from_engine(
    engine: &mut dyn Engine,
    wanted: &[Wanted],
    config: &CurateConfig,
    on_answer: &mut dyn FnMut(usize, usize, Answer),
) -> Result<(), CurateError> {
    // Prompts of which nothing is wanted have no business in the batch.
    let asked: Vec<(usize, &Wanted)> = wanted
        .iter()
        .enumerate()
        .filter(|(_, wanted)| !wanted.numbers.is_empty())
        .collect();
    let request = |(_, wanted): &(usize, &Wanted)| SampleRequest {
        id: wanted.item.id.clone(),
        messages: wanted.item.prompt().to_vec(),
        seeds: wanted
            .numbers
            .iter()
            .map(|number| seed(config, wanted.item, *number))
            .collect(),
    };
    let requests: Vec<SampleRequest> = asked.iter().map(request).collect();
    let params = SamplingParams {
        temperature: config.temperature,
        top_p: config.top_p,
        max_new_tokens: config.max_completion_length,
        ignore_eos: false,
    };
    for ((place, wanted), sampled) in asked.into_iter().zip(engine.sample(&requests, &params)?) {
        for (number, completion) in wanted.numbers.iter().zip(sampled.completions) {
            on_answer(place, *number, Ok(completion.text));
        }
    }
    Ok(())
}

fn draw_from_chat(
    model: &dyn ChatModel,
    wanted: &[Wanted],
    config: &CurateConfig,
    on_answer: &mut dyn FnMut(usize, usize, Answer),
) -> Result<(), CurateError> {
    let places: Vec<(usize, usize)> = wanted
        .iter()
        .enumerate()
        .flat_map(|(place, wanted)| wanted.numbers.iter().map(move |number| (place, *number)))
        .collect();
    let mut requests = places.iter().map(|(place, number)| {
        let item = wanted[*place].item;
        ChatRequest {
            id: format!("{} {number}", item.id),
            messages: item.prompt().to_vec(),
            params: ChatParams {
                temperature: config.temperature,
                max_tokens: config.max_completion_length,
                seed: seed(config, item, *number),
                schema: None,
            },
        }
    });
    let mut answers = BTreeMap::new();
    model.answer(&mut requests, &mut |index, answer| {
        answers.insert(index, answer);
    })?;
    for (index, (place, number)) in places.iter().enumerate() {
        let answer = match answers.remove(&index) {
            Some(Ok(answer)) => Ok(answer.text),
            Some(Err(unanswered)) => Err(unanswered.reason),
            None => Err("the policy gave no answer".to_owned()),
        };
        on_answer(*place, *number, answer);
    }
    Ok(())
}

fn seed(config: &CurateConfig, item: &Item, number: usize) -> u64 {
    derive_seed(config.seed, &format!("curate {}", item.id), &[number as u64])
}
