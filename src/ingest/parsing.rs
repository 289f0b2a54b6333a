//! The parse stage: several documents at once, each by the first parser, and by the second one where
//! the first reads badly and the user allows it. Nothing leaves the machine beyond the budget.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::index::Ready;
use super::{Fresh, GIVEN_UP, Halt, Run, lock};
use crate::document::{Parsed, Source};
use crate::ledger::{Job, JobState, job_id};
use crate::parse::{Outcome, ParseError, Parser, Step, Work};
use crate::settings::Settings;
use crate::source::{self, Unpacked};
use crate::text::count;

/// The most one run may send away; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    pub pages: Option<u64>,
    pub bytes: Option<u64>,
}

impl Budget {
    /// As the settings say.
    pub fn of(settings: &Settings) -> Self {
        Self {
            pages: settings.max_pages,
            bytes: settings.max_bytes,
        }
    }
}

/// What a run has sent away, or in a dry run would.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    pub documents: u64,
    pub bytes: u64,
    /// Pages of documents whose pages were counted.
    pub pages: u64,
    /// Documents whose pages were not, or could not be.
    pub uncounted: u64,
}

/// Parses up to `concurrency` documents at once until the queue ends or the run is stopped.
pub async fn run(run: &Arc<Run>, mut queue: mpsc::Receiver<Fresh>, done: mpsc::Sender<Ready>) {
    let mut tasks = JoinSet::new();
    // A rehearsal that parses nothing is quick, and lists documents in their order.
    let concurrency = match run.plan.dry_run && run.parts.parsers.escalation.is_none() {
        true => 1,
        false => run.plan.concurrency,
    };
    loop {
        while tasks.len() >= concurrency {
            run.joined(tasks.join_next().await);
        }
        let fresh = tokio::select! {
            fresh = queue.recv() => fresh,
            () = run.parts.stop.cancelled() => None,
        };
        let Some(fresh) = fresh else { break };
        let (run, done) = (Arc::clone(run), done.clone());
        tasks.spawn(async move {
            match run.plan.dry_run {
                true => rehearse(&run, fresh).await,
                false => parse(&run, fresh, &done).await,
            }
        });
    }
    // Frees the intake if it waits for room in the queue.
    drop(queue);
    while let Some(joined) = tasks.join_next().await {
        run.joined(Some(joined));
    }
}

async fn parse(run: &Arc<Run>, fresh: Fresh, done: &mpsc::Sender<Ready>) {
    run.tally.started(&fresh.source);
    let first = &run.parts.parsers.first;
    match (
        attempt(run, first, &fresh).await,
        &run.parts.parsers.escalation,
    ) {
        (here, Some(other)) if wants_more(&here) => escalate(run, fresh, here, other, done).await,
        (Ok(Outcome::Pages(parsed)), _) => pass_on(run, fresh, *parsed, first, done).await,
        (Ok(Outcome::Pending { job, remote_id }), _) => {
            pending(run, &fresh, &**first, &job, &remote_id);
        }
        (Err(error), _) => give_up(run, &fresh, error),
    }
}

/// Whether another parser should have a look: at pages that are bad, or a file this one refuses.
fn wants_more(here: &Result<Outcome, ParseError>) -> bool {
    match here {
        Ok(Outcome::Pages(parsed)) => is_bad(parsed),
        Err(ParseError::Document { elsewhere, .. }) => *elsewhere,
        _ => false,
    }
}

fn is_bad(parsed: &Parsed) -> bool {
    parsed.pages.iter().any(|page| page.verdict.is_bad())
}

/// Has `other` parse what was read badly `here`. What was read stays, if `other` does no better.
async fn escalate(
    run: &Arc<Run>,
    fresh: Fresh,
    here: Result<Outcome, ParseError>,
    other: &Arc<dyn Parser>,
    done: &mpsc::Sender<Ready>,
) {
    let there = attempt(run, other, &fresh).await;
    let first = &run.parts.parsers.first;
    let path = fresh.source.path.clone();
    match (there, here) {
        (Ok(Outcome::Pages(parsed)), _) => {
            run.tally.escalated();
            pass_on(run, fresh, *parsed, other, done).await;
        }
        (Ok(Outcome::Pending { job, remote_id }), Ok(Outcome::Pages(parsed))) => {
            run.tally.pending(&path, &job, &remote_id, 0);
            keep(run, fresh, *parsed, first, done).await;
        }
        (Ok(Outcome::Pending { job, remote_id }), _) => {
            pending(run, &fresh, &**other, &job, &remote_id);
        }
        (Err(error @ (ParseError::Interrupted | ParseError::Store(_))), _) => {
            give_up(run, &fresh, error);
        }
        (Err(error), Ok(Outcome::Pages(parsed))) => {
            match error {
                ParseError::Document { reason, hint, .. } => {
                    run.tally.not_escalated(&path, &reason, hint.as_deref());
                }
                ParseError::Withheld(reason) => run.tally.not_escalated(&path, &reason, None),
                ParseError::Service(reason) => run.halt(Halt::Service(reason)),
                error => run.wait_for_service(error.to_string()),
            }
            keep(run, fresh, *parsed, first, done).await;
        }
        // Neither can read it: both reasons are worth knowing.
        (Err(ParseError::Document { reason, hint, .. }), Err(here)) => {
            let reason = format!("{here}; and at the service: {reason}");
            run.failed(&fresh, &reason, hint.as_deref());
        }
        (Err(error), _) => give_up(run, &fresh, error),
    }
}

