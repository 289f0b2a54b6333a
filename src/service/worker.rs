//! Works off the uploads behind the answers: the same ingest pipeline, one batch after the other.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::events::Batch;
use super::uploads::UPLOAD_ROOT;
use super::{Service, lock};
use crate::document::{DocumentId, Tags};
use crate::ingest::{self, Input, Parts, Plan, Summary};
use crate::ledger::{Target, job_id};
use crate::source::Selection;
use crate::store::WriterLock;

/// When to look again at jobs that could not be done, for want of the service or of a turn.
const AGAIN: Duration = Duration::from_secs(30);

/// Jobs of one collection.
type Jobs = Vec<(DocumentId, Target)>;

impl Service {
    /// The budget is for the server's whole life, not for a batch.
    fn charge(&self, summary: &Summary) {
        let mut budget = lock(&self.budget);
        let left = |most: Option<u64>, spent: u64| most.map(|most| most.saturating_sub(spent));
        budget.pages = left(budget.pages, summary.uploaded_pages.unwrap_or(0));
        budget.bytes = left(budget.bytes, summary.uploaded_bytes);
    }

    /// Builds the graphs that lag too far behind where collections have changed since `seen`, and
    /// returns what it has seen. That takes minutes for a large collection and needs no writer lock, so
    /// it goes on beside everything else.
    fn index(&self, mut seen: BTreeMap<String, i64>) -> BTreeMap<String, i64> {
        for name in self.store.collection_names().unwrap_or_default() {
            let Ok(Some(collection)) = self.store.collection(&name) else {
                continue;
            };
            if seen.get(&name) != Some(&collection.generation) {
                let from = self.settings().hnsw_min_chunks;
                if let Err(error) = self.store.refresh_graph(&collection, from, false) {
                    tracing::warn!("the HNSW graph was not brought up to date: {error:#}");
                }
                // One that cannot be built is not tried again before something changes.
                seen.insert(name, collection.generation);
            }
        }
        seen
    }
}

/// Runs until the server stops. Jobs left open by an earlier run are taken up first.
pub async fn work(service: Arc<Service>) {
    let mut indexing = tokio::task::spawn_blocking(BTreeMap::new);
    let mut refreshed = BTreeMap::new();
    let sweeper = Arc::clone(&service);
    let swept = tokio::task::spawn_blocking(move || sweeper.sweep_originals());
    if let Ok(Err(error)) = swept.await {
        tracing::warn!("what a crash left behind was not removed: {error:#}");
    }
    loop {
        if let Err(error) = batch(&service, &mut refreshed).await {
            tracing::error!("ingest: {error:#}");
        }
        if indexing.is_finished() {
            let seen = indexing.await.unwrap_or_default();
            let service = Arc::clone(&service);
            indexing = tokio::task::spawn_blocking(move || service.index(seen));
        }
        tokio::select! {
            () = service.bell.notified() => {}
            () = tokio::time::sleep(AGAIN) => {}
            () = service.stop.cancelled() => return,
        }
    }
}

impl Service {
    /// Takes in a file or folder of this machine, at once.
    pub async fn ingest_path(
        self: &Arc<Self>,
        path: PathBuf,
        collection: String,
    ) -> anyhow::Result<Summary> {
        let _turn = turn(self, self.settings().lock_timeout).await?;
        let selection = Selection {
            paths: vec![path],
            include: Vec::new(),
            exclude: Vec::new(),
            gitignore: false,
            follow: false,
        };
        let summary = self.ingest(collection, Input::Selection(selection), HashMap::new());
        summary.await
    }

    /// Runs the pipeline on one collection; `jobs` are the documents and jobs of its paths.
    async fn ingest(
        self: &Arc<Self>,
        collection: String,
        input: Input,
        jobs: HashMap<String, (DocumentId, String)>,
    ) -> anyhow::Result<Summary> {
        let observer = Batch {
            service: Arc::clone(self),
            collection: collection.clone(),
            jobs,
        };
        let parts = Parts {
            parsers: self.parsers(),
            models: self.models.clone(),
            store: Arc::clone(&self.store),
            observer: Arc::new(observer),
            stop: self.stop.child_token(),
        };
        let concurrency = self.settings().concurrency;
        let plan = Plan {
            collection,
            tags: Tags::new(),
            concurrency: concurrency.unwrap_or_else(|| self.parsers().first.default_concurrency()),
            checksum: false,
            dry_run: false,
            budget: *lock(&self.budget),
        };
        let ended = ingest::run(&parts, &plan, input).await;
        lock(&self.busy).clear();
        let summary = ended?;
        self.charge(&summary);
        self.metrics.ingested(&summary);
        tell(&summary);
        if let Some(reason) = &summary.service_error {
            tracing::error!("the parse service ended the batch: {reason}");
        }
        Ok(summary)
    }
}

/// Tells the log what a batch has decided for those to come.
fn tell(summary: &Summary) {
    let (name, model) = (
        &summary.collection,
        summary.model.as_deref().unwrap_or("none"),
    );
    if let Some(why) = &summary.model_chosen {
        tracing::info!("collection '{name}' was made with the {model} model, as {why}");
    }
    if summary.unembedded_chunks > 0 {
        tracing::warn!(
            "collection '{name}': {} chunks are in a script {model} does not read, and are found by their words \
             only; `squall reembed -c {name} --model multilingual` makes it anew",
            summary.unembedded_chunks
        );
    }
}

