//! `squall import FILE`.

use super::ingest;
use crate::app;
use crate::cli;
use crate::error::Exit;
use crate::present::{Printer, Report};
use crate::settings::{Settings, named};
use crate::store::Store as _;

pub fn run(args: cli::Import, settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    let name = args.collection.map(named).transpose()?;
    let _turn = ingest::lock(settings)?;
    let store = app::store(settings)?;
    let imported = store.import(&args.file, name.as_deref())?;
    if let Some(collection) = store.collection(&imported.collection)? {
        store.refresh(&collection, false)?;
    }
    printer.print(&Report::Imported(imported))?;
    Ok(Exit::Done)
}
