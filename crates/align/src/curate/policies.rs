//! Who answers the prompts: models on this machine, behind endpoints, or several of them.

use super::config::CurateConfig;
use super::error::CurateError;
use crate::chat::{ChatModel, ChatParams, ChatRequest, answers};
use crate::seeds::derive_seed;
use crate::types::Item;

/// A policy whose answers are curated with.
pub struct Policy<'a> {
    /// Its name in the records; a model that answers alone on this machine needs none.
    pub name: Option<String>,
    /// The model.
    pub model: &'a dyn ChatModel,
}

impl<'a> Policy<'a> {
    /// A model that answers alone.
    pub fn alone(model: &'a dyn ChatModel) -> Self {
        Self { name: None, model }
    }
}

/// An answer, or why there is none.
pub(super) type Answer = Result<String, String>;

/// The answers of every policy to each of these prompts, by number: the first policy's come first. An answer depends on
/// its prompt, its number and the policy alone.
pub(super) fn answers_of(
    policies: &[Policy],
    items: &[&Item],
    config: &CurateConfig,
) -> Result<Vec<Vec<Answer>>, CurateError> {
    let mut all = vec![Vec::new(); items.len()];
    for (index, policy) in policies.iter().enumerate() {
        let numbers = index * config.num_samples..(index + 1) * config.num_samples;
        let requests =
            items.iter().flat_map(|item| numbers.clone().map(|number| request(item, number, config))).collect();
        let mut answers = answers(policy.model, requests, &mut || ())?.into_iter();
        for of_item in &mut all {
            for answer in answers.by_ref().take(config.num_samples) {
                of_item.push(answer.map(|answer| answer.text).map_err(|unanswered| unanswered.reason));
            }
        }
    }
    Ok(all)
}

fn request(item: &Item, number: usize, config: &CurateConfig) -> ChatRequest {
    let params = ChatParams {
        temperature: config.temperature,
        top_p: config.top_p,
        max_tokens: config.max_completion_length,
        seed: derive_seed(config.seed, &format!("curate {}", item.id), &[number as u64]),
        ..ChatParams::default()
    };
    ChatRequest::of_item(item, params)
}
