//! `squall repair`: mends what `verify` finds.

use super::ingest;
use crate::app;
use crate::cli;
use crate::error::Exit;
use crate::present::{Printer, Report};
use crate::settings::Settings;
use crate::store::{Repaired, Store as _, open_to_repair};

pub fn run(args: cli::Repair, settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    if !args.yes {
        app::must_exist(settings)?;
    }
    let _turn = ingest::lock(settings)?;
    let models = app::models(settings)?.all();
    let mut repaired = Repaired::default();
    let store = open_to_repair(&settings.data_dir, args.yes, &mut repaired)?;
    store.repair(&models, args.yes, &mut repaired)?;
    for row in store.collections()? {
        // One that could not be mended is named in the report.
        if let Ok(Some(collection)) = store.collection(&row.collection)
            && repaired.left.is_empty()
        {
            store.refresh(&collection, true)?;
            store.refresh_graph(&collection, settings.hnsw_min_chunks, true)?;
        }
    }
    let is_done = repaired.left.is_empty();
    printer.print(&Report::Repaired(repaired))?;
    Ok(if is_done { Exit::Done } else { Exit::Store })
}
