//! Mends what `verify` finds. Derived data is made anew; what cannot be trusted is taken out only
//! when the user says so, and only after a copy of the old files was put aside.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use rusqlite::{OptionalExtension as _, Transaction, params};
use serde::Serialize;

use super::put::drop_document;
use super::sqlite::{EmbeddedStore, explain};
use super::verify::{unembedded, unsound};
use super::{salvage, sums};
use crate::document::DocumentId;
use crate::embed::{Embedder, Role};
use crate::error::Error;
use crate::ledger::{JobState, job_id};
use crate::text::count;

/// Chunks embedded between two commits.
const BATCH: usize = 64;
/// What a job says whose row was damaged.
pub(super) const DAMAGED_JOB: &str = "its row in the ledger was damaged";

/// What was mended, and what was not.
#[derive(Debug, Default, Serialize)]
pub struct Repaired {
    /// Where the files are that were damaged, if any was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
    /// Whether the database was built anew from what could be read.
    pub salvaged: bool,
    /// Documents that are in after the repair.
    pub documents: u64,
    /// Documents taken out; the next ingest reads their files anew.
    pub dropped: Vec<String>,
    /// Damaged rows that were taken out, and those that were kept in a form that does no harm.
    pub dropped_rows: u64,
    pub mended_rows: u64,
    /// Writes that are missing from the store, which is taken as it is from now on.
    pub accepted_lost_writes: u64,
    /// Whether part of the ledger could not be read, so that not all that was sent is known.
    pub ledger_is_incomplete: bool,
    /// Collections whose damaged row was taken for right, as its model is the one at hand.
    pub kept_collections: Vec<String>,
    /// Chunks embedded anew.
    pub embedded: u64,
    /// What is left to do, because the user did not say `--yes`.
    pub left: Vec<String>,
}

/// Makes sure that the database can be opened and read from end to end; where it cannot, builds a
/// new one from what can be read (with `yes`). The old files are copied aside first, and the new
/// database takes their place in one step.
///
/// # Errors
/// Exit code 5 without `yes`, saying what would happen. Whatever else keeps the database from being
/// opened (no room, no permission, a newer version) is no damage, and is passed on.
pub fn open(data_dir: &Path, yes: bool, repaired: &mut Repaired) -> anyhow::Result<EmbeddedStore> {
    if yes && EmbeddedStore::exists(data_dir).is_err() {
        // There is nothing left to mend; what was sent is not known any more.
        EmbeddedStore::accept_lost_writes(data_dir);
        repaired.ledger_is_incomplete = true;
        return EmbeddedStore::open(data_dir);
    }
    let log = super::verify_log(data_dir);
    if !log.problems.is_empty() {
        // SQLite throws the rest of a damaged log away as it opens it.
        repaired.quarantine = Some(copy_aside(data_dir)?);
    }
    let why = match EmbeddedStore::open(data_dir) {
        Ok(store) => match store.soundness()? {
            None => return Ok(store),
            Some(problem) => problem,
        },
        Err(error) if is_damage(&error) => error.to_string(),
        Err(error) => return Err(error),
    };
    let dir = data_dir.display();
    if schema_of(data_dir) == Some(1) {
        return Err(Error::Store(format!(
            "the database in {dir} is damaged, and of an older version whose rows have no \
             checksums. Move it away and ingest again; documents sent to a service are sent anew \
             then, and may be billed twice"
        ))
        .into());
    }
    if !yes {
        return Err(Error::Store(format!(
            "the database in {dir} is damaged ({why}): `squall repair --yes` builds a new one from \
             what can be read, and keeps the damaged files beside it"
        ))
        .into());
    }
    if repaired.quarantine.is_none() {
        repaired.quarantine = Some(copy_aside(data_dir)?);
    }
    let workshop = tempfile::tempdir_in(data_dir)?;
    let salvaged = salvage::salvage(&EmbeddedStore::database(data_dir), workshop.path())?;
    repaired.dropped_rows += salvaged.lost;
    repaired.ledger_is_incomplete = salvaged.ledger_is_incomplete;
    repaired.salvaged = true;
    std::fs::File::open(EmbeddedStore::database(workshop.path()))?.sync_all()?;
    // A log of the old database must not be taken for one of the new.
    for name in ["squall.db-wal", "squall.db-shm"] {
        let _ = std::fs::remove_file(data_dir.join(name));
    }
    std::fs::rename(
        EmbeddedStore::database(workshop.path()),
        EmbeddedStore::database(data_dir),
    )?;
    super::mapped::sync_folder(data_dir)?;
    EmbeddedStore::accept_lost_writes(data_dir);
    EmbeddedStore::open(data_dir)
}

