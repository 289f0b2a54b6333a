//! Documents as a server shows them: listed, looked into, removed, parsed anew.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{Accepted, Kind, Service, Told, lock};
use crate::document::{DocumentId, Source, Tags};
use crate::error::Error;
use crate::ledger::{Job, Target, job_id};
use crate::store::{DocumentQuery, Listed, Slice};
use crate::text::extension;

/// How many pages have which verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Verdicts {
    pub ok: u64,
    pub blank: u64,
    pub empty: u64,
    pub garbled: u64,
    pub failed: u64,
}

impl Verdicts {
    /// Takes the others out of `ok`, which counts all pages at first.
    fn of_all(self) -> Self {
        let others = self.blank + self.empty + self.garbled + self.failed;
        Self {
            ok: self.ok.saturating_sub(others),
            ..self
        }
    }
}

/// A document, stored or on its way.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Document {
    /// BLAKE3 of the bytes, in hex.
    pub document_id: String,
    pub collection: String,
    /// File name.
    pub name: String,
    /// The name it is cited by.
    pub path: String,
    /// Every path with these bytes.
    pub paths: Vec<String>,
    pub title: Option<String>,
    /// The file name's extension.
    #[serde(rename = "type")]
    pub kind: String,
    /// Bytes.
    pub size: u64,
    pub pages: u64,
    pub verdicts: Verdicts,
    pub chunks: u64,
    pub tags: Tags,
    /// Version of the parser that made the pages.
    pub parser: Option<String>,
    /// `indexed`, or the state of its job.
    pub state: String,
    /// Why it failed.
    pub error: Option<String>,
    /// The job it is waiting for.
    pub job_id: Option<String>,
    /// Whether its original can be downloaded.
    pub has_original: bool,
    /// RFC 3339, UTC.
    pub created_at: String,
}

/// A page's text.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Text {
    pub document_id: String,
    pub name: String,
    pub page_number: u32,
    /// Pages of the document.
    pub pages: u64,
    pub text: String,
    pub verdict: String,
}

/// A piece of a page as it is embedded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Piece {
    pub id: String,
    pub page_number: u32,
    /// Character range in the page's text.
    pub start: usize,
    pub end: usize,
    pub text: String,
}

/// Totals of a collection, how it grew, and how fast it answers.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Totals {
    pub documents: u64,
    pub pages: u64,
    pub chunks: u64,
    /// Text, vectors and index files.
    pub bytes: u64,
    pub verdicts: Verdicts,
    /// Documents by type.
    pub types: BTreeMap<String, u64>,
    /// Jobs of all collections by state.
    pub jobs: BTreeMap<String, u64>,
    pub by_day: Vec<Day>,
    pub queries: super::metrics::Latency,
}

/// What came in on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Day {
    /// `YYYY-MM-DD`, UTC.
    pub date: String,
    pub documents: u64,
    pub pages: u64,
}

impl Service {
    /// A piece of a list of documents, and how many there are.
    pub fn documents(
        &self,
        query: &DocumentQuery,
        slice: Slice,
    ) -> anyhow::Result<(u64, Vec<Document>)> {
        let (total, listed) = self.store.list_documents(query, slice)?;
        let documents = listed
            .into_iter()
            .map(|listed| self.document_of(&query.collection, listed));
        Ok((total, documents.collect()))
    }

    /// One document.
    ///
    /// # Errors
    /// Not found.
    pub fn document(&self, collection: &str, id: &DocumentId) -> anyhow::Result<Document> {
        let listed = self.store.list_document(collection, id)?;
        let listed = listed.ok_or_else(|| missing(collection, id))?;
        Ok(self.document_of(collection, listed))
    }

    fn document_of(&self, collection: &str, listed: Listed) -> Document {
        let path = listed.path;
        let (state, error, job_id) = match listed.job {
            Some(job) => (job.state.as_str(), job.error, Some(job.id)),
            None => ("indexed", None, None),
        };
        let row = listed.row;
        let paths = row.as_ref().map_or_else(Vec::new, |row| row.paths.clone());
        let count = |of: fn(&crate::store::DocumentRow) -> u32| {
            row.as_ref().map_or(0, |row| u64::from(of(row)))
        };
        let pages = count(|row| row.pages);
        let verdicts = Verdicts {
            ok: pages,
            blank: count(|row| row.blank_pages),
            empty: count(|row| row.empty_pages),
            garbled: count(|row| row.garbled_pages),
            failed: count(|row| row.failed_pages),
        }
        .of_all();
        Document {
            document_id: listed.document_id.0,
            collection: collection.to_owned(),
            name: file_name(&path),
            kind: extension(&path),
            size: listed.size,
            pages,
            verdicts,
            chunks: count(|row| row.chunks),
            title: row.as_ref().and_then(|row| row.title.clone()),
            tags: row.as_ref().map_or_else(Tags::new, |row| row.tags.clone()),
            parser: row.as_ref().map(|row| row.parser.clone()),
            state: state.to_owned(),
            error,
            job_id,
            has_original: self.has_original(collection, &paths),
            created_at: listed.created_at,
            path,
            paths,
        }
    }

