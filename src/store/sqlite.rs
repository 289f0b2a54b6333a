//! The embedded store: one SQLite file (WAL) and, beside it, files that can be rebuilt from it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Context as _;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior, params,
};

use super::graph_file::GraphFile;
use super::parts::Files;
use super::postings::Postings;
use super::readers::Readers;
use super::schema::{SCHEMA_VERSION, migrate};
use super::vectors::VectorFile;
use super::{Collection, ModelIdentity};
use super::{mark, sums};
use crate::error::Error;
use crate::ledger::{JobState, timestamp};

/// How long SQLite waits for another process's transaction.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Dead chunks as they were at a generation.
pub(super) struct Dead {
    pub generation: i64,
    pub chunks: Arc<HashSet<i64>>,
}

/// The store in a data directory.
pub struct EmbeddedStore {
    pub(super) data_dir: PathBuf,
    /// Device and inode of the database when it was opened.
    identity: Option<(u64, u64)>,
    /// None for a file nobody can write to. Before the connection that writes, which closes last and moves
    /// the log into the database.
    pub(super) readers: Option<Readers>,
    connection: Mutex<Connection>,
    pub(super) vector_files: Files<VectorFile>,
    pub(super) posting_files: Files<Postings>,
    pub(super) graph_files: Files<GraphFile>,
    /// Dead chunks by collection.
    pub(super) dead: Mutex<HashMap<i64, Dead>>,
}

impl EmbeddedStore {
    /// Opens the store in `data_dir`, making it if there is none.
    ///
    /// # Errors
    /// Exit code 5 when the directory cannot be written or the database is damaged or newer than
    /// this program.
    pub fn open(data_dir: &Path) -> anyhow::Result<Self> {
        Self::make_folder(data_dir)?;
        let path = Self::database(data_dir);
        let store = Connection::open(&path)
            .map_err(anyhow::Error::from)
            .and_then(|connection| Self::prepare(data_dir, connection));
        store.map_err(|error| explain(error, &path))
    }

    /// Makes the data directory.
    ///
    /// # Errors
    /// Exit code 5 when it cannot be made.
    pub fn make_folder(data_dir: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(data_dir).map_err(|error| {
            Error::Store(format!(
                "cannot create the data directory {}: {error}; choose another with --data-dir or \
                 SQUALL_DATA_DIR",
                data_dir.display()
            ))
            .into()
        })
    }

    /// Opens the store to read it, also where nothing can be written.
    ///
    /// # Errors
    /// As [`EmbeddedStore::open`].
    pub fn open_to_read(data_dir: &Path) -> anyhow::Result<Self> {
        let error = match Self::open(data_dir) {
            Ok(store) => return Ok(store),
            Err(error) => error,
        };
        let path = Self::database(data_dir);
        Self::open_immutable(data_dir, &path).map_err(|again| {
            if again.is::<Error>() {
                return again;
            }
            tracing::debug!("not as a read-only file either: {again:#}");
            error
        })
    }

    /// A file nobody can write to needs no locks. Only where there is no log, which would be passed
    /// over, and where the schema is this program's.
    fn open_immutable(data_dir: &Path, path: &Path) -> anyhow::Result<Self> {
        let writable = std::fs::OpenOptions::new().append(true).open(path).is_ok()
            && tempfile::tempfile_in(data_dir).is_ok();
        let log = std::fs::metadata(data_dir.join("squall.db-wal"));
        anyhow::ensure!(!writable, "it can be written");
        anyhow::ensure!(
            log.map_or(0, |log| log.len()) == 0,
            "there is a log to take in"
        );
        let mut uri = reqwest::Url::from_file_path(std::path::absolute(path)?)
            .map_err(|()| anyhow::anyhow!("the path cannot be named"))?;
        uri.set_query(Some("immutable=1"));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(uri.as_str(), flags)?;
        sums::register(&connection)?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if (1..SCHEMA_VERSION).contains(&version) {
            return Err(Error::Store(format!(
                "{} was made by an earlier squall (schema {version}, this one has {SCHEMA_VERSION}) and \
                 cannot be written here: open it once where it can be, for example with `squall status`",
                path.display()
            ))
            .into());
        }
        anyhow::ensure!(version == SCHEMA_VERSION, "it has schema {version}");
        Ok(Self::with(data_dir, connection, None))
    }

