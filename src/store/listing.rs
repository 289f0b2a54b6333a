//! Listings by the page: documents with those still on their way, jobs, chunks, and counts over time.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::sqlite::EmbeddedStore;
use super::stats::{DOCUMENT_ROW, document_row};
use super::{DocumentRow, JobRow};
use crate::document::{Chunk, DocumentId, Tags};
use crate::ledger::JobState;

/// A piece of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Items before it.
    pub offset: u64,
    /// Most items in it.
    pub limit: u64,
}

impl Slice {
    /// Limit and offset as SQLite takes them.
    fn numbers(self) -> [i64; 2] {
        [self.limit, self.offset].map(|number| i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// What a list of documents is sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortBy {
    /// The path.
    #[default]
    Name,
    Size,
    Pages,
    Created,
}

/// Which documents to list, and how.
#[derive(Debug, Clone, Default)]
pub struct DocumentQuery {
    pub collection: String,
    /// A part of the path.
    pub name: Option<String>,
    /// The file name's extension, in lower case.
    pub kind: Option<String>,
    pub tags: Tags,
    /// `indexed`, or the state of a job.
    pub state: Option<String>,
    /// The first and the last day, as `YYYY-MM-DD`.
    pub since: Option<String>,
    pub until: Option<String>,
    pub sort: SortBy,
    pub descending: bool,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct JobQuery {
    pub state: Option<JobState>,
    /// Only those with a place in this collection.
    pub collection: Option<String>,
}

/// A document in a list: stored, or on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    pub document_id: DocumentId,
    pub path: String,
    pub size: u64,
    pub created_at: String,
    /// `None` once it is stored.
    pub job: Option<ListedJob>,
    /// What is stored of it.
    pub row: Option<DocumentRow>,
}

/// The job of a document that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedJob {
    pub id: String,
    pub state: JobState,
    pub error: Option<String>,
}

/// Documents and pages that came in on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// `YYYY-MM-DD`, UTC.
    pub date: String,
    pub documents: u64,
    pub pages: u64,
}

/// How a collection grew, and how the jobs of all stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Days with new documents, the latest first, at most a year of them.
    pub days: Vec<Day>,
    /// Documents by the extension of their names.
    pub kinds: BTreeMap<String, u64>,
    /// Jobs by their state.
    pub jobs: BTreeMap<String, u64>,
}

const MOST_DAYS: i64 = 366;

/// Stored documents of collection ?1, and the targets of its jobs that have none yet.
const LISTED: &str = "SELECT d.hash, (SELECT min(path) FROM sources s WHERE s.document_id = d.id) AS path,
        d.size, d.pages, d.created_at, 'indexed' AS state, d.id AS stored, NULL AS job, NULL AS error
    FROM documents d WHERE d.collection_id = (SELECT id FROM collections WHERE name = ?1)
    UNION ALL
    SELECT j.hash, min(t.path), j.size, 0, j.created_at, j.state, NULL, j.id, j.error
    FROM jobs j CROSS JOIN job_targets t ON t.job_id = j.id
    WHERE t.collection = ?1 AND j.state IN ('queued', 'uploading', 'submitted', 'processing', 'failed',
        'expired', 'lost') AND NOT EXISTS (SELECT 1 FROM documents d
        WHERE d.hash = j.hash AND d.collection_id = (SELECT id FROM collections WHERE name = ?1))
    GROUP BY j.hash";

