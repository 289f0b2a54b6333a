//! Works off the uploads behind the answers: the same ingest pipeline, one batch after the other.

use std::sync::Arc;
use std::time::Duration;

use super::{State, UPLOAD_ROOT};
use crate::document::{DocumentId, Tags};
use crate::ingest::{self, Budget, Input, Parts, Plan, Summary};
use crate::ledger::Target;
use crate::store::WriterLock;

/// When to look again at jobs that could not be done, for want of the service or of a turn.
const AGAIN: Duration = Duration::from_secs(30);

impl State {
    fn budget(&self) -> std::sync::MutexGuard<'_, Budget> {
        self.budget
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The budget is for the server's whole life, not for a batch.
    fn charge(&self, summary: &Summary) {
        let mut budget = self.budget();
        let left = |most: Option<u64>, spent: u64| most.map(|most| most.saturating_sub(spent));
        budget.pages = left(budget.pages, summary.uploaded_pages.unwrap_or(0));
        budget.bytes = left(budget.bytes, summary.uploaded_bytes);
    }

    /// Builds the graph where it lags too far behind and the collection has changed since `seen`.
    /// Returns what it has seen. That takes minutes for a large collection and needs no writer lock, so
    /// it goes on beside everything else.
    fn index(&self, seen: Option<i64>) -> Option<i64> {
        let name = &self.settings.collection;
        let build = || -> anyhow::Result<Option<i64>> {
            let Some(collection) = self.store.collection(name)? else {
                return Ok(None);
            };
            if seen != Some(collection.generation) {
                let from = self.settings.hnsw_min_chunks;
                self.store.refresh_graph(&collection, from, false)?;
            }
            Ok(Some(collection.generation))
        };
        build().unwrap_or_else(|error| {
            tracing::warn!("the HNSW graph was not brought up to date: {error:#}");
            let found = self.store.collection(name).ok().flatten();
            found.map(|collection| collection.generation)
        })
    }
}

/// Runs until the server stops. Jobs left open by an earlier run are taken up first.
pub async fn work(state: Arc<State>) {
    let mut indexing = tokio::task::spawn_blocking(|| None);
    loop {
        if let Err(error) = batch(&state).await {
            tracing::error!("ingest: {error:#}");
        }
        if indexing.is_finished() {
            let seen = indexing.await.ok().flatten();
            let state = Arc::clone(&state);
            indexing = tokio::task::spawn_blocking(move || state.index(seen));
        }
        tokio::select! {
            () = state.bell.notified() => {}
            () = tokio::time::sleep(AGAIN) => {}
            () = state.stop.cancelled() => return,
        }
    }
}

async fn batch(state: &Arc<State>) -> anyhow::Result<()> {
    let jobs = open_uploads(state)?;
    if jobs.is_empty() || state.stop.is_cancelled() {
        return Ok(());
    }
    let _turn = {
        let (dir, patience) = (state.settings.data_dir.clone(), state.settings.lock_timeout);
        tokio::task::spawn_blocking(move || {
            WriterLock::acquire(&dir, patience, || {
                tracing::warn!("another squall is writing, uploads wait for it");
            })
        })
        .await??
    };
    let parts = Parts {
        parsers: state.parsers.clone(),
        models: state.models.clone(),
        store: Arc::clone(&state.store),
        observer: Arc::clone(&state.observer),
        stop: state.stop.child_token(),
    };
    let plan = Plan {
        collection: state.settings.collection.clone(),
        tags: Tags::new(),
        concurrency: state
            .settings
            .concurrency
            .unwrap_or_else(|| state.parsers.first.default_concurrency()),
        checksum: false,
        dry_run: false,
        budget: *state.budget(),
    };
    let summary = ingest::run(&parts, &plan, Input::Jobs(jobs.clone())).await?;
    state.charge(&summary);
    if let Some(reason) = &summary.service_error {
        tracing::error!("the parse service ended the batch: {reason}");
    }
    forget_settled(state, &jobs)
}

/// Jobs of this server's collection whose file waits in the spool.
fn open_uploads(state: &State) -> anyhow::Result<Vec<(DocumentId, Target)>> {
    let mut jobs = Vec::new();
    for row in state.store.open_jobs()? {
        if row.job.state.is_open() && row.job.service == state.parsers.first.service() {
            let ours = row.targets.into_iter().filter(|target| {
                target.source.root == UPLOAD_ROOT && target.collection == state.settings.collection
            });
            jobs.extend(ours.map(|target| (row.job.document_id.clone(), target)));
        }
    }
    Ok(jobs)
}

/// Removes spooled files whose job has ended, one way or the other.
fn forget_settled(state: &State, jobs: &[(DocumentId, Target)]) -> anyhow::Result<()> {
    for (document_id, target) in jobs {
        let id = crate::ledger::job_id(state.parsers.first.service(), document_id);
        if state
            .store
            .job(&id)?
            .is_some_and(|job| !job.state.is_open())
        {
            // A second path of the same bytes may have removed it already.
            let _ = std::fs::remove_file(&target.source.file);
        }
    }
    Ok(())
}
