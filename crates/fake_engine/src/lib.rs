//! A model small enough to be exact: for each dialogue and each beginning of a reply, a table of logits over words.
//!
//! It really samples, scores and learns, in microseconds, so that methods can be tested without tensors. Before
//! training a function defines its replies: a list with weights for each dialogue. Training adds to those logits, for that
//! dialogue and beginning alone. Nothing generalizes, so that nothing but the method under test can make a reward rise.

mod checkpoint;
mod policy;
pub mod scripted;

use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use align::engine::{
    AdamW, Completion, Engine, EngineError, FinishReason, ForwardBackward, OptimStep, Reply, SampleRequest, Sampled,
    SamplingParams, SaveKind, Sequence, TokenLoss, TokenScores, Weights,
};
use align::types::Message;

use policy::{Context, Table};

/// The token that ends a reply.
pub const END: u32 = 0;

/// What the untrained model replies to a dialogue: texts of known words, each with a weight above zero.
pub type Behavior = Box<dyn Fn(&[Message]) -> Vec<(String, f64)>>;

/// A tabular softmax policy over words. Texts are words with single spaces between; images are part of the dialogue's
/// identity by their path.
pub struct FakeEngine {
    words: Vec<String>,
    behavior: Behavior,
    table: Table,
}

impl FakeEngine {
    /// A model that knows the words of `vocabulary` (with spaces between) and replies as `behavior` defines, save for a
    /// thousandth of its probability that goes to all words alike.
    pub fn new(vocabulary: &str, behavior: impl Fn(&[Message]) -> Vec<(String, f64)> + 'static) -> Self {
        let mut words = vec!["<end>".to_owned()];
        for word in vocabulary.split_whitespace() {
            if !words.iter().any(|known| known == word) {
                words.push(word.to_owned());
            }
        }
        Self { words, behavior: Box::new(behavior), table: Table::default() }
    }

    /// Everything learned, as bytes; equal weights and optimizer states give equal bytes.
    pub fn state(&self) -> Vec<u8> {
        checkpoint::to_bytes(&self.table)
    }

    fn word_id(&self, word: &str) -> Option<u32> {
        self.words.iter().position(|known| known == word).map(|index| index as u32)
    }

    fn reply_tokens(&self, reply: &Reply) -> Result<Vec<u32>, EngineError> {
        match reply {
            Reply::Text(text) => self.encode(text),
            Reply::Tokens(tokens) => match tokens.iter().find(|token| **token as usize >= self.words.len()) {
                Some(token) => {
                    Err(EngineError::Data(format!("token {token}: expected one below {}", self.words.len())))
                }
                None => Ok(tokens.clone()),
            },
        }
    }

    /// The words' tokens and the end token.
    fn encode(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        let mut tokens = Vec::new();
        for word in text.split_whitespace() {
            let known = self.word_id(word);
            tokens.push(known.ok_or_else(|| EngineError::Data(format!("word `{word}`: not in the vocabulary")))?);
        }
        tokens.push(END);
        Ok(tokens)
    }

    fn decode(&self, tokens: &[u32]) -> String {
        let words = tokens.iter().filter(|token| **token != END).map(|token| self.words[*token as usize].as_str());
        words.collect::<Vec<_>>().join(" ")
    }

    fn context(&self, messages: &[Message]) -> Result<Context, EngineError> {
        let mut replies = Vec::new();
        for (text, weight) in (self.behavior)(messages) {
            replies.push((self.encode(&text)?, weight));
        }
        Ok(Context::new(messages, replies, self.words.len()))
    }

    fn prompt_ids(&self, messages: &[Message]) -> Vec<u32> {
        let unknown = self.words.len() as u32;
        let mut ids = Vec::new();
        for text in messages.iter().map(Message::plain_text) {
            let words = text.split_whitespace();
            ids.extend(words.map(|word| self.word_id(word).unwrap_or(unknown)));
        }
        ids
    }

    fn complete(&self, context: &Context, params: &SamplingParams, seed: u64) -> Completion {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let (mut token_ids, mut logprobs) = (Vec::new(), Vec::new());
        let mut finish_reason = FinishReason::Length;
        while token_ids.len() < params.max_new_tokens {
            let logits = self.table.logprobs(context, &token_ids, Weights::Current);
            let (token, logprob) = policy::sample_token(&logits, params, generator.random());
            token_ids.push(token);
            logprobs.push(logprob as f32);
            if token == END && !params.ignore_eos {
                finish_reason = FinishReason::Stop;
                break;
            }
        }
        let text = self.decode(&token_ids);
        Completion { token_ids, logprobs, text, finish_reason }
    }

    fn score(&self, sequence: &Sequence, policy: Weights) -> Result<(Context, TokenScores), EngineError> {
        let context = self.context(&sequence.messages)?;
        let token_ids = self.reply_tokens(&sequence.reply)?;
        let (mut logprobs, mut entropies) = (Vec::new(), Vec::new());
        for (place, token) in token_ids.iter().enumerate() {
            let distribution = self.table.logprobs(&context, &token_ids[..place], policy);
            logprobs.push(distribution[*token as usize] as f32);
            entropies.push(-distribution.iter().map(|logprob| logprob.exp() * logprob).sum::<f64>() as f32);
        }
        Ok((context, TokenScores { token_ids, logprobs, entropies }))
    }
}

impl Engine for FakeEngine {
    fn sample(&mut self, requests: &[SampleRequest], params: &SamplingParams) -> Result<Vec<Sampled>, EngineError> {
        let mut sampled = Vec::new();
        for request in requests {
            let context = self.context(&request.messages)?;
            sampled.push(Sampled {
                prompt_ids: self.prompt_ids(&request.messages),
                completions: request.seeds.iter().map(|seed| self.complete(&context, params, *seed)).collect(),
            });
        }
        Ok(sampled)
    }

    fn logprobs(&mut self, sequences: &[Sequence], policy: Weights) -> Result<Vec<TokenScores>, EngineError> {
        sequences.iter().map(|sequence| Ok(self.score(sequence, policy)?.1)).collect()
    }

    fn reply_lengths(&mut self, sequences: &[Sequence]) -> Result<Vec<usize>, EngineError> {
        sequences.iter().map(|sequence| Ok(self.reply_tokens(&sequence.reply)?.len())).collect()
    }

    fn forward_backward(
        &mut self,
        sequences: &[Sequence],
        loss: &dyn TokenLoss,
    ) -> Result<ForwardBackward, EngineError> {
        let mut result = ForwardBackward { loss: 0.0, scores: Vec::new() };
        for (index, sequence) in sequences.iter().enumerate() {
            let (context, scores) = self.score(sequence, Weights::Current)?;
            let part = loss.evaluate(index, &scores);
            if !part.loss.is_finite() {
                return Err(EngineError::Numerics(format!("the loss of sequence {index} is {}", part.loss)));
            }
            result.loss += part.loss;
            for (place, gradient) in part.gradient.iter().enumerate() {
                self.table.add_gradient(&context, &scores.token_ids, place, f64::from(*gradient));
            }
            result.scores.push(scores);
        }
        Ok(result)
    }

    fn optim_step(&mut self, optimizer: &AdamW) -> Result<OptimStep, EngineError> {
        let grad_norm = self.table.step(optimizer);
        Ok(OptimStep { grad_norm })
    }

    fn save(&mut self, folder: &Path, _kind: SaveKind) -> Result<(), EngineError> {
        checkpoint::save(folder, &self.table)
    }

    fn load(&mut self, folder: &Path) -> Result<(), EngineError> {
        self.table = checkpoint::load(folder, self.words.len())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
