//! The high-water mark: how often the database was written to, in a small file beside it. A log that
//! is cut short or lost looks to SQLite as if the last transactions had never been; the mark knows
//! better. It is written after each commit and not synced, so it may lag behind the database but
//! never runs ahead of it.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _};

use super::sqlite::EmbeddedStore;
use crate::error::Error;

/// Counts one more write in the transaction `tx`; the number so far.
pub fn count(tx: &Connection) -> anyhow::Result<i64> {
    let sql = "UPDATE state SET writes = writes + 1 RETURNING writes";
    Ok(tx
        .prepare_cached(sql)?
        .query_row([], |row| row.get(0))
        .optional()?
        .unwrap_or(0))
}

/// Writes the mark. That it cannot be written is no reason to fail: the data is safe already.
pub fn set(data_dir: &Path, writes: i64) {
    let text = format!("{writes} {}\n", seal(writes));
    if let Err(error) = std::fs::write(path(data_dir), text) {
        tracing::debug!("the mark was not written: {error}");
    }
}

/// The mark, if there is one that reads.
fn get(data_dir: &Path) -> Option<i64> {
    let text = std::fs::read_to_string(path(data_dir)).ok()?;
    let (number, sum) = text.trim_end().split_once(' ')?;
    let writes = number.parse().ok()?;
    (sum == seal(writes)).then_some(writes)
}

fn seal(writes: i64) -> String {
    blake3::hash(&writes.to_le_bytes()).to_hex()[..16].to_owned()
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("squall.mark")
}

impl EmbeddedStore {
    /// How many of the latest writes are missing from the database. To be asked by the one who has
    /// the writer lock.
    pub(super) fn lost_writes(&self) -> anyhow::Result<i64> {
        let writes: i64 = self
            .db()
            .query_row("SELECT writes FROM state", [], |row| row.get(0))
            .optional()?
            .unwrap_or(0);
        Ok(get(&self.data_dir).map_or(0, |mark| (mark - writes).max(0)))
    }

    /// Takes the database as it is for right.
    pub(super) fn accept_lost_writes(&self) -> anyhow::Result<()> {
        // Any write sets the mark.
        self.write(|_| Ok(()))
    }

    /// Refuses to go on with a database that has lost its latest writes: the ledger in it may not
    /// know what was sent.
    ///
    /// # Errors
    /// Exit code 5 with the way out.
    pub fn refuse_lost_writes(&self) -> anyhow::Result<()> {
        match self.lost_writes()? {
            0 => Ok(()),
            lost => Err(Error::Store(format!(
                "the store in {} has lost its latest {lost} writes (its log was cut off, or an \
                 older copy was put in its place); what was sent to a service since may not be in \
                 the ledger. `squall repair --yes` takes it as it is",
                self.data_dir.display()
            ))
            .into()),
        }
    }
}
