//! One chunk of sequences, from their prompts to their last tokens.

use burn::tensor::Tensor;
use rand_chacha::ChaCha8Rng;

use super::decoder::Decoder;
use super::sampler::{Sampler, generator};
use super::{FinishReason, GenerateOptions, Generated, OnFinished, Prompt};
use crate::batch::{Batch, TokenSequence};
use crate::error::Error;
use crate::model::Vlm;

/// Prompts are padded to a multiple of this many tokens, so that rows of scores fill vector registers.
const PROMPT_STEP: usize = 8;
/// Prompts are padded to at least this many tokens: products of very few rows and columns are summed in another order,
/// so that a short prompt alone would not equal itself beside a longer one.
const MINIMUM_PROMPT: usize = 24;
/// Sequences that have ended stay in the batch, idle, until they are one in this many: taking rows out moves all keys
/// and values that remain.
const ROWS_PER_IDLE_ROW: usize = 8;

/// A sequence: one completion of one prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// The prompt's index.
    pub prompt: usize,
    /// The index of its seed among the prompt's seeds.
    pub seed: usize,
}

/// A chunk to compute.
pub(super) struct Task<'a> {
    pub model: &'a Vlm,
    pub prompts: &'a [Prompt<'a>],
    /// The chunk's sequences; those of one prompt stand together.
    pub members: &'a [Member],
    pub options: &'a GenerateOptions,
    pub on_finished: Option<OnFinished<'a>>,
}

/// A sequence on its way.
struct Running {
    prompt: usize,
    generator: ChaCha8Rng,
    // The token that the next step takes in, and its place.
    last_token: u32,
    position: u32,
    generated: Generated,
    ended: bool,
}

impl Task<'_> {
    /// Computes the prompts but for their last token, then token after token, from that one on, until every sequence
    /// has ended. Results stand as `members` do.
    pub fn run(&self) -> Result<Vec<Generated>, Error> {
        let (prompts, prompt_of_row) = self.distinct_prompts();
        let batch = self.batch(&prompts)?;
        let mut decoder = Decoder::new(self.model, &batch, self.images(&prompts), &prompt_of_row)?;
        let mut sequences = self.sequences(&prompt_of_row, batch.next_positions());
        let n_scores = self.model.config().text.vocab_size;

        // For each row of the decoder's batch, the sequence it belongs to.
        let mut sequence_of_row: Vec<usize> = (0..sequences.len()).collect();
        loop {
            let live: Vec<usize> = (0..sequence_of_row.len())
                .filter(|&row| !sequences[sequence_of_row[row]].ended)
                .collect();
            if live.is_empty() {
                break;
            }
            let idle = sequence_of_row.len() - live.len();
            if idle > 0 && idle * ROWS_PER_IDLE_ROW >= sequence_of_row.len() {
                decoder.keep(&live);
                sequence_of_row = live.iter().map(|&row| sequence_of_row[row]).collect();
            }
            let last = |index: &usize| (sequences[*index].last_token, sequences[*index].position);
            let (tokens, positions): (Vec<u32>, Vec<u32>) = sequence_of_row.iter().map(last).unzip();
            let scores = decoder.step(&tokens, &positions)?;
            for (index, scores) in sequence_of_row.iter().zip(scores.chunks_exact(n_scores)) {
                let sequence = &mut sequences[*index];
                if !sequence.ended {
                    self.draw(sequence, scores)?;
                }
            }
        }
        Ok(sequences.into_iter().map(|sequence| sequence.generated).collect())
    }

    /// The chunk's prompts, and for each sequence which of them is its own.
    fn distinct_prompts(&self) -> (Vec<usize>, Vec<usize>) {
        let mut prompts: Vec<usize> = Vec::new();
        let mut prompt_of_row = Vec::with_capacity(self.members.len());
        for member in self.members {
            if prompts.last() != Some(&member.prompt) {
                prompts.push(member.prompt);
            }
            prompt_of_row.push(prompts.len() - 1);
        }
        (prompts, prompt_of_row)
    }

    fn batch(&self, prompts: &[usize]) -> Result<Batch, Error> {
        let all_but_last = |&prompt: &usize| {
            let TokenSequence { ids, grids } = self.prompts[prompt].sequence;
            TokenSequence {
                ids: &ids[..ids.len() - 1],
                grids,
            }
        };
        let sequences: Vec<TokenSequence> = prompts.iter().map(all_but_last).collect();
        let longest = sequences.iter().map(|sequence| sequence.ids.len()).max().unwrap_or(0);
        let t = longest.max(MINIMUM_PROMPT).next_multiple_of(PROMPT_STEP);
        Batch::padded_to(t, &sequences, self.model.config())
    }

    fn images(&self, prompts: &[usize]) -> Option<Tensor<2>> {
        let rows: Vec<Tensor<2>> = prompts
            .iter()
            .filter_map(|&prompt| self.prompts[prompt].images.clone())
            .collect();
        (!rows.is_empty()).then(|| Tensor::cat(rows, 0))
    }

    fn sequences(&self, prompt_of_row: &[usize], next_positions: &[u32]) -> Vec<Running> {
        let start = |(member, row): (&Member, &usize)| Running {
            prompt: member.prompt,
            generator: generator(self.prompts[member.prompt].seeds[member.seed]),
            last_token: self.prompts[member.prompt].sequence.ids.last().copied().unwrap_or(0),
            position: next_positions[*row],
            generated: Generated {
                token_ids: Vec::new(),
                logprobs: Vec::new(),
                finish_reason: FinishReason::Length,
            },
            ended: false,
        };
        self.members.iter().zip(prompt_of_row).map(start).collect()
    }

    /// Appends a token drawn from `scores` `[v]`, and ends the sequence where it has to.
    fn draw(&self, sequence: &mut Running, scores: &[f32]) -> Result<(), Error> {
        let options = self.options;
        let sampler = Sampler::new(options.temperature, options.top_p, &options.banned_tokens);
        let drawn = sampler.draw(scores, &mut sequence.generator).ok_or_else(|| {
            let n_tokens = sequence.generated.token_ids.len();
            Error::Input(format!(
                "prompt {}: expected finite scores, not all of banned tokens, after {n_tokens} generated tokens",
                sequence.prompt
            ))
        })?;
        sequence.last_token = drawn.token;
        sequence.position += 1;
        let generated = &mut sequence.generated;
        generated.token_ids.push(drawn.token);
        generated.logprobs.push(drawn.logprob);
        if !options.ignore_eos && options.stop_tokens.contains(&drawn.token) {
            generated.finish_reason = FinishReason::Stop;
            sequence.ended = true;
        } else {
            sequence.ended = generated.token_ids.len() == options.max_new_tokens;
        }
        if let (true, Some(on_finished)) = (sequence.ended, self.on_finished) {
            on_finished(sequence.prompt, generated);
        }
        Ok(())
    }
}
