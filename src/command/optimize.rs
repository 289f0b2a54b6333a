//! `squall optimize`: derived files made anew.

use super::ingest;
use crate::app;
use crate::cli;
use crate::error::Exit;
use crate::present::{OptimizeReport, Printer, Report};
use crate::settings::Settings;
use crate::store::Store;

pub fn run(args: cli::Optimize, settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    app::must_exist(settings)?;
    let turn = ingest::lock(settings)?;
    let store = app::existing_store(settings)?;
    let mut collections = Vec::new();
    for row in store.collections()? {
        if args
            .collection
            .as_ref()
            .is_some_and(|only| *only != row.collection)
        {
            continue;
        }
        if let Some(collection) = store.collection(&row.collection)? {
            collections.push(OptimizeReport {
                collection: row.collection,
                refreshed: store.refresh(&collection, true)?,
            });
        }
    }
    // Graphs take a while, and need no writer to wait.
    drop(turn);
    for report in &mut collections {
        if let Some(collection) = store.collection(&report.collection)? {
            let from = settings.hnsw_min_chunks;
            report.refreshed.graph_rebuilt = store.refresh_graph(&collection, from, true)?;
        }
    }
    if let Some(only) = args.collection.filter(|_| collections.is_empty()) {
        return Err(crate::usage!("there is no collection '{only}'").into());
    }
    printer.print(&Report::Optimized { collections })?;
    Ok(Exit::Done)
}
