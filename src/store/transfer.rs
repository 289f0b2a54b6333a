//! A collection as one file, and back: an SQLite database of the same schema that holds only it.

use std::path::Path;

use anyhow::Context as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;

use super::schema::{SCHEMA, SCHEMA_VERSION, migrate};
use super::sqlite::{EmbeddedStore, unique};
use super::verify::{rows, unsound};
use super::{Collection, sums};
use crate::error::Error;
use crate::settings::named;
use crate::usage;

/// `application_id` of the file: "Sqal".
const APPLICATION: i64 = 0x5371_616c;

/// Ids beyond this would use up those of the store they come into.
const MOST_IDS: i64 = 1 << 40;

/// What went out or came in.
#[derive(Debug, Serialize)]
pub struct Transferred {
    pub collection: String,
    pub file: String,
    pub documents: u64,
    pub chunks: u64,
    pub jobs: u64,
}

impl EmbeddedStore {
    /// Writes a collection with its part of the ledger to `file`, whole or not at all.
    ///
    /// # Errors
    /// A usage error when the file is there and `force` is not given; exit code 5 for a collection
    /// that is damaged, which would be made to look sound.
    pub fn export(&self, name: &str, file: &Path, force: bool) -> anyhow::Result<Transferred> {
        let collection = self
            .find_collection(name)?
            .ok_or_else(|| usage!("there is no collection '{name}'"))?;
        if file.exists() && !force {
            return Err(usage!("{} exists already; --force replaces it", file.display()).into());
        }
        self.refuse_damage()?;
        let absolute = std::path::absolute(file)?;
        let folder = absolute.parent().context("the file has no folder")?;
        let target = tempfile::NamedTempFile::new_in(folder)
            .map_err(|error| usage!("cannot write to {}: {error}", folder.display()))?;
        prepare(target.path())?;
        let done = self.attached(target.path(), |store| {
            // Nothing is written here, so that a writer elsewhere is not in the way.
            let mut db = store.db();
            let tx = db.transaction()?;
            let counts = copy_out(&tx, &collection)?;
            tx.commit()?;
            Ok(counts)
        });
        let counts = done.with_context(|| format!("cannot write {}", file.display()))?;
        target.as_file().sync_all()?;
        target
            .persist(&absolute)
            .map_err(|error| usage!("cannot write {}: {}", file.display(), error.error))?;
        super::mapped::sync_folder(folder)?;
        Ok(transferred(&collection.name, file, counts))
    }

    /// Takes in what [`EmbeddedStore::export`] wrote, under its own name or `name`.
    ///
    /// # Errors
    /// A usage error for a file that is no export, is damaged, or whose name is taken.
    pub fn import(&self, file: &Path, name: Option<&str>) -> anyhow::Result<Transferred> {
        // A copy, as it may have to be brought to this version's schema.
        let copy = tempfile::NamedTempFile::new_in(&self.data_dir)?;
        let mut original = std::fs::File::open(file)
            .and_then(|open| match open.metadata()?.is_file() {
                true => Ok(open),
                false => Err(std::io::Error::other("not a file")),
            })
            .map_err(|error| usage!("cannot read {}: {error}", file.display()))?;
        std::io::copy(&mut original, &mut copy.as_file())
            .with_context(|| format!("cannot copy it into {}", self.data_dir.display()))?;
        let found = inspect(copy.path()).map_err(|problem| {
            usage!(
                "{} is not a whole export of squall: {problem:#}",
                file.display()
            )
        })?;
        let name = named(name.unwrap_or(&found).to_owned())?;
        let name = name.as_str();
        let counts = self.attached(copy.path(), |store| store.write(|tx| copy_in(tx, name)))?;
        Ok(transferred(name, file, counts))
    }