/// Whether the database itself is damaged, as SQLite says.
fn is_damage(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<Error>(), Some(Error::Damaged(_)))
}

/// The schema version as the file's header states it (`user_version`, big endian at byte 60).
fn schema_of(data_dir: &Path) -> Option<u32> {
    let mut header = [0; 64];
    let mut file = std::fs::File::open(EmbeddedStore::database(data_dir)).ok()?;
    std::io::Read::read_exact(&mut file, &mut header).ok()?;
    Some(u32::from_be_bytes([
        header[60], header[61], header[62], header[63],
    ]))
}

impl EmbeddedStore {
    /// The first thing SQLite finds wrong with its file.
    fn soundness(&self) -> anyhow::Result<Option<String>> {
        let path = Self::database(&self.data_dir);
        let check = self
            .db()
            .query_row("PRAGMA integrity_check(1)", [], |row| {
                row.get::<_, String>(0)
            })
            .map_err(|error| explain(error.into(), &path));
        match check {
            Ok(line) if line == "ok" => Ok(None),
            Ok(line) => Ok(Some(line)),
            Err(error) if is_damage(&error) => Ok(Some(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Mends everything in a database that SQLite can read.
    pub fn repair(
        &self,
        models: &[Arc<dyn Embedder>],
        yes: bool,
        repaired: &mut Repaired,
    ) -> anyhow::Result<()> {
        let lost = self.lost_writes()?;
        if lost > 0 && !yes {
            repaired.left.push(format!(
                "the latest {} missing: --yes takes the store as it is",
                count(lost as u64, "write")
            ));
            return Ok(());
        }
        if lost > 0 {
            EmbeddedStore::accept_lost_writes(&self.data_dir);
            repaired.accepted_lost_writes = lost as u64;
        }
        if lost > 0 || self.lacks_mark()? {
            // Any write sets the mark.
            self.write(|_| Ok(()))?;
        }
        self.keep_collections(models, yes, repaired)?;
        self.mend_rows(yes, repaired)?;
        self.drop_unsound(yes, repaired)?;
        for model in models {
            self.embed_missing(&**model, repaired)?;
        }
        let sql = "SELECT count(*) FROM documents";
        let documents = self.db().query_row(sql, [], |row| row.get::<_, i64>(0))?;
        repaired.documents = documents as u64;
        Ok(())
    }

    /// Takes out documents whose pages cannot be trusted.
    fn drop_unsound(&self, yes: bool, repaired: &mut Repaired) -> anyhow::Result<()> {
        let documents = unsound(&self.db())?;
        if !yes {
            let left = documents.into_iter().map(|document| {
                format!(
                    "{} is damaged: --yes drops it, to be ingested anew",
                    document.name
                )
            });
            repaired.left.extend(left);
            return Ok(());
        }
        for document in documents {
            self.keep_copy(repaired)?;
            self.write(|tx| drop_document(tx, document.id))?;
            repaired.dropped.push(document.name);
        }
        Ok(())
    }

    /// Damaged rows beside documents and collections: a path is kept, to be looked at again by the
    /// next ingest; a job is kept as lost, which is never sent again unasked; tags, tombstones and
    /// the like are dropped.
    fn mend_rows(&self, yes: bool, repaired: &mut Repaired) -> anyhow::Result<()> {
        for table in [
            "sources",
            "jobs",
            "tags",
            "tombstones",
            "state",
            "job_targets",
        ] {
            let damaged = format!("({}) IS NOT TRUE", sums::intact(table, table));
            let sql = format!("SELECT count(*) FROM {table} WHERE {damaged}");
            let count: i64 = self.db().query_row(&sql, [], |row| row.get(0))?;
            if count == 0 {
                continue;
            }
            if !yes {
                repaired.left.push(match table {
                    "jobs" => format!(
                        "{count} damaged jobs: --yes keeps them as lost, not to be sent again \
                         without --retry lost"
                    ),
                    "sources" => format!("{count} damaged paths: --yes has them looked at again"),
                    table => format!("{count} damaged of table {table}: --yes drops them"),
                });
                continue;
            }
            self.keep_copy(repaired)?;
            self.write(|tx| {
                match table {
                    "sources" => {
                        let sql = format!("UPDATE sources SET modified = 0 WHERE {damaged}");
                        repaired.mended_rows += tx.execute(&sql, [])? as u64;
                    }
                    "jobs" => {
                        let (mended, dropped) = mend_jobs(tx, &damaged)?;
                        repaired.mended_rows += mended;
                        repaired.dropped_rows += dropped;
                        repaired.ledger_is_incomplete |= dropped > 0;
                    }
                    table => {
                        let sql = format!("DELETE FROM {table} WHERE {damaged}");
                        repaired.dropped_rows += tx.execute(&sql, [])? as u64;
                    }
                }
                // The one row that must be there.
                tx.execute("INSERT OR IGNORE INTO state (id, writes) VALUES (1, 0)", [])?;
                Ok(())
            })?;
        }
        Ok(())
    }

    fn embed_missing(
        &self,
        embedder: &dyn Embedder,
        repaired: &mut Repaired,
    ) -> anyhow::Result<()> {
        let missing = unembedded(&self.db(), embedder)?;
        for batch in missing.chunks(BATCH) {
            let texts: Vec<&str> = batch.iter().map(|chunk| chunk.text.as_str()).collect();
            let vectors = embedder.embed(&texts, Role::Passage)?;
            self.write(|tx| {
                let mut insert = tx.prepare_cached(
                    "INSERT OR REPLACE INTO vectors (chunk_id, vector) VALUES (?1, ?2)",
                )?;
                for (chunk, vector) in batch.iter().zip(&vectors) {
                    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                    insert.execute(params![chunk.chunk, bytes])?;
                }
                Ok(())
            })?;
            repaired.embedded += batch.len() as u64;
        }
        Ok(())
    }

    /// Puts a copy of the database aside, once a repair.
    pub(super) fn keep_copy(&self, repaired: &mut Repaired) -> anyhow::Result<()> {
        if repaired.quarantine.is_none() {
            let folder = quarantine(&self.data_dir)?;
            let copy = EmbeddedStore::database(&folder);
            self.db()
                .execute("VACUUM INTO ?1", [copy.to_string_lossy()])
                .optional()?;
            repaired.quarantine = Some(folder.display().to_string());
        }
        Ok(())
    }
}

/// Jobs whose id proves what they are about are kept as lost; how many, and how many were not.
fn mend_jobs(tx: &Transaction<'_>, damaged: &str) -> anyhow::Result<(u64, u64)> {
    let mut mended = 0;
    let rows: Vec<(String, String, String)> = tx
        .prepare(&format!(
            "SELECT id, service, hash FROM jobs WHERE {damaged}"
        ))?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (id, service, hash) in rows {
        if job_id(&service, &DocumentId(hash)) == id {
            tx.execute(
                "UPDATE jobs SET state = ?2, error = ?3 WHERE id = ?1",
                params![id, JobState::Lost.as_str(), DAMAGED_JOB],
            )?;
            mended += 1;
        }
    }
    let dropped = tx.execute(&format!("DELETE FROM jobs WHERE {damaged}"), [])? as u64;
    Ok((mended, dropped))
}

/// Copies the database and its log into a folder of their own.
fn copy_aside(data_dir: &Path) -> anyhow::Result<String> {
    let folder = quarantine(data_dir)?;
    for name in ["squall.db", "squall.db-wal"] {
        let (from, to) = (data_dir.join(name), folder.join(name));
        if from.exists() {
            std::fs::copy(&from, &to)
                .and_then(|_| std::fs::File::open(&to)?.sync_all())
                .with_context(|| format!("cannot put a copy of {} aside", from.display()))?;
        }
    }
    Ok(folder.display().to_string())
}

/// A new folder for files that are put aside.
fn quarantine(data_dir: &Path) -> anyhow::Result<PathBuf> {
    let parent = data_dir.join("quarantine");
    std::fs::create_dir_all(&parent)?;
    let now = crate::ledger::timestamp().replace(':', "");
    let folder = tempfile::Builder::new()
        .prefix(&format!("{now}-"))
        .tempdir_in(&parent)
        .with_context(|| format!("cannot write to {}", parent.display()))?;
    Ok(folder.keep())
}
