//! `squall reembed`: another model for a collection.

use tokio_util::sync::CancellationToken;

use super::{ingest, interrupt};
use crate::app;
use crate::error::Exit;
use crate::present::{Printer, Report};
use crate::reembed::reembed;
use crate::settings::Settings;
use crate::store::Store as _;

pub fn run(settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    app::must_exist(settings)?;
    let models = app::models(settings)?;
    let _turn = ingest::lock(settings)?;
    let store = app::store(settings)?;
    store.refuse_lost_writes()?;
    let stop = CancellationToken::new();
    let _runtime = interrupt::watch_beside(
        &stop,
        printer.log_observer(),
        "stopping; type the same command again to go on; press Ctrl-C again to stop at once",
    )?;
    let bar = printer.counter("documents embedded");
    let name = &settings.collection;
    let report = reembed(&*store, name, &models, &stop, &|done, of| bar.at(done, of))?;
    bar.finish();
    if let Some(collection) = store.collection(name)? {
        store.refresh(&collection, false)?;
    }
    printer.print(&Report::Reembedded(report))?;
    Ok(Exit::Done)
}
