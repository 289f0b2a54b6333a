//! Counting and listing what is stored.

use std::collections::BTreeMap;

use rusqlite::{Row, params};

use super::documents::BELOW;
use super::sqlite::EmbeddedStore;
use super::{CollectionRow, DocumentRow};
use crate::document::DocumentId;

/// `documents d` as [`document_row`] reads them.
pub(super) const DOCUMENT_ROW: &str =
    "SELECT d.hash, c.name, d.title, d.parser, d.size, d.created_at,
       (SELECT count(*) FROM pages p WHERE p.document_id = d.id),
       (SELECT count(*) FROM pages p WHERE p.document_id = d.id AND verdict = 'blank'),
       (SELECT count(*) FROM pages p WHERE p.document_id = d.id AND verdict = 'empty'),
       (SELECT count(*) FROM pages p WHERE p.document_id = d.id AND verdict = 'garbled'),
       (SELECT count(*) FROM pages p WHERE p.document_id = d.id AND verdict = 'failed'),
       (SELECT count(*) FROM chunks k WHERE k.document_id = d.id),
       (SELECT json_group_array(path) FROM sources WHERE document_id = d.id),
       (SELECT json_group_object(key, value) FROM tags WHERE document_id = d.id)
     FROM documents d JOIN collections c ON c.id = d.collection_id";

impl EmbeddedStore {
    pub(super) fn collection_rows(&self) -> anyhow::Result<Vec<CollectionRow>> {
        let mut rows: Vec<(String, CollectionRow)> = {
            let db = self.reader();
            let mut statement = db.prepare_cached(
                "SELECT c.uid, c.name, c.model, c.fingerprint,
                   (SELECT count(*) FROM documents d WHERE d.collection_id = c.id),
                   (SELECT count(*) FROM chunks k WHERE k.collection_id = c.id),
                   (SELECT count(*) FROM documents d WHERE d.collection_id = c.id
                    AND NOT EXISTS (SELECT 1 FROM chunks k WHERE k.document_id = d.id)),
                   coalesce(sum(p.verdict = 'blank'), 0),
                   count(p.number), coalesce(sum(p.verdict = 'empty'), 0),
                   coalesce(sum(p.verdict = 'garbled'), 0), coalesce(sum(p.verdict = 'failed'), 0),
                   coalesce(sum(length(CAST(p.text AS BLOB))), 0), c.dimension,
                   (SELECT count(*) FROM vectors v JOIN chunks k ON k.id = v.chunk_id
                    WHERE k.collection_id = c.id)
                 FROM collections c
                 LEFT JOIN documents d ON d.collection_id = c.id
                 LEFT JOIN pages p ON p.document_id = d.id
                 GROUP BY c.id ORDER BY c.name",
            )?;
            statement
                .query_map([], collection_row)?
                .collect::<Result<_, _>>()?
        };
        for (uid, row) in &mut rows {
            row.bytes += self.derived_bytes(uid);
            let collection = self.find_collection(&row.collection).ok().flatten();
            row.graph_chunks = collection.map_or(0, |found| self.graphs(&found).len() as u64);
        }
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    pub(super) fn document_rows(
        &self,
        collection: &str,
        prefix: &str,
    ) -> anyhow::Result<Vec<DocumentRow>> {
        let db = self.reader();
        let mut statement = db.prepare_cached(&format!(
            "{DOCUMENT_ROW} WHERE c.name = ?1
               AND EXISTS (SELECT 1 FROM sources s WHERE s.document_id = d.id AND {BELOW})
             ORDER BY (SELECT min(path) FROM sources WHERE document_id = d.id)"
        ))?;
        let rows = statement.query_map(
            params![collection, prefix.trim_end_matches('/')],
            document_row,
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn collection_row(row: &Row<'_>) -> rusqlite::Result<(String, CollectionRow)> {
    let count = |index| row.get::<_, i64>(index).map(|n| n as u64);
    let chunks = count(5)?;
    let embedded_chunks = count(14)?;
    let vector_bytes = embedded_chunks * count(13)? * 4;
    Ok((
        row.get(0)?,
        CollectionRow {
            collection: row.get(1)?,
            model: row.get(2)?,
            fingerprint: row.get(3)?,
            documents: count(4)?,
            chunks,
            documents_without_text: count(6)?,
            embedded_chunks,
            blank_pages: count(7)?,
            pages: count(8)?,
            empty_pages: count(9)?,
            garbled_pages: count(10)?,
            failed_pages: count(11)?,
            bytes: count(12)? + vector_bytes,
            graph_chunks: 0,
        },
    ))
}

pub(super) fn document_row(row: &Row<'_>) -> rusqlite::Result<DocumentRow> {
    let paths: String = row.get(12)?;
    let tags: String = row.get(13)?;
    Ok(DocumentRow {
        document_id: DocumentId(row.get(0)?),
        collection: row.get(1)?,
        title: row.get(2)?,
        parser: row.get(3)?,
        size: row.get::<_, i64>(4)? as u64,
        created_at: row.get(5)?,
        pages: row.get(6)?,
        blank_pages: row.get(7)?,
        empty_pages: row.get(8)?,
        garbled_pages: row.get(9)?,
        failed_pages: row.get(10)?,
        chunks: row.get(11)?,
        paths: from_json::<Vec<String>>(&paths)?,
        tags: from_json::<BTreeMap<String, String>>(&tags)?,
    })
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
    })
}
