//! Chooses the implementations: the only place that names concrete parsers, embedders and stores.

use std::sync::Arc;
use std::time::Duration;

use crate::embed::Models;
use crate::error::Error;
use crate::ingest::Parsers;
use crate::ledger::Retry;
use crate::parse::Parser;
use crate::parse::local::{Engine, Limits, LocalParser};
use crate::parse::storm::{Client, Options, RetryPolicy, StormParser};
use crate::settings::{DeviceChoice, OcrChoice, ParserChoice, Settings};
use crate::store::EmbeddedStore;
use crate::usage;

/// Longest wait for one document when the user does not say.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(120);
const STORM_TIMEOUT: Duration = Duration::from_secs(600);

/// The encoders at hand, and the one the settings name.
pub fn models(settings: &Settings) -> anyhow::Result<Models> {
    Models::new(&settings.model, settings.device)
}

/// The same for a question or two, which are answered before a graphics processor is ready.
pub fn models_to_ask(settings: &Settings) -> anyhow::Result<Models> {
    let device = match settings.device {
        DeviceChoice::Auto => DeviceChoice::Cpu,
        asked => asked,
    };
    Models::new(&settings.model, device)
}

/// The parsers the settings name.
///
/// # Errors
/// A usage error when Storm is chosen and no token is set.
pub fn parsers(settings: &Settings, retry: Retry, detach: bool) -> anyhow::Result<Parsers> {
    let local: Arc<dyn Parser> = Arc::new(local(settings));
    if detach && settings.parser != ParserChoice::Storm && !settings.escalate {
        return Err(usage!(
            "--detach is for --parser storm: the local parser has no jobs to leave"
        )
        .into());
    }
    let first = match settings.parser {
        ParserChoice::Local | ParserChoice::Auto => Arc::clone(&local),
        ParserChoice::Storm => storm(settings, retry, detach)?,
    };
    let escalation = match settings.escalate {
        true => Some(storm(settings, retry, detach)?),
        false => None,
    };
    Ok(Parsers {
        first,
        escalation,
        counter: local,
    })
}

/// The built-in parser.
pub fn local(settings: &Settings) -> LocalParser {
    let limits = Limits {
        time: settings.timeout.unwrap_or(LOCAL_TIMEOUT),
        memory: settings.parser_memory,
    };
    let template = settings.json_template.clone();
    match settings.ocr {
        OcrChoice::Auto => {
            LocalParser::new(limits, Engine::find(settings.language.as_deref()), template)
        }
        OcrChoice::Off => LocalParser::new(limits, None, template).without_advice(),
    }
}

fn storm(settings: &Settings, retry: Retry, detach: bool) -> anyhow::Result<Arc<dyn Parser>> {
    if settings.storm_token.is_none() {
        return Err(usage!(
            "parsing with Storm needs a token: set STORM_API_TOKEN, or storm_token_file in the \
             configuration file"
        )
        .into());
    }
    let options = Options {
        poll_interval: settings.poll_interval,
        timeout: settings.timeout.unwrap_or(STORM_TIMEOUT),
        retry,
        policy: RetryPolicy {
            tries: settings.max_tries,
            total: settings.max_retry_time,
            ..RetryPolicy::default()
        },
        detach,
    };
    Ok(Arc::new(StormParser::new(storm_client(settings)?, options)))
}

/// A connection to the service, as `doctor` wants it.
pub fn storm_client(settings: &Settings) -> anyhow::Result<Client> {
    Client::new(
        settings.storm_url.clone(),
        settings.storm_token.clone(),
        settings.storm_api,
        settings.language.clone(),
    )
}

/// Makes the data directory if it is not there.
pub fn make_data_dir(settings: &Settings) -> anyhow::Result<()> {
    EmbeddedStore::make_folder(&settings.data_dir)
}

/// The store for a command that writes: made if it is not there.
pub fn store(settings: &Settings) -> anyhow::Result<Arc<EmbeddedStore>> {
    // One that is gone, and was there, is not made anew without a word.
    EmbeddedStore::exists(&settings.data_dir)?;
    Ok(Arc::new(EmbeddedStore::open(&settings.data_dir)?))
}

/// The store for a command on what is there already.
///
/// # Errors
/// Exit code 1 when nothing was ever ingested.
pub fn existing_store(settings: &Settings) -> anyhow::Result<Arc<EmbeddedStore>> {
    must_exist(settings)?;
    Ok(Arc::new(EmbeddedStore::open_to_read(&settings.data_dir)?))
}

/// The store for a command that only reads; one that has lost its latest writes is read with a warning.
///
/// # Errors
/// Exit code 1 when nothing was ever ingested.
pub fn store_to_read(settings: &Settings) -> anyhow::Result<Arc<EmbeddedStore>> {
    let store = existing_store(settings)?;
    if let Err(error) = store.refuse_lost_writes() {
        tracing::warn!("{error:#}");
    }
    Ok(store)
}

/// Refuses folders for MCP clients that are none.
///
/// # Errors
/// A usage error that names the first.
pub fn check_roots(settings: &Settings) -> anyhow::Result<()> {
    match settings.roots.iter().find(|root| !root.is_dir()) {
        Some(root) => Err(usage!("--root {} is no folder", root.display()).into()),
        None => Ok(()),
    }
}

/// Refuses a data directory without a store.
///
/// # Errors
/// Exit code 1 when nothing was ever ingested.
pub fn must_exist(settings: &Settings) -> anyhow::Result<()> {
    if EmbeddedStore::exists(&settings.data_dir)? {
        return Ok(());
    }
    Err(Error::NotFound(format!(
        "nothing has been ingested into {} yet: type `squall ingest FOLDER`",
        settings.data_dir.display()
    ))
    .into())
}