impl EmbeddedStore {
    pub(super) fn documents_of(
        &self,
        query: &DocumentQuery,
        slice: Slice,
    ) -> anyhow::Result<(u64, Vec<Listed>)> {
        let (condition, mut values) = condition(query);
        let db = self.reader();
        let total: i64 = db
            .prepare_cached(&format!(
                "SELECT count(*) FROM ({LISTED}) l WHERE {condition}"
            ))?
            .query_row(params_from_iter(&values), |row| row.get(0))?;
        let by = match query.sort {
            SortBy::Name => "path",
            SortBy::Size => "size",
            SortBy::Pages => "pages",
            SortBy::Created => "created_at",
        };
        let order = if query.descending { "DESC" } else { "ASC" };
        let n = values.len();
        values.extend(slice.numbers().map(Value::from));
        let mut statement = db.prepare_cached(&format!(
            "SELECT hash, path, size, created_at, stored, job, state, error FROM ({LISTED}) l
             WHERE {condition} ORDER BY {by} {order}, hash LIMIT ?{} OFFSET ?{}",
            n + 1,
            n + 2
        ))?;
        let found = statement
            .query_map(params_from_iter(values), |row| listed(&db, row))?
            .collect::<Result<_, _>>()?;
        Ok((total as u64, found))
    }

    /// One document of a collection, stored or on its way.
    pub(super) fn document_of(
        &self,
        collection: &str,
        document: &DocumentId,
    ) -> anyhow::Result<Option<Listed>> {
        let db = self.reader();
        let mut statement = db.prepare_cached(&format!(
            "SELECT hash, path, size, created_at, stored, job, state, error FROM ({LISTED}) l
             WHERE hash = ?2 LIMIT 1"
        ))?;
        let found = statement.query_row(params![collection, document.0], |row| listed(&db, row));
        Ok(found.optional()?)
    }

    pub(super) fn jobs_of(
        &self,
        query: &JobQuery,
        slice: Slice,
    ) -> anyhow::Result<(u64, Vec<JobRow>)> {
        const WHICH: &str = "(?1 IS NULL OR state = ?1) AND (?2 IS NULL OR EXISTS (
            SELECT 1 FROM job_targets t WHERE t.job_id = jobs.id AND t.collection = ?2))";
        let state = query.state.map(JobState::as_str);
        let (total, ids) = {
            let db = self.reader();
            let total: i64 = db
                .prepare_cached(&format!("SELECT count(*) FROM jobs WHERE {WHICH}"))?
                .query_row(params![state, query.collection], |row| row.get(0))?;
            let mut statement = db.prepare_cached(&format!(
                "SELECT id FROM jobs WHERE {WHICH}
                 ORDER BY updated_at DESC, id LIMIT ?3 OFFSET ?4"
            ))?;
            let [limit, offset] = slice.numbers();
            let ids = statement
                .query_map(params![state, query.collection, limit, offset], |row| {
                    row.get(0)
                })?
                .collect::<Result<Vec<String>, _>>()?;
            (total as u64, ids)
        };
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            rows.extend(self.find_job_row(&id)?);
        }
        Ok((total, rows))
    }

    /// The chunks of a document in order, and how many it has.
    pub(super) fn chunks_of(
        &self,
        collection: &str,
        document: &DocumentId,
        slice: Slice,
    ) -> anyhow::Result<(u64, Vec<Chunk>)> {
        const OF: &str = "k.document_id = (SELECT d.id FROM documents d
            JOIN collections c ON c.id = d.collection_id WHERE c.name = ?1 AND d.hash = ?2)";
        let db = self.reader();
        let total: i64 = db
            .prepare_cached(&format!("SELECT count(*) FROM chunks k WHERE {OF}"))?
            .query_row(params![collection, document.0], |row| row.get(0))?;
        let mut statement = db.prepare_cached(&format!(
            "SELECT k.page, k.start, k.end, substr(p.text, k.start + 1, k.end - k.start)
             FROM chunks k JOIN pages p ON p.document_id = k.document_id AND p.number = k.page
             WHERE {OF} ORDER BY k.id LIMIT ?3 OFFSET ?4"
        ))?;
        let [limit, offset] = slice.numbers();
        let chunk = |row: &Row<'_>| {
            Ok(Chunk {
                page: row.get(0)?,
                start: row.get::<_, i64>(1)? as usize,
                end: row.get::<_, i64>(2)? as usize,
                text: row.get(3)?,
            })
        };
        let chunks = statement
            .query_map(params![collection, document.0, limit, offset], chunk)?
            .collect::<Result<_, _>>()?;
        Ok((total as u64, chunks))
    }

    /// What came in on each day, the latest first.
    pub(super) fn days(&self, collection: &str) -> anyhow::Result<Vec<Day>> {
        let db = self.reader();
        let mut statement = db.prepare_cached(
            "SELECT substr(created_at, 1, 10), count(*), sum(pages) FROM documents
             WHERE collection_id = (SELECT id FROM collections WHERE name = ?1)
             GROUP BY 1 ORDER BY 1 DESC LIMIT ?2",
        )?;
        let day = |row: &Row<'_>| {
            Ok(Day {
                date: row.get(0)?,
                documents: row.get::<_, i64>(1)? as u64,
                pages: row.get::<_, i64>(2)? as u64,
            })
        };
        let days = statement.query_map(params![collection, MOST_DAYS], day)?;
        Ok(days.collect::<Result<_, _>>()?)
    }

    /// How many documents there are of each kind, by the extension of their paths.
    pub(super) fn kinds(&self, collection: &str) -> anyhow::Result<BTreeMap<String, u64>> {
        let db = self.reader();
        let mut statement = db.prepare_cached(
            "SELECT min(s.path) FROM sources s
             WHERE s.collection_id = (SELECT id FROM collections WHERE name = ?1)
             GROUP BY s.document_id",
        )?;
        let mut rows = statement.query([collection])?;
        let mut kinds = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let kind = crate::text::extension(row.get_ref(0)?.as_str()?);
            *kinds.entry(kind).or_default() += 1;
        }
        Ok(kinds)
    }

    /// How many jobs are in each state.
    pub(super) fn states_of_jobs(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let db = self.reader();
        let mut statement = db.prepare_cached("SELECT state, count(*) FROM jobs GROUP BY state")?;
        let states =
            statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?;
        Ok(states.collect::<Result<_, _>>()?)
    }
}

