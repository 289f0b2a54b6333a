//! Counts what happens to documents and passes it on to the observer.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::event::{BadlyRead, Event, FailedDocument, GIVEN_UP, Observer, PendingJob, Summary};
use super::parsing::Spent;
use super::{Parts, Plan, lock};
use crate::document::{Source, Verdict};
use crate::embed::Embedder;
use crate::parse::Step;
use crate::store::Entry;

/// Counts what happens and passes it on.
pub struct Tally {
    observer: Arc<dyn Observer>,
    found: AtomicU64,
    summary: Mutex<Summary>,
    /// Paths of the documents that were uploaded, to count each once.
    uploads: Mutex<std::collections::HashMap<String, u64>>,
}

impl Tally {
    pub fn new(observer: Arc<dyn Observer>, model: Option<&dyn Embedder>) -> Self {
        let summary = Summary {
            model: model.map(|model| model.name().to_owned()),
            ..Summary::default()
        };
        Self {
            observer,
            found: AtomicU64::new(0),
            summary: Mutex::new(summary),
            uploads: Mutex::default(),
        }
    }

    pub fn summary(&self, plan: &Plan, parts: &Parts, spent: &Spent) -> Summary {
        let mut summary = lock(&self.summary).clone();
        let parsers = &parts.parsers;
        summary.collection.clone_from(&plan.collection);
        summary.parser = parsers.first.service().to_owned();
        summary.escalation = parsers
            .escalation
            .as_ref()
            .map(|parser| parser.service().to_owned());
        summary.dry_run = plan.dry_run;
        summary.found = self.found.load(Relaxed);
        if plan.dry_run {
            (summary.uploaded, summary.uploaded_bytes) = (spent.documents, spent.bytes);
        } else {
            let uploads = lock(&self.uploads);
            summary.uploaded = uploads.len() as u64;
            summary.uploaded_bytes = uploads.values().sum();
        }
        let is_counted = plan.dry_run || plan.budget.pages.is_some();
        if is_counted && parsers.remote().is_some() {
            summary.uploaded_pages = Some(spent.pages);
            summary.uncounted = Some(spent.uncounted);
        }
        summary.failed.sort_by(|a, b| a.path.cmp(&b.path));
        summary.not_escalated.sort_by(|a, b| a.path.cmp(&b.path));
        summary.without_text.sort();
        summary.badly_read.sort_by(|a, b| a.path.cmp(&b.path));
        summary
    }

    /// The collection is new, and gets this model.
    pub fn model_chosen(&self, model: &str, why: &str) {
        let mut summary = lock(&self.summary);
        summary.model = Some(model.to_owned());
        summary.model_chosen = Some(why.to_owned());
    }

    fn tell(&self, event: Event, count: impl FnOnce(&mut Summary)) {
        count(&mut lock(&self.summary));
        self.observer.hear(&event);
    }

    pub fn found(&self) {
        let documents = self.found.fetch_add(1, Relaxed) + 1;
        self.observer.hear(&Event::Found { documents });
    }

    pub fn all_found(&self) {
        let documents = self.found.load(Relaxed);
        self.observer.hear(&Event::AllFound { documents });
    }

    pub fn started(&self, source: &Source) {
        let (path, bytes) = (source.path.clone(), source.size);
        self.tell(Event::Started { path, bytes }, |_| ());
    }

    pub fn parsed(&self, path: &str) {
        let path = path.to_owned();
        self.observer.hear(&Event::Parsed { path });
    }

    pub fn step(&self, path: &str, step: Step) {
        let path = path.to_owned();
        let event = match step {
            Step::Parsing => Event::Parsing { path },
            Step::Recognising { pages, of } => Event::Recognising { path, pages, of },
            Step::Uploading { sent, total } => {
                lock(&self.uploads).insert(path.clone(), sent);
                Event::Uploading { path, sent, total }
            }
            Step::Submitted { job, remote_id } => Event::Submitted {
                path,
                job,
                remote_id,
            },
            Step::Waiting { state, waited } => Event::Waiting {
                path,
                state,
                seconds: waited.as_secs_f64(),
            },
            Step::Retrying { reason, pause } => Event::Retrying {
                path,
                reason,
                seconds: pause.as_secs_f64(),
            },
        };
        self.observer.hear(&event);
    }

    pub fn embedding(&self, path: &str, chunks: usize, of: usize) {
        let path = path.to_owned();
        self.observer.hear(&Event::Embedding { path, chunks, of });
    }

    /// A stage that began at `start` is done.
    pub fn took(&self, path: &str, stage: &'static str, start: Instant) {
        self.observer.hear(&Event::Took {
            path: path.to_owned(),
            stage,
            seconds: start.elapsed().as_secs_f64(),
        });
    }

