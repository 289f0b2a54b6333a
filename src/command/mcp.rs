//! `squall mcp`: the tools over stdin and stdout.

use std::sync::Arc;

use rmcp::ServiceExt as _;
use rmcp::transport::stdio;
use tokio_util::sync::CancellationToken;

use super::block_on;
use crate::app;
use crate::error::Exit;
use crate::ledger::Retry;
use crate::logs::Logged;
use crate::mcp::Tools;
use crate::service::Service;
use crate::settings::Settings;
use crate::usage;

pub fn run(settings: &Settings) -> anyhow::Result<Exit> {
    app::check_roots(settings)?;
    let store = app::store(settings)?;
    store.refuse_lost_writes()?;
    let service = Arc::new(Service::new(
        settings.clone(),
        app::parsers(settings, Retry::None, false)?,
        app::models(settings)?,
        store,
        None,
        // Stdout is for the protocol alone.
        Arc::new(Logged),
        CancellationToken::new(),
    ));
    block_on(async {
        let running = Tools::new(service).serve(stdio()).await.map_err(|error| {
            usage!(
                "nobody spoke the Model Context Protocol on stdin ({error}); this command is started by its \
                 clients, see \"language models\" in the README"
            )
        })?;
        running.waiting().await?;
        Ok(Exit::Done)
    })
}
