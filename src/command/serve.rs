//! `squall serve`.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use listenfd::ListenFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{block_on, interrupt};
use crate::accounts::Accounts;
use crate::app;
use crate::cli::Cli;
use crate::error::{Error, Exit};
use crate::ingest::model_of;
use crate::ledger::Retry;
use crate::logs;
use crate::present::Printer;
use crate::serve::{listen, router};
use crate::service::{Service, parse, work};
use crate::settings::Settings;
use crate::store::{ServerLock, Store as _};
use crate::usage;

/// How long requests and jobs under way may take after the signal to stop.
const DRAIN: Duration = Duration::from_secs(30);

pub fn run(cli: &Cli, settings: Settings, printer: &Printer) -> anyhow::Result<Exit> {
    logs::start_server(&settings)?;
    app::check_roots(&settings)?;
    let (listener, handed) = socket(settings.addr)?;
    let settings = settings.listening_on(handed);
    let parsers = app::parsers(&settings, Retry::None, false)?;
    let models = app::models(&settings)?;
    let store = app::store(&settings)?;
    store.refuse_lost_writes()?;
    let _alone = ServerLock::acquire(&settings.data_dir, settings.lock_timeout, || {
        tracing::warn!("another squall serves this data directory, waiting for it to end");
    })?;
    if let Some(collection) = store.collection(&settings.collection)? {
        model_of(&models, &collection)?;
    }
    let accounts = accounts(&settings)?;
    let stop = CancellationToken::new();
    let service = Arc::new(Service::new(
        settings,
        parsers,
        models,
        store,
        accounts,
        printer.server_observer(),
        stop.clone(),
    ));
    block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        interrupt::watch(
            &stop,
            printer.server_observer(),
            "finishing what is under way; press Ctrl-C again to stop at once",
        )?;
        let mut reload = signal(SignalKind::hangup())?;
        tracing::info!("listening on http://{}", listener.local_addr()?);
        let worker = tokio::spawn(work(Arc::clone(&service)));
        let parsing = tokio::spawn(parse(Arc::clone(&service)));
        let settings = service.settings();
        let app = router(Arc::clone(&service));
        let serving = listen(listener, app, &settings.proxies, stop.clone());
        let reloading = async {
            loop {
                reload.recv().await;
                reload_settings(&service, cli, handed);
            }
        };
        let drained = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            served = async { serving.await; worker.await?; anyhow::Ok(parsing.await?) } => served?,
            // What is not finished by then is in the ledger.
            () = drained => {}
            () = reloading => {}
        }
        tracing::info!("stopped; open jobs go on at the next start");
        Ok(Exit::Done)
    })
}

/// A socket that is open already and its address, as systemd hands it over, so that no client is turned away
/// while the server restarts; else a new one.
///
/// # Errors
/// A usage error where neither can be had.
fn socket(addr: SocketAddr) -> anyhow::Result<(TcpListener, Option<SocketAddr>)> {
    let handed = ListenFd::from_env().take_tcp_listener(0);
    let handed = handed
        .map_err(|error| usage!("the socket that was handed over is not one for TCP: {error}"))?;
    let handed_addr = handed.as_ref().map(TcpListener::local_addr).transpose()?;
    let listener = match handed {
        Some(listener) => listener,
        None => TcpListener::bind(addr).map_err(|error| {
            usage!("cannot listen on {addr}: {error}; choose another with --addr HOST:PORT")
        })?,
    };
    listener.set_nonblocking(true)?;
    Ok((listener, handed_addr))
}

/// Reads the configuration anew. What is wrong with it is logged, and the server goes on as it was.
fn reload_settings(service: &Service, cli: &Cli, handed: Option<SocketAddr>) {
    let done = Settings::load(&cli.global, &cli.command).and_then(|new| {
        app::check_roots(&new)?;
        let level = new.log_level;
        let waiting = service.reload(new.listening_on(handed), |new| {
            app::parsers(new, Retry::None, false)
        })?;
        logs::set_level(level)?;
        Ok(waiting)
    });
    match done.context("the configuration stays as it was") {
        Ok(waiting) if waiting.is_empty() => tracing::info!("read the configuration anew"),
        Ok(waiting) => tracing::warn!(
            "read the configuration anew; {} will change at the next start",
            waiting.join(", ")
        ),
        Err(error) => tracing::error!("{error:#}"),
    }
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
