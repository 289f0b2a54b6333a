//! Putting, finding and removing documents.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use anyhow::Context as _;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::sqlite::{EmbeddedStore, find_collection, terms_table};
use super::sums;
use super::{Entry, StoredSource};
use crate::document::{DocumentId, Page, Parsed, Source, Tags, Verdict};
use crate::ledger::{JobState, job_id, timestamp};

/// `sources` rows as [`stored_source`] reads them.
pub(super) const SOURCE_COLUMNS: &str = "s.path, s.file, s.root, s.size, s.modified, d.hash";
/// Whether `s.path` is ?2 or below it; everything is below an empty ?2.
pub(super) const BELOW: &str =
    "(?2 = '' OR s.path = ?2 OR substr(s.path, 1, length(?2) + 1) = ?2 || '/')";

impl EmbeddedStore {
    pub(super) fn put_entry(&self, entry: &Entry) -> anyhow::Result<bool> {
        self.write(|tx| {
            let collection = find_collection(tx, &entry.collection)?
                .with_context(|| format!("collection '{}' is gone", entry.collection))?;
            let known = document_by_hash(tx, collection.id, &entry.document_id)?;
            let mut replaced = known.is_some();
            let document = match known {
                Some(id) => empty_document(tx, collection.id, id, entry)?,
                None => insert_document(tx, collection.id, entry)?,
            };
            insert_pages(tx, document, entry)?;
            insert_chunks(tx, collection.id, document, entry)?;
            for source in &entry.sources {
                replaced |= point_source(tx, collection.id, document, source)?;
            }
            set_tags(tx, document, &entry.tags)?;
            settle_jobs(tx, entry)?;
            raise_generation(tx, collection.id)?;
            Ok(replaced)
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
            let id: i64 = tx.query_row(
                "SELECT id FROM documents WHERE collection_id = ?1 AND hash = ?2",
                params![collection.id, document.0],
                |row| row.get(0),
            )?;
            let moved = point_source(tx, collection.id, id, source)?;
            if !tags.is_empty() {
                set_tags(tx, id, tags)?;
            }
            raise_generation(tx, collection.id)?;
            Ok(moved)
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
                    drop_if_orphan(tx, found.id, document)?;
                }
            }
            raise_generation(tx, found.id)?;
            Ok(removed)
        })
    }

    pub(super) fn find_sources(
        &self,
        collection: &str,
        prefix: &str,
    ) -> anyhow::Result<Vec<StoredSource>> {
        let db = self.db();
        let mut statement = db.prepare_cached(&format!(
            "SELECT {SOURCE_COLUMNS} FROM sources s
             JOIN documents d ON d.id = s.document_id
             JOIN collections c ON c.id = s.collection_id
             WHERE c.name = ?1 AND {BELOW} ORDER BY s.path"
        ))?;
        let rows = statement
            .query_map(params![collection, prefix.trim_end_matches('/')], |row| {
                stored_source(row)
            })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn find_source(
        &self,
        collection: &str,
        path: &str,
    ) -> anyhow::Result<Option<StoredSource>> {
        let db = self.db();
        let mut statement = db.prepare_cached(&format!(
            "SELECT {SOURCE_COLUMNS} FROM sources s
             JOIN documents d ON d.id = s.document_id
             WHERE s.collection_id = (SELECT id FROM collections WHERE name = ?1) AND s.path = ?2"
        ))?;
        Ok(statement
            .query_row(params![collection, path], stored_source)
            .optional()?)
    }

    pub(super) fn has_document(
        &self,
        collection: &str,
        document: &DocumentId,
    ) -> anyhow::Result<bool> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT 1 FROM documents WHERE hash = ?2
             AND collection_id = (SELECT id FROM collections WHERE name = ?1)",
        )?;
        Ok(statement.exists(params![collection, document.0])?)
    }

    pub(super) fn has_bad_pages(
        &self,
        collection: &str,
        document: &DocumentId,
        service: &str,
    ) -> anyhow::Result<bool> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT 1 FROM pages p JOIN documents d ON d.id = p.document_id
             WHERE d.hash = ?2 AND d.service = ?3 AND p.verdict IN ('empty', 'garbled', 'failed')
             AND d.collection_id = (SELECT id FROM collections WHERE name = ?1)",
        )?;
        Ok(statement.exists(params![collection, document.0, service])?)
    }

    pub(super) fn find_parsed(
        &self,
        document: &DocumentId,
        service: &str,
        parser: &str,
    ) -> anyhow::Result<Option<Parsed>> {
        let db = self.db();
        let found: Option<(i64, Option<String>)> = db
            .prepare_cached(
                "SELECT id, title FROM documents
                 WHERE hash = ?1 AND service = ?2 AND parser = ?3 LIMIT 1",
            )?
            .query_row(params![document.0, service, parser], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((id, title)) = found else {
            return Ok(None);
        };
        let mut statement = db.prepare_cached(&format!(
            "SELECT number, verdict, text, {} FROM pages p WHERE document_id = ?1 ORDER BY number",
            sums::intact("pages", "p")
        ))?;
        let pages = statement
            .query_map([id], stored_page)?
            .collect::<Result<_, _>>()?;
        Ok(Some(Parsed { pages, title }))
    }

    pub(super) fn find_page(
        &self,
        collection: &str,
        document: &DocumentId,
        number: u32,
    ) -> anyhow::Result<Option<Page>> {
        let db = self.db();
        let mut statement = db.prepare_cached(&format!(
            "SELECT p.number, p.verdict, p.text, {} FROM pages p
             JOIN documents d ON d.id = p.document_id
             JOIN collections c ON c.id = d.collection_id
             WHERE c.name = ?1 AND d.hash = ?2 AND p.number = ?3",
            sums::intact("pages", "p")
        ))?;
        Ok(statement
            .query_row(params![collection, document.0, number], stored_page)
            .optional()?)
    }
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
fn empty_document(
    tx: &Transaction<'_>,
    collection: i64,
    document: i64,
    entry: &Entry,
) -> anyhow::Result<i64> {
    bury_chunks(tx, collection, document)?;
    for table in ["chunks", "pages"] {
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
    let mut terms = tx.prepare_cached(&format!(
        "INSERT INTO {} (rowid, terms) VALUES (?1, ?2)",
        terms_table(collection)
    ))?;
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
        terms.execute(params![id, indexed.terms])?;
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
            drop_if_orphan(tx, collection, old)?;
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

/// The jobs of these bytes are done, and failures of what the paths held before are history.
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
            "DELETE FROM job_targets WHERE collection = ?1 AND path = ?2 AND job_id <> ?3",
            params![entry.collection, source.path, job],
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

fn drop_if_orphan(tx: &Transaction<'_>, collection: i64, document: i64) -> anyhow::Result<()> {
    let used = tx
        .prepare_cached("SELECT 1 FROM sources WHERE document_id = ?1")?
        .exists([document])?;
    if used {
        Ok(())
    } else {
        drop_document(tx, collection, document)
    }
}

pub(super) fn drop_document(
    tx: &Transaction<'_>,
    collection: i64,
    document: i64,
) -> anyhow::Result<()> {
    bury_chunks(tx, collection, document)?;
    tx.prepare_cached("DELETE FROM documents WHERE id = ?1")?
        .execute([document])?;
    Ok(())
}

/// Takes a document's chunks out of the full text, and notes them as dead for the derived files.
fn bury_chunks(tx: &Transaction<'_>, collection: i64, document: i64) -> anyhow::Result<()> {
    tx.prepare_cached(
        "INSERT INTO tombstones (chunk_id, collection_id)
         SELECT id, collection_id FROM chunks WHERE document_id = ?1",
    )?
    .execute([document])?;
    tx.prepare_cached(&format!(
        "DELETE FROM {} WHERE rowid IN (SELECT id FROM chunks WHERE document_id = ?1)",
        terms_table(collection)
    ))?
    .execute([document])?;
    Ok(())
}

fn raise_generation(tx: &Transaction<'_>, collection: i64) -> anyhow::Result<()> {
    tx.prepare_cached("UPDATE collections SET generation = generation + 1 WHERE id = ?1")?
        .execute([collection])?;
    Ok(())
}

fn stored_source(row: &Row<'_>) -> rusqlite::Result<StoredSource> {
    let file: Vec<u8> = row.get(1)?;
    Ok(StoredSource {
        source: Source {
            path: row.get(0)?,
            file: std::ffi::OsString::from_vec(file).into(),
            root: row.get(2)?,
            size: row.get::<_, i64>(3)? as u64,
            modified: row.get(4)?,
        },
        document_id: DocumentId(row.get(5)?),
    })
}

fn stored_page(row: &Row<'_>) -> rusqlite::Result<Page> {
    let number = row.get(0)?;
    sums::check(row, 3, || format!("page {number} of a document"))?;
    Ok(Page {
        number,
        verdict: Verdict::parse(&row.get::<_, String>(1)?),
        text: row.get(2)?,
    })
}
