//! Rotary position embedding (RoPE): the positions of tokens, and the rotations that follow from them.
//!
//! Under M-RoPE (Wang et al., Qwen2-VL, arXiv 2409.12191, section 2.1) every token has a position in time, height and
//! width; text counts all three together, an image's tokens have the positions of its grid. Other families count all
//! tokens alike.

use burn::tensor::Tensor;

use crate::config::text::{ImageTokens, TextConfig};
use crate::error::Error;
use crate::kernels::{self, RopeTable, Span};

/// Where the tokens of a pass are: sequences in rows of one length, padded on the right, or several in one row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement<'a> {
    /// The rows among all `b · t` with which each sequence begins where it shares them with an earlier one.
    pub prefixes: &'a [Span],
    /// The first row of each sequence's own tokens.
    pub starts: &'a [usize],
    /// How many of its own each sequence has.
    pub lengths: &'a [usize],
    /// `[b, t]`, padding included.
    pub shape: [usize; 2],
    /// Position of each token in time, height and width, row after row.
    pub axes: &'a [Vec<u32>; 3],
    /// The base of each sequence's rotary frequencies.
    pub rope_bases: &'a [f64],
}

/// The positions of a sequence's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positions {
    /// For time, height and width, the position of each token.
    pub axes: [Vec<u32>; 3],
    /// The position, on all axes, of a token appended to the sequence.
    pub next: u32,
}

/// The positions of `ids`, as transformers' `get_rope_index` gives them.
///
/// `grids` holds for each image, in order of appearance, its patches in time, height and width; `merge` is the side of
/// the square of patches that makes one token. Text after an image continues from the largest position used.
///
/// Differs: images only, no videos.
///
/// Errors: `Input` when the runs of image tokens do not fit the grids, or there is a video token.
pub fn multimodal_positions(
    ids: &[u32],
    grids: &[[usize; 3]],
    tokens: ImageTokens,
    merge: usize,
) -> Result<Positions, Error> {
    let mut axes: [Vec<u32>; 3] = std::array::from_fn(|_| Vec::with_capacity(ids.len()));
    let mut next = 0;
    let mut images = grids.iter();
    let mut token_idx = 0;
    while token_idx < ids.len() {
        if ids[token_idx] == tokens.image {
            let grid = images.next().ok_or_else(|| too_many_placeholders(token_idx, grids.len()))?;
            token_idx += place_image(&mut axes, &mut next, &ids[token_idx..], grid, (tokens.image, merge))?;
        } else if Some(ids[token_idx]) == tokens.video {
            return Err(Error::Input(format!("token {token_idx} is a video token; only images are supported")));
        } else {
            axes.iter_mut().for_each(|axis| axis.push(next));
            next += 1;
            token_idx += 1;
        }
    }
    match images.count() {
        0 => Ok(Positions { axes, next }),
        unused => Err(Error::Input(format!(
            "expected image tokens for {} images, got them for {}",
            grids.len(),
            grids.len() - unused
        ))),
    }
}

/// The positions of `ids` counted one after the other, images' tokens like all others. `merge` as for
/// [`multimodal_positions`].
///
/// Errors: `Input` when the runs of image tokens do not fit the grids.
pub fn sequential_positions(
    ids: &[u32],
    grids: &[[usize; 3]],
    tokens: ImageTokens,
    merge: usize,
) -> Result<Positions, Error> {
    // Called for its checks alone: whether runs of image tokens and grids agree.
    multimodal_positions(ids, grids, tokens, merge)?;
    let positions: Vec<u32> = (0..ids.len() as u32).collect();
    Ok(Positions { next: ids.len() as u32, axes: [positions.clone(), positions.clone(), positions] })
}

fn too_many_placeholders(token_idx: usize, n_images: usize) -> Error {
    Error::Input(format!("image tokens at {token_idx} belong to no image: there are {n_images} images"))
}

// Returns how many tokens the image took.
fn place_image(
    axes: &mut [Vec<u32>; 3],
    next: &mut u32,
    ids: &[u32],
    grid: &[usize; 3],
    (image_token, merge): (u32, usize),
) -> Result<usize, Error> {
    let [frames, height, width] = [grid[0], grid[1] / merge, grid[2] / merge];
    let expected = frames * height * width;
    let got = ids.iter().take(expected).take_while(|id| **id == image_token).count();
    if expected == 0 || got < expected {
        return Err(Error::Input(format!("image of {grid:?} patches: expected {expected} image tokens, got {got}")));
    }
    for index in 0..expected {
        // A still image has no duration: its frames share one position in time.
        axes[0].push(*next);
        axes[1].push(*next + (index / width % height) as u32);
        axes[2].push(*next + (index % width) as u32);
    }
    *next += height.max(width) as u32;
    Ok(expected)
}

