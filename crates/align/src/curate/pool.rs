//! The prompts that a curation chooses from, and the shards that they are dealt out to.

use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::sorting::Sorter;
use crate::seeds::number_of;
use crate::types::{DataError, Dialogues, Item};

/// A pool of prompts. It is gone through several times, one prompt at a time.
#[derive(Clone, Copy, Debug)]
pub enum Pool<'a> {
    /// Prompts in memory.
    Items(&'a [Item]),
    /// A file of prompts, as [`Dialogues`] reads it. It may be larger than memory; ids that stand twice are refused
    /// before anything is sampled.
    File(&'a Path),
}

impl<'a> Pool<'a> {
    /// The folder that image paths are relative to where pools are compared: the data file's, so that shards sampled
    /// into any folder belong together; for prompts in memory that of the answers.
    pub fn home<'b>(self, answers: &'b Path) -> &'b Path
    where
        'a: 'b,
    {
        match self {
            Self::Items(_) => answers,
            Self::File(path) => path.parent().unwrap_or(answers),
        }
    }

    /// The prompts in order, whatever their ids.
    ///
    /// Errors: those of [`Dialogues`].
    pub(super) fn items(self) -> Result<Box<dyn Iterator<Item = Result<Item, DataError>> + 'a>, DataError> {
        Ok(match self {
            Self::Items(items) => Box::new(items.iter().cloned().map(Ok)),
            Self::File(path) => Box::new(Dialogues::open(path)?.with_ids_unchecked()),
        })
    }

    /// Checks that no two prompts of a file have one id. `ids` are all there are, each with its place in the pool.
    ///
    /// Errors: `Line` naming the first prompt whose id stood before it.
    pub(super) fn check_unique(self, ids: Sorter<(String, usize)>) -> Result<(), DataError> {
        let Self::File(path) = self else { return Ok(()) };
        let mut before = None;
        let mut first_again: Option<usize> = None;
        for entry in ids.sorted()? {
            let (id, place) = entry?;
            if before.as_ref() == Some(&id) {
                first_again = Some(first_again.map_or(place, |first| first.min(place)));
            }
            before = Some(id);
        }
        let Some(place) = first_again else { return Ok(()) };
        let mut dialogues = Dialogues::<Item>::open(path)?.with_ids_unchecked();
        let item = dialogues.nth(place).transpose()?;
        item.map_or(Ok(()), |item| dialogues.check_unique(&item.id))
    }
}

/// One of several parts of a pool, each curated by itself. A prompt's shard depends on its id alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which one, counted from one.
    pub index: u64,
    /// How many there are.
    pub of: u64,
}

impl Shard {
    /// Whether a prompt is in the shard.
    pub fn holds(self, id: &str) -> bool {
        index_of(id, self.of) == self.index
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.index, self.of)
    }
}

/// The index, counted from one, of the shard that a prompt is in when there are `of`.
pub(super) fn index_of(id: &str, of: u64) -> u64 {
    number_of(&Sha256::digest(id.as_bytes())) % of + 1
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = format!("expected i/n such as 1/4, with i from 1 to n, got {text}");
        let (index, of) = text.split_once('/').ok_or_else(|| wrong.clone())?;
        let (index, of) = (index.parse().map_err(|_| wrong.clone())?, of.parse().map_err(|_| wrong.clone())?);
        if index == 0 || index > of {
            return Err(wrong);
        }
        Ok(Self { index, of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_is_in_one_shard_and_shards_are_balanced() {
        let of = 4;
        let mut sizes = [0; 4];
        for number in 0..4000 {
            let id = format!("prompt-{number}");
            let holding: Vec<u64> = (1..=of).filter(|index| Shard { index: *index, of }.holds(&id)).collect();
            assert_eq!(holding.len(), 1);
            sizes[holding[0] as usize - 1] += 1;
        }
        assert!(sizes.iter().all(|size| (900..1100).contains(size)), "{sizes:?}");
        // Shards that earlier versions sampled must still fit together: these are from another SHA-256.
        let known = [0, 1, 2, 3, 4, 5].map(|number| index_of(&format!("prompt-{number}"), 4));
        assert_eq!(known, [1, 2, 3, 4, 4, 1]);
    }

    #[test]
    fn shards_are_written_as_they_are_read() {
        assert_eq!("2/3".parse::<Shard>().unwrap().to_string(), "2/3");
        for wrong in ["", "2", "0/3", "4/3", "a/3", "1/0", "-1/3"] {
            let message = wrong.parse::<Shard>().unwrap_err();
            assert!(message.starts_with("expected i/n such as 1/4"), "{message}");
        }
    }
}
