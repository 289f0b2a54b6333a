//! Counts and times of a server's work, for Prometheus and the statistics page.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry, Unit};
use serde::Serialize;
use utoipa::ToSchema;

use super::lock;
use crate::ingest::Summary;
use crate::ledger::JobState;

/// Questions whose times are kept for the statistics page.
const RECENT: usize = 500;

/// How fast questions were answered lately.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Latency {
    /// Questions since the start.
    pub count: u64,
    /// Median and 95th percentile of the latest, in milliseconds.
    pub p50_ms: f64,
    pub p95_ms: f64,
    /// The latest, in milliseconds, oldest first.
    pub recent_ms: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    method: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labelled {
    stage: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: String,
}

type Times = Family<Labelled, Histogram, fn() -> Histogram>;
type Routes = Family<Request, Histogram, fn() -> Histogram>;

/// Everything that is counted. Names are those of the service this one stands in for.
pub struct Metrics {
    registry: Registry,
    requests: Counter,
    successes: Counter,
    durations: Histogram,
    batches: Histogram,
    active: Gauge,
    stages: Times,
    ingest: Times,
    http: Routes,
    jobs: Family<InState, Gauge>,
    queue: Gauge,
    documents: Counter,
    failures: Counter,
    recent: Mutex<VecDeque<f64>>,
}

/// 1 ms to 16 s.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

/// Adds a metric to those that are handed out.
fn listed<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// The same for one in seconds.
fn timed<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let to = &mut registry;
        let batches = Histogram::new(exponential_buckets(1.0, 2.0, 12));
        let stages = || Times::new_with_constructor(times);
        let http = Routes::new_with_constructor(times);
        Self {
            requests: listed(
                to,
                "inference_requests",
                "Questions asked",
                Counter::default(),
            ),
            successes: listed(
                to,
                "inference_success",
                "Questions that got a reply",
                Counter::default(),
            ),
            durations: timed(to, "inference_duration", "Time of a question", times()),
            batches: listed(
                to,
                "inference_batch_size",
                "Documents taken in at once",
                batches,
            ),
            active: listed(
                to,
                "active_inference_tasks",
                "Questions being answered",
                Gauge::default(),
            ),
            stages: timed(
                to,
                "query_stage_duration",
                "Time of a stage of a question",
                stages(),
            ),
            ingest: timed(
                to,
                "ingest_stage_duration",
                "Time of a document in a stage: parse, embed, store",
                stages(),
            ),
            http: timed(to, "http_request_duration", "Time of a request", http),
            jobs: listed(to, "jobs", "Jobs by state", Family::default()),
            queue: listed(to, "queue_depth", "Jobs that wait or run", Gauge::default()),
            documents: listed(
                to,
                "documents_indexed",
                "Documents taken in",
                Counter::default(),
            ),
            failures: listed(
                to,
                "documents_failed",
                "Documents that failed",
                Counter::default(),
            ),
            recent: Mutex::default(),
            registry,
        }
    }
}

/// A question being answered; counts as one until it is dropped.
pub struct Active<'m> {
    metrics: &'m Metrics,
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.metrics.active.dec();
    }
}

impl Metrics {
    /// A question has begun.
    pub fn begin(&self) -> Active<'_> {
        self.requests.inc();
        self.active.inc();
        Active { metrics: self }
    }

    /// A question was answered in that time, of which stages took milliseconds each.
    pub fn answered<'s>(&self, time: Duration, stages: impl IntoIterator<Item = (&'s str, f64)>) {
        self.successes.inc();
        self.durations.observe(time.as_secs_f64());
        for (stage, ms) in stages {
            let stage = stage.to_owned();
            let labels = Labelled { stage };
            self.stages.get_or_create(&labels).observe(ms / 1000.0);
        }
        let mut recent = lock(&self.recent);
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(time.as_secs_f64() * 1000.0);
    }

    /// A request was answered. `route` is the pattern, not the path.
    pub fn request(&self, route: &str, method: &str, status: u16, time: Duration) {
        let labels = Request {
            route: route.to_owned(),
            method: method.to_owned(),
            status,
        };
        self.http.get_or_create(&labels).observe(time.as_secs_f64());
    }

    /// A document has gone through a stage.
    pub fn stage(&self, stage: &str, seconds: f64) {
        let labels = Labelled {
            stage: stage.to_owned(),
        };
        self.ingest.get_or_create(&labels).observe(seconds);
    }

    /// A batch of documents has ended.
    pub fn ingested(&self, summary: &Summary) {
        self.batches.observe(summary.found as f64);
        self.documents.inc_by(summary.indexed);
        self.failures.inc_by(summary.failed.len() as u64);
    }

    /// How fast questions were answered lately.
    pub fn latency(&self) -> Latency {
        let recent_ms: Vec<f64> = lock(&self.recent).iter().copied().collect();
        let mut sorted = recent_ms.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = sorted.len().checked_sub(1)?;
            sorted.get((last as f64 * share).round() as usize).copied()
        };
        Latency {
            count: self.requests.get(),
            p50_ms: at(0.5).unwrap_or(0.0),
            p95_ms: at(0.95).unwrap_or(0.0),
            recent_ms,
        }
    }

    /// Everything in OpenMetrics text.
    pub fn text<'s>(&self, jobs: impl IntoIterator<Item = (&'s str, u64)>) -> String {
        let jobs: BTreeMap<&str, u64> = jobs.into_iter().collect();
        let mut waiting = 0;
        for state in JobState::ALL {
            let count = jobs.get(state.as_str()).copied().unwrap_or(0);
            let labels = InState {
                state: state.as_str().to_owned(),
            };
            self.jobs.get_or_create(&labels).set(count as i64);
            waiting += if state.is_open() { count } else { 0 };
        }
        self.queue.set(waiting as i64);
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