/// The angles by which queries and keys of a batch are rotated, in pairs `(i, i + head_dim / 2)` of each head.
#[derive(Clone, Debug)]
pub(crate) struct Rotary {
    table: RopeTable,
    shape: [usize; 2],
    head_dim: usize,
}

impl Rotary {
    /// The angles of `[b, t]` tokens at `axes`, batch-major, all by the model's own base.
    pub fn new(axes: &[Vec<u32>; 3], shape: [usize; 2], config: &TextConfig) -> Self {
        Self::by_bases(axes, &vec![config.rope_theta; shape[0] * shape[1]], shape, config)
    }

    /// The angles of sequences, each by its own base; those of padding are meaningless.
    pub(crate) fn of_sequences(tokens: Placement, config: &TextConfig) -> Self {
        let mut bases = vec![config.rope_theta; tokens.shape[0] * tokens.shape[1]];
        for ((start, length), base) in tokens.starts.iter().zip(tokens.lengths).zip(tokens.rope_bases) {
            bases[*start..start + length].fill(*base);
        }
        Self::by_bases(tokens.axes, &bases, tokens.shape, config)
    }

    fn by_bases(axes: &[Vec<u32>; 3], bases: &[f64], shape: [usize; 2], config: &TextConfig) -> Self {
        let n_angles = bases.len() * config.head_dim() / 2;
        let (mut cos, mut sin) = (Vec::with_capacity(n_angles), Vec::with_capacity(n_angles));
        let mut positions = (0..bases.len()).map(|token_idx| axes.each_ref().map(|axis| axis[token_idx]));
        for run in bases.chunk_by(|left, right| left == right) {
            let frequencies = frequencies(config, run[0]);
            for position in positions.by_ref().take(run.len()) {
                for (axis, frequency) in &frequencies {
                    let (s, c) = (position[*axis] as f32 * frequency).sin_cos();
                    cos.push(c);
                    sin.push(s);
                }
            }
        }
        Self::from_angles(cos, sin, shape, config.head_dim())
    }

    /// Rotations by given angles: cosine and sine of every pair of a head, for every token, `[b·t, head_dim / 2]` each.
    pub fn from_angles(cos: Vec<f32>, sin: Vec<f32>, shape: [usize; 2], head_dim: usize) -> Self {
        let table = RopeTable { cos: cos.into(), sin: sin.into() };
        Self { table, shape, head_dim }
    }

    /// Applies RoPE to the heads of each token, scales them by `factor`, and puts heads before tokens.
    /// Shapes: `[b·t, h·head_dim]` → `[b, h, t, head_dim]`.
    pub fn apply(&self, x: Tensor<2>, factor: f64) -> Tensor<4> {
        kernels::apply_rope(x, &self.table, self.shape, self.head_dim, factor)
    }
}

// For each pair of a head: the axis of its position, and the angle per position.
fn frequencies(config: &TextConfig, base: f64) -> Vec<(usize, f32)> {
    let head_dim = config.head_dim() as f32;
    let axes = (0..3).flat_map(|axis| std::iter::repeat_n(axis, config.mrope_section[axis]));
    axes.enumerate().map(|(pair, axis)| (axis, 1.0 / (base as f32).powf((2 * pair) as f32 / head_dim))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: ImageTokens = ImageTokens { image: 90, video: Some(91) };

    #[test]
    fn text_after_an_image_continues_from_its_longer_side() {
        let ids = [1, 92, 90, 90, 90, 90, 90, 90, 93, 2];
        let positions = multimodal_positions(&ids, &[[1, 4, 6]], TOKENS, 2).unwrap();
        assert_eq!(positions.axes[0], [0, 1, 2, 2, 2, 2, 2, 2, 5, 6]);
        assert_eq!(positions.axes[1], [0, 1, 2, 2, 2, 3, 3, 3, 5, 6]);
        assert_eq!(positions.axes[2], [0, 1, 2, 3, 4, 2, 3, 4, 5, 6]);
        assert_eq!(positions.next, 7);
    }

    #[test]
    fn image_tokens_that_do_not_fit_the_grids_are_refused() {
        let cases = [
            (vec![90, 90, 1], Some([1, 4, 4]), "image of [1, 4, 4] patches: expected 4 image tokens, got 2"),
            (vec![1], Some([1, 2, 2]), "expected image tokens for 1 images, got them for 0"),
            (vec![90, 90], Some([1, 2, 2]), "image tokens at 1 belong to no image: there are 1 images"),
            (vec![91], None, "token 0 is a video token; only images are supported"),
        ];
        for (ids, grid, expected) in cases {
            let error = multimodal_positions(&ids, grid.as_slice(), TOKENS, 2).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