    /// Runs `work` with the database at `path` attached as `other`.
    fn attached<T>(
        &self,
        path: &Path,
        work: impl FnOnce(&Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.db()
            .execute("ATTACH ?1 AS other", [path.to_string_lossy()])?;
        let done = work(self);
        self.db().execute_batch("DETACH other")?;
        done
    }

    /// Copying a damaged row would give it the checksum of what it is now.
    fn refuse_damage(&self) -> anyhow::Result<()> {
        let db = self.db();
        let mut problems = rows(&db)?;
        problems.extend(unsound(&db)?.into_iter().map(|document| document.name));
        match problems.first() {
            Some(problem) => Err(Error::Store(format!(
                "the store is damaged ({problem}); type `squall repair` first"
            ))
            .into()),
            None => Ok(()),
        }
    }
}

fn transferred(
    collection: &str,
    file: &Path,
    [documents, chunks, jobs]: [usize; 3],
) -> Transferred {
    Transferred {
        collection: collection.to_owned(),
        file: file.display().to_string(),
        documents: documents as u64,
        chunks: chunks as u64,
        jobs: jobs as u64,
    }
}

/// An empty database of this schema.
fn prepare(path: &Path) -> anyhow::Result<()> {
    let db = Connection::open(path)?;
    sums::register(&db)?;
    db.execute_batch(SCHEMA)?;
    db.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    db.pragma_update(None, "application_id", APPLICATION)?;
    Ok(())
}

/// Brings the copy of an export to this schema and returns the name of its collection.
fn inspect(path: &Path) -> anyhow::Result<String> {
    let mut db = Connection::open(path)?;
    sums::register(&db)?;
    let application: i64 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    anyhow::ensure!(application == APPLICATION, "it is another kind of database");
    migrate(&mut db)?;
    let structure: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    anyhow::ensure!(structure == "ok", "{structure}");
    let damaged = rows(&db)?;
    anyhow::ensure!(damaged.is_empty(), "{}", damaged.join(", "));
    let is_odd = db
        .prepare(&format!(
            "SELECT 1 FROM documents WHERE id NOT BETWEEN 0 AND {MOST_IDS}
             UNION SELECT 1 FROM chunks WHERE id NOT BETWEEN 0 AND {MOST_IDS}
             UNION SELECT 1 FROM vectors v, collections c WHERE length(v.vector) <> 4 * c.dimension"
        ))?
        .exists([])?;
    anyhow::ensure!(!is_odd, "its numbers are not those squall writes");
    anyhow::ensure!(unsound(&db)?.is_empty(), "a document in it is not whole");
    let name = db.query_row("SELECT name FROM collections", [], |row| row.get(0));
    name.optional()?.context("it holds no collection")
}

/// Documents with their columns, the ids of documents and chunks raised by what they are here.
const DOCUMENTS: &str =
    "id + ?2, ?1, hash, service, parser, title, size, pages, chunks, created_at";

fn copy_out(db: &Connection, collection: &Collection) -> anyhow::Result<[usize; 3]> {
    let Collection { id, name, .. } = collection;
    let copy = |table: &str, condition: &str| {
        let columns = sums::columns(table);
        db.execute(
            &format!(
                "INSERT INTO other.{table} ({columns}) SELECT {columns} FROM main.{table}
                 WHERE {condition} AND ?1 IS NOT NULL AND ?2 IS NOT NULL"
            ),
            params![id, name],
        )
    };
    let below = "document_id IN (SELECT id FROM main.documents WHERE collection_id = ?1)";
    copy("collections", "id = ?1")?;
    let documents = copy("documents", "collection_id = ?1")?;
    copy("sources", "collection_id = ?1")?;
    copy("tags", below)?;
    copy("pages", below)?;
    copy("details", below)?;
    let chunks = copy("chunks", "collection_id = ?1")?;
    copy(
        "vectors",
        "chunk_id IN (SELECT id FROM main.chunks WHERE collection_id = ?1)",
    )?;
    let jobs = copy(
        "jobs",
        "(id IN (SELECT job_id FROM main.job_targets WHERE collection = ?2)
          OR hash IN (SELECT hash FROM main.documents WHERE collection_id = ?1))",
    )?;
    copy("job_targets", "collection = ?2")?;
    Ok([documents, chunks, jobs])
}

fn copy_in(db: &Connection, name: &str) -> anyhow::Result<[usize; 3]> {
    let taken = db
        .prepare("SELECT 1 FROM main.collections WHERE name = ?1")?
        .exists([name])?;
    if taken {
        return Err(
            usage!("there is a collection '{name}' already; choose another name with -c").into(),
        );
    }
    db.execute(
        "INSERT INTO main.collections
         (name, uid, model, fingerprint, dimension, generation, created_at)
         SELECT ?1, ?2, model, fingerprint, dimension, 1, created_at FROM other.collections",
        params![name, unique(name)],
    )?;
    let collection = db.last_insert_rowid();
    let used = |table: &str| {
        let sql = "SELECT seq FROM main.sqlite_sequence WHERE name = ?1";
        let seq = db.query_row(sql, [table], |row| row.get::<_, i64>(0));
        seq.optional().map(Option::unwrap_or_default)
    };
    let (documents_used, chunks_used) = (used("documents")?, used("chunks")?);
    let documents = db.execute(
        &format!(
            "INSERT INTO main.documents
             (id, collection_id, hash, service, parser, title, size, pages, chunks, created_at)
             SELECT {DOCUMENTS} FROM other.documents"
        ),
        params![collection, documents_used],
    )?;
    db.execute(
        "INSERT INTO main.sources (collection_id, path, file, root, size, modified, document_id)
         SELECT ?1, path, file, root, size, modified, document_id + ?2 FROM other.sources",
        params![collection, documents_used],
    )?;
    db.execute(
        "INSERT INTO main.tags (document_id, key, value)
         SELECT document_id + ?1, key, value FROM other.tags",
        [documents_used],
    )?;
    db.execute(
        "INSERT INTO main.pages (document_id, number, verdict, text)
         SELECT document_id + ?1, number, verdict, text FROM other.pages",
        [documents_used],
    )?;
    db.execute(
        "INSERT INTO main.details (document_id, details)
         SELECT document_id + ?1, details FROM other.details",
        [documents_used],
    )?;
    let chunks = db.execute(
        "INSERT INTO main.chunks (id, collection_id, document_id, page, start, end)
         SELECT id + ?3, ?1, document_id + ?2, page, start, end FROM other.chunks",
        params![collection, documents_used, chunks_used],
    )?;
    db.execute(
        "INSERT INTO main.vectors (chunk_id, vector) SELECT chunk_id + ?1, vector FROM other.vectors",
        [chunks_used],
    )?;
    // What this machine's own ledger says of a job counts for more, unless it says nothing.
    let jobs = db.execute(
        "INSERT INTO main.jobs (id, service, hash, state, remote_id, attempts, error,
             size, pages, created_at, updated_at)
         SELECT id, service, hash, state, remote_id, attempts, error, size, pages, created_at,
             updated_at FROM other.jobs WHERE true
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, remote_id = excluded.remote_id,
             attempts = excluded.attempts, error = excluded.error, pages = excluded.pages,
             updated_at = excluded.updated_at
         WHERE jobs.state = 'queued' AND jobs.remote_id IS NULL",
        [],
    )?;
    db.execute(
        "INSERT OR IGNORE INTO main.job_targets (job_id, collection, path, target)
         SELECT job_id, ?1, path, json_set(target, '$.collection', ?1) FROM other.job_targets",
        [name],
    )?;
    Ok([documents, chunks, jobs])
}
