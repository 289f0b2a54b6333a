//! `squall verify`: is everything stored as it was written?

use super::ingest;
use crate::app;
use crate::error::Exit;
use crate::present::{Printer, Report};
use crate::settings::Settings;
use crate::store::verify_log;

pub fn run(settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    app::must_exist(settings)?;
    // A writer under way changes what is compared.
    let _turn = ingest::lock(settings)?;
    let mut findings = vec![verify_log(&settings.data_dir)];
    // Opening the database would throw away what a damaged log still holds.
    if findings[0].problems.is_empty() {
        let store = app::existing_store(settings)?;
        findings.extend(store.verify(&app::models(settings)?.all()));
    }
    let healthy = findings.iter().all(|finding| finding.problems.is_empty());
    printer.print(&Report::Verified { healthy, findings })?;
    Ok(if healthy { Exit::Done } else { Exit::Store })
}