/// Waits until no other squall writes, but not for ever.
async fn turn(service: &Service, patience: Duration) -> anyhow::Result<WriterLock> {
    let dir = service.settings().data_dir.clone();
    tokio::task::spawn_blocking(move || {
        WriterLock::acquire(&dir, patience, || {
            tracing::warn!("another squall is writing, documents wait for it");
        })
    })
    .await?
}

/// Works off what waits, collection by collection, and brings index files up to date where documents
/// have gone; `refreshed` is the generation of each collection at which that was done.
async fn batch(
    service: &Arc<Service>,
    refreshed: &mut BTreeMap<String, i64>,
) -> anyhow::Result<()> {
    let (waiting, stale) = {
        let (service, refreshed) = (Arc::clone(service), refreshed.clone());
        let look = move || anyhow::Ok((open_uploads(&service)?, stale(&service, &refreshed)?));
        tokio::task::spawn_blocking(look).await??
    };
    if (waiting.is_empty() && stale.is_empty()) || service.stop.is_cancelled() {
        return Ok(());
    }
    let _turn = match waiting.is_empty() {
        false => turn(service, service.settings().lock_timeout).await?,
        // Who writes now brings the index files up to date, too.
        true => match turn(service, Duration::ZERO).await {
            Ok(turn) => turn,
            Err(_) => return Ok(()),
        },
    };
    for (collection, jobs) in waiting {
        // One collection that cannot take documents in keeps no other from it.
        if let Err(error) = take_in(service, collection, jobs).await {
            tracing::error!("ingest: {error:#}");
        }
    }
    for name in stale {
        let service = Arc::clone(service);
        let generation = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
            let collection = service.store.collection(&name)?;
            Ok(collection.map(|collection| {
                ingest::refresh(&*service.store, &collection);
                (name, collection.generation)
            }))
        });
        refreshed.extend(generation.await??);
    }
    Ok(())
}

/// Collections that have changed since they were last looked at.
fn stale(service: &Service, refreshed: &BTreeMap<String, i64>) -> anyhow::Result<Vec<String>> {
    let mut stale = Vec::new();
    for name in service.store.collection_names()? {
        let collection = service.store.collection(&name)?;
        let generation = collection.map(|collection| collection.generation);
        if generation.is_some() && refreshed.get(&name) != generation.as_ref() {
            stale.push(name);
        }
    }
    Ok(stale)
}

/// Takes in the documents of one collection.
async fn take_in(service: &Arc<Service>, collection: String, jobs: Jobs) -> anyhow::Result<()> {
    let parsers = service.parsers();
    let first = parsers.first.service();
    let known = |(id, target): &(DocumentId, Target)| {
        let job = job_id(first, id);
        (target.source.path.clone(), (id.clone(), job))
    };
    let places = jobs.iter().map(known).collect();
    let input = Input::Jobs(jobs.clone());
    service.ingest(collection, input, places).await?;
    let service = Arc::clone(service);
    tokio::task::spawn_blocking(move || forget_originals(&service, &jobs)).await?
}

/// Jobs whose file came over HTTP, by collection, as far as they are not met. What the service has been
/// paid for is collected, too.
fn open_uploads(service: &Service) -> anyhow::Result<BTreeMap<String, Jobs>> {
    let parsers = &service.parsers();
    let known = |name: &str| {
        parsers.first.service() == name
            || parsers
                .remote()
                .is_some_and(|remote| remote.service() == name)
    };
    let mut jobs: BTreeMap<String, Jobs> = BTreeMap::new();
    for row in service.store.open_jobs()? {
        if !row.job.state.is_open() || !known(&row.job.service) {
            continue;
        }
        let id = &row.job.document_id;
        if row.targets.is_empty() {
            forget_if_unwanted(service, &row.job.id)?;
        }
        let mut is_met = !row.targets.is_empty();
        for target in row.targets {
            let is_ours = target.again || target.source.root == UPLOAD_ROOT;
            let held = service
                .store
                .source(&target.collection, &target.source.path)?;
            let is_there = held.is_some_and(|held| held.document_id == *id);
            if is_ours && (target.again || !is_there) {
                let of_collection = jobs.entry(target.collection.clone()).or_default();
                of_collection.push((id.clone(), target));
                is_met = false;
            } else if !is_ours {
                is_met = false;
            }
        }
        if is_met {
            // The bytes came in another way.
            service.store.settle_job(&row.job.id)?;
        }
    }
    Ok(jobs)
}

/// Drops an open job nobody waits for: its target went to other bytes, or a crash came before it.
fn forget_if_unwanted(service: &Service, job: &str) -> anyhow::Result<()> {
    // An upload may be about to say what it wants.
    let _turn = lock(&service.intake);
    if let Some(row) = service.store.job_row(job)?
        && row.job.state.is_open()
        && row.targets.is_empty()
    {
        service.store.forget_targets(job, "")?;
    }
    Ok(())
}

/// Removes originals that are not kept once their job has ended, one way or the other.
fn forget_originals(service: &Service, jobs: &Jobs) -> anyhow::Result<()> {
    if service.settings().keep_originals {
        return Ok(());
    }
    let _turn = lock(&service.intake);
    for (document_id, target) in jobs {
        service.forget_original(document_id, &target.source.file)?;
    }
    Ok(())
}
