//! About how many tokens a prompt is for a model whose tokenizer is not at hand.
//!
//! Texts go by the lengths of their words, images by their sizes and by what the model's family makes of these. The
//! journal keeps what was estimated beside what the endpoint then counted, so that later estimates are put right.

use std::path::Path;

use align::types::image_file_size;

/// Letters of a word that are mostly one token.
const LETTERS_PER_TOKEN: usize = 8;
/// Tokens of a letter of Chinese, Japanese or Korean.
const TOKENS_PER_WIDE_LETTER: f64 = 0.7;
/// Where those letters begin.
const WIDE: char = '\u{2e80}';
/// What a chat template puts around a message.
pub(crate) const TOKENS_PER_MESSAGE: u64 = 5;
/// Tokens of an image whose size cannot be read.
const TOKENS_OF_IMAGE: u64 = 1_500;

/// About how many tokens a prompt is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Estimate {
    /// Its texts, with what a template puts around them.
    pub of_text: u64,
    /// Its images.
    pub of_images: u64,
}

/// What a model's endpoint counts for each token estimated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Correction {
    text: f64,
    images: f64,
}

impl Correction {
    /// By least squares over `[text, images, counted]` of prompts. Where they do not tell both apart, one number for both;
    /// of none, no correction.
    pub fn fit(prompts: impl Iterator<Item = [f64; 3]>) -> Self {
        let (mut tt, mut ti, mut ii, mut tc, mut ic) = (0.0, 0.0, 0.0, 0.0, 0.0);
        let (mut estimated, mut counted) = (0.0, 0.0);
        for [text, images, count] in prompts {
            tt += text * text;
            ti += text * images;
            ii += images * images;
            tc += text * count;
            ic += images * count;
            estimated += text + images;
            counted += count;
        }
        let determinant = tt * ii - ti * ti;
        let (text, images) = ((tc * ii - ic * ti) / determinant, (ic * tt - tc * ti) / determinant);
        if determinant > 1e-6 * tt * ii && text > 0.0 && images > 0.0 {
            return Self { text, images };
        }
        let both = if estimated > 0.0 { counted / estimated } else { 1.0 };
        // Texts alone say nothing of images.
        Self { text: both, images: if ii > 0.0 || estimated == 0.0 { both } else { 1.0 } }
    }

    /// The tokens of a prompt.
    pub fn tokens(&self, estimate: Estimate) -> u64 {
        (self.text * estimate.of_text as f64 + self.images * estimate.of_images as f64).round() as u64
    }
}

/// About how many tokens a text is.
pub(crate) fn estimated_tokens(text: &str) -> u64 {
    let (mut tokens, mut wide, mut word) = (0, 0, 0_usize);
    // One more, so that the last word ends too.
    for letter in text.chars().chain(['\n']) {
        if letter.is_alphabetic() && letter < WIDE {
            word += letter.len_utf8();
            continue;
        }
        tokens += word.div_ceil(LETTERS_PER_TOKEN);
        word = 0;
        wide += usize::from(letter >= WIDE);
        tokens += usize::from(letter < WIDE && !letter.is_whitespace());
    }
    let lines = text.matches('\n').count();
    (tokens + lines) as u64 + (wide as f64 * TOKENS_PER_WIDE_LETTER).ceil() as u64
}

/// What a family makes of an image's size.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ImageRule {
    /// A token for each square of so many pixels a side, within so many pixels at least and at most, and two around it.
    Squares { side: f64, least: f64, most: f64 },
    /// 256 tokens for each of at most so many tiles of 448 pixels a side, and for a thumbnail where there are several.
    Tiles(u32),
    /// 170 tokens for each tile of 512 pixels a side and 85 for the whole, as OpenAI has it.
    OpenAi,
}

/// Families by what their models' names have in them, in small letters without punctuation.
const BY_NAME: [(&str, ImageRule); 4] = [
    ("qwen25vl", ImageRule::Squares { side: 28.0, least: 3_136.0, most: 12_845_056.0 }),
    ("qwen2vl", ImageRule::Squares { side: 28.0, least: 3_136.0, most: 12_845_056.0 }),
    ("qwen3vl", ImageRule::Squares { side: 32.0, least: 65_536.0, most: 16_777_216.0 }),
    ("internvl", ImageRule::Tiles(12)),
];

