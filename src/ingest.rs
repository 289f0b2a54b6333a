//! Documents in: intake (is it new?), parse, chunk and embed, store. The stages run at once and
//! pass documents through bounded channels, so memory does not grow with the number of files.

mod event;
mod index;
mod intake;
mod parsing;
mod prune;
mod tally;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use event::{BadlyRead, Event, FailedDocument, GIVEN_UP, Observer, Summary};
pub use index::{index_pages, sample};
pub use parsing::Budget;
pub use prune::prune;

use self::index::{Indexer, Ready};
use self::tally::Tally;
use crate::document::{DocumentId, Source, Tags};
use crate::embed::{Embedder, Models};
use crate::error::Error;
use crate::ledger::{Job, JobState, Target, job_id};
use crate::parse::Parser;
use crate::source::Selection;
use crate::store::{Collection, ModelIdentity, Store};
use crate::usage;

/// Documents that may wait between two stages.
const QUEUE: usize = 4;

/// Who turns files into pages.
#[derive(Clone)]
pub struct Parsers {
    /// Asked first.
    pub first: Arc<dyn Parser>,
    /// Asked for what the first one cannot read well, where the user allows it.
    pub escalation: Option<Arc<dyn Parser>>,
    /// Counts pages before anything is sent.
    pub counter: Arc<dyn Parser>,
}

impl Parsers {
    /// File name extensions any of them takes.
    pub fn extensions(&self) -> Vec<&'static str> {
        let mut extensions = self.first.extensions().to_vec();
        for other in self.escalation.iter().flat_map(|other| other.extensions()) {
            if !extensions.contains(other) {
                extensions.push(other);
            }
        }
        extensions
    }

    /// The one that sends documents away, if any does.
    pub fn remote(&self) -> Option<&Arc<dyn Parser>> {
        let mut all = std::iter::once(&self.first).chain(&self.escalation);
        all.find(|parser| parser.is_remote())
    }
}

