//! One further token for many sequences at once, after prompts whose keys and values their members share.
//!
//! Sequences that began together are a cohort (`cohort`): they are at the same step. Cohorts come and go between steps.
//! What belongs to a token alone (projections, feed-forward layers, the head) is computed for the rows of all cohorts
//! in one product; attention looks back, and so is computed cohort by cohort.
//!
//! Shapes: `n` prompts, `t` padded prompt length, `b` rows, `s` own tokens, `kv` key heads, `group` query heads of one
//! key head.

mod cohort;
mod long_prompt;
mod slots;

use burn::tensor::Tensor;

use crate::batch::{Batch, TokenSequence};
use crate::config::Config;
use crate::error::Error;
use crate::kernels::Qkv;
use crate::linear::indexes;
use crate::model::Vlm;
use crate::rope::Rotary;
use cohort::Cohort;
pub(super) use cohort::{FIRST_ROOM, room_for};
pub(super) use long_prompt::LongPrompt;

/// Rows are never fewer; idle ones make up the number. Matrix products of very few rows are summed in another order
/// (and one row is no faster than these), so that a sequence alone would not equal itself in company.
const MINIMUM_ROWS: usize = 16;
/// Prompts are padded to a multiple of this many tokens, so that rows of scores fill vector registers.
const PROMPT_STEP: usize = 8;
/// Prompts are padded to at least this many tokens: products of very few rows and columns are summed in another order,
/// so that a short prompt alone would not equal itself beside a longer one.
const MINIMUM_PROMPT: usize = 24;

/// The state of all sequences between two tokens.
pub(super) struct Decoder {
    model: Vlm,
    // Rows stand in the cohorts' order.
    cohorts: Vec<Cohort>,
}

/// Prompts but for their last token, side by side, as [`Decoder::join`] takes them: a sequence's first step takes in
/// the last token of its prompt.
///
/// Errors: as [`Batch::new`].
pub(super) fn prompt_batch(prompts: &[TokenSequence], config: &Config) -> Result<Batch, Error> {
    let all_but_last = |prompt: &TokenSequence<'_>| prompt.ids.len().saturating_sub(1);
    let sequences: Vec<TokenSequence> = prompts
        .iter()
        .map(|prompt| TokenSequence {
            ids: &prompt.ids[..all_but_last(prompt)],
            grids: prompt.grids,
        })
        .collect();
    let longest = sequences.iter().map(|sequence| sequence.ids.len()).max().unwrap_or(0);
    Batch::padded_to(padded(longest), &sequences, config)
}

/// The length to which prompts are padded of which the longest has `longest` tokens to be read.
pub(super) fn padded(longest: usize) -> usize {
    longest.max(MINIMUM_PROMPT).next_multiple_of(PROMPT_STEP)
}

impl Decoder {
    /// No sequences yet. `model` is one [`Vlm::for_sampling`].
    pub fn new(model: Vlm) -> Self {
        Self {
            model,
            cohorts: Vec::new(),
        }
    }

    /// The model.
    pub fn model(&self) -> &Vlm {
        &self.model
    }

    /// Computes every prompt of `batch` once and adds rows after those there are: row `i` of them goes on from prompt
    /// `prompt_of_row[i]`.
    ///
    /// Errors: `Input` when image tokens and rows of `images` disagree.
    pub fn join(&mut self, batch: &Batch, images: Option<Tensor<2>>, prompt_of_row: &[usize]) -> Result<(), Error> {
        self.cohorts
            .push(Cohort::new(&self.model, batch, images, prompt_of_row)?);
        Ok(())
    }

    /// Adds `n_rows` rows that all go on from a prompt that was read piece by piece.
    pub fn join_read(&mut self, prompt: LongPrompt, n_rows: usize) {
        self.cohorts.push(prompt.into_cohort(&self.model, n_rows));
    }

    /// For each row, the tokens whose keys and values are held for it; prompts' are shared out among their cohort's
    /// rows.
    pub fn held_by_rows(&self) -> Vec<usize> {
        let of_cohort = |cohort: &Cohort| std::iter::repeat_n(cohort.held_by_row(), cohort.n_rows());
        self.cohorts.iter().flat_map(of_cohort).collect()
    }

    /// Appends a token to every row and returns the scores of the next, `[rows, v]`, row-major.
    ///
    /// Errors: `Input` when scores cannot be read back.
    pub fn step(&mut self, tokens: &[u32], positions: &[u32]) -> Result<Vec<f32>, Error> {
        let n_rows = tokens.len().max(MINIMUM_ROWS);
        let idle = n_rows - tokens.len();
        let padded = |values: &[u32]| [values, &vec![0; idle]].concat();
        let ids = padded(tokens).into_iter().map(|id| id as usize);
        let embedded = self.model.text().embed(indexes(ids, &self.model.device())); // [b, d]
        let places = padded(positions);
        let config = &self.model.config().text;
        let rotary = Rotary::new(&[places.clone(), places.clone(), places], [n_rows, 1], config);

        let cohorts = &mut self.cohorts;
        let hidden = self.model.text().forward_with(embedded, |layer, attention, x| {
            let projected = attention.project(x, &rotary, [n_rows, 1]);
            attention.output(attend(cohorts, layer, &projected))
        });
        self.cohorts.iter_mut().for_each(Cohort::advance);
        read(self.model.logits(hidden).narrow(0, 0, tokens.len()))
    }

    /// Goes on with the rows of which `keeps` holds true.
    pub fn keep(&mut self, keeps: &[bool]) {
        let mut rest = keeps;
        self.cohorts.retain_mut(|cohort| {
            let (own, others) = rest.split_at(cohort.n_rows());
            rest = others;
            cohort.keep(own);
            cohort.n_rows() > 0
        });
    }
}

/// Every row's mixture of what its cohort remembers; rows beyond those of the cohorts get zeros. Shapes: → `[b, d]`.
fn attend(cohorts: &mut [Cohort], layer: usize, projected: &Qkv) -> Tensor<2> {
    let [n_rows, n_heads, _, head_dim] = projected.queries.dims();
    let mut first = 0;
    let mut mixed: Vec<Tensor<2>> = Vec::with_capacity(cohorts.len() + 1);
    for cohort in cohorts {
        let part = |x: &Tensor<4>| x.clone().narrow(0, first, cohort.n_rows());
        let own = Qkv {
            queries: part(&projected.queries),
            keys: part(&projected.keys),
            values: part(&projected.values),
        };
        mixed.push(cohort.attend(layer, own));
        first += cohort.n_rows();
    }
    if first < n_rows {
        let shape = [n_rows - first, n_heads * head_dim];
        mixed.push(Tensor::zeros(shape, &projected.queries.device()));
    }
    if mixed.len() == 1 {
        mixed.remove(0)
    } else {
        Tensor::cat(mixed, 0)
    }
}

fn read(scores: Tensor<2>) -> Result<Vec<f32>, Error> {
    scores
        .try_into_vec_as::<f32>()
        .map_err(|error| Error::Input(format!("reading scores from the device: {error}")))
}
