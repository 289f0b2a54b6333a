//! `squall remove PATH|ID...`.

use std::collections::BTreeSet;

use super::{ingest, stored_path};
use crate::app;
use crate::cli;
use crate::error::{Error, Exit};
use crate::present::{Printer, RemoveReport, Report};
use crate::reembed::forget_unfinished;
use crate::settings::Settings;
use crate::store::Store;
use crate::usage;

/// Shortest beginning of a document id that is taken for one.
const SHORTEST_ID: usize = 8;

pub fn run(args: cli::Remove, settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    app::must_exist(settings)?;
    let _turn = ingest::lock(settings)?;
    let store = app::existing_store(settings)?;
    let collection = &settings.collection;
    if store.collection(collection)?.is_none() {
        return Err(usage!("there is no collection '{collection}'").into());
    }
    let everything = store.sources(collection, "")?;
    let mut paths = BTreeSet::new();
    for subject in &args.subjects {
        let below = store.sources(collection, &stored_path(subject)?)?;
        let named = everything.iter().filter(|known| {
            known.source.path == crate::text::nfc(subject)
                || (subject.len() >= SHORTEST_ID
                    && known.document_id.0.starts_with(subject.as_str()))
        });
        let found: Vec<String> = below
            .iter()
            .chain(named)
            .map(|known| known.source.path.clone())
            .collect();
        if found.is_empty() {
            return Err(Error::NotFound(format!(
                "nothing in collection '{collection}' is called {subject}; nothing was removed"
            ))
            .into());
        }
        paths.extend(found);
    }
    if args.all {
        paths.extend(everything.into_iter().map(|known| known.source.path));
    }
    let paths: Vec<String> = paths.into_iter().collect();
    if !args.dry_run {
        forget_unfinished(&*store, collection)?;
        match args.all {
            true => {
                store.drop_collection(collection)?;
            }
            false => {
                store.remove(collection, &paths)?;
                if let Some(collection) = store.collection(collection)? {
                    crate::ingest::refresh(&*store, &collection);
                }
            }
        }
    }
    printer.print(&Report::Removed(RemoveReport {
        collection: collection.clone(),
        dry_run: args.dry_run,
        collection_dropped: args.all && !args.dry_run,
        paths,
    }))?;
    Ok(Exit::Done)
}
