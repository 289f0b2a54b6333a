//! `squall export FILE`.

use crate::app;
use crate::cli;
use crate::error::Exit;
use crate::present::{Printer, Report};
use crate::settings::Settings;

pub fn run(args: cli::Export, settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    let store = app::store_to_read(settings)?;
    let exported = store.export(&settings.collection, &args.file, args.force)?;
    printer.print(&Report::Exported(exported))?;
    Ok(Exit::Done)
}
