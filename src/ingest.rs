//! Documents in: intake (is it new?), parse, chunk and embed, store. The stages run at once and
//! pass documents through bounded channels, so memory does not grow with the number of files.

mod event;
mod index;
mod intake;
mod prune;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use event::{Event, FailedDocument, Observer, Summary};
pub use prune::prune;

use self::event::Tally;
use self::index::{Indexer, Ready};
use crate::document::{DocumentId, Source, Tags};
use crate::embed::Embedder;
use crate::error::Error;
use crate::ledger::{Job, JobState, Target, job_id};
use crate::parse::{Outcome, ParseError, Parser, Step, Work};
use crate::source::Selection;
use crate::store::{Collection, ModelIdentity, Store};

/// Documents that may wait between two stages.
const QUEUE: usize = 4;

/// The parts an ingest is made of.
#[derive(Clone)]
pub struct Parts {
    pub parser: Arc<dyn Parser>,
    pub embedder: Arc<dyn Embedder>,
    pub store: Arc<dyn Store>,
    pub observer: Arc<dyn Observer>,
    pub stop: CancellationToken,
}

/// What to do with the documents.
#[derive(Debug, Clone)]
pub struct Plan {
    pub collection: String,
    pub tags: Tags,
    /// Documents parsed at once.
    pub concurrency: usize,
    /// Hash files even when size and time say they are unchanged.
    pub checksum: bool,
    pub dry_run: bool,
    /// Collections below this size get no HNSW graph.
    pub graph_from: usize,
}

/// Where the documents come from.
#[derive(Debug, Clone)]
pub enum Input {
    /// Files and folders.
    Selection(Selection),
    /// Jobs begun before, with the places their pages go to; their files may be gone.
    Jobs(Vec<(DocumentId, Target)>),
}

/// The model a collection must have to take documents embedded by `embedder`.
pub fn identity(embedder: &dyn Embedder) -> ModelIdentity {
    ModelIdentity {
        name: embedder.name().to_owned(),
        fingerprint: format!("{}/chunk-{}", embedder.fingerprint(), crate::chunk::VERSION),
        dimension: embedder.dimension(),
    }
}

/// Takes documents in and reports what became of each.
///
/// A document that fails is counted and reported; an error ends the run: a store that cannot be
/// written, a model that does not fit the collection, or settings that make no sense.
pub async fn run(parts: &Parts, plan: &Plan, input: Input) -> anyhow::Result<Summary> {
    let start = Instant::now();
    let collection = match plan.dry_run {
        false => Some(open(parts, plan)?),
        true => None,
    };
    let run = Arc::new(Run {
        parts: parts.clone(),
        plan: plan.clone(),
        claimed: Mutex::default(),
        tally: Tally::new(Arc::clone(&parts.observer)),
        halted: Mutex::default(),
    });
    let (to_parse, parse_queue) = mpsc::channel::<Fresh>(QUEUE);
    let (to_index, index_queue) = mpsc::channel::<Ready>(QUEUE);
    let intake = {
        let run = Arc::clone(&run);
        tokio::task::spawn_blocking(move || intake::run(&run, input, &to_parse))
    };
    let indexing = {
        let indexer = Indexer::new(Arc::clone(&run));
        tokio::task::spawn_blocking(move || indexer.run(index_queue))
    };
    parse_all(&run, parse_queue, to_index).await;
    intake.await??;
    indexing.await??;
    if let Some(collection) = collection
        && !parts.stop.is_cancelled()
    {
        refresh(parts, plan, collection).await?;
    }
    let mut summary = run.tally.summary(plan, parts);
    match lock(&run.halted).take() {
        Some(Halt::Fatal(error)) => return Err(error),
        Some(Halt::Service(reason)) => summary.service_error = Some(reason),
        None => summary.interrupted = parts.stop.is_cancelled(),
    }
    summary.seconds = start.elapsed().as_secs_f64();
    Ok(summary)
}