    /// Whether there is a store in `data_dir`.
    ///
    /// # Errors
    /// Exit code 5 when that cannot be told, and when there was one that is gone.
    pub fn exists(data_dir: &Path) -> anyhow::Result<bool> {
        let path = Self::database(data_dir);
        let is_there = match std::fs::metadata(&path) {
            Ok(meta) => meta.len() > 0,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => {
                return Err(
                    Error::Store(format!("cannot look at {}: {error}", path.display())).into(),
                );
            }
        };
        if !is_there && mark::is_set(data_dir) {
            return Err(Error::Store(format!(
                "{} is gone or empty, though there was one: put it back, or begin anew with \
                 `squall repair --yes`",
                path.display()
            ))
            .into());
        }
        Ok(is_there)
    }

    /// Says what an SQLite error means for the user; other errors stay as they are.
    pub fn explain(error: anyhow::Error, data_dir: &Path) -> anyhow::Error {
        explain(error, &Self::database(data_dir))
    }

    /// Where the database of a data directory is.
    pub fn database(data_dir: &Path) -> PathBuf {
        data_dir.join("squall.db")
    }

    fn prepare(data_dir: &Path, mut connection: Connection) -> anyhow::Result<Self> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A committed ledger row must survive a power cut: it stands for a paid upload.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -16_000)?;
        connection.set_prepared_statement_cache_capacity(64);
        sums::register(&connection)?;
        migrate(&mut connection)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        mark::begin(data_dir, &connection)?;
        Ok(Self::with(data_dir, connection, Some(Readers::default())))
    }

    fn with(data_dir: &Path, connection: Connection, readers: Option<Readers>) -> Self {
        Self {
            identity: identity(data_dir),
            data_dir: data_dir.to_path_buf(),
            readers,
            connection: Mutex::new(connection),
            vector_files: Files::new(data_dir),
            posting_files: Files::new(data_dir),
            graph_files: Files::new(data_dir),
            dead: Mutex::default(),
        }
    }

    /// The connection that writes.
    pub(super) fn writer(&self) -> &Mutex<Connection> {
        &self.connection
    }

    /// Whether the database is still the file that was opened.
    pub(super) fn is_in_place(&self) -> bool {
        identity(&self.data_dir) == self.identity
    }

    /// The connection that writes, for one method call.
    pub(super) fn db(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere cannot leave a transaction open: it is rolled back as it unwinds.
        self.connection
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Runs `work` in a transaction that takes the write lock at once.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut db = self.db();
        let run = || {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&tx)?;
            let writes = mark::count(&tx)?;
            mark::check(&self.data_dir, writes)?;
            self.refuse_replaced()?;
            tx.commit()?;
            mark::set(&self.data_dir, writes);
            Ok(value)
        };
        run().map_err(|error| explain(error, &Self::database(&self.data_dir)))
    }

    /// A repair may have put another database in place while this process ran; what is written to
    /// the old one would be lost.
    fn refuse_replaced(&self) -> anyhow::Result<()> {
        if self.is_in_place() {
            return Ok(());
        }
        Err(Error::Store(format!(
            "{} was replaced while this squall ran; start it again",
            Self::database(&self.data_dir).display()
        ))
        .into())
    }

    pub(super) fn find_collection(&self, name: &str) -> anyhow::Result<Option<Collection>> {
        find_collection(&self.reader(), name)
    }

    pub(super) fn create_or_check(
        &self,
        name: &str,
        model: &ModelIdentity,
    ) -> anyhow::Result<Collection> {
        if let Some(found) = self.find_collection(name)? {
            return same_model(found, model);
        }
        self.write(|tx| {
            if let Some(found) = find_collection(tx, name)? {
                return same_model(found, model);
            }
            let now = timestamp();
            tx.execute(
                "INSERT INTO collections (name, uid, model, fingerprint, dimension, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    name,
                    unique(name),
                    model.name,
                    model.fingerprint,
                    model.dimension as i64,
                    now
                ],
            )?;
            find_collection(tx, name)?.context("the new collection is not there")
        })
    }

    /// Deletes rows and derived files of a collection.
    pub(super) fn delete_collection(&self, name: &str) -> anyhow::Result<bool> {
        let Some(collection) = self.find_collection(name)? else {
            return Ok(false);
        };
        self.write(|tx| {
            tx.execute("DELETE FROM collections WHERE id = ?1", [collection.id])?;
            tx.execute("DELETE FROM job_targets WHERE collection = ?1", [name])?;
            // What failed here cost nothing and is wanted by nobody now.
            tx.execute(
                "DELETE FROM jobs WHERE service = ?1 AND state = ?2
                 AND id NOT IN (SELECT job_id FROM job_targets)",
                params![crate::parse::local::SERVICE, JobState::Failed.as_str()],
            )?;
            Ok(())
        })?;
        self.forget_derived(&collection);
        Ok(true)
    }
}

