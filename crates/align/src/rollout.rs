//! Safety-aware rollout: draw a group of responses, judge them, let unsafe ones reflect and correct themselves.
//!
//! Prompts go in; groups of judged members come out, some with a correction that may stand in for them. How a
//! correction is trained is the trainer's business. Source: P2 (SaFeR-VLM, arXiv 2510.06871), which does not discard
//! unsafe responses but reflects on them; counts and thresholds were not published and are settings here.

mod draw;
mod reflect;

use serde::{Deserialize, Serialize};

use crate::engine::{Completion, Engine, EngineError, SampleRequest, Sampled, SamplingParams};
use crate::reward::{Reward, Rubric, Unscored};
use crate::training::{SettingError, TrainingError, check_count, check_setting, check_share, derive_seed};
use crate::types::{Item, ItemKind, Message};
use crate::verdict::{Judge, Judgement};

use draw::{Judged, draw_judged};
pub use reflect::{Correction, DEFAULT_REFLECTION_PROMPT, reflection_prompt, split_correction};

/// How groups are drawn. Names as TRL has them where it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutConfig {
    /// Responses a prompt, G; at least 2.
    pub num_generations: usize,
    /// Temperature of responses and corrections.
    pub temperature: f64,
    /// Nucleus of responses and corrections.
    pub top_p: f64,
    /// Most tokens of a response.
    pub max_completion_length: usize,
    /// Whether unsafe responses reflect and correct themselves.
    pub reflect: bool,
    /// Most tokens of a reflection and the correction after it.
    pub max_reflection_length: usize,
    /// What the model is told of its unsafe response; `{risk}` and `{evidence}`, where they
    /// stand in it, are filled in from the verdict.
    pub reflection_prompt: String,
    /// Most corrected members of a group, as a share of G, rounded down.
    pub max_corrected_share: f64,
    /// At least this many unsafe responses stay in their group, as negatives.
    pub min_unsafe_kept: usize,
    /// Most responses of a group that reflect, the worst first; 0 lets all unsafe ones.
    pub max_reflections: usize,
    /// Prompts sampled at once, and judged while the next are sampled; 0 samples all of a step at once. Changes no
    /// response.
    pub batch_size: usize,
}

impl Default for RolloutConfig {
    fn default() -> Self {
        Self {
            num_generations: 5,
            temperature: 1.0,
            top_p: 1.0,
            max_completion_length: 2048,
            reflect: true,
            max_reflection_length: 2048,
            reflection_prompt: DEFAULT_REFLECTION_PROMPT.trim_end().to_owned(),
            max_corrected_share: 0.5,
            min_unsafe_kept: 1,
            max_reflections: 0,
            batch_size: 0,
        }
    }
}

impl RolloutConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `rollout`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        let key = |name: &str| format!("{table}.{name}");
        check_setting(
            self.num_generations >= 2,
            &key("num_generations"),
            "a whole number of at least 2",
            self.num_generations,
        )?;
        let temperature = self.temperature.is_finite() && self.temperature > 0.0;
        check_setting(temperature, &key("temperature"), "a number above 0", self.temperature)?;
        let top_p = self.top_p > 0.0 && self.top_p <= 1.0;
        check_setting(top_p, &key("top_p"), "a number above 0 and at most 1", self.top_p)?;
        check_count(&key("max_completion_length"), self.max_completion_length)?;
        check_count(&key("max_reflection_length"), self.max_reflection_length)?;
        check_share(&key("max_corrected_share"), self.max_corrected_share)?;
        let prompt = &self.reflection_prompt;
        check_setting(
            !prompt.trim().is_empty(),
            &key("reflection_prompt"),
            "some words",
            format!("`{prompt}`"),
        )
    }

    fn params(&self, max_new_tokens: usize) -> SamplingParams {
        SamplingParams {
            temperature: self.temperature,
            top_p: self.top_p,
            max_new_tokens,
            ignore_eos: false,
        }
    }
}

/// A prompt to draw a group for.
#[derive(Clone, Copy, Debug)]
pub struct Prompt<'a> {
    /// What is asked.
    pub item: &'a Item,
    /// The seed that all draws for it derive from.
    pub seed: u64,
}

/// The responses to one prompt.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// What was asked.
    pub item: &'a Item,
    /// Length of the prompt in tokens, images included.
    pub prompt_tokens: usize,
    /// The responses.
    pub members: Vec<Member>,
}

/// One response of a group.
#[derive(Clone, Debug)]
pub struct Member {
    /// What was drawn.
    pub completion: Completion,
    /// What the judge says of it.
    pub judgement: Judgement,
    /// Its reward, or why it has none.
    pub reward: Result<Reward, Unscored>,
    /// The reflection and correction, where it was made to reflect.
    pub correction: Option<Correction>,
}

impl Member {
    /// The correction that stands in for the response.
    pub fn accepted_correction(&self) -> Option<&Correction> {
        self.correction.as_ref().filter(|correction| correction.accepted)
    }

