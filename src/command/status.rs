//! `squall status`: what is in, what is under way, what failed and why.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{block_on, ingest as ingest_command, interrupt, stored_path};
use crate::app;
use crate::cli;
use crate::document::{DocumentId, Tags};
use crate::error::{Error, Exit};
use crate::ingest::{self, Budget, Input, Parts, Plan};
use crate::ledger::{JobState, Retry, Target};
use crate::present::{Printer, Report, StatusReport};
use crate::settings::{ParserChoice, Settings};
use crate::store::{EmbeddedStore, JobRow, Store};
use crate::usage;

pub fn run(args: cli::Status, settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    let store = app::store_to_read(settings)?;
    let mut exit = Exit::Done;
    if args.wait {
        exit = collect(&store, settings, printer)?;
    }
    if let Some(id) = &args.subject
        && let Some(job) = store.job_row(id)?
    {
        printer.print(&Report::Job(job))?;
        return Ok(exit);
    }
    let prefix = match &args.subject {
        Some(path) => stored_path(path)?,
        None => String::new(),
    };
    let report = report(&store, settings, &args, &prefix)?;
    if args.subject.is_some() && report.documents.is_empty() && report.jobs.is_empty() {
        return Err(Error::NotFound(format!(
            "no job and no document is called {}",
            args.subject.unwrap_or_default()
        ))
        .into());
    }
    printer.print(&Report::Status(report))?;
    Ok(exit)
}

fn report(
    store: &EmbeddedStore,
    settings: &Settings,
    args: &cli::Status,
    prefix: &str,
) -> anyhow::Result<StatusReport> {
    let wanted = |name: &str| args.collection.as_deref().is_none_or(|only| only == name);
    let mut collections = store.collections()?;
    if let Some(only) = &args.collection
        && !collections.iter().any(|row| row.collection == *only)
    {
        return Err(usage!("there is no collection '{only}'").into());
    }
    collections.retain(|row| wanted(&row.collection));
    let mut documents = Vec::new();
    if args.documents || args.subject.is_some() {
        for row in &collections {
            documents.extend(store.documents(&row.collection, prefix)?);
        }
    }
    let jobs: Vec<JobRow> = store
        .open_jobs()?
        .into_iter()
        // A job nobody waits for any more is only history.
        .filter(|row| {
            row.targets.iter().any(|target| {
                let path = &target.source.path;
                wanted(&target.collection)
                    && (prefix.is_empty()
                        || path == prefix
                        || path.starts_with(&format!("{prefix}/")))
            })
        })
        .collect();
    let mut jobs_by_state = BTreeMap::new();
    for row in &jobs {
        *jobs_by_state.entry(row.job.state.as_str()).or_insert(0) += 1;
    }
    Ok(StatusReport {
        data_dir: settings.data_dir.display().to_string(),
        collections,
        jobs_by_state,
        jobs,
        documents,
    })
}

/// Waits for jobs at the service and takes in their pages.
fn collect(
    store: &Arc<EmbeddedStore>,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<Exit> {
    let settings = Settings {
        parser: ParserChoice::Storm,
        escalate: false,
        ..settings.clone()
    };
    let open: Vec<JobRow> = store
        .open_jobs()?
        .into_iter()
        .filter(|row| {
            row.job.remote_id.is_some()
                && matches!(row.job.state, JobState::Submitted | JobState::Processing)
        })
        .collect();
    if open.is_empty() {
        return Ok(Exit::Done);
    }
    let parsers = app::parsers(&settings, Retry::None, false)?;
    let parser = Arc::clone(&parsers.first);
    let (ours, others): (Vec<_>, Vec<_>) = open
        .into_iter()
        .partition(|row| row.job.service == parser.service());
    for row in &others {
        tracing::warn!(
            "job {} is at {}, not at {}: set STORM_API_URL to collect it",
            row.job.id,
            row.job.service,
            parser.service()
        );
    }
    let models = app::models(&settings)?;
    let _turn = ingest_command::lock(&settings)?;
    store.refuse_lost_writes()?;
    let mut exit = Exit::Done;
    for (collection, jobs) in by_collection(ours) {
        let parts = Parts {
            parsers: parsers.clone(),
            models: models.clone(),
            store: store.clone(),
            observer: printer.observer(),
            stop: CancellationToken::new(),
        };
        let plan = Plan {
            collection,
            tags: Tags::new(),
            concurrency: jobs.len().clamp(1, 64),
            checksum: false,
            dry_run: false,
            budget: Budget::of(&settings),
        };
        let summary = block_on(async {
            interrupt::watch(
                &parts.stop,
                Arc::clone(&parts.observer),
                "stopping; the jobs go on at the service",
            )?;
            ingest::run(&parts, &plan, Input::Jobs(jobs)).await
        })?;
        parts.observer.finish();
        if let Some(error) = ingest::verdict(&summary) {
            return Err(error.into());
        }
        if !summary.failed.is_empty() {
            exit = Exit::Partial;
        }
    }
    Ok(exit)
}

/// Jobs with one target each, by the collection that wants them.
fn by_collection(rows: Vec<JobRow>) -> BTreeMap<String, Vec<(DocumentId, Target)>> {
    let mut found: BTreeMap<String, Vec<(DocumentId, Target)>> = BTreeMap::new();
    for row in rows {
        for target in row.targets {
            found
                .entry(target.collection.clone())
                .or_default()
                .push((row.job.document_id.clone(), target));
        }
    }
    found
}
