//! Writing documents: put, attach, remove. Each is one transaction.

use std::os::unix::ffi::OsStrExt as _;

use anyhow::Context as _;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::jobs;
use super::sqlite::{EmbeddedStore, find_collection};
use super::sums;
use super::{Entry, Origin, Stored};
use crate::document::{DocumentId, Source, Tags};
use crate::error::Error;
use crate::ledger::{JobState, job_id, timestamp};

impl EmbeddedStore {
    pub(super) fn put_entry(&self, entry: &Entry) -> anyhow::Result<Stored> {
        self.write(|tx| {
            if entry.origin == Origin::Job && !is_wanted_anywhere(tx, entry)? {
                return Ok(Stored::Unwanted);
            }
            let collection = find_collection(tx, &entry.collection)?
                .with_context(|| format!("collection '{}' is gone", entry.collection))?;
            let known = document_by_hash(tx, collection.id, &entry.document_id)?;
            let mut replaced = known.is_some();
            let document = match known {
                Some(id) => empty_document(tx, id, entry)?,
                None => insert_document(tx, collection.id, entry)?,
            };
            insert_pages(tx, document, entry)?;
            insert_details(tx, document, entry)?;
            insert_chunks(tx, collection.id, document, entry)?;
            for source in &entry.sources {
                replaced |= point_source(tx, collection.id, document, source)?;
            }
            set_tags(tx, document, &entry.tags)?;
            if entry.origin != Origin::Copy {
                settle_jobs(tx, entry)?;
            }
            raise_generation(tx, collection.id)?;
            Ok(match replaced {
                true => Stored::Replaced,
                false => Stored::New,
            })
        })
    }

    pub(super) fn attach_source(
        &self,
        collection: &str,
        document: &DocumentId,
        source: &Source,
        tags: &Tags,
    ) -> anyhow::Result<bool> {
        self.write(|tx| {
            let collection = find_collection(tx, collection)?.context("the collection is gone")?;
            let Some(id) = document_by_hash(tx, collection.id, document)? else {
                return Ok(false);
            };
            point_source(tx, collection.id, id, source)?;
            if !tags.is_empty() {
                set_tags(tx, id, tags)?;
            }
            raise_generation(tx, collection.id)?;
            Ok(true)
        })
    }

    pub(super) fn remove_paths(&self, collection: &str, paths: &[String]) -> anyhow::Result<usize> {
        self.write(|tx| {
            let Some(found) = find_collection(tx, collection)? else {
                return Ok(0);
            };
            let mut removed = 0;
            for path in paths {
                let before = source_document(tx, found.id, path)?;
                removed += tx.execute(
                    "DELETE FROM sources WHERE collection_id = ?1 AND path = ?2",
                    params![found.id, path],
                )?;
                tx.execute(
                    "DELETE FROM job_targets WHERE collection = ?1 AND path = ?2",
                    params![collection, path],
                )?;
                if let Some(document) = before {
                    drop_if_orphan(tx, document)?;
                }
            }
            raise_generation(tx, found.id)?;
            Ok(removed)
        })
    }
}

