//! `squall ingest PATH...`.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{block_on, interrupt};
use crate::app;
use crate::cli;
use crate::error::{Error, Exit};
use crate::ingest::{self, Budget, Event, Input, Observer, Parts, Plan, Summary};
use crate::present::{Printer, Report, say};
use crate::reembed::forget_unfinished;
use crate::settings::Settings;
use crate::source::{self, Selection};
use crate::store::{Store, WriterLock};

pub fn run(args: cli::Ingest, settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    let selection = selection(&args)?;
    let parsers = app::parsers(settings, args.retry, args.detach)?;
    let models = app::models(settings)?;
    // The lock first: a repair that has it may put another database in place.
    let _turn = match args.dry_run {
        false => Some(lock(settings)?),
        true => None,
    };
    let store = app::store(settings)?;
    store.refuse_lost_writes()?;
    if args.prune {
        // A refusal comes before the work, not after it.
        ingest::prune(&*store, &settings.collection, &args.paths)?;
    }
    let plan = Plan {
        collection: settings.collection.clone(),
        tags: args.tags.iter().cloned().collect(),
        concurrency: settings
            .concurrency
            .unwrap_or_else(|| parsers.first.default_concurrency()),
        checksum: args.checksum,
        dry_run: args.dry_run,
        budget: Budget::of(settings),
    };
    let parts = Parts {
        parsers,
        models,
        store,
        observer: printer.observer(),
        stop: CancellationToken::new(),
    };
    let mut summary = block_on(async {
        interrupt::watch(
            &parts.stop,
            Arc::clone(&parts.observer),
            "stopping; press Ctrl-C again to stop at once",
        )?;
        ingest::run(&parts, &plan, Input::Selection(selection)).await
    })?;
    if args.prune && !summary.interrupted {
        summary.pruned = prune(&*parts.store, &plan, &args.paths, &parts.observer)?;
    }
    parts.observer.finish();
    finish(summary, printer)
}

/// Prints the summary and picks the exit code.
pub fn finish(summary: Summary, printer: &Printer) -> anyhow::Result<Exit> {
    let trouble = ingest::verdict(&summary);
    let exit = match summary.failed.is_empty() && summary.not_escalated.is_empty() {
        true => Exit::Done,
        false => Exit::Partial,
    };
    printer.print(&Report::Ingest(Box::new(summary)))?;
    match trouble {
        // The summary says how to go on.
        Some(Error::Interrupted) => Ok(Exit::Interrupted),
        Some(error) => Err(error.into()),
        None => Ok(exit),
    }
}

/// Waits for this process's turn to write.
pub fn lock(settings: &Settings) -> anyhow::Result<WriterLock> {
    app::make_data_dir(settings)?;
    WriterLock::acquire(&settings.data_dir, settings.lock_timeout, || {
        let dir = settings.data_dir.display();
        say(&format!(
            "squall: another squall is writing to {dir}, waiting for it"
        ));
    })
}

fn selection(args: &cli::Ingest) -> anyhow::Result<Selection> {
    let mut paths = args.paths.clone();
    if let Some(list) = &args.files_from {
        paths.extend(source::read_list(list, args.null)?);
    }
    Ok(Selection {
        paths,
        include: args.include.clone(),
        exclude: args.exclude.clone(),
        gitignore: args.gitignore,
        follow: args.follow,
    })
}

fn prune(
    store: &dyn Store,
    plan: &Plan,
    roots: &[PathBuf],
    observer: &Arc<dyn Observer>,
) -> anyhow::Result<u64> {
    let gone = ingest::prune(store, &plan.collection, roots)?;
    if !plan.dry_run && !gone.is_empty() {
        store.remove(&plan.collection, &gone)?;
        forget_unfinished(store, &plan.collection)?;
    }
    for path in &gone {
        observer.hear(&Event::Pruned { path: path.clone() });
    }
    Ok(gone.len() as u64)
}
