//! Finding documents, their paths and pages.

use std::os::unix::ffi::OsStringExt as _;

use rusqlite::{OptionalExtension as _, Row, params};

use super::sqlite::EmbeddedStore;
use super::sums;
use super::{Entry, Origin, StoredSource};
use crate::document::{Details, DocumentId, Page, Parsed, Source, Verdict};

/// `sources` rows as [`stored_source`] reads them.
pub(super) const SOURCE_COLUMNS: &str = "s.path, s.file, s.root, s.size, s.modified, d.hash";
/// Whether `s.path` is ?2 or below it; everything is below an empty ?2.
pub(super) const BELOW: &str =
    "(?2 = '' OR s.path = ?2 OR substr(s.path, 1, length(?2) + 1) = ?2 || '/')";

impl EmbeddedStore {
    pub(super) fn find_sources(
        &self,
        collection: &str,
        prefix: &str,
    ) -> anyhow::Result<Vec<StoredSource>> {
        let db = self.reader();
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
        let db = self.reader();
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
        let db = self.reader();
        let mut statement = db.prepare_cached(
            "SELECT 1 FROM documents WHERE hash = ?2
             AND collection_id = (SELECT id FROM collections WHERE name = ?1)",
        )?;
        Ok(statement.exists(params![collection, document.0])?)
    }

    pub(super) fn bad_pages_by(
        &self,
        collection: &str,
        document: &DocumentId,
        service: &str,
    ) -> anyhow::Result<Option<String>> {
        let db = self.reader();
        let mut statement = db.prepare_cached(
            "SELECT d.parser FROM pages p JOIN documents d ON d.id = p.document_id
             WHERE d.hash = ?2 AND d.service = ?3 AND p.verdict IN ('empty', 'garbled', 'failed')
             AND d.collection_id = (SELECT id FROM collections WHERE name = ?1) LIMIT 1",
        )?;
        let found = statement.query_row(params![collection, document.0, service], |row| row.get(0));
        Ok(found.optional()?)
    }

    pub(super) fn find_parsed(
        &self,
        document: &DocumentId,
        service: &str,
        parser: &str,
    ) -> anyhow::Result<Option<Parsed>> {
        let found: Option<(i64, Option<String>)> = self
            .db()
            .prepare_cached(&format!(
                "SELECT id, title FROM documents d
                 WHERE hash = ?1 AND service = ?2 AND parser = ?3 AND {}
                 AND pages = (SELECT count(*) FROM pages p WHERE p.document_id = d.id) LIMIT 1",
                sums::intact("documents", "d")
            ))?
            .query_row(params![document.0, service, parser], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((id, title)) = found else {
            return Ok(None);
        };
        let pages = self.stored_pages(id)?;
        Ok(Some(Parsed {
            pages,
            title,
            details: self.stored_details(id)?,
        }))
    }

    /// What the file said of itself; nothing for documents of before schema 4.
    pub(super) fn stored_details(&self, document: i64) -> anyhow::Result<Details> {
        let db = self.reader();
        let mut statement = db.prepare_cached(&format!(
            "SELECT details FROM details t WHERE document_id = ?1 AND {}",
            sums::intact("details", "t")
        ))?;
        let stored: Option<String> = statement
            .query_row([document], |row| row.get(0))
            .optional()?;
        Ok(stored.map_or_else(
            || Ok(Details::default()),
            |json| serde_json::from_str(&json),
        )?)
    }

    fn stored_pages(&self, document: i64) -> anyhow::Result<Vec<Page>> {
        let db = self.reader();
        let mut statement = db.prepare_cached(&format!(
            "SELECT number, verdict, text, {} FROM pages p WHERE document_id = ?1 ORDER BY number",
            sums::intact("pages", "p")
        ))?;
        let pages = statement.query_map([document], stored_page)?;
        Ok(pages.collect::<Result<_, _>>()?)
    }

    pub(super) fn find_entry(
        &self,
        collection: &str,
        document: &DocumentId,
    ) -> anyhow::Result<Option<Entry>> {
        let found: Option<(i64, String, String, Option<String>)> = self
            .db()
            .prepare_cached(&format!(
                "SELECT d.id, d.service, d.parser, d.title FROM documents d
                 JOIN collections c ON c.id = d.collection_id
                 WHERE c.name = ?1 AND d.hash = ?2 AND {}
                 AND d.pages = (SELECT count(*) FROM pages p WHERE p.document_id = d.id)",
                sums::intact("documents", "d")
            ))?
            .query_row(params![collection, document.0], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        let Some((id, service, parser, title)) = found else {
            return Ok(None);
        };
        let pages = self.stored_pages(id)?;
        let db = self.reader();
        let mut statement =
            db.prepare_cached("SELECT key, value FROM tags WHERE document_id = ?1")?;
        let tags = statement
            .query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let mut statement = db.prepare_cached(&format!(
            "SELECT {SOURCE_COLUMNS} FROM sources s JOIN documents d ON d.id = s.document_id
             WHERE d.id = ?1 ORDER BY s.path"
        ))?;
        let sources = statement
            .query_map([id], |row| Ok(stored_source(row)?.source))?
            .collect::<Result<_, _>>()?;
        Ok(Some(Entry {
            collection: collection.to_owned(),
            document_id: document.clone(),
            sources,
            tags,
            service,
            parser,
            parsed: Parsed {
                pages,
                title,
                details: self.stored_details(id)?,
            },
            chunks: Vec::new(),
            origin: Origin::Copy,
        }))
    }

    pub(super) fn find_page(
        &self,
        collection: &str,
        document: &DocumentId,
        number: u32,
    ) -> anyhow::Result<Option<Page>> {
        let db = self.reader();
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