    /// Whether what is trained was cut off at the length limit; accepted corrections never are.
    pub fn is_cut_off(&self) -> bool {
        self.accepted_correction().is_none() && self.completion.is_cut_off()
    }

    /// The reward of what is trained: the accepted correction's, or the response's; none where it is unscored.
    pub fn trained_reward(&self) -> Option<f64> {
        let reward = self
            .accepted_correction()
            .map_or(&self.reward, |correction| &correction.reward);
        reward.as_ref().ok().map(|reward| reward.total)
    }
}

/// What decides about responses: how they are drawn, who judges, what verdicts are worth.
#[derive(Clone, Copy)]
pub struct Rollout<'a> {
    /// How groups are drawn.
    pub config: &'a RolloutConfig,
    /// What a verdict is worth.
    pub rubric: &'a Rubric,
    /// The source of verdicts.
    pub judge: &'a dyn Judge,
}

impl Rollout<'_> {
    /// Draws one group for each prompt, judges it, and lets unsafe members reflect. A reflection or correction that the
    /// engine cannot take, as where a special token is spelled out in it, is unscored and says why.
    ///
    /// Errors: the engine's, of what is not sampled text; `Judge` where the judge had to stop.
    pub fn draw<'a>(&self, engine: &mut dyn Engine, prompts: &[Prompt<'a>]) -> Result<Vec<Group<'a>>, TrainingError> {
        let requests: Vec<(&Item, SampleRequest)> = prompts
            .iter()
            .map(|prompt| (prompt.item, self.request(prompt)))
            .collect();
        let drawn = draw_judged(self, engine, &requests, self.config.max_completion_length, |text| text)?;
        let group = |(prompt, judged): (&Prompt<'a>, Judged)| Ok(self.group(prompt.item, judged?));
        let mut groups = prompts
            .iter()
            .zip(drawn)
            .map(group)
            .collect::<Result<Vec<_>, EngineError>>()?;
        if self.config.reflect {
            reflect::reflect(self, engine, prompts, &mut groups)?;
        }
        Ok(groups)
    }

    fn request(&self, prompt: &Prompt) -> SampleRequest {
        let members = 0..self.config.num_generations as u64;
        SampleRequest {
            id: prompt.item.id.clone(),
            messages: prompt.item.prompt().to_vec(),
            seeds: members
                .map(|member| derive_seed(prompt.seed, "response", &[member]))
                .collect(),
        }
    }

    fn group<'a>(&self, item: &'a Item, (sampled, judgements): (Sampled, Vec<Judgement>)) -> Group<'a> {
        let member = |(completion, judgement): (Completion, Judgement)| Member {
            reward: self.rubric.reward(&judgement, item.kind),
            completion,
            judgement,
            correction: None,
        };
        Group {
            item,
            prompt_tokens: sampled.prompt_ids.len(),
            members: sampled.completions.into_iter().zip(judgements).map(member).collect(),
        }
    }
}

/// What became of one response of a group; one line of `rollouts.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutRecord {
    /// The training step that drew it.
    pub step: usize,
    /// The item it answers.
    pub item_id: String,
    /// How the item is counted.
    pub kind: Option<ItemKind>,
    /// The dialogue it answers, with image references.
    pub messages: Vec<Message>,
    /// Its place in the group.
    pub member: usize,
    /// The response as drawn.
    pub response: String,
    /// What the judge says of it.
    pub judgement: Judgement,
    /// Its reward; none when unscored.
    pub reward: Option<f64>,
    /// The reflection and correction, where the response was unsafe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<CorrectionRecord>,
    /// The advantage of the member that was trained; none when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advantage: Option<f64>,
}

/// A reflection on an unsafe response and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorrectionRecord {
    /// The reflection's text.
    pub reflection: String,
    /// The corrected response.
    pub response: String,
    /// What the judge says of it.
    pub judgement: Judgement,
    /// Its reward; none when unscored.
    pub reward: Option<f64>,
    /// Whether it took a place in the group.
    pub accepted: bool,
}

impl Group<'_> {
    /// The group as lines of `rollouts.jsonl`; `advantages` holds one entry a member.
    pub fn records(&self, step: usize, advantages: &[Option<f64>]) -> Vec<RolloutRecord> {
        let record = |(member, drawn): (usize, &Member)| RolloutRecord {
            step,
            item_id: self.item.id.clone(),
            kind: self.item.kind,
            messages: self.item.prompt().to_vec(),
            member,
            response: drawn.completion.text.clone(),
            judgement: drawn.judgement.clone(),
            reward: drawn.reward.as_ref().ok().map(|reward| reward.total),
            correction: drawn.correction.as_ref().map(Correction::record),
            advantage: advantages.get(member).copied().flatten(),
        };
        self.members.iter().enumerate().map(record).collect()
    }
}
