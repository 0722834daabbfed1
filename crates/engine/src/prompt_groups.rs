//! Sequences that reply to one prompt, such as the rollouts of a group: a pass computes the prompt and its images once
//! for all of them.

use std::collections::HashMap;

use vlm::config::Config;
use vlm::image_processor::ImageFile;

use crate::prepared::Prepared;

/// Sequences with the same prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptGroup {
    /// Their indexes among all sequences.
    pub members: Vec<usize>,
    /// Tokens of the prompt and of all replies.
    pub n_tokens: usize,
}

/// What sequences of one group have in common: tokens and images of the prompt, and the base of rotary frequencies,
/// which some models choose by the whole length.
type Key<'a> = (&'a [u32], &'a [ImageFile], u64);

/// Groups sequences by their prompts, in order of appearance, into groups of at most `token_limit` tokens (a longer
/// sequence is alone, and at a limit of 0 each is). The groups depend on the sequences alone.
pub fn by_prompt(prepared: &[Prepared], config: &Config, token_limit: usize) -> Vec<PromptGroup> {
    let mut groups: Vec<PromptGroup> = Vec::new();
    let mut open: HashMap<Key, usize> = HashMap::new();
    for (index, one) in prepared.iter().enumerate() {
        let base = config.rope_base(one.ids.len()).to_bits();
        let key = (&one.ids[..one.prompt_length], &one.images[..], base);
        let group = open.get(&key).map(|&position| &mut groups[position]);
        if let Some(group) = group.filter(|group| group.n_tokens + one.reply().len() <= token_limit) {
            group.n_tokens += one.reply().len();
            group.members.push(index);
        } else {
            open.insert(key, groups.len());
            groups.push(PromptGroup { members: vec![index], n_tokens: one.ids.len() });
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(prompt: &[u32], n_reply: usize, image: Option<&str>) -> Prepared {
        Prepared {
            ids: [prompt, &vec![9; n_reply]].concat(),
            prompt_length: prompt.len(),
            grids: image.map(|_| [1, 2, 2]).into_iter().collect(),
            images: image.map(ImageFile::from).into_iter().collect(),
        }
    }

    fn config() -> Config {
        Config::load(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl/model"))
            .unwrap()
    }

    fn group(members: &[usize], n_tokens: usize) -> PromptGroup {
        PromptGroup { members: members.to_vec(), n_tokens }
    }

    #[test]
    fn replies_to_one_prompt_are_grouped_wherever_they_come() {
        let all = [
            sequence(&[1, 2, 3], 4, Some("a")),
            sequence(&[1, 2, 3], 4, Some("b")),
            sequence(&[1, 2, 3], 2, Some("a")),
            sequence(&[1, 2], 5, None),
            sequence(&[1, 2, 3], 6, Some("a")),
        ];
        assert_eq!(by_prompt(&all, &config(), 100), [group(&[0, 2, 4], 15), group(&[1], 7), group(&[3], 7)]);
        assert_eq!(by_prompt(&all, &config(), 10), [group(&[0, 2], 9), group(&[1], 7), group(&[3], 7), group(&[4], 9)]);
    }
}
