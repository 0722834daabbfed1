//! What `/metrics` tells, in Prometheus' text format, under names like vLLM's.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of a histogram's buckets, in seconds.
const BUCKETS: [f64; 16] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0,
];

/// Counts since the server began, and what is under way.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Requests whose sequences are in the batch.
    pub requests_running: Gauge,
    /// Requests that were let in and have not begun.
    pub requests_waiting: Gauge,
    /// Sequences in the batch.
    pub sequences_running: Gauge,
    /// Tokens whose keys and values may be held for requests in the batch.
    pub held_tokens: Gauge,
    /// How many that may become.
    pub held_tokens_limit: Gauge,
    /// Pictures that went through the vision tower.
    pub pictures_encoded: AtomicU64,
    /// Tokens of prompts taken up.
    pub prompt_tokens: AtomicU64,
    /// Tokens drawn.
    pub generation_tokens: AtomicU64,
    /// From a request's arrival to its first token.
    pub time_to_first_token: Histogram,
    /// From a request's arrival to its last token.
    pub request_latency: Histogram,
    successes: Labelled,
    failures: Labelled,
}

/// A number that rises and falls.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// One more.
    pub fn rise(&self) {
        self.rise_by(1);
    }

    /// One less.
    pub fn fall(&self) {
        self.fall_by(1);
    }

    /// So many more.
    pub fn rise_by(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// So many fewer.
    pub fn fall_by(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    /// So many.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more, unless there are `most`.
    pub fn rise_below(&self, most: u64) -> bool {
        let rise = |value: u64| (value < most).then_some(value + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rise).is_ok()
    }
}

/// Times in buckets.
#[derive(Debug, Default)]
pub struct Histogram(Mutex<Times>);

#[derive(Clone, Debug, Default)]
struct Times {
    // Not cumulative; the last is beyond all bounds.
    counts: [u64; BUCKETS.len() + 1],
    sum_s: f64,
}

impl Histogram {
    /// Notes a time.
    pub fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = BUCKETS.partition_point(|bound| *bound < seconds);
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.counts[bucket] += 1;
        times.sum_s += seconds;
    }

    fn render(&self, text: &mut String, name: &str) {
        let Times { counts, sum_s } = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut total = 0;
        for (count, bound) in counts
            .iter()
            .zip(BUCKETS.iter().map(f64::to_string).chain(["+Inf".to_owned()]))
        {
            total += count;
            let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {total}");
        }
        let _ = writeln!(text, "{name}_sum {sum_s}\n{name}_count {total}");
    }
}

/// A count for each value of a label.
#[derive(Debug, Default)]
struct Labelled(Mutex<BTreeMap<String, u64>>);

impl Labelled {
    fn count(&self, value: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(value.to_owned()).or_default() += 1;
    }

    fn render(&self, text: &mut String, name: &str, label: &str) {
        for (value, count) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = writeln!(text, "{name}{{{label}=\"{value}\"}} {count}");
        }
    }
}

impl Metrics {
    /// A completion ended; `reason` is what the client is told.
    pub fn succeeded(&self, reason: &str) {
        self.successes.count(reason);
    }

    /// A request was refused or failed; `reason` is the error's code.
    pub fn failed(&self, reason: &str) {
        self.failures.count(reason);
    }

    /// The text that Prometheus reads.
    pub fn render(&self) -> String {
        let mut text = String::new();
        self.render_gauges(&mut text);
        self.render_counters(&mut text);
        self.render_outcomes(&mut text);
        self.render_times(&mut text);
        text
    }

    fn render_gauges(&self, text: &mut String) {
        for (name, gauge, help) in [
            (
                "scruple_num_requests_running",
                &self.requests_running,
                "Requests in the batch.",
            ),
            (
                "scruple_num_requests_waiting",
                &self.requests_waiting,
                "Requests let in that have not begun.",
            ),
            (
                "scruple_num_sequences_running",
                &self.sequences_running,
                "Sequences in the batch.",
            ),
            (
                "scruple_kv_cache_tokens",
                &self.held_tokens,
                "Tokens whose keys and values the batch may come to hold.",
            ),
            (
                "scruple_kv_cache_tokens_limit",
                &self.held_tokens_limit,
                "Tokens whose keys and values there is room for.",
            ),
        ] {
            head(text, name, "gauge", help);
            let _ = writeln!(text, "{name} {}", gauge.get());
        }
    }

    fn render_counters(&self, text: &mut String) {
        for (name, counter, help) in [
            (
                "scruple_prompt_tokens_total",
                &self.prompt_tokens,
                "Tokens of prompts taken up.",
            ),
            (
                "scruple_pictures_encoded_total",
                &self.pictures_encoded,
                "Pictures that went through the vision tower.",
            ),
            (
                "scruple_generation_tokens_total",
                &self.generation_tokens,
                "Tokens drawn.",
            ),
        ] {
            head(text, name, "counter", help);
            let _ = writeln!(text, "{name} {}", counter.load(Ordering::Relaxed));
        }
    }

    fn render_outcomes(&self, text: &mut String) {
        for (name, counts, label, help) in [
            (
                "scruple_request_success_total",
                &self.successes,
                "finished_reason",
                "Completions that ended.",
            ),
            (
                "scruple_request_failure_total",
                &self.failures,
                "reason",
                "Requests refused or failed.",
            ),
        ] {
            head(text, name, "counter", help);
            counts.render(text, name, label);
        }
    }

    fn render_times(&self, text: &mut String) {
        for (name, times, help) in [
            (
                "scruple_time_to_first_token_seconds",
                &self.time_to_first_token,
                "From arrival to the first token.",
            ),
            (
                "scruple_e2e_request_latency_seconds",
                &self.request_latency,
                "From arrival to the last token.",
            ),
        ] {
            head(text, name, "histogram", help);
            times.render(text, name);
        }
    }
}

/// What stands above a metric.
fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_labels_stand_in_order() {
        let metrics = Metrics::default();
        for time in [1, 30, 2_000_000] {
            metrics.time_to_first_token.observe(Duration::from_millis(time));
        }
        metrics.succeeded("stop");
        metrics.succeeded("length");
        metrics.succeeded("stop");
        let text = metrics.render();
        for line in [
            "scruple_time_to_first_token_seconds_bucket{le=\"0.005\"} 1",
            "scruple_time_to_first_token_seconds_bucket{le=\"0.05\"} 2",
            "scruple_time_to_first_token_seconds_bucket{le=\"640\"} 2",
            "scruple_time_to_first_token_seconds_bucket{le=\"+Inf\"} 3",
            "scruple_time_to_first_token_seconds_count 3",
            "scruple_request_success_total{finished_reason=\"stop\"} 2",
            "# TYPE scruple_num_requests_running gauge",
        ] {
            assert!(text.lines().any(|got| got == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_gauge_rises_to_its_bound() {
        let gauge = Gauge::default();
        assert!(gauge.rise_below(2) && gauge.rise_below(2) && !gauge.rise_below(2));
        gauge.fall();
        assert!(gauge.rise_below(2));
    }
}