impl EmbeddedStore {
    /// Gives `new` the name of `old`, and deletes that one. Jobs go by the name and stay.
    pub(super) fn swap_collection(
        &self,
        old: &Collection,
        new: &Collection,
    ) -> anyhow::Result<bool> {
        let is_done = self.write(|tx| {
            if find_collection(tx, &old.name)?.is_none_or(|found| found != *old) {
                return Ok(false);
            }
            tx.execute("DELETE FROM collections WHERE id = ?1", [old.id])?;
            tx.execute(
                "UPDATE collections SET name = ?2 WHERE id = ?1",
                params![new.id, old.name],
            )?;
            Ok(true)
        })?;
        if is_done {
            self.forget_derived(old);
        }
        Ok(is_done)
    }
}

/// 16 hex digits that name the derived files of one collection and no other, whatever the clock
/// says.
pub(super) fn unique(name: &str) -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    // Seeded by the system for each instance.
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write(name.as_bytes());
    format!("{:016x}", hasher.finish())
}

fn identity(data_dir: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = std::fs::metadata(EmbeddedStore::database(data_dir)).ok()?;
    Some((meta.dev(), meta.ino()))
}

pub(super) fn find_collection(
    connection: &Connection,
    name: &str,
) -> anyhow::Result<Option<Collection>> {
    let row = connection
        .prepare_cached(&format!(
            "SELECT id, name, uid, model, fingerprint, dimension, generation, {}
             FROM collections c WHERE name = ?1",
            sums::intact("collections", "c")
        ))?
        .query_row([name], |row| {
            sums::check(row, 7, || format!("the row of collection '{name}'"))?;
            Ok(Collection {
                id: row.get(0)?,
                name: row.get(1)?,
                uid: row.get(2)?,
                model: ModelIdentity {
                    name: row.get(3)?,
                    fingerprint: row.get(4)?,
                    dimension: row.get::<_, i64>(5)? as usize,
                },
                generation: row.get(6)?,
            })
        })
        .optional()?;
    Ok(row)
}

fn same_model(found: Collection, model: &ModelIdentity) -> anyhow::Result<Collection> {
    found.check(model)?;
    Ok(found)
}

/// Says what an SQLite error means for the user.
pub(super) fn explain(error: anyhow::Error, path: &Path) -> anyhow::Error {
    use rusqlite::ErrorCode;
    let Some(rusqlite::Error::SqliteFailure(cause, _)) = error.downcast_ref::<rusqlite::Error>()
    else {
        return error;
    };
    let path = path.display();
    let message = match cause.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            format!("the store {path} is busy: another squall is writing; try again")
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            return Error::Damaged(format!(
                "the store {path} is damaged ({error}); type `squall repair` to see what can be \
                 saved"
            ))
            .into();
        }
        ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => format!(
            "the store {path} cannot be opened for writing ({error}); check the permissions, or \
             choose another place with --data-dir or SQUALL_DATA_DIR"
        ),
        ErrorCode::DiskFull => {
            format!("the disk is full, {path} was not changed; free some space and run again")
        }
        ErrorCode::SystemIoFailure => format!(
            "{path} cannot be written or read ({error}): a quota, a limit, or a failing disk; what \
             was stored before is not changed"
        ),
        _ => return error,
    };
    Error::Store(message).into()
}