/// Derived files may lag behind, so a failure to make them is worth a warning only.
async fn refresh(parts: &Parts, plan: &Plan, collection: Collection) -> anyhow::Result<()> {
    let (store, graph_from) = (Arc::clone(&parts.store), plan.graph_from);
    let refreshed =
        tokio::task::spawn_blocking(move || store.refresh(&collection, graph_from, false)).await?;
    if let Err(error) = refreshed {
        tracing::warn!("the index files were not brought up to date ({error:#}); nothing is lost");
    }
    Ok(())
}

fn open(parts: &Parts, plan: &Plan) -> anyhow::Result<Collection> {
    parts
        .store
        .open_collection(&plan.collection, &identity(&*parts.embedder))
}

/// A file whose bytes are not in the collection yet.
#[derive(Debug)]
struct Fresh {
    source: Source,
    document_id: DocumentId,
    tags: Tags,
}

/// What the stages of one run share.
struct Run {
    parts: Parts,
    plan: Plan,
    /// Documents on their way, with further paths that hold the same bytes.
    claimed: Mutex<HashMap<DocumentId, Vec<Source>>>,
    tally: Tally,
    /// Why the run ends early.
    halted: Mutex<Option<Halt>>,
}

enum Halt {
    /// The service will take nothing more; what is done is done.
    Service(String),
    Fatal(anyhow::Error),
}

impl Run {
    /// Ends the run after an error that concerns more than one document.
    fn halt(&self, why: Halt) {
        lock(&self.halted).get_or_insert(why);
        self.parts.stop.cancel();
    }

    /// A parse task has ended: a crash in it must not pass for a document that is fine.
    fn joined(&self, joined: Option<Result<(), tokio::task::JoinError>>) {
        if let Some(Err(error)) = joined {
            self.halt(Halt::Fatal(error.into()));
        }
    }

    /// Reserves a document for this run. `false` if it is on its way already: then `source` is
    /// remembered and becomes one more path of it.
    fn claim(&self, document: &DocumentId, source: &Source) -> bool {
        use std::collections::hash_map::Entry;
        match lock(&self.claimed).entry(document.clone()) {
            Entry::Occupied(mut others) => {
                others.get_mut().push(source.clone());
                false
            }
            Entry::Vacant(place) => {
                place.insert(Vec::new());
                true
            }
        }
    }

    /// Ends a reservation and returns the other paths with the same bytes.
    fn release(&self, document: &DocumentId) -> Vec<Source> {
        lock(&self.claimed).remove(document).unwrap_or_default()
    }

    /// A document failed: its other paths fail with it, and the ledger keeps the reason.
    fn failed(&self, fresh: &Fresh, reason: &str, hint: Option<&str>) {
        let others = self.release(&fresh.document_id);
        for source in std::iter::once(&fresh.source).chain(&others) {
            self.tally.failed(&source.path, reason, hint);
        }
        if !self.parts.parser.is_remote()
            && let Err(error) = self.record_local_failure(fresh, reason, hint)
        {
            self.halt(Halt::Fatal(error));
        }
    }

    /// Remote parsers keep their own rows; a local failure is written here so that `status` can
    /// tell of it.
    fn record_local_failure(
        &self,
        fresh: &Fresh,
        reason: &str,
        hint: Option<&str>,
    ) -> anyhow::Result<()> {
        let service = self.parts.parser.service();
        let mut job = Job::new(service, &fresh.document_id, fresh.source.size);
        let reason = match hint {
            Some(hint) => format!("{reason}; {hint}"),
            None => reason.to_owned(),
        };
        job.attempts = 1;
        job.enter(JobState::Failed, Some(reason));
        self.parts.store.save(&job)?;
        self.add_target(&fresh.source, &fresh.document_id, &fresh.tags)
    }

    fn add_target(
        &self,
        source: &Source,
        document: &DocumentId,
        tags: &Tags,
    ) -> anyhow::Result<()> {
        let target = Target {
            collection: self.plan.collection.clone(),
            source: source.clone(),
            tags: tags.clone(),
        };
        let job = job_id(self.parts.parser.service(), document);
        self.parts.store.add_target(&job, &target)
    }
}

