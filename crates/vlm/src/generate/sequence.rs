//! One completion on its way: how it is sampled, what came last, and when it ends.

use std::borrow::Cow;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use super::adjustments::{Adjustments, History};
use super::completion::{FinishReason, Token};
use super::options::GenerateOptions;
use super::probabilities::model_logprobs;
use super::request::{Constraint, Request};
use super::sampler::{Sampled, Sampler, generator};
use crate::error::Error;

/// A sequence of the batch.
pub(super) struct Running {
    /// The caller's id of it.
    pub id: u64,
    /// Whether no token is to come.
    pub has_ended: bool,
    generator: ChaCha8Rng,
    constraint: Option<Box<dyn Constraint>>,
    options: Arc<GenerateOptions>,
    adjustments: Arc<Adjustments>,
    history: History,
    n_top_logprobs: Option<usize>,
    /// The token that the next step takes in.
    pub last_token: u32,
    /// Its position.
    pub position: u32,
    n_sampled: usize,
}

impl Running {
    /// The sequences of a request, of which nothing is sampled yet; `position` is that of the prompt's last token.
    pub fn of(request: Request, position: u32) -> impl Iterator<Item = Self> {
        let ids = request.sequence.ids;
        let last_token = ids.last().copied().unwrap_or(0);
        let history = History::after(request.adjustments.known_of(ids));
        request.members.into_iter().map(move |member| Self {
            id: member.id,
            generator: generator(member.seed),
            constraint: member.constraint,
            options: request.options.clone(),
            adjustments: request.adjustments.clone(),
            history: history.clone(),
            n_top_logprobs: request.n_top_logprobs,
            last_token,
            position,
            n_sampled: 0,
            has_ended: false,
        })
    }

    /// Samples a token from `scores` `[v]`, and ends the sequence where it has to.
    ///
    /// Errors: `Input` when no token can be sampled, `Constraint` when the constraint fails; either ends the sequence.
    pub fn sample(&mut self, scores: &[f32]) -> Result<Token, Error> {
        // Until a token is there, so that an error is the sequence's last event.
        self.has_ended = true;
        let Sampled { token, logprob } = self.next(scores)?;
        if let Some(constraint) = &mut self.constraint {
            constraint.accept(token).map_err(Error::Constraint)?;
        }
        self.history.push(token);
        self.last_token = token;
        self.position += 1;
        self.n_sampled += 1;
        let options = &self.options;
        let finish_reason = if !options.ignore_eos && options.stop_tokens.contains(&token) {
            Some(FinishReason::Stop)
        } else {
            (self.n_sampled == options.max_new_tokens).then_some(FinishReason::Length)
        };
        self.has_ended = finish_reason.is_some();
        Ok(Token {
            id: token,
            logprob,
            model_logprobs: self.n_top_logprobs.map(|n_top| model_logprobs(scores, token, n_top)),
            finish_reason,
        })
    }

    fn next(&mut self, scores: &[f32]) -> Result<Sampled, Error> {
        let (options, adjustments) = (&self.options, &self.adjustments);
        let mut banned = Cow::Borrowed(&options.banned_tokens[..]);
        if self.n_sampled < adjustments.min_new_tokens {
            banned.to_mut().extend(&options.stop_tokens);
        }
        if let Some(constraint) = &mut self.constraint {
            let banned = banned.to_mut();
            constraint.ban(&mut |token| banned.push(token)).map_err(Error::Constraint)?;
        }
        let sampler = Sampler {
            temperature: options.temperature,
            top_p: options.top_p,
            banned: &banned,
            adjustments,
            history: &self.history,
        };
        sampler.sample(scores, &mut self.generator).ok_or_else(|| {
            let n_tokens = self.n_sampled;
            match scores.iter().find(|score| !score.is_finite()) {
                Some(score) => Error::Numerics(format!(
                    "after {n_tokens} generated tokens: expected finite scores, got {score}: the weights hold such numbers, \
                     or are too large"
                )),
                None => Error::Input(format!(
                    "after {n_tokens} generated tokens: expected a token to sample, got all of them banned"
                )),
            }
        })
    }
}