/// The query as SQL over the columns of [`LISTED`], with its values; ?1 is the collection.
fn condition(query: &DocumentQuery) -> (String, Vec<Value>) {
    let mut values = vec![Value::from(query.collection.clone())];
    let mut parts = vec!["?1 IS NOT NULL".to_owned()];
    let mut with = |sql: &str, value: &str| {
        values.push(Value::from(value.to_owned()));
        parts.push(sql.replace('?', &format!("?{}", values.len())));
    };
    if let Some(name) = &query.name {
        with("instr(lower(path), lower(?)) > 0", &crate::text::nfc(name));
    }
    if let Some(kind) = &query.kind {
        with("substr(lower(path), -length(?)) = ?", &format!(".{kind}"));
    }
    if let Some(state) = &query.state {
        with("state = ?", state);
    }
    if let Some(since) = &query.since {
        with("substr(created_at, 1, 10) >= ?", since);
    }
    if let Some(until) = &query.until {
        with("substr(created_at, 1, 10) <= ?", until);
    }
    for (key, value) in &query.tags {
        with(
            "EXISTS (SELECT 1 FROM tags t WHERE t.document_id = stored
             AND t.key || '=' || t.value = ?)",
            &format!("{key}={value}"),
        );
    }
    (parts.join(" AND "), values)
}

fn listed(db: &Connection, row: &Row<'_>) -> rusqlite::Result<Listed> {
    let stored: Option<i64> = row.get(4)?;
    let job: Option<String> = row.get(5)?;
    let state: String = row.get(6)?;
    let error = row.get(7)?;
    Ok(Listed {
        document_id: DocumentId(row.get(0)?),
        path: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
        size: row.get::<_, i64>(2)? as u64,
        created_at: row.get(3)?,
        job: job.map(|id| ListedJob {
            id,
            state: JobState::parse(&state).unwrap_or(JobState::Failed),
            error,
        }),
        row: match stored {
            Some(id) => Some(
                db.prepare_cached(&format!("{DOCUMENT_ROW} WHERE d.id = ?1"))?
                    .query_row([id], document_row)?,
            ),
            None => None,
        },
    })
}
