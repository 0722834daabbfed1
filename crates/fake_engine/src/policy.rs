//! The tables of logits: distributions, gradients, AdamW.

use std::collections::BTreeMap;

use align::engine::{AdamW, SamplingParams, Weights};
use align::types::Message;

/// Share of probability that the untrained model spreads over all words alike.
const UNIFORM_SHARE: f64 = 1e-3;

/// A dialogue and what the untrained model replies to it.
pub struct Context {
    key: String,
    replies: Vec<(Vec<u32>, f64)>,
    n_words: usize,
}

impl Context {
    pub fn new(messages: &[Message], replies: Vec<(Vec<u32>, f64)>, n_words: usize) -> Self {
        Self { key: format!("{messages:?}"), replies, n_words }
    }

    /// Log-probabilities of the next word before training; uniform where no reply begins so.
    fn prior(&self, beginning: &[u32]) -> Vec<f64> {
        let uniform = 1.0 / self.n_words as f64;
        let mut shares = vec![0.0; self.n_words];
        for (reply, weight) in &self.replies {
            if let Some(next) = reply.strip_prefix(beginning).and_then(<[u32]>::first) {
                shares[*next as usize] += weight;
            }
        }
        let total: f64 = shares.iter().sum();
        if total == 0.0 {
            return vec![uniform.ln(); self.n_words];
        }
        shares.iter().map(|share| (UNIFORM_SHARE * uniform + (1.0 - UNIFORM_SHARE) * share / total).ln()).collect()
    }
}

/// A dialogue and the beginning of a reply.
pub type Prefix = (String, Vec<u32>);

/// What was learned after one prefix: additions to the logits, and AdamW's moments.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    pub logits: Vec<f32>,
    pub first_moment: Vec<f32>,
    pub second_moment: Vec<f32>,
}

impl Learned {
    fn new(n_words: usize) -> Self {
        let zeros = vec![0.0; n_words];
        Self { logits: zeros.clone(), first_moment: zeros.clone(), second_moment: zeros }
    }
}

/// Everything learned. A prefix without an entry has learned nothing: its additions are zero.
#[derive(Debug, Default, PartialEq)]
pub struct Table {
    pub rows: BTreeMap<Prefix, Learned>,
    pub gradients: BTreeMap<Prefix, Vec<f64>>,
    pub steps: u32,
}

impl Table {
    /// Log-probabilities of the next word.
    pub fn logprobs(&self, context: &Context, beginning: &[u32], policy: Weights) -> Vec<f64> {
        let mut logits = context.prior(beginning);
        if policy == Weights::Current
            && let Some(row) = self.rows.get(&(context.key.clone(), beginning.to_vec()))
        {
            logits.iter_mut().zip(&row.logits).for_each(|(logit, learned)| *logit += f64::from(*learned));
        }
        log_softmax(&logits)
    }

    /// Adds the gradient of a loss whose derivative by the log-probability of token `place` is `derivative`.
    pub fn add_gradient(&mut self, context: &Context, tokens: &[u32], place: usize, derivative: f64) {
        let beginning = &tokens[..place];
        let distribution = self.logprobs(context, beginning, Weights::Current);
        let key = (context.key.clone(), beginning.to_vec());
        let gradient = self.gradients.entry(key).or_insert_with(|| vec![0.0; context.n_words]);
        for (word, logprob) in distribution.iter().enumerate() {
            let is_token = f64::from(u8::from(word == tokens[place] as usize));
            gradient[word] += derivative * (is_token - logprob.exp());
        }
    }

    /// One step of AdamW over all rows; returns the norm of the gradients before clipping.
    pub fn step(&mut self, optimizer: &AdamW) -> f64 {
        let gradients = std::mem::take(&mut self.gradients);
        let norm = gradients.values().flatten().map(|gradient| gradient * gradient).sum::<f64>().sqrt();
        let clips = optimizer.max_grad_norm > 0.0 && norm > optimizer.max_grad_norm;
        let scale = if clips { optimizer.max_grad_norm / norm } else { 1.0 };
        for (place, gradient) in &gradients {
            self.rows.entry(place.clone()).or_insert_with(|| Learned::new(gradient.len()));
        }
        self.steps += 1;
        for (place, row) in &mut self.rows {
            let gradient = gradients.get(place);
            for word in 0..row.logits.len() {
                let gradient = gradient.map_or(0.0, |gradient| gradient[word] * scale);
                update(row, word, gradient, self.steps, optimizer);
            }
        }
        norm
    }
}

fn update(row: &mut Learned, word: usize, gradient: f64, steps: u32, optimizer: &AdamW) {
    let [decay_first, decay_second] = optimizer.betas;
    let first = decay_first * f64::from(row.first_moment[word]) + (1.0 - decay_first) * gradient;
    let second = decay_second * f64::from(row.second_moment[word]) + (1.0 - decay_second) * gradient * gradient;
    let unbiased_first = first / (1.0 - decay_first.powi(steps as i32));
    let unbiased_second = second / (1.0 - decay_second.powi(steps as i32));
    let decayed = f64::from(row.logits[word]) * (1.0 - optimizer.learning_rate * optimizer.weight_decay);
    let moved = optimizer.learning_rate * unbiased_first / (unbiased_second.sqrt() + optimizer.epsilon);
    row.logits[word] = (decayed - moved) as f32;
    row.first_moment[word] = first as f32;
    row.second_moment[word] = second as f32;
}

/// Samples a word from log-probabilities by a number that is uniform in 0..1; gives it with its log-probability under
/// the distribution sampled from.
pub fn sample_token(logprobs: &[f64], params: &SamplingParams, uniform: f64) -> (u32, f64) {
    let mut order: Vec<usize> = (0..logprobs.len()).collect();
    order.sort_by(|left, right| logprobs[*right].total_cmp(&logprobs[*left]));
    if params.temperature == 0.0 {
        return (order[0] as u32, logprobs[order[0]]);
    }
    let tempered: Vec<f64> = logprobs.iter().map(|logprob| logprob / params.temperature).collect();
    let tempered = log_softmax(&tempered);
    let mut kept = 0.0;
    let enough = order.iter().position(|word| {
        kept += tempered[*word].exp();
        kept >= params.top_p
    });
    order.truncate(enough.map_or(order.len(), |last| last + 1));
    let mass: f64 = order.iter().map(|word| tempered[*word].exp()).sum();
    let mut left = uniform * mass;
    let sampled = order.iter().find(|word| {
        left -= tempered[**word].exp();
        left < 0.0
    });
    let word = sampled.or(order.last()).copied().unwrap_or_default();
    (word as u32, tempered[word] - mass.ln())
}

fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = highest + logits.iter().map(|logit| (logit - highest).exp()).sum::<f64>().ln();
    logits.iter().map(|logit| logit - log_sum).collect()
}
