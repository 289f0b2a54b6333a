//! Further connections for those who only read: SQLite lets many read while one writes, but a connection
//! does one thing at a time.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use rusqlite::{Connection, OpenFlags};

use super::sqlite::{BUSY_TIMEOUT, EmbeddedStore};
use super::sums;

/// Connections beside the one that writes.
const MOST: usize = 4;

/// Connections that are opened when all before them are busy.
#[derive(Default)]
pub struct Readers {
    connections: [OnceLock<Option<Mutex<Connection>>>; MOST],
}

impl EmbeddedStore {
    /// A connection that is free, to read what is committed; the writing one, where no other can be had.
    pub(super) fn reader(&self) -> MutexGuard<'_, Connection> {
        if let Some(free) = free(self.writer()) {
            return free;
        }
        for place in self.readers.iter().flat_map(|readers| &readers.connections) {
            let path = Self::database(&self.data_dir);
            let opened = place.get_or_init(|| {
                // A repair may have put another database in its place.
                let connection = self.is_in_place().then(|| open(&path));
                connection.flatten().map(Mutex::new)
            });
            if let Some(free) = opened.as_ref().and_then(free) {
                return free;
            }
        }
        self.db()
    }
}

fn free(connection: &Mutex<Connection>) -> Option<MutexGuard<'_, Connection>> {
    match connection.try_lock() {
        Ok(free) => Some(free),
        Err(TryLockError::Poisoned(poisoned)) => Some(PoisonError::into_inner(poisoned)),
        Err(TryLockError::WouldBlock) => None,
    }
}

fn open(path: &Path) -> Option<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "cache_size", -16_000)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    });
    let opened = opened.map_err(anyhow::Error::from).and_then(|connection| {
        sums::register(&connection)?;
        Ok(connection)
    });
    opened
        .inspect_err(|error| tracing::debug!("no further connection: {error:#}"))
        .ok()
}
