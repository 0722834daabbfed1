//! Which of the waiting jobs have their prompts computed together.

use super::worker::Job;

/// Jobs whose prompts are computed side by side, padded to the longest of them.
#[derive(Default)]
pub struct PrefillGroup {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// Tokens of the longest prompt.
    pub longest: usize,
}

impl PrefillGroup {
    /// Whether a job may be one of them where so many tokens are computed at once, and so many more fit into the KV
    /// cache. One alone may always be computed.
    pub fn fits(&self, job: &Job, max_prompt_tokens: usize, n_free: usize) -> bool {
        let padded = self.longest.max(job.input_ids.len());
        let fits_batch = self.jobs.is_empty() || padded * (self.jobs.len() + 1) <= max_prompt_tokens;
        fits_batch && self.kv_tokens_at(padded) + job.kv_tokens(padded) <= n_free
    }

    /// Adds a job.
    pub fn push(&mut self, job: Job) {
        self.longest = self.longest.max(job.input_ids.len());
        self.jobs.push(job);
    }

    /// Tokens of the KV cache that the jobs reserve.
    pub fn kv_tokens(&self) -> usize {
        self.kv_tokens_at(self.longest)
    }

    fn kv_tokens_at(&self, padded: usize) -> usize {
        self.jobs.iter().map(|job| job.kv_tokens(padded)).sum()
    }
}