    pub fn indexed(&self, entry: &Entry, replaced: bool) {
        let pages = &entry.parsed.pages;
        let with = |verdict| pages.iter().filter(|page| page.verdict == verdict).count();
        let (empty, garbled, failed) = (
            with(Verdict::Empty),
            with(Verdict::Garbled),
            with(Verdict::Failed),
        );
        let blank = with(Verdict::Blank);
        let bad = pages.iter().filter(|page| page.verdict.is_bad());
        let bad_pages: Vec<u32> = bad.map(|page| page.number).collect();
        let source = entry.sources.first();
        let path = source.map_or_else(String::new, |source| source.path.clone());
        let event = Event::Indexed {
            path: path.clone(),
            document_id: entry.document_id.0.clone(),
            pages: pages.len(),
            empty_pages: empty,
            garbled_pages: garbled,
            failed_pages: failed,
            bad_pages: bad_pages.clone(),
            chunks: entry.chunks.len(),
            parser: entry.service.clone(),
            replaced,
            notes: entry.parsed.details.notes.clone(),
        };
        for note in &entry.parsed.details.notes {
            tracing::warn!("{path}: {note}");
        }
        self.tell(event, |summary| {
            summary.indexed += 1;
            summary.replaced += u64::from(replaced);
            summary.pages += pages.len() as u64;
            summary.blank_pages += blank as u64;
            summary.empty_pages += empty as u64;
            summary.garbled_pages += garbled as u64;
            summary.failed_pages += failed as u64;
            summary.chunks += entry.chunks.len() as u64;
            if entry.chunks.is_empty() {
                summary.without_text.push(path.clone());
            }
            if !bad_pages.is_empty() {
                summary.with_bad_pages += 1;
                let pages = bad_pages;
                summary.badly_read.push(BadlyRead { path, pages });
            }
            let unembedded = entry.chunks.iter().filter(|chunk| chunk.vector.is_none());
            summary.unembedded_chunks += unembedded.count() as u64;
        });
    }

    pub fn unchanged(&self, path: &str) {
        self.skipped(path, "unchanged");
    }

    pub fn linked(&self, path: &str) {
        self.skipped(path, "same content");
    }

    fn skipped(&self, path: &str, reason: &'static str) {
        let path = path.to_owned();
        self.tell(Event::Skipped { path, reason }, |s| s.skipped += 1);
    }

    pub fn unsupported(&self, path: &str) {
        tracing::info!("{path}: skipped, the parser does not take this kind of file");
        lock(&self.summary).unsupported += 1;
    }

    pub fn pending(&self, path: &str, job: &str, remote_id: &str, copies: usize) {
        let left = PendingJob {
            path: path.to_owned(),
            job: job.to_owned(),
            remote_id: remote_id.to_owned(),
        };
        let event = Event::Pending {
            path: left.path.clone(),
            job: left.job.clone(),
            remote_id: left.remote_id.clone(),
        };
        self.tell(event, |summary| {
            summary.pending += 1;
            summary.pending_jobs.push(left);
            summary.skipped += copies as u64;
        });
    }

    pub fn would_ingest(&self, source: &Source, sent: bool) {
        let (path, bytes) = (source.path.clone(), source.size);
        let event = Event::WouldIngest { path, bytes, sent };
        self.tell(event, |summary| summary.would_ingest += 1);
    }

    pub fn escalated(&self) {
        lock(&self.summary).escalated += 1;
    }

    pub fn not_escalated(&self, path: &str, reason: &str, hint: Option<&str>) {
        let (path, reason, hint) = (path.to_owned(), reason.to_owned(), hint.map(str::to_owned));
        let failed = FailedDocument {
            path: path.clone(),
            reason: reason.clone(),
            hint: hint.clone(),
        };
        let event = Event::NotEscalated { path, reason, hint };
        self.tell(event, |summary| summary.not_escalated.push(failed));
    }

    pub fn failed(&self, path: &str, reason: &str, hint: Option<&str>) {
        let failed = FailedDocument {
            path: path.to_owned(),
            reason: reason.to_owned(),
            hint: hint.map(str::to_owned),
        };
        let event = Event::Failed {
            path: failed.path.clone(),
            reason: failed.reason.clone(),
            hint: failed.hint.clone(),
        };
        self.tell(event, |summary| summary.failed.push(failed));
    }

    /// Left for the next run; `reason` where it is this document's own.
    /// Nobody waits for it any more.
    pub fn given_up(&self, path: &str) {
        self.parked(path, Some(GIVEN_UP.to_owned()));
    }

    pub fn parked(&self, path: &str, reason: Option<String>) {
        let path = path.to_owned();
        self.tell(Event::Parked { path, reason }, |summary| {
            summary.parked += 1;
        });
    }
}
