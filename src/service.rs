//! What a server does with documents beyond one run: uploads become jobs, a worker works them off,
//! questions are answered meanwhile. No HTTP here; `serve` is a face of it.

mod documents;
mod events;
mod jobs;
mod limit;
mod live;
mod logins;
mod metrics;
mod originals;
mod parses;
mod questions;
mod reports;
mod uploads;
mod worker;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

pub use documents::{Document, Piece, Text, Totals};
pub use events::{Events, Kind, Told};
pub use jobs::{JobView, Wish};
pub use logins::Tried;
pub use metrics::Metrics;
pub use parses::{Parse, ParseState, parse};
pub use questions::{Found, Question};
pub use reports::{Pages, TextFacts};
pub use uploads::{Accepted, Upload};
pub use worker::work;

use self::live::Live;
use crate::accounts::{Accounts, Lockout};
use crate::embed::Models;
use crate::ingest::{Budget, Observer, Parsers};
use crate::settings::Settings;
use crate::store::Store;

/// Bytes that must be free for the server to call itself ready.
const LEAST_FREE: u64 = 100_000_000;

/// Most items of a list that are handed out at once.
pub const MAX_PAGE_SIZE: u64 = 200;

/// What every request and the worker share.
pub struct Service {
    live: Live,
    pub models: Models,
    pub store: Arc<dyn Store>,
    pub events: Arc<Events>,
    pub metrics: Metrics,
    /// Who may use the server; `None` where there is no login.
    pub accounts: Option<Arc<Accounts>>,
    lockout: Lockout,
    /// Passwords that are compared at once: each takes a core and 19 MB for a while.
    passwords: Arc<Semaphore>,
    observer: Arc<dyn Observer>,
    /// What may still be sent away while this server runs.
    budget: Mutex<Budget>,
    /// Cancelled when the server is to shut down.
    pub stop: CancellationToken,
    /// Rung when there is a new job, or index files have become old.
    bell: Notify,
    /// Rung when there is a file to parse for a client of the Storm API.
    parse_bell: Notify,
    /// Collections and paths the worker is at.
    busy: Mutex<HashSet<(String, String)>>,
    /// Held while an upload becomes a job, or an original is removed: neither sees half of the other.
    intake: Mutex<()>,
}

impl Service {
    pub fn new(
        settings: Settings,
        parsers: Parsers,
        models: Models,
        store: Arc<dyn Store>,
        accounts: Option<Arc<Accounts>>,
        observer: Arc<dyn Observer>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            budget: Mutex::new(Budget::of(&settings)),
            live: Live::new(settings, parsers),
            models,
            store,
            observer,
            stop,
            events: Arc::new(Events::new()),
            metrics: Metrics::default(),
            accounts,
            lockout: Lockout::default(),
            passwords: Arc::new(Semaphore::new(2)),
            bell: Notify::new(),
            parse_bell: Notify::new(),
            busy: Mutex::default(),
            intake: Mutex::default(),
        }
    }

    /// `name`, or the server's collection.
    ///
    /// # Errors
    /// A usage error for a name that is none.
    pub fn collection_name(&self, name: Option<&str>) -> anyhow::Result<String> {
        match name {
            Some(name) if !name.is_empty() => crate::settings::named(name.to_owned()),
            _ => Ok(self.settings().collection.clone()),
        }
    }

    /// Whether the worker is at a document.
    fn is_busy(&self, collection: &str, path: &str) -> bool {
        lock(&self.busy).contains(&(collection.to_owned(), path.to_owned()))
    }

    /// Why no work can be done at the moment, if so.
    ///
    /// # Errors
    /// When the store cannot be read, or the model of the server's collection is not at hand.
    pub fn unready(&self) -> anyhow::Result<Option<String>> {
        if let Some(collection) = self.store.collection(&self.settings().collection)? {
            let model = crate::ingest::model_of(&self.models, &collection)?;
            model.embed(&["ready"], crate::embed::Role::Query)?;
        }
        let disk = rustix::fs::statvfs(&self.settings().data_dir)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        Ok((free < LEAST_FREE).then(|| format!("the disk has {free} bytes left")))
    }

    /// Has the worker look for work.
    pub fn ring(&self) {
        self.bell.notify_one();
    }
}

/// A lock whose holder may have crashed: what it guards is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