/// Parses up to `concurrency` documents at once until the queue ends or the run is stopped.
async fn parse_all(run: &Arc<Run>, mut queue: mpsc::Receiver<Fresh>, done: mpsc::Sender<Ready>) {
    let mut tasks = JoinSet::new();
    loop {
        while tasks.len() >= run.plan.concurrency {
            run.joined(tasks.join_next().await);
        }
        let fresh = tokio::select! {
            fresh = queue.recv() => fresh,
            () = run.parts.stop.cancelled() => None,
        };
        let Some(fresh) = fresh else { break };
        let (run, done) = (Arc::clone(run), done.clone());
        tasks.spawn(async move { parse_one(&run, fresh, &done).await });
    }
    // Frees the intake if it waits for room in the queue.
    drop(queue);
    while let Some(joined) = tasks.join_next().await {
        run.joined(Some(joined));
    }
}

async fn parse_one(run: &Arc<Run>, fresh: Fresh, done: &mpsc::Sender<Ready>) {
    let path = fresh.source.path.clone();
    run.tally.started(&fresh.source);
    let outcome = match reusable(run, &fresh) {
        Ok(Some(parsed)) => Ok(Outcome::Pages(parsed)),
        Ok(None) => parse_anew(run, &fresh).await,
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(Outcome::Pages(parsed)) => {
            run.tally.parsed(&path);
            let ready = Ready { fresh, parsed };
            if done.send(ready).await.is_err() {
                // Indexing has ended, and said why; nothing more need be parsed.
                run.tally.parked(&path);
                run.parts.stop.cancel();
            }
        }
        Ok(Outcome::Pending { job, remote_id }) => {
            let others = run.release(&fresh.document_id);
            run.tally.pending(&path, &job, &remote_id, others.len());
            for other in others {
                if let Err(error) = run.add_target(&other, &fresh.document_id, &fresh.tags) {
                    run.halt(Halt::Fatal(error));
                }
            }
        }
        Err(ParseError::Document { reason, hint }) => {
            run.failed(&fresh, &reason, hint.as_deref());
        }
        Err(ParseError::Service(reason)) => {
            run.tally.parked(&path);
            run.halt(Halt::Service(reason));
        }
        Err(ParseError::Interrupted) => run.tally.parked(&path),
        Err(ParseError::Store(error)) => run.halt(Halt::Fatal(error)),
    }
}

/// Pages the same parser made of these bytes for another collection: nothing is sent twice.
fn reusable(run: &Run, fresh: &Fresh) -> anyhow::Result<Option<crate::document::Parsed>> {
    let parser = &run.parts.parser;
    run.parts
        .store
        .parsed(&fresh.document_id, parser.service(), parser.version())
}

async fn parse_anew(run: &Arc<Run>, fresh: &Fresh) -> Result<Outcome, ParseError> {
    let (parser, store) = (&run.parts.parser, &run.parts.store);
    let known = store.job(&job_id(parser.service(), &fresh.document_id))?;
    match known {
        // The row must exist before it can have a target, both before anything is sent.
        None if parser.is_remote() => {
            store.save(&Job::new(
                parser.service(),
                &fresh.document_id,
                fresh.source.size,
            ))?;
            run.add_target(&fresh.source, &fresh.document_id, &fresh.tags)?;
        }
        None => {}
        Some(_) if parser.is_remote() => {
            run.add_target(&fresh.source, &fresh.document_id, &fresh.tags)?
        }
        Some(mut job) => {
            job.enter(JobState::Processing, None);
            store.save(&job)?;
        }
    }
    let path = &fresh.source.path;
    let report = |step: Step| run.tally.step(path, step);
    let work = Work {
        source: &fresh.source,
        document_id: &fresh.document_id,
        ledger: &*run.parts.store,
        stop: &run.parts.stop,
        report: &report,
    };
    parser.parse(work).await
}

/// The exit-worthy error of a summary, if any.
pub fn verdict(summary: &Summary) -> Option<Error> {
    if let Some(reason) = &summary.service_error {
        return Some(Error::Service(reason.clone()));
    }
    summary.interrupted.then_some(Error::Interrupted)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
