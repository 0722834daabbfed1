//! What `/metrics` reports, in OpenMetrics' text format, under names like vLLM's.

use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

/// The content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of a histogram's buckets, in seconds.
const BUCKETS: [f64; 16] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0];

/// A count for each value of one label.
type Labeled = Family<[(&'static str, &'static str); 1], Counter>;

/// Counts since the server began, and what is under way.
#[derive(Debug)]
pub struct Metrics {
    /// Requests whose sequences are in the batch.
    pub requests_running: Gauge,
    /// Requests that were admitted and have not begun.
    pub requests_waiting: Gauge,
    /// Sequences in the batch.
    pub sequences_running: Gauge,
    /// Tokens of the KV cache reserved for requests in the batch.
    pub kv_cache_tokens: Gauge,
    /// Tokens that the KV cache holds at most.
    pub kv_cache_tokens_limit: Gauge,
    /// Images that went through the vision tower.
    pub images_encoded: Counter,
    /// Prompt tokens prefilled.
    pub prompt_tokens: Counter,
    /// Tokens sampled.
    pub generation_tokens: Counter,
    time_to_first_token: Histogram,
    request_latency: Histogram,
    successes: Labeled,
    failures: Labeled,
    registry: Registry,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("scruple");
        let r = &mut registry;
        // The library adds `_total` to the names of counters, and a full stop to every description.
        Self {
            requests_running: default(r, "num_requests_running", "Requests in the batch"),
            requests_waiting: default(r, "num_requests_waiting", "Requests admitted that have not begun"),
            sequences_running: default(r, "num_sequences_running", "Sequences in the batch"),
            kv_cache_tokens: default(r, "kv_cache_tokens", "Tokens of the KV cache reserved for the batch"),
            kv_cache_tokens_limit: default(r, "kv_cache_tokens_limit", "Tokens that the KV cache holds at most"),
            images_encoded: default(r, "images_encoded", "Images that went through the vision tower"),
            prompt_tokens: default(r, "prompt_tokens", "Prompt tokens prefilled"),
            generation_tokens: default(r, "generation_tokens", "Tokens sampled"),
            time_to_first_token: times(r, "time_to_first_token_seconds", "From arrival to the first token"),
            request_latency: times(r, "e2e_request_latency_seconds", "From arrival to the last token"),
            successes: default(r, "request_success", "Completions that ended"),
            failures: default(r, "request_failure", "Requests refused or failed"),
            registry,
        }
    }
}

fn default<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    register(registry, name, help, M::default())
}

fn times(registry: &mut Registry, name: &str, help: &str) -> Histogram {
    register(registry, name, help, Histogram::new(BUCKETS))
}

fn register<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

impl Metrics {
    /// A request got its first token after so long.
    pub fn first_token(&self, time: Duration) {
        self.time_to_first_token.observe(time.as_secs_f64());
    }

    /// A request got its last token after so long.
    pub fn last_token(&self, time: Duration) {
        self.request_latency.observe(time.as_secs_f64());
    }

    /// A completion ended; `reason` is the finish reason that the client gets.
    pub fn succeeded(&self, reason: &'static str) {
        self.successes.get_or_create(&[("finished_reason", reason)]).inc();
    }

    /// A request was refused or failed; `reason` is the error's code.
    pub fn failed(&self, reason: &'static str) {
        self.failures.get_or_create(&[("reason", reason)]).inc();
    }

    /// The text that Prometheus reads.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_name_its_labels_and_cumulative_buckets() {
        let metrics = Metrics::default();
        for time in [1, 30, 2_000_000] {
            metrics.first_token(Duration::from_millis(time));
        }
        metrics.last_token(Duration::from_secs(1));
        metrics.succeeded("stop");
        metrics.succeeded("length");
        metrics.succeeded("stop");
        metrics.failed("queue_full");
        metrics.kv_cache_tokens_limit.set(512);
        let text = metrics.text();
        for line in [
            "# TYPE scruple_num_requests_running gauge",
            "scruple_num_requests_running 0",
            "scruple_num_requests_waiting 0",
            "scruple_num_sequences_running 0",
            "scruple_kv_cache_tokens 0",
            "scruple_kv_cache_tokens_limit 512",
            "scruple_prompt_tokens_total 0",
            "scruple_images_encoded_total 0",
            "scruple_generation_tokens_total 0",
            "scruple_request_success_total{finished_reason=\"stop\"} 2",
            "scruple_request_success_total{finished_reason=\"length\"} 1",
            "scruple_request_failure_total{reason=\"queue_full\"} 1",
            "scruple_time_to_first_token_seconds_bucket{le=\"0.005\"} 1",
            "scruple_time_to_first_token_seconds_bucket{le=\"0.05\"} 2",
            "scruple_time_to_first_token_seconds_bucket{le=\"640.0\"} 2",
            "scruple_time_to_first_token_seconds_bucket{le=\"+Inf\"} 3",
            "scruple_time_to_first_token_seconds_count 3",
            "scruple_e2e_request_latency_seconds_count 1",
        ] {
            assert!(text.lines().any(|got| got == line), "{line}\n{text}");
        }
    }
}
