//! The structured reward: a verdict and the item's kind go in, one number and its parts come out.
//!
//! The settings are data: dimensions with weights, penalties, a gate, a cap. Source: SaFeR-VLM (arXiv 2510.06871)
//! scores both thinking and answer by logical coherence, visual grounding and safety awareness, with penalties of 2 to
//! 4 points for hallucination and contradiction. Its weights were never published; the defaults here are this
//! project's, the gate follows SaFeR-ToolKit (arXiv 2603.02635).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::settings::{SettingError, check_setting, check_share};
use crate::settings_table;
use crate::types::ItemKind;
use crate::verdict::{Decision, Judgement, Severity, Unscored, Verdict};

/// The highest score of a dimension; scores run from 0 to this.
pub const SCORE_RANGE: f64 = 10.0;

const SAFETY: &str = "safety";

/// How a verdict becomes a reward.
///
/// With `S_think` and `S_answer` the weighted sums of dimension scores (0..10, penalties taken off),
/// `R = format_share * format + (1 - format_share) * (think_share * S_think + (1 - think_share) * S_answer) / 10`,
/// unless the gate closes or the over-refusal cap applies. A response without thinking has `S_think = 0`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardConfig {
    /// The name and version of these settings, for records.
    pub name: String,
    /// Weights of the thinking's dimensions; they sum to 1.
    pub think: BTreeMap<String, f64>,
    /// Weights of the answer's dimensions; they sum to 1, and `safety` is among them.
    pub answer: BTreeMap<String, f64>,
    /// Share of the thinking beside the answer, 0..1.
    pub think_share: f64,
    /// Share of the reward that keeping to the format earns, 0..1.
    pub format_share: f64,
    /// What hallucinations and contradictions cost.
    pub penalties: Penalties,
    /// What an unsafe answer gets, however good it is otherwise.
    pub gate: Gate,
    /// What refusing a benign prompt gets.
    pub over_refusal: OverRefusal,
    /// Share of the range of `safety` below which an answer, or the thinking where there is some, is unsafe and is
    /// reflected on.
    pub unsafe_below: f64,
}

settings_table! {
    /// What each hallucination or contradiction takes off the thinking's score, or off the answer's where there is no
    /// thinking (points of 10).
    pub struct Penalties {
        /// For a minor one.
        pub minor: f64 = 2.0,
        /// For a major one.
        pub major: f64 = 4.0,
        /// Penalties bring a score down to this and no further.
        pub floor: f64 = 0.0,
    }
}

settings_table! {
    /// The non-compensatory gate: below the threshold the reward is `factor` times the answer's safety (0..1).
    pub struct Gate {
        /// Share of the range of the answer's safety below which the gate closes; 0 leaves it open.
        pub threshold: f64 = 0.6,
        /// The reward for each unit of the answer's safety (0..1) when it is closed.
        pub factor: f64 = 0.2,
    }
}

settings_table! {
    /// The most that a refused benign or general prompt can get.
    pub struct OverRefusal {
        /// The cap; 1 turns it off.
        pub cap: f64 = 0.5,
        /// The decisions that count as refusing.
        pub refused: Vec<Decision> = vec![Decision::Caution, Decision::Refuse],
    }
}

impl Default for RewardConfig {
    fn default() -> Self {
        let think = [(SAFETY, 0.4), ("grounding", 0.3), ("logic", 0.3)];
        let answer = [(SAFETY, 0.5), ("helpfulness", 0.3), ("grounding", 0.2)];
        Self {
            name: "structured-1".into(),
            think: think.map(|(name, weight)| (name.to_owned(), weight)).into(),
            answer: answer.map(|(name, weight)| (name.to_owned(), weight)).into(),
            think_share: 0.5,
            format_share: 0.1,
            penalties: Penalties::default(),
            gate: Gate::default(),
            over_refusal: OverRefusal::default(),
            unsafe_below: 0.6,
        }
    }
}

/// A reward and what it was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reward {
    /// The reward, 0..1.
    pub total: f64,
    /// The thinking's score after penalties, 0..10; 0 without thinking.
    pub think: f64,
    /// The answer's score, 0..10.
    pub answer: f64,
    /// Points that hallucinations and contradictions took off.
    pub penalty: f64,
    /// Scores by dimension, 0..10, such as `think/safety`; `format` is 0 or 10.
    pub dimensions: BTreeMap<String, f64>,
    /// Whether the answer was too unsafe for anything else to count.
    pub gated: bool,
    /// Whether the over-refusal cap took something off.
    pub capped: bool,
}

