//! Multimodal rotary positions (M-RoPE; Wang et al., Qwen2-VL, arXiv 2409.12191, section 2.1): every token has a place
//! in time, height and width; text counts all three together, a picture's tokens stand on its grid.

use burn::tensor::{Device, Tensor, TensorData};

use crate::config::{TextConfig, VisionTokens};
use crate::error::Error;

/// Where the tokens of a sequence stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positions {
    /// For time, height and width, the place of each token.
    pub axes: [Vec<u32>; 3],
    /// The place, on all axes, of a token appended to the sequence.
    pub next: u32,
}

/// The places of `ids`, as transformers' `get_rope_index` gives them.
///
/// `grids` holds for each picture, in order of appearance, its patches in time, height and width; `merge` is the side
/// of the square of patches that makes one token. Text after a picture goes on from the largest place used.
///
/// Differs: pictures only, no videos.
///
/// Errors: `Input` when the runs of image tokens do not fit the grids, or there is a video token.
pub fn position_ids(
    ids: &[u32],
    grids: &[[usize; 3]],
    tokens: VisionTokens,
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
        } else if ids[token_idx] == tokens.video {
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
        // A still picture has no duration: its frames share one place in time.
        axes[0].push(*next);
        axes[1].push(*next + (index / width % height) as u32);
        axes[2].push(*next + (index % width) as u32);
    }
    *next += height.max(width) as u32;
    Ok(expected)
}

/// Cosines and sines by which queries and keys of a batch are turned.
///
/// A head is turned in pairs `(i, i + head_dim / 2)`. With the halves swapped and the sine of the first half negated,
/// turning is `x · cos + swapped(x) · sin`.
#[derive(Clone, Debug)]
pub struct Rotary {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rotary {
    /// Tables for tokens at `axes`, batch-major. Shape: `[b, t, 1, head_dim]` for `[b, t]` tokens.
    pub fn new(axes: &[Vec<u32>; 3], [b, t]: [usize; 2], config: &TextConfig, device: &Device) -> Self {
        let head_dim = config.head_dim();
        let half = head_dim / 2;
        let frequencies = frequencies(config);
        let mut cos = vec![0.0; b * t * head_dim];
        let mut sin = vec![0.0; b * t * head_dim];
        for (token_idx, (cos, sin)) in cos.chunks_mut(head_dim).zip(sin.chunks_mut(head_dim)).enumerate() {
            for (pair, (axis, frequency)) in frequencies.iter().enumerate() {
                let (s, c) = (axes[*axis][token_idx] as f32 * frequency).sin_cos();
                (cos[pair], cos[pair + half]) = (c, c);
                (sin[pair], sin[pair + half]) = (-s, s);
            }
        }
        let table = |values| Tensor::from_data(TensorData::new(values, [b, t, 1, head_dim]), device);
        Self { cos: table(cos), sin: table(sin) }
    }

    /// The same turn, lengthening by `factor`: a query turned so needs no scaling of its scores.
    pub fn scaled(&self, factor: f64) -> Self {
        Self { cos: self.cos.clone() * factor, sin: self.sin.clone() * factor }
    }

    /// Turns queries or keys. Shapes: `[b, t, h, head_dim]` → the same.
    pub fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let [b, t, h, head_dim] = x.dims();
        let halves = x.clone().reshape([b * t, h, 2, head_dim / 2]);
        let swapped = halves.flip([2]).reshape([b, t, h, head_dim]);
        x * self.cos.clone() + swapped * self.sin.clone()
    }
}

// For each pair of a head: the axis it turns by, and by how much per place.
fn frequencies(config: &TextConfig) -> Vec<(usize, f32)> {
    let head_dim = config.head_dim() as f32;
    let axes = (0..3).flat_map(|axis| std::iter::repeat_n(axis, config.mrope_section[axis]));
    axes.enumerate()
        .map(|(pair, axis)| (axis, 1.0 / (config.rope_theta as f32).powf((2 * pair) as f32 / head_dim)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: VisionTokens = VisionTokens { image: 90, video: 91, vision_start: 92, vision_end: 93 };

    #[test]
    fn text_after_an_image_goes_on_from_its_longer_side() {
        let ids = [1, 92, 90, 90, 90, 90, 90, 90, 93, 2];
        let positions = position_ids(&ids, &[[1, 4, 6]], TOKENS, 2).unwrap();
        assert_eq!(positions.axes[0], [0, 1, 2, 2, 2, 2, 2, 2, 5, 6]);
        assert_eq!(positions.axes[1], [0, 1, 2, 2, 2, 3, 3, 3, 5, 6]);
        assert_eq!(positions.axes[2], [0, 1, 2, 3, 4, 2, 3, 4, 5, 6]);
        assert_eq!(positions.next, 7);
    }

    #[test]
    fn image_tokens_that_do_not_fit_the_grids_are_refused() {
        let message = |ids: &[u32], grids: &[[usize; 3]]| position_ids(ids, grids, TOKENS, 2).unwrap_err().to_string();
        assert_eq!(message(&[90, 90, 1], &[[1, 4, 4]]), "image of [1, 4, 4] patches: expected 4 image tokens, got 2");
        assert_eq!(message(&[1], &[[1, 2, 2]]), "expected image tokens for 1 images, got them for 0");
        assert_eq!(message(&[90, 90], &[[1, 2, 2]]), "image tokens at 1 belong to no image: there are 1 images");
        assert_eq!(message(&[91], &[]), "token 0 is a video token; only images are supported");
    }
}
