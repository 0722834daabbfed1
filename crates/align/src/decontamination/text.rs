//! Texts by the shingles they share: MinHash finds candidates, exact Jaccard similarity decides.
//!
//! Texts are compared in lower case, by letters and digits alone. Long ones are cut into every five words in a row,
//! short ones, in which one changed word would change most of these, into every five letters.

use std::collections::{HashMap, HashSet};

/// Words or letters of a shingle.
const SHINGLE: usize = 5;
/// Texts of fewer words are short.
const SHORT_WORDS: usize = 40;
/// Hash functions of a signature.
pub const PERMUTATIONS: usize = 128;
/// A pair at the threshold is found with at least this probability.
const RECALL: f64 = 0.999;

/// The hashes of a text's shingles, sorted, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shingles {
    is_short: bool,
    hashes: Vec<u64>,
}

impl Shingles {
    /// A text's shingles: of letters where it is short, of words otherwise.
    pub fn of(text: &str) -> Self {
        let words = words(text);
        if words.len() < SHORT_WORDS { Self::of_letters(&words) } else { Self::of_words(&words) }
    }

    fn of_words(words: &[String]) -> Self {
        let size = SHINGLE.min(words.len().max(1));
        Self::sorted(words.windows(size).map(|window| hash(&window.join(" "))), false)
    }

    fn of_letters(words: &[String]) -> Self {
        let letters: Vec<char> = words.join(" ").chars().collect();
        let size = SHINGLE.min(letters.len().max(1));
        let shingles = letters.windows(size).map(|window| hash(&window.iter().collect::<String>()));
        Self::sorted(shingles, true)
    }

    fn sorted(hashes: impl Iterator<Item = u64>, is_short: bool) -> Self {
        let mut hashes: Vec<u64> = hashes.collect();
        hashes.sort_unstable();
        hashes.dedup();
        Self { is_short, hashes }
    }

    /// Share of the shingles of both that are in both (Jaccard's index), 0..1; 0 where there are none.
    pub fn jaccard(&self, other: &Self) -> f64 {
        let common = self.hashes.iter().filter(|hash| other.hashes.binary_search(hash).is_ok()).count();
        let all = self.hashes.len() + other.hashes.len() - common;
        if all == 0 { 0.0 } else { common as f64 / all as f64 }
    }

    /// The least hash of the shingles under each of [`PERMUTATIONS`] hash functions. Of two texts the share of equal
    /// places estimates [`Self::jaccard`] with a standard error of at most 0.045.
    pub fn signature(&self) -> [u64; PERMUTATIONS] {
        std::array::from_fn(|function| {
            let seed = mix(function as u64 + 1);
            self.hashes.iter().map(|hash| mix(hash ^ seed)).min().unwrap_or(u64::MAX)
        })
    }
}

/// Runs of letters and digits, in lower case.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// FNV-1a, mixed, since it must be the same in every version.
fn hash(text: &str) -> u64 {
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
}

/// The finalizer of SplitMix64: a bijection that spreads every bit over all.
fn mix(mut value: u64) -> u64 {
    value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// An index of texts, which finds those similar to a text.
#[derive(Clone, Debug)]
pub struct TextIndex {
    threshold: f64,
    /// Places of a signature that make a band (locality-sensitive hashing).
    rows: usize,
    texts: Vec<(Shingles, usize)>,
    by_band: HashMap<u64, Vec<usize>>,
}

impl TextIndex {
    /// An empty index of texts that are found from this similarity on.
    pub fn new(threshold: f64) -> Self {
        Self { threshold, rows: rows_for(threshold), texts: Vec::new(), by_band: HashMap::new() }
    }

    /// Adds a text under a number. Long texts and short ones find it.
    pub fn insert(&mut self, text: &str, number: usize) {
        let words = words(text);
        for shingles in [Shingles::of_words(&words), Shingles::of_letters(&words)] {
            if shingles.hashes.is_empty() {
                continue;
            }
            for band in self.bands(&shingles) {
                self.by_band.entry(band).or_default().push(self.texts.len());
            }
            self.texts.push((shingles, number));
        }
    }

    /// The number of the most similar text, the first of equals, and how similar it is; none below the threshold.
    pub fn closest(&self, shingles: &Shingles) -> Option<(usize, f64)> {
        if shingles.hashes.is_empty() {
            return None;
        }
        let bands = self.bands(shingles).filter_map(|band| self.by_band.get(&band));
        let candidates: HashSet<usize> = bands.flatten().copied().collect();
        let mut closest: Option<(usize, f64)> = None;
        for candidate in candidates {
            let (other, number) = &self.texts[candidate];
            if other.is_short != shingles.is_short {
                continue;
            }
            let similarity = other.jaccard(shingles);
            let is_closer =
                closest.is_none_or(|(first, best)| similarity > best || similarity == best && *number < first);
            if similarity >= self.threshold && is_closer {
                closest = Some((*number, similarity));
            }
        }
        closest
    }

    fn bands(&self, shingles: &Shingles) -> impl Iterator<Item = u64> + use<> {
        let signature = shingles.signature();
        let kind = u64::from(shingles.is_short);
        let rows = self.rows;
        (0..PERMUTATIONS / rows).map(move |band| {
            let places = &signature[band * rows..(band + 1) * rows];
            places.iter().fold(mix(band as u64 * 2 + kind), |hash, place| mix(hash ^ place))
        })
    }
}

/// The longest bands that still find a pair at the threshold: one of them is equal with probability `1 - (1 - s^r)^b`.
fn rows_for(threshold: f64) -> usize {
    [32, 16, 8, 4, 2]
        .into_iter()
        .find(|&rows| {
            let recall = 1.0 - (1.0 - threshold.powi(rows)).powi(PERMUTATIONS as i32 / rows);
            recall >= RECALL
        })
        .map_or(1, |rows| rows as usize)
}