    /// The text of a page.
    ///
    /// # Errors
    /// Not found.
    pub fn page(&self, collection: &str, id: &DocumentId, number: u32) -> anyhow::Result<Text> {
        let document = self.document(collection, id)?;
        let page = self.store.page(collection, id, number)?;
        let page = page.ok_or_else(|| {
            let (name, pages) = (&document.name, document.pages);
            Error::NotFound(format!("{name} has no page {number}; it has {pages}"))
        })?;
        Ok(Text {
            document_id: document.document_id,
            name: document.name,
            page_number: number,
            pages: document.pages,
            text: page.text,
            verdict: page.verdict.as_str().to_owned(),
        })
    }

    /// The chunks of a document, a piece of them, and how many there are.
    ///
    /// # Errors
    /// Not found.
    pub fn chunks(
        &self,
        collection: &str,
        id: &DocumentId,
        slice: Slice,
    ) -> anyhow::Result<(u64, Vec<Piece>)> {
        self.document(collection, id)?;
        let (total, chunks) = self.store.list_chunks(collection, id, slice)?;
        let pieces = chunks.into_iter().map(|chunk| Piece {
            id: format!("{id}:{}:{}-{}", chunk.page, chunk.start, chunk.end),
            page_number: chunk.page,
            start: chunk.start,
            end: chunk.end,
            text: chunk.text,
        });
        Ok((total, pieces.collect()))
    }

    /// Removes a document from a collection: its pages, its job there, its original. Whether it was done:
    /// not while it is being parsed.
    ///
    /// # Errors
    /// Not found.
    pub fn remove(&self, collection: &str, id: &DocumentId) -> anyhow::Result<bool> {
        let _turn = lock(&self.intake);
        let document = self.document(collection, id)?;
        if self.is_busy(collection, &document.path) {
            return Ok(false);
        }
        // First, so that what the worker has in hand is not stored from here on.
        let job = job_id(self.parsers().first.service(), id);
        for job in std::iter::once(job).chain(document.job_id) {
            self.store.forget_targets(&job, collection)?;
        }
        let now = self.store.list_document(collection, id)?;
        let paths = now
            .and_then(|now| now.row)
            .map_or(document.paths, |row| row.paths);
        let files: Vec<_> = (self.sources(collection, &paths)?.into_iter())
            .map(|source| source.file)
            .chain([self.original_path(id, &document.path)])
            .collect();
        self.store.remove(collection, &paths)?;
        for file in files {
            self.forget_original(id, &file)?;
        }
        self.events.tell(Told {
            document_id: Some(id.0.clone()),
            ..Told::new(Kind::Removed, collection, &document.path)
        });
        self.ring();
        Ok(true)
    }

    /// What is known of paths of a collection.
    pub(super) fn sources(
        &self,
        collection: &str,
        paths: &[String],
    ) -> anyhow::Result<Vec<Source>> {
        let known = paths.iter().map(|path| self.store.source(collection, path));
        let known: Vec<_> = known.collect::<anyhow::Result<_>>()?;
        Ok(known
            .into_iter()
            .flatten()
            .map(|stored| stored.source)
            .collect())
    }

    /// Has the pages of a document made anew from its original.
    ///
    /// # Errors
    /// Not found. `None` where the original is gone, or the document is being parsed.
    pub fn reprocess(&self, collection: &str, id: &DocumentId) -> anyhow::Result<Option<Accepted>> {
        let document = self.document(collection, id)?;
        let original = self.original(collection, id)?;
        let (Some(file), Some(source)) = (
            original,
            self.sources(collection, &document.paths)?
                .into_iter()
                .next(),
        ) else {
            return Ok(None);
        };
        if self.is_busy(collection, &document.path) {
            return Ok(None);
        }
        let target = Target {
            collection: collection.to_owned(),
            source: Source { file, ..source },
            tags: Tags::new(),
            again: true,
        };
        let new = Job::new(self.parsers().first.service(), id, document.size);
        let job = self.store.want(&new, &target, true)?;
        self.events.tell(Told {
            document_id: Some(id.0.clone()),
            job_id: Some(job.id.clone()),
            ..Told::new(Kind::Queued, collection, &target.source.path)
        });
        self.ring();
        Ok(Some(Accepted {
            name: target.source.path,
            document_id: id.0.clone(),
            job_id: job.id,
            state: job.state.as_str().to_owned(),
        }))
    }

    /// Totals of a collection; all zero where there is none.
    pub fn totals(&self, collection: &str) -> anyhow::Result<Totals> {
        let rows = self.store.collections()?;
        let row = rows.into_iter().find(|row| row.collection == collection);
        let count = |of: fn(&crate::store::CollectionRow) -> u64| row.as_ref().map_or(0, of);
        let pages = count(|row| row.pages);
        let verdicts = Verdicts {
            ok: pages,
            blank: count(|row| row.blank_pages),
            empty: count(|row| row.empty_pages),
            garbled: count(|row| row.garbled_pages),
            failed: count(|row| row.failed_pages),
        }
        .of_all();
        let history = self.store.history(collection)?;
        let day = |day: crate::store::Day| Day {
            date: day.date,
            documents: day.documents,
            pages: day.pages,
        };
        Ok(Totals {
            documents: count(|row| row.documents),
            pages,
            chunks: count(|row| row.chunks),
            bytes: count(|row| row.bytes),
            verdicts,
            types: history.kinds,
            jobs: history.jobs,
            by_day: history.days.into_iter().rev().map(day).collect(),
            queries: self.metrics.latency(),
        })
    }
}

fn missing(collection: &str, id: &DocumentId) -> Error {
    Error::NotFound(format!("collection '{collection}' has no document {id}"))
}

/// The last part of a path.
pub fn file_name(path: &str) -> String {
    path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned()
}