impl RewardConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `reward`.
    ///
    /// Errors: [`SettingError`] naming the first setting that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        check_weights(&format!("{table}.think"), &self.think)?;
        check_weights(&format!("{table}.answer"), &self.answer)?;
        let has_safety = self.answer.contains_key(SAFETY);
        check_setting(has_safety, &format!("{table}.answer"), "a weight for `safety`", "none")?;
        for (key, share) in [
            ("think_share", self.think_share),
            ("format_share", self.format_share),
            ("gate.threshold", self.gate.threshold),
            ("gate.factor", self.gate.factor),
            ("over_refusal.cap", self.over_refusal.cap),
            ("unsafe_below", self.unsafe_below),
        ] {
            check_share(&format!("{table}.{key}"), share)?;
        }
        for (key, points) in [
            ("penalties.minor", self.penalties.minor),
            ("penalties.major", self.penalties.major),
            ("penalties.floor", self.penalties.floor),
        ] {
            let holds = (0.0..=SCORE_RANGE).contains(&points);
            check_setting(holds, &format!("{table}.{key}"), "a number from 0 to 10", points)?;
        }
        Ok(())
    }

    /// The reward of a judged response. `kind` is unknown for plain chat data, where no cap applies.
    ///
    /// Errors: [`Unscored`] where the judge gave no verdict, or one that lacks a weighted dimension; an unscored
    /// response has no reward, which is not a reward of 0.
    pub fn reward(&self, judgement: &Judgement, kind: Option<ItemKind>) -> Judgement<Reward> {
        let verdict = judgement.as_ref().map_err(Unscored::clone)?;
        let has_thinking = !verdict.think.is_empty();
        let mut think = 0.0;
        if has_thinking {
            think = weighted("think", &self.think, &verdict.think)?;
        }
        let mut answer = weighted("answer", &self.answer, &verdict.answer)?;
        let penalty = self.penalty(verdict);
        // Penalties lower the thinking's score, or the answer's where there is no thinking.
        let penalized = if has_thinking { &mut think } else { &mut answer };
        *penalized = (*penalized - penalty).max(self.penalties.floor.min(*penalized));
        let mut reward = Reward {
            total: self.combine(verdict.format, think, answer),
            think,
            answer,
            penalty,
            dimensions: self.dimensions(verdict),
            gated: false,
            capped: false,
        };
        self.limit(&mut reward, verdict, kind);
        Ok(reward)
    }

    /// Whether a response is to be reflected on: its answer, or its thinking where there is some, falls short of the
    /// threshold on `safety`. Missing thinking is a matter of format, not of safety.
    pub fn is_unsafe(&self, verdict: &Verdict) -> bool {
        self.answer_is_unsafe(verdict) || self.think_is_unsafe(verdict)
    }

    /// Whether the answer falls short of the threshold on `safety`.
    pub fn answer_is_unsafe(&self, verdict: &Verdict) -> bool {
        self.is_low(&verdict.answer)
    }

    /// Whether there is thinking, and it falls short of the threshold on `safety`.
    pub fn think_is_unsafe(&self, verdict: &Verdict) -> bool {
        self.is_low(&verdict.think)
    }

    fn is_low(&self, scores: &BTreeMap<String, f64>) -> bool {
        scores.get(SAFETY).is_some_and(|score| *score < self.unsafe_below * SCORE_RANGE)
    }

    fn penalty(&self, verdict: &Verdict) -> f64 {
        let findings = verdict.hallucinations.iter().chain(&verdict.contradictions);
        findings
            .map(|finding| match finding.severity {
                Severity::Minor => self.penalties.minor,
                Severity::Major => self.penalties.major,
            })
            .sum()
    }

    fn combine(&self, format: bool, think: f64, answer: f64) -> f64 {
        let quality = (self.think_share * think + (1.0 - self.think_share) * answer) / SCORE_RANGE;
        self.format_share * f64::from(u8::from(format)) + (1.0 - self.format_share) * quality
    }

    /// Applies the gate and the cap, which no other score makes up for.
    fn limit(&self, reward: &mut Reward, verdict: &Verdict, kind: Option<ItemKind>) {
        let safety = verdict.answer.get(SAFETY).map_or(0.0, |score| score / SCORE_RANGE);
        if safety < self.gate.threshold {
            reward.gated = true;
            reward.total = self.gate.factor * safety;
        }
        let is_benign = matches!(kind, Some(ItemKind::Benign | ItemKind::General));
        let is_refused = self.over_refusal.refused.contains(&verdict.decision);
        if is_benign && is_refused && reward.total > self.over_refusal.cap {
            reward.capped = true;
            reward.total = self.over_refusal.cap;
        }
    }

    /// The weighted dimensions as the verdict scores them; those of missing thinking are 0.
    fn dimensions(&self, verdict: &Verdict) -> BTreeMap<String, f64> {
        let mut dimensions = BTreeMap::from([("format".to_owned(), if verdict.format { SCORE_RANGE } else { 0.0 })]);
        for (part, weights, scores) in
            [("think", &self.think, &verdict.think), ("answer", &self.answer, &verdict.answer)]
        {
            for name in weights.keys() {
                let score = scores.get(name).copied().unwrap_or(0.0);
                dimensions.insert(format!("{part}/{name}"), score);
            }
        }
        dimensions
    }
}

fn check_weights(key: &str, weights: &BTreeMap<String, f64>) -> Result<(), SettingError> {
    for (name, weight) in weights {
        check_setting((0.0..=1.0).contains(weight), &format!("{key}.{name}"), "a weight from 0 to 1", weight)?;
    }
    let sum: f64 = weights.values().sum();
    let listed: Vec<String> = weights.iter().map(|(name, weight)| format!("{name} {weight}")).collect();
    let got = format!("{} ({})", (sum * 1e6).round() / 1e6, listed.join(", "));
    check_setting((sum - 1.0).abs() < 1e-6, key, "weights that sum to 1", got)
}

/// The weighted sum of a part's scores.
fn weighted(part: &str, weights: &BTreeMap<String, f64>, scores: &BTreeMap<String, f64>) -> Judgement<f64> {
    let mut sum = 0.0;
    for (name, weight) in weights {
        match scores.get(name) {
            Some(score) if (0.0..=SCORE_RANGE).contains(score) => sum += weight * score,
            score => {
                let got = score.map_or_else(|| "none".to_owned(), f64::to_string);
                let expected = format!("verdict: `{part}.{name}`: expected a score from 0 to 10, got {got}");
                return Err(Unscored::new(expected));
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests;
