//! `squall serve`.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{block_on, interrupt};
use crate::accounts::Accounts;
use crate::app;
use crate::error::{Error, Exit};
use crate::ingest::model_of;
use crate::ledger::Retry;
use crate::present::Printer;
use crate::serve::{listen, router};
use crate::service::{Service, parse, work};
use crate::settings::Settings;
use crate::store::Store as _;

/// How long requests and jobs under way may take after the signal to stop.
const DRAIN: Duration = Duration::from_secs(30);

pub fn run(settings: &Settings, printer: &Printer) -> anyhow::Result<Exit> {
    app::check_roots(settings)?;
    let parsers = app::parsers(settings, Retry::None, false)?;
    let models = app::models(settings)?;
    let store = app::store(settings)?;
    store.refuse_lost_writes()?;
    if let Some(collection) = store.collection(&settings.collection)? {
        model_of(&models, &collection)?;
    }
    let stop = CancellationToken::new();
    let service = Arc::new(Service::new(
        settings.clone(),
        parsers,
        models,
        store,
        accounts(settings)?,
        printer.log_observer(),
        stop.clone(),
    ));
    block_on(async {
        let listener = tokio::net::TcpListener::bind(settings.addr)
            .await
            .map_err(|error| {
                Error::Usage(format!(
                    "cannot listen on {}: {error}; choose another with --addr HOST:PORT",
                    settings.addr
                ))
            })?;
        interrupt::watch(
            &stop,
            printer.log_observer(),
            "finishing what is under way; press Ctrl-C again to stop at once",
        )?;
        printer.note(&format!("listening on http://{}", listener.local_addr()?));
        let worker = tokio::spawn(work(Arc::clone(&service)));
        let parsing = tokio::spawn(parse(Arc::clone(&service)));
        let serving = listen(listener, router(Arc::clone(&service)), stop.clone());
        let drained = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            served = async { serving.await; worker.await?; anyhow::Ok(parsing.await?) } => served?,
            // What is not finished by then is in the ledger.
            () = drained => {}
        }
        printer.note("stopped; open jobs go on at the next start");
        Ok(Exit::Done)
    })
}

/// Who may use the server, where it asks.
///
/// # Errors
/// A usage error where nobody could.
fn accounts(settings: &Settings) -> anyhow::Result<Option<Arc<Accounts>>> {
    if !settings.login {
        return Ok(None);
    }
    let accounts = Accounts::open(&settings.data_dir)?;
    if accounts.is_empty()? && !settings.open_registration {
        return Err(Error::Usage(format!(
            "{} asks for a login and nobody has one: type `squall user add NAME --role admin`, or \
             `squall token create NAME` for scripts",
            settings.addr
        ))
        .into());
    }
    Ok(Some(Arc::new(accounts)))
}