/// About how many tokens an image's file is for a model of this name.
pub(crate) fn tokens_of_image(image: &Path, model: &str) -> u64 {
    image_file_size(image).map_or(TOKENS_OF_IMAGE, |size| rule_for(model).tokens(size))
}

fn rule_for(model: &str) -> ImageRule {
    let name: String = model.chars().filter(|letter| letter.is_alphanumeric()).collect::<String>().to_lowercase();
    BY_NAME.iter().find(|(known, _)| name.contains(known)).map_or(ImageRule::OpenAi, |(_, rule)| *rule)
}

impl ImageRule {
    fn tokens(self, (width, height): (u32, u32)) -> u64 {
        let (width, height) = (f64::from(width), f64::from(height));
        match self {
            Self::Squares { side, least, most } => {
                let area = width * height;
                let scale = (area.clamp(least, most) / area.max(1.0)).sqrt();
                let squares = |length: f64| (length * scale / side).round().max(1.0);
                (squares(width) * squares(height)) as u64 + 2
            }
            Self::Tiles(most) => match tiles(width, height, most) {
                1 => 258,
                tiles => 256 * (u64::from(tiles) + 1) + 2,
            },
            Self::OpenAi => {
                let within = (2048.0 / width.max(height)).min(1.0);
                let scale = within * (768.0 / (width.min(height) * within)).min(1.0);
                let tiles = |length: f64| (length * scale / 512.0).ceil().max(1.0);
                85 + 170 * (tiles(width) * tiles(height)) as u64
            }
        }
    }
}

/// The number of tiles whose arrangement is closest to the image's shape; of several the larger, where the image fills at
/// least half of it.
fn tiles(width: f64, height: f64, most: u32) -> u32 {
    let mut best = (f64::INFINITY, 1);
    for n in 1..=most {
        for across in (1..=n).filter(|across| n.is_multiple_of(*across)) {
            let down = n / across;
            let distance = (width / height - f64::from(across) / f64::from(down)).abs();
            let fills = width * height > 0.5 * 448.0 * 448.0 * f64::from(n);
            if distance < best.0 || (distance == best.0 && fills) {
                best = (distance, n);
            }
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_go_by_the_family_that_a_name_tells() {
        for (model, size, tokens) in [
            // 448 x 448 in squares of 28, and two around.
            ("Qwen/Qwen2.5-VL-7B-Instruct", (448, 448), 16 * 16 + 2),
            ("qwen2-vl-2b", (1, 1), 2 * 2 + 2),
            ("Qwen3-VL-8B", (640, 320), 20 * 10 + 2),
            ("OpenGVLab/InternVL2_5-8B", (448, 448), 258),
            ("InternVL3-8B", (896, 448), 3 * 256 + 2),
            ("gpt-4o", (512, 512), 255),
            ("gpt-4o", (2048, 4096), 85 + 170 * 6),
        ] {
            assert_eq!(rule_for(model).tokens(size), tokens, "{model} {size:?}");
        }
    }

    #[test]
    fn estimates_are_put_right_by_what_was_counted() {
        for (prompts, expected) in [
            (&[][..], (1.0, 1.0)),
            (&[[10.0, 0.0, 20.0], [5.0, 0.0, 10.0]], (2.0, 1.0)),
            (&[[10.0, 100.0, 55.0]], (0.5, 0.5)),
            (&[[10.0, 100.0, 320.0], [20.0, 100.0, 340.0], [5.0, 0.0, 10.0]], (2.0, 3.0)),
        ] {
            let Correction { text, images } = Correction::fit(prompts.iter().copied());
            assert!((text - expected.0).abs() + (images - expected.1).abs() < 1e-9, "{prompts:?}: {text} {images}");
        }
    }

    #[test]
    fn texts_go_by_their_words() {
        for (text, tokens) in
            [("", 0), ("How do I kill time?", 6), ("internationalization", 3), ("a\nb", 3), ("你好", 2)]
        {
            assert_eq!(estimated_tokens(text), tokens, "{text}");
        }
    }
}
