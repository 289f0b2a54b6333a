//! Mends what `verify` finds. Derived data is made anew; what cannot be trusted is taken out only
//! when the user says so, and only after a copy of the old files was put aside.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;

use super::put::drop_document;
use super::sqlite::{EmbeddedStore, TERMS, terms_table};
use super::verify::{fill_terms, unembedded, unsound};
use super::{salvage, sums};
use crate::embed::{Embedder, Role};
use crate::error::Error;

/// Chunks embedded between two commits.
const BATCH: usize = 64;

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
    /// Damaged rows of the ledger and of other tables that were taken out.
    pub dropped_rows: u64,
    /// Collections whose damaged row was taken for right, as its model is the one at hand.
    pub kept_collections: Vec<String>,
    /// Chunks embedded anew.
    pub embedded: u64,
    /// Collections whose full text was made anew.
    pub reindexed: Vec<String>,
    /// What is left to do, because the user did not say `--yes`.
    pub left: Vec<String>,
}

/// Makes sure that the database can be opened and read from end to end; where it cannot, builds a
/// new one from what can be read (with `yes`) and puts the old one aside.
///
/// # Errors
/// Exit code 5 without `yes`, saying what would happen.
pub fn open(data_dir: &Path, yes: bool, repaired: &mut Repaired) -> anyhow::Result<EmbeddedStore> {
    let log = super::verify_log(data_dir);
    if !log.problems.is_empty() {
        // SQLite throws the rest of a damaged log away as it opens it.
        repaired.quarantine = Some(put_aside(data_dir, Aside::Copy)?);
    }
    if let Ok(store) = EmbeddedStore::open(data_dir)
        && store.is_sound()
    {
        return Ok(store);
    }
    if !yes {
        return Err(Error::Store(format!(
            "the database in {} is damaged: `squall repair --yes` builds a new one from what can \
             be read, and keeps the damaged files beside it",
            data_dir.display()
        ))
        .into());
    }
    if schema_of(data_dir) == Some(1) {
        return Err(Error::Store(format!(
            "the database in {} is damaged, and of an older version whose rows have no checksums; \
             move it away and ingest again",
            data_dir.display()
        ))
        .into());
    }
    let aside = put_aside(data_dir, Aside::Move)?;
    let damaged = EmbeddedStore::database(Path::new(&aside));
    let fresh = EmbeddedStore::open(data_dir)?;
    repaired.dropped_rows += salvage::salvage(&damaged, &fresh)?;
    repaired.salvaged = true;
    repaired.quarantine = Some(aside);
    Ok(fresh)
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
    fn is_sound(&self) -> bool {
        let check = self.db().query_row("PRAGMA integrity_check(1)", [], |row| {
            row.get::<_, String>(0)
        });
        check.is_ok_and(|line| line == "ok")
    }

    /// Mends everything in a database that SQLite can read.
    pub fn repair(
        &self,
        embedder: &dyn Embedder,
        yes: bool,
        repaired: &mut Repaired,
    ) -> anyhow::Result<()> {
        self.keep_collections(embedder, yes, repaired)?;
        self.drop_unsound(yes, repaired)?;
        self.drop_damaged_rows(yes, repaired)?;
        for name in self.collection_names()? {
            let Some(collection) = self.find_collection(&name)? else {
                continue;
            };
            if !self.check_terms(&collection)?.is_empty() {
                self.reindex(collection.id)?;
                repaired.reindexed.push(name);
            }
        }
        self.embed_missing(embedder, repaired)?;
        let sql = "SELECT count(*) FROM documents";
        let documents = self.db().query_row(sql, [], |row| row.get::<_, i64>(0))?;
        repaired.documents = documents as u64;
        match self.lost_writes()? {
            0 => {}
            _ if yes => self.accept_lost_writes()?,
            lost => repaired.left.push(format!(
                "the latest {lost} writes are missing: --yes takes the store as it is"
            )),
        }
        Ok(())
    }

    /// A damaged row of a collection would take all its documents along; where it names the model
    /// at hand, what is wrong can only be its name or its counters.
    fn keep_collections(
        &self,
        embedder: &dyn Embedder,
        yes: bool,
        repaired: &mut Repaired,
    ) -> anyhow::Result<()> {
        let condition = format!(
            "fingerprint = ?1 AND dimension = ?2 AND ({}) IS NOT TRUE",
            sums::intact("collections", "collections")
        );
        let model = crate::ingest::identity(embedder);
        let values = params![model.fingerprint, model.dimension as i64];
        let names: Vec<String> = {
            let db = self.db();
            let mut statement =
                db.prepare(&format!("SELECT name FROM collections WHERE {condition}"))?;
            let names = statement.query_map(values, |row| row.get(0))?;
            names.collect::<Result<_, _>>()?
        };
        if yes && !names.is_empty() {
            self.keep_copy(repaired)?;
            self.write(|tx| {
                let sql = format!(
                    "UPDATE collections SET generation = max(generation, 0) + 1 WHERE {condition}"
                );
                Ok(tx.execute(&sql, values)?)
            })?;
            repaired.kept_collections = names;
        }
        Ok(())
    }

    /// Takes out documents that cannot be cited from.
    fn drop_unsound(&self, yes: bool, repaired: &mut Repaired) -> anyhow::Result<()> {
        let documents = unsound(&self.db())?;
        if documents.is_empty() {
            return Ok(());
        }
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
        self.keep_copy(repaired)?;
        for document in documents {
            self.write(|tx| {
                // The full text may be what is damaged; it is made anew below.
                let table = terms_table(document.collection);
                tx.execute_batch(&format!(
                    "DROP TABLE IF EXISTS {table}; CREATE VIRTUAL TABLE {table} USING {TERMS}"
                ))?;
                drop_document(tx, document.collection, document.id)
            })?;
            repaired.dropped.push(document.name);
        }
        Ok(())
    }

    /// Takes out damaged rows that belong to no document: of the ledger, tombstones, vectors.
    fn drop_damaged_rows(&self, yes: bool, repaired: &mut Repaired) -> anyhow::Result<()> {
        for (table, _) in sums::TABLES {
            let damaged = format!("({}) IS NOT TRUE", sums::intact(table, table));
            let count: i64 = self.db().query_row(
                &format!("SELECT count(*) FROM {table} WHERE {damaged}"),
                [],
                |row| row.get(0),
            )?;
            // A vector is made anew from its chunk, and a collection without its name is lost.
            if count == 0 || table == "vectors" {
                continue;
            }
            if !yes {
                let what = format!("{count} damaged of table {table}: --yes drops them");
                repaired.left.push(what);
                continue;
            }
            self.keep_copy(repaired)?;
            self.write(|tx| {
                let sql = format!("DELETE FROM {table} WHERE {damaged}");
                repaired.dropped_rows += tx.execute(&sql, [])? as u64;
                // The one row that must be there.
                tx.execute("INSERT OR IGNORE INTO state (id, writes) VALUES (1, 0)", [])?;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Makes the full text of a collection anew.
    fn reindex(&self, collection: i64) -> anyhow::Result<()> {
        let table = terms_table(collection);
        self.write(|tx| {
            tx.execute_batch(&format!(
                "DROP TABLE IF EXISTS {table}; CREATE VIRTUAL TABLE {table} USING {TERMS}"
            ))?;
            fill_terms(tx, &table, collection)
        })
    }

    fn embed_missing(
        &self,
        embedder: &dyn Embedder,
        repaired: &mut Repaired,
    ) -> anyhow::Result<()> {
        let missing = unembedded(&self.db(), &|text| embedder.understands(text))?;
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
    fn keep_copy(&self, repaired: &mut Repaired) -> anyhow::Result<()> {
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

enum Aside {
    Copy,
    Move,
}

/// Copies or moves the database and its log into a folder of their own.
fn put_aside(data_dir: &Path, how: Aside) -> anyhow::Result<String> {
    let folder = quarantine(data_dir)?;
    for name in ["squall.db", "squall.db-wal"] {
        let (from, to) = (data_dir.join(name), folder.join(name));
        if from.exists() {
            let done = match how {
                Aside::Copy => std::fs::copy(&from, &to).map(drop),
                Aside::Move => std::fs::rename(&from, &to),
            };
            done.with_context(|| format!("cannot put {} aside", from.display()))?;
        }
    }
    // Of use only beside the files that were moved.
    if matches!(how, Aside::Move) {
        let _ = std::fs::remove_file(data_dir.join("squall.db-shm"));
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