/// Has what was read here stored, unless it is already.
async fn keep(
    run: &Arc<Run>,
    fresh: Fresh,
    parsed: Parsed,
    by: &Arc<dyn Parser>,
    done: &mpsc::Sender<Ready>,
) {
    let (store, collection) = (&run.parts.store, &run.plan.collection);
    match store.contains(collection, &fresh.document_id) {
        Ok(true) if fresh.again => return pass_on(run, fresh, parsed, by, done).await,
        Ok(false) => return pass_on(run, fresh, parsed, by, done).await,
        Ok(true) => {}
        Err(error) => return run.halt(Halt::Fatal(error)),
    }
    let others = run.release(&fresh.document_id);
    for source in std::iter::once(&fresh.source).chain(&others) {
        match store.attach(collection, &fresh.document_id, source, &fresh.tags) {
            Ok(true) => run.tally.unchanged(&source.path),
            Ok(false) => run.tally.given_up(&source.path),
            Err(error) => run.halt(Halt::Fatal(error)),
        }
    }
}

async fn pass_on(
    run: &Arc<Run>,
    fresh: Fresh,
    parsed: Parsed,
    by: &Arc<dyn Parser>,
    done: &mpsc::Sender<Ready>,
) {
    let path = fresh.source.path.clone();
    run.tally.parsed(&path);
    let by = Arc::clone(by);
    let ready = Ready { fresh, parsed, by };
    if done.send(ready).await.is_err() {
        // Indexing has ended, and said why; nothing more need be parsed.
        run.tally.parked(&path, None);
        run.parts.stop.cancel();
    }
}

/// The document is at the service; other paths with its bytes wait for the same job.
fn pending(run: &Run, fresh: &Fresh, parser: &dyn Parser, job: &str, remote_id: &str) {
    let others = run.release(&fresh.document_id);
    run.tally
        .pending(&fresh.source.path, job, remote_id, others.len());
    for other in others {
        if let Err(error) = run.add_target(parser, &other, fresh) {
            run.halt(Halt::Fatal(error));
        }
    }
}

fn give_up(run: &Run, fresh: &Fresh, error: ParseError) {
    let path = &fresh.source.path;
    match error {
        ParseError::Document { reason, hint, .. } => run.failed(fresh, &reason, hint.as_deref()),
        ParseError::Withheld(reason) => run.tally.parked(path, Some(reason)),
        ParseError::Unavailable(reason) => {
            run.tally.parked(path, None);
            run.wait_for_service(reason);
        }
        ParseError::Service(reason) => {
            run.tally.parked(path, None);
            run.halt(Halt::Service(reason));
        }
        ParseError::Interrupted => run.tally.parked(path, None),
        ParseError::Store(error) => run.halt(Halt::Fatal(error)),
    }
}

/// Pages by `parser`: those it made of these bytes before, for any collection, or new ones.
async fn attempt(
    run: &Arc<Run>,
    parser: &Arc<dyn Parser>,
    fresh: &Fresh,
) -> Result<Outcome, ParseError> {
    let store = &run.parts.store;
    let known = store.parsed(&fresh.document_id, parser.service(), parser.version())?;
    if let (Some(parsed), false) = (known, fresh.again) {
        return Ok(Outcome::Pages(parsed.into()));
    }
    let job = store.job(&job_id(parser.service(), &fresh.document_id))?;
    if !run.is_wanted(&fresh.source.path, &fresh.document_id)? {
        return Err(ParseError::Withheld(GIVEN_UP.into()));
    }
    if parser.would_send(job.as_ref()) {
        admit(run, fresh).await?;
    }
    if !note_begin(run, &**parser, fresh, job)? {
        return Err(ParseError::Withheld(GIVEN_UP.into()));
    }
    let path = &fresh.source.path;
    let report = |step: Step| run.tally.step(path, step);
    let unpacked = unpacked(&fresh.source).await?;
    let work = Work {
        source: unpacked.source(),
        document_id: &fresh.document_id,
        ledger: &*run.parts.store,
        stop: &run.parts.stop,
        report: &report,
    };
    let start = Instant::now();
    let outcome = parser.parse(work).await;
    run.tally.took(path, "parse", start);
    outcome
}