/// The parts an ingest is made of.
#[derive(Clone)]
pub struct Parts {
    pub parsers: Parsers,
    pub models: Models,
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
    /// What may be sent away in this run.
    pub budget: Budget,
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

/// The model `collection` was embedded with.
///
/// # Errors
/// A usage error when the user named another one, or it is not at hand.
pub fn model_of(models: &Models, collection: &Collection) -> anyhow::Result<Arc<dyn Embedder>> {
    if let Some(asked) = models.asked() {
        collection.check(&identity(&**asked))?;
    }
    let mut all = models.all().into_iter();
    let found = all.find(|model| identity(&**model).fingerprint == collection.model.fingerprint);
    found.ok_or_else(|| {
        usage!(
            "collection '{}' was embedded with {} ({}), which is not at hand; name its folder with \
             --model, or make the collection anew with `squall reembed`",
            collection.name,
            collection.model.name,
            collection.model.fingerprint
        )
        .into()
    })
}

/// Takes documents in and reports what became of each.
///
/// A document that fails is counted and reported; an error ends the run: a store that cannot be
/// written, a model that does not fit the collection, or settings that make no sense.
pub async fn run(parts: &Parts, plan: &Plan, input: Input) -> anyhow::Result<Summary> {
    let start = Instant::now();
    let takes_jobs = matches!(input, Input::Jobs(_));
    let embedder = known_model(parts, plan)?;
    for parser in std::iter::once(&parts.parsers.first).chain(&parts.parsers.escalation) {
        parser.begin();
    }
    let run = Arc::new(Run {
        parts: parts.clone(),
        plan: plan.clone(),
        takes_jobs,
        claimed: Mutex::default(),
        tally: Tally::new(Arc::clone(&parts.observer), embedder.as_deref()),
        spent: Mutex::default(),
        halted: Mutex::default(),
    });
    let (to_parse, parse_queue) = mpsc::channel::<Fresh>(QUEUE);
    let (to_index, index_queue) = mpsc::channel::<Ready>(QUEUE);
    let intake = {
        let run = Arc::clone(&run);
        tokio::task::spawn_blocking(move || intake::run(&run, input, &to_parse))
    };
    let indexing = {
        let indexer = Indexer::new(Arc::clone(&run), embedder);
        tokio::task::spawn_blocking(move || indexer.run(index_queue))
    };
    parsing::run(&run, parse_queue, to_index).await;
    intake.await??;
    indexing.await??;
    if !plan.dry_run
        && !parts.stop.is_cancelled()
        && let Some(collection) = parts.store.collection(&plan.collection)?
    {
        let store = Arc::clone(&parts.store);
        tokio::task::spawn_blocking(move || refresh(&*store, &collection)).await?;
    }
    let mut summary = run.tally.summary(plan, parts, &lock(&run.spent));
    match lock(&run.halted).take() {
        Some(Halt::Fatal(error)) => return Err(error),
        Some(Halt::Service(reason)) => summary.service_error = Some(reason),
        None => summary.interrupted = parts.stop.is_cancelled(),
    }
    summary.seconds = start.elapsed().as_secs_f64();
    Ok(summary)
}

/// Derived files may lag behind, so a failure to make them is worth a warning only.
pub fn refresh(store: &dyn Store, collection: &Collection) {
    if let Err(error) = store.refresh(collection, false) {
        tracing::warn!(
            "the index files were not brought up to date, which makes queries slower ({error:#}); \
             `squall verify` tells what is wrong"
        );
    }
}

/// The model of the collection, where it is known before the first document is read: the
/// collection is there, or the user named one. It is made in that case.
fn known_model(parts: &Parts, plan: &Plan) -> anyhow::Result<Option<Arc<dyn Embedder>>> {
    if let Some(collection) = parts.store.collection(&plan.collection)? {
        return model_of(&parts.models, &collection).map(Some);
    }
    if let (Some(asked), false) = (parts.models.asked(), plan.dry_run) {
        let model = identity(&**asked);
        parts.store.open_collection(&plan.collection, &model)?;
    }
    Ok(parts.models.asked().cloned())
}

/// A file whose bytes are not in the collection yet.
#[derive(Debug)]
struct Fresh {
    source: Source,
    document_id: DocumentId,
    tags: Tags,
    /// Whether its pages are made anew, however they were made before.
    again: bool,
}

/// What the stages of one run share.
struct Run {
    parts: Parts,
    plan: Plan,
    /// Whether it works off jobs, which may be given up meanwhile.
    takes_jobs: bool,
    /// Documents on their way, with further paths that hold the same bytes.
    claimed: Mutex<HashMap<DocumentId, Vec<Source>>>,
    tally: Tally,
    /// What this run has sent away, or would.
    spent: Mutex<parsing::Spent>,
    /// Why the run ends early.
    halted: Mutex<Option<Halt>>,
}

enum Halt {
    /// The service will take nothing more; what is done is done.
    Service(String),
    Fatal(anyhow::Error),
}

impl Run {
    /// Whether a document's turn may come: nobody has cancelled its job, or removed it.
    fn is_wanted(&self, path: &str, document: &DocumentId) -> anyhow::Result<bool> {
        if !self.takes_jobs {
            return Ok(true);
        }
        let collection = &self.plan.collection;
        self.parts.store.is_wanted(collection, path, document)
    }

    /// Ends the run after an error that concerns more than one document.
    fn halt(&self, why: Halt) {
        lock(&self.halted).get_or_insert(why);
        self.parts.stop.cancel();
    }

    /// The service takes nothing for now; what can be done without it goes on.
    fn wait_for_service(&self, reason: String) {
        lock(&self.halted).get_or_insert(Halt::Service(reason));
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
        if !self.parts.parsers.first.is_remote()
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
        let parser = &*self.parts.parsers.first;
        let service = parser.service();
        let mut job = Job::new(service, &fresh.document_id, fresh.source.size);
        let reason = match hint {
            Some(hint) => format!("{reason}; {hint}"),
            None => reason.to_owned(),
        };
        job.attempts = 1;
        job.enter(JobState::Failed, Some(reason));
        self.parts.store.save(&job)?;
        self.add_target(parser, &fresh.source, fresh)
    }

    /// Notes that `source`, which holds the bytes of `fresh`, wants the pages `parser` makes.
    fn add_target(
        &self,
        parser: &dyn Parser,
        source: &Source,
        fresh: &Fresh,
    ) -> anyhow::Result<()> {
        let target = Target {
            collection: self.plan.collection.clone(),
            source: source.clone(),
            tags: fresh.tags.clone(),
            again: false,
        };
        let job = job_id(parser.service(), &fresh.document_id);
        self.parts.store.add_target(&job, &target)
    }
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