fn is_wanted_anywhere(tx: &Transaction<'_>, entry: &Entry) -> anyhow::Result<bool> {
    for source in &entry.sources {
        if jobs::is_wanted(tx, &entry.collection, &source.path, &entry.document_id)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn insert_document(tx: &Transaction<'_>, collection: i64, entry: &Entry) -> anyhow::Result<i64> {
    let size = entry.sources.first().map_or(0, |source| source.size);
    tx.prepare_cached(
        "INSERT INTO documents
         (collection_id, hash, service, parser, title, size, pages, chunks, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        collection,
        entry.document_id.0,
        entry.service,
        entry.parser,
        entry.parsed.title,
        size as i64,
        entry.parsed.pages.len() as i64,
        entry.chunks.len() as i64,
        timestamp()
    ])?;
    Ok(tx.last_insert_rowid())
}

/// Takes pages and chunks away from a document that is stored anew.
fn empty_document(tx: &Transaction<'_>, document: i64, entry: &Entry) -> anyhow::Result<i64> {
    bury_chunks(tx, document)?;
    for table in ["chunks", "pages", "details"] {
        tx.execute(
            &format!("DELETE FROM {table} WHERE document_id = ?1"),
            [document],
        )?;
    }
    tx.execute(
        "UPDATE documents SET service = ?2, parser = ?3, title = ?4, pages = ?5, chunks = ?6,
             created_at = ?7 WHERE id = ?1",
        params![
            document,
            entry.service,
            entry.parser,
            entry.parsed.title,
            entry.parsed.pages.len() as i64,
            entry.chunks.len() as i64,
            timestamp()
        ],
    )?;
    Ok(document)
}

fn insert_pages(tx: &Transaction<'_>, document: i64, entry: &Entry) -> anyhow::Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO pages (document_id, number, verdict, text) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for page in &entry.parsed.pages {
        insert.execute(params![
            document,
            page.number,
            page.verdict.as_str(),
            page.text
        ])?;
    }
    Ok(())
}

fn insert_details(tx: &Transaction<'_>, document: i64, entry: &Entry) -> anyhow::Result<()> {
    if entry.parsed.details.is_empty() {
        return Ok(());
    }
    let details = serde_json::to_string(&entry.parsed.details)?;
    tx.prepare_cached("INSERT INTO details (document_id, details) VALUES (?1, ?2)")?
        .execute(params![document, details])?;
    Ok(())
}

fn insert_chunks(
    tx: &Transaction<'_>,
    collection: i64,
    document: i64,
    entry: &Entry,
) -> anyhow::Result<()> {
    let mut chunk = tx.prepare_cached(
        "INSERT INTO chunks (collection_id, document_id, page, start, end)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut vector = tx.prepare_cached("INSERT INTO vectors (chunk_id, vector) VALUES (?1, ?2)")?;
    for indexed in &entry.chunks {
        chunk.execute(params![
            collection,
            document,
            indexed.chunk.page,
            indexed.chunk.start as i64,
            indexed.chunk.end as i64
        ])?;
        let id = tx.last_insert_rowid();
        if let Some(floats) = &indexed.vector {
            let bytes: Vec<u8> = floats.iter().flat_map(|x| x.to_le_bytes()).collect();
            vector.execute(params![id, bytes])?;
        }
    }
    Ok(())
}

/// Makes the path point to `document`; whether it pointed to another one before.
fn point_source(
    tx: &Transaction<'_>,
    collection: i64,
    document: i64,
    source: &Source,
) -> anyhow::Result<bool> {
    let before = source_document(tx, collection, &source.path)?;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO sources
         (collection_id, path, file, root, size, modified, document_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        collection,
        source.path,
        source.file.as_os_str().as_bytes(),
        source.root,
        source.size as i64,
        source.modified,
        document
    ])?;
    match before {
        Some(old) if old != document => {
            drop_if_orphan(tx, old)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn source_document(
    tx: &Transaction<'_>,
    collection: i64,
    path: &str,
) -> anyhow::Result<Option<i64>> {
    Ok(tx
        .prepare_cached("SELECT document_id FROM sources WHERE collection_id = ?1 AND path = ?2")?
        .query_row(params![collection, path], |row| row.get(0))
        .optional()?)
}

fn set_tags(tx: &Transaction<'_>, document: i64, tags: &Tags) -> anyhow::Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT OR REPLACE INTO tags (document_id, key, value) VALUES (?1, ?2, ?3)",
    )?;
    for (key, value) in tags {
        insert.execute(params![document, key, value])?;
    }
    Ok(())
}

/// Whether a target of job ?1, whose bytes came over HTTP, is not met: its path does not hold them yet, or
/// they are to be parsed anew.
pub(super) const UNMET: &str = "EXISTS (SELECT 1 FROM job_targets t JOIN jobs j ON j.id = t.job_id
    WHERE j.id = ?1 AND (json_extract(t.target, '$.again') OR
        json_extract(t.target, '$.source.root') = 'upload' AND NOT EXISTS (
            SELECT 1 FROM sources s JOIN documents d ON d.id = s.document_id
            JOIN collections c ON c.id = s.collection_id
            WHERE c.name = t.collection AND s.path = t.path AND d.hash = j.hash)))";

/// The job of these bytes is done, unless others wait for it too, and failures of what the paths held before
/// are history; another service's pages of the same bytes, which are paid for, are still wanted.
fn settle_jobs(tx: &Transaction<'_>, entry: &Entry) -> anyhow::Result<()> {
    let job = job_id(&entry.service, &entry.document_id);
    tx.execute(
        "UPDATE jobs SET state = ?2, error = NULL, pages = ?3, updated_at = ?4 WHERE id = ?1",
        params![
            job,
            JobState::Completed.as_str(),
            entry.parsed.pages.len() as i64,
            timestamp()
        ],
    )?;
    for source in &entry.sources {
        tx.execute(
            "UPDATE job_targets SET target = json_remove(target, '$.again')
             WHERE job_id = ?1 AND collection = ?2 AND path = ?3",
            params![job, entry.collection, source.path],
        )?;
    }
    // Pages of a better reader end what the built-in parser began.
    tx.execute(
        "UPDATE jobs SET state = ?2, error = NULL, updated_at = ?3
         WHERE hash = ?1 AND service = ?4 AND service <> ?5",
        params![
            entry.document_id.0,
            JobState::Completed.as_str(),
            timestamp(),
            crate::parse::local::SERVICE,
            entry.service
        ],
    )?;
    for source in &entry.sources {
        tx.execute(
            "DELETE FROM job_targets WHERE collection = ?1 AND path = ?2 AND job_id <> ?3
             AND job_id NOT IN (SELECT id FROM jobs WHERE hash = ?4 AND remote_id IS NOT NULL
                 AND state IN ('submitted', 'processing'))",
            params![entry.collection, source.path, job, entry.document_id.0],
        )?;
    }
    for job in [
        &job,
        &job_id(crate::parse::local::SERVICE, &entry.document_id),
    ] {
        tx.execute(
            &format!(
                "UPDATE jobs SET state = 'queued' WHERE id = ?1 AND state = 'completed' AND {UNMET}"
            ),
            [job],
        )?;
    }
    Ok(())
}

fn document_by_hash(
    tx: &Transaction<'_>,
    collection: i64,
    document: &DocumentId,
) -> anyhow::Result<Option<i64>> {
    Ok(tx
        .prepare_cached("SELECT id FROM documents WHERE collection_id = ?1 AND hash = ?2")?
        .query_row(params![collection, document.0], |row| row.get(0))
        .optional()?)
}

fn drop_if_orphan(tx: &Transaction<'_>, document: i64) -> anyhow::Result<()> {
    let used = tx
        .prepare_cached("SELECT 1 FROM sources WHERE document_id = ?1")?
        .exists([document])?;
    if used {
        Ok(())
    } else {
        drop_document(tx, document)
    }
}

pub(super) fn drop_document(tx: &Transaction<'_>, document: i64) -> anyhow::Result<()> {
    bury_chunks(tx, document)?;
    tx.prepare_cached("DELETE FROM documents WHERE id = ?1")?
        .execute([document])?;
    Ok(())
}

/// Notes a document's chunks as dead for the derived files.
fn bury_chunks(tx: &Transaction<'_>, document: i64) -> anyhow::Result<()> {
    tx.prepare_cached(
        "INSERT INTO tombstones (chunk_id, collection_id)
         SELECT id, collection_id FROM chunks WHERE document_id = ?1",
    )?
    .execute([document])?;
    Ok(())
}

fn raise_generation(tx: &Transaction<'_>, collection: i64) -> anyhow::Result<()> {
    // A damaged row must not get the checksum of what it is now.
    let changed = tx
        .prepare_cached(&format!(
            "UPDATE collections SET generation = generation + 1 WHERE id = ?1 AND {}",
            sums::intact("collections", "collections")
        ))?
        .execute([collection])?;
    match changed {
        1 => Ok(()),
        _ => Err(Error::Store(
            "the row of a collection is damaged in the store; type `squall repair`".into(),
        )
        .into()),
    }
}
