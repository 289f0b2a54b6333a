//! The high-water mark: how often the database was written to, in a small file beside it. A log that
//! is cut short or lost looks to SQLite as if the last transactions had never been; the mark knows
//! better. It is written after each commit and not synced, so it may lag behind the database but
//! never runs ahead of it.

use std::fs::OpenOptions;
use std::io::Write as _;
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
    // Always as long, and written over what is there in one call: a process that is killed leaves
    // one mark or the other.
    let text = format!("{writes:020} {}\n", seal(writes));
    let written = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path(data_dir))
        .and_then(|mut file| file.write_all(text.as_bytes()));
    if let Err(error) = written {
        tracing::debug!("the mark was not written: {error}");
    }
}

/// Makes the mark of a database nothing was written to yet, so that a missing one tells something.
pub fn begin(data_dir: &Path, db: &Connection) -> rusqlite::Result<()> {
    let writes: Option<i64> = db
        .query_row("SELECT writes FROM state", [], |row| row.get(0))
        .optional()?;
    if writes == Some(0) && get(data_dir).is_none() {
        set(data_dir, 0);
    }
    Ok(())
}

/// The mark, if there is one that reads.
fn get(data_dir: &Path) -> Option<i64> {
    let text = std::fs::read_to_string(path(data_dir)).ok()?;
    let (number, sum) = text.trim_end().split_once(' ')?;
    let writes = number.parse().ok()?;
    (sum == seal(writes)).then_some(writes)
}

/// Whether a database was written to here, as far as the mark tells.
pub fn is_set(data_dir: &Path) -> bool {
    get(data_dir).is_some_and(|writes| writes > 0)
}

fn seal(writes: i64) -> String {
    blake3::hash(&writes.to_le_bytes()).to_hex()[..16].to_owned()
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("squall.mark")
}

/// Refuses the write that made the database's count `writes` where the mark is further: the one
/// who has SQLite's write lock sees no other write between the two.
pub fn check(data_dir: &Path, writes: i64) -> anyhow::Result<()> {
    match get(data_dir) {
        Some(mark) if mark >= writes => Err(lost_error(data_dir, mark - writes + 1)),
        _ => Ok(()),
    }
}

fn lost_error(data_dir: &Path, lost: i64) -> anyhow::Error {
    Error::Store(format!(
        "the store in {} has lost its latest {} (its log was cut off, or an older copy \
         was put in its place); what was sent to a service since may not be in the ledger. \
         `squall repair --yes` takes it as it is",
        data_dir.display(),
        crate::text::count(lost as u64, "write")
    ))
    .into()
}

impl EmbeddedStore {
    /// How many of the latest writes are missing from the database.
    pub(super) fn lost_writes(&self) -> anyhow::Result<i64> {
        // The mark first: what is written meanwhile only brings the database further.
        let mark = get(&self.data_dir).unwrap_or(0);
        let writes: i64 = self
            .db()
            .query_row("SELECT writes FROM state", [], |row| row.get(0))
            .optional()?
            .unwrap_or(0);
        Ok((mark - writes).max(0))
    }

    /// Whether the mark is gone though the database was written to: then what is missing cannot be
    /// told.
    pub(super) fn lacks_mark(&self) -> anyhow::Result<bool> {
        let sql = "SELECT writes > 0 FROM state";
        let written: Option<bool> = self.db().query_row(sql, [], |row| row.get(0)).optional()?;
        Ok(get(&self.data_dir).is_none() && written == Some(true))
    }

    /// Takes the database as it is for right.
    pub(super) fn accept_lost_writes(data_dir: &Path) {
        set(data_dir, 0);
    }

    /// Refuses a database that has lost its latest writes before any work is done for it; a write
    /// would be refused in any case.
    ///
    /// # Errors
    /// Exit code 5 with the way out.
    pub fn refuse_lost_writes(&self) -> anyhow::Result<()> {
        match self.lost_writes()? {
            0 => Ok(()),
            lost => Err(lost_error(&self.data_dir, lost)),
        }
    }
}