/// The source with its bytes in a file of their own, for those in archives.
async fn unpacked(source: &Source) -> Result<Unpacked, ParseError> {
    let source = source.clone();
    let unpacked = tokio::task::spawn_blocking(move || source::unpack(&source)).await;
    let unpacked = unpacked.map_err(anyhow::Error::from)?;
    unpacked.map_err(|error| ParseError::document(format!("cannot be read: {error}")))
}

/// The ledger row must exist before it can have a target, both before anything is sent. `false` where
/// the job was cancelled meanwhile.
fn note_begin(
    run: &Run,
    parser: &dyn Parser,
    fresh: &Fresh,
    known: Option<Job>,
) -> anyhow::Result<bool> {
    let store = &run.parts.store;
    match known {
        None if !parser.is_remote() => return Ok(true),
        Some(job) if !parser.is_remote() => {
            return store.transition(&job.id, job.state, JobState::Processing);
        }
        Some(_) => {}
        None => {
            let job = Job::new(parser.service(), &fresh.document_id, fresh.source.size);
            store.save(&job)?;
        }
    }
    run.add_target(parser, &fresh.source, fresh)?;
    Ok(true)
}

/// Charges a document that is about to be sent away to the budget.
async fn admit(run: &Run, fresh: &Fresh) -> Result<(), ParseError> {
    let Budget {
        pages: most_pages,
        bytes: most_bytes,
    } = run.plan.budget;
    let pages = match run.plan.dry_run || most_pages.is_some() {
        true => {
            let counter = &run.parts.parsers.counter;
            let unpacked = unpacked(&fresh.source).await?;
            tokio::select! {
                pages = counter.count_pages(unpacked.source(), &fresh.document_id) => pages,
                () = run.parts.stop.cancelled() => return Err(ParseError::Interrupted),
            }
        }
        false => None,
    };
    let mut spent = lock(&run.spent);
    let bytes = fresh.source.size;
    if let Some(most) = most_bytes.filter(|most| spent.bytes + bytes > *most) {
        return Err(ParseError::Withheld(format!(
            "it has {bytes} bytes, and only {} of --max-bytes {most} are left",
            most.saturating_sub(spent.bytes)
        )));
    }
    match (most_pages, pages) {
        (Some(most), Some(pages)) if spent.pages + pages > most => {
            return Err(ParseError::Withheld(format!(
                "it has {}, and only {} of --max-pages {most} are left",
                count(pages, "page"),
                most.saturating_sub(spent.pages)
            )));
        }
        (Some(_), None) => {
            return Err(ParseError::Withheld(
                "its pages cannot be counted on this machine, so --max-pages keeps it back; \
                 --max-bytes does not need to know them"
                    .into(),
            ));
        }
        _ => {}
    }
    spent.documents += 1;
    spent.bytes += bytes;
    spent.pages += pages.unwrap_or(0);
    spent.uncounted += u64::from(pages.is_none());
    Ok(())
}

/// A dry run: finds out what would be done, and sends and stores nothing.
async fn rehearse(run: &Arc<Run>, fresh: Fresh) {
    match would_send(run, &fresh).await {
        Ok(false) => run.tally.would_ingest(&fresh.source, false),
        Ok(true) => match admit(run, &fresh).await {
            Ok(()) => run.tally.would_ingest(&fresh.source, true),
            Err(error) => give_up(run, &fresh, error),
        },
        Err(ParseError::Document { reason, hint, .. }) => {
            run.tally
                .failed(&fresh.source.path, &reason, hint.as_deref());
        }
        Err(error) => give_up(run, &fresh, error),
    }
}

async fn would_send(run: &Arc<Run>, fresh: &Fresh) -> Result<bool, ParseError> {
    let parsers = &run.parts.parsers;
    let Some(remote) = parsers.remote() else {
        return Ok(false);
    };
    let store = &run.parts.store;
    let (id, service) = (&fresh.document_id, remote.service());
    if store.parsed(id, service, remote.version())?.is_some() {
        return Ok(false);
    }
    let job = store.job(&job_id(service, id))?;
    if !remote.would_send(job.as_ref()) {
        return match job {
            Some(job) if job.remote_id.is_none() => Err(ParseError::Withheld(format!(
                "{} before ({}); --retry sends it again",
                job.state.as_str(),
                job.error.unwrap_or_default()
            ))),
            _ => Ok(false),
        };
    }
    if parsers.first.is_remote() {
        return Ok(true);
    }
    let unpacked = unpacked(&fresh.source).await?;
    let work = Work {
        source: unpacked.source(),
        document_id: id,
        ledger: &**store,
        stop: &run.parts.stop,
        report: &|_| (),
    };
    match parsers.first.parse(work).await {
        here if wants_more(&here) => Ok(true),
        here => here.map(|_| false),
    }
}
