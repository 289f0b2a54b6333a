//! What Squall keeps: collections, documents, pages, chunks, vectors, jobs. One trait, so that a
//! server database can stand behind it one day; [`EmbeddedStore`] is the implementation.

mod best;
mod bm25;
mod codes;
#[cfg(test)]
mod contract;
mod derived;
mod documents;
mod embedded;
mod graph;
mod graph_file;
mod hnsw;
mod jobs;
mod lexical;
mod listing;
mod lock;
mod mapped;
mod mark;
mod parts;
mod postings;
mod put;
mod readers;
mod reclaim;
mod repair;
mod salvage;
mod schema;
mod search;
mod sketch;
mod sqlite;
mod stats;
mod sums;
mod texts;
mod transfer;
mod vectors;
mod verify;
mod wal;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::document::{Chunk, DocumentId, Filter, Hit, Page, Parsed, Source, Tags};
use crate::error::Error;
use crate::ledger::{Job, Ledger, Target};
use crate::settings::IndexChoice;
use crate::text::Script;
use crate::usage;

pub use listing::{Day, DocumentQuery, History, JobQuery, Listed, ListedJob, Slice, SortBy};
pub use lock::{ServerLock, WriterLock};
pub use repair::{Repaired, open as open_to_repair};
pub use sqlite::EmbeddedStore;
pub use transfer::Transferred;
pub use verify::{Finding, log as verify_log};

/// The model whose vectors a collection holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelIdentity {
    pub name: String,
    pub fingerprint: String,
    pub dimension: usize,
}

/// A named set of documents embedded with one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    pub id: i64,
    pub name: String,
    pub uid: String,
    pub model: ModelIdentity,
    pub generation: i64,
}

impl Collection {
    /// Whether vectors of `model` may be compared with those in the collection.
    ///
    /// # Errors
    /// A usage error with the ways out.
    pub fn check(&self, model: &ModelIdentity) -> Result<(), Error> {
        if self.model.fingerprint == model.fingerprint {
            return Ok(());
        }
        Err(usage!(
            "collection '{name}' was embedded with {was} ({fingerprint}), not with the model chosen \
             now ({now}); leave that choice out (--model, SQUALL_MODEL, the configuration file), or \
             change the collection: `squall reembed -c '{name}'` with the same --model",
            name = self.name,
            was = self.model.name,
            fingerprint = self.model.fingerprint,
            now = model.name,
        ))
    }
}

#[cfg(test)]
impl Collection {
    fn sample(dimension: usize) -> Self {
        Self {
            id: 1,
            name: "c".into(),
            uid: "u".into(),
            model: ModelIdentity {
                name: "m".into(),
                fingerprint: "f".into(),
                dimension,
            },
            generation: 7,
        }
    }
}

/// A document ready to be stored.
#[derive(Debug, Clone)]
pub struct Entry {
    pub collection: String,
    pub document_id: DocumentId,
    /// At least one.
    pub sources: Vec<Source>,
    pub tags: Tags,
    pub service: String,
    pub parser: String,
    pub parsed: Parsed,
    pub chunks: Vec<IndexedChunk>,
    pub origin: Origin,
}

/// Why a document is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A file was found.
    File,
    /// A job has a target for it; once that is gone it is not stored.
    Job,
    /// It is stored already: no job ends with it.
    Copy,
}

/// What [`Store::put`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    New,
    /// An older version is gone.
    Replaced,
    /// Nothing: its job was given up, or the document was removed meanwhile.
    Unwanted,
}

/// A chunk with what the semantic arm needs; the lexical one takes its text apart.
#[derive(Debug, Clone)]
pub struct IndexedChunk {
    pub chunk: Chunk,
    /// Unit vector; `None` for text the model cannot read, which is found by its terms alone.
    pub vector: Option<Vec<f32>>,
}

/// What is known of a path without opening the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSource {
    pub source: Source,
    pub document_id: DocumentId,
}

/// A chunk's id and how well one arm likes it; higher is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    pub chunk: i64,
    pub score: f32,
}

/// What a chunk is called, and written in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    pub chunk: i64,
    /// Path of its document.
    pub document: String,
    /// Title of its document.
    pub title: Option<String>,
    /// The terms asked for that its Markdown headings hold, by their indices.
    pub headings: Vec<usize>,
    pub script: Script,
}

/// How many chunks to bring back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// By the graph, which looks at more for each.
    pub few: usize,
    /// Where all are scanned.
    pub many: usize,
}

/// What the semantic arm brought back, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Nearest {
    pub scored: Vec<Scored>,
    /// Whether the graph was asked, which may miss one.
    pub by_graph: bool,
}

/// How common terms are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frequencies {
    /// Chunks in the collection.
    pub chunks: u64,
    /// Chunks that hold each term, in the order asked.
    pub with: Vec<u64>,
}

/// A document as `status --documents` lists it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DocumentRow {
    pub document_id: DocumentId,
    pub collection: String,
    /// Every path with these bytes.
    pub paths: Vec<String>,
    pub title: Option<String>,
    pub parser: String,
    pub size: u64,
    pub pages: u32,
    pub blank_pages: u32,
    pub empty_pages: u32,
    pub garbled_pages: u32,
    pub failed_pages: u32,
    pub chunks: u32,
    pub tags: Tags,
    pub created_at: String,
}

/// Totals of one collection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CollectionRow {
    pub collection: String,
    pub model: String,
    pub fingerprint: String,
    pub documents: u64,
    pub pages: u64,
    pub blank_pages: u64,
    pub empty_pages: u64,
    pub garbled_pages: u64,
    pub failed_pages: u64,
    pub chunks: u64,
    /// Documents without any text, which no question can find.
    pub documents_without_text: u64,
    /// Chunks with a vector; the others are found by their terms alone.
    pub embedded_chunks: u64,
    /// Bytes of text, vectors and derived files.
    pub bytes: u64,
    /// Chunks in the HNSW graph, 0 where there is none.
    pub graph_chunks: u64,
}

/// A job with the places its pages go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobRow {
    #[serde(flatten)]
    pub job: Job,
    #[serde(skip)]
    pub targets: Vec<Target>,
    pub paths: Vec<String>,
}

/// What [`Store::refresh`] and [`Store::refresh_graph`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Refreshed {
    pub vectors_rebuilt: bool,
    pub postings_rebuilt: bool,
    pub graph_rebuilt: bool,
    /// Chunks in the index files.
    pub chunks: u64,
}

/// Everything that outlives a run.
///
/// Each method is one transaction: it happens wholly or not at all, and is durable when it returns.
pub trait Store: Ledger {
    /// The collection of this name.
    fn collection(&self, name: &str) -> anyhow::Result<Option<Collection>>;
    /// The collection of this name, made for `model` if it is not there.
    ///
    /// # Errors
    /// A usage error when it holds vectors of another model.
    fn open_collection(&self, name: &str, model: &ModelIdentity) -> anyhow::Result<Collection>;
    /// Deletes a collection and all in it; whether there was one.
    fn drop_collection(&self, name: &str) -> anyhow::Result<bool>;

    /// Puts `new` in the place of `old`, under its name; `old` and all in it is deleted. Whether it was
    /// done: not when `old` has changed since it was read.
    fn replace_collection(&self, old: &Collection, new: &Collection) -> anyhow::Result<bool>;

    /// Stores a document, or stores it anew: its pages and chunks are replaced then, its other
    /// paths and tags stay. Paths that pointed to other bytes now point here, and what no path
    /// points to any more is dropped. The jobs of these bytes become completed.
    fn put(&self, entry: &Entry) -> anyhow::Result<Stored>;
    /// Gives a stored document one more path, or new tags. Returns whether there is such a document.
    fn attach(
        &self,
        collection: &str,
        document: &DocumentId,
        source: &Source,
        tags: &Tags,
    ) -> anyhow::Result<bool>;
    /// Forgets paths, and documents that lose their last one. Returns how many paths there were.
    fn remove(&self, collection: &str, paths: &[String]) -> anyhow::Result<usize>;

    /// What `path` held when it was last ingested.
    fn source(&self, collection: &str, path: &str) -> anyhow::Result<Option<StoredSource>>;
    /// Every path of the collection that is `prefix` or below it; all for an empty prefix.
    fn sources(&self, collection: &str, prefix: &str) -> anyhow::Result<Vec<StoredSource>>;
    /// Whether the collection holds these bytes.
    fn contains(&self, collection: &str, document: &DocumentId) -> anyhow::Result<bool>;
    /// The version of the parser, if the pages of these bytes were made by `service`, and some are empty,
    /// garbled or unreadable.
    fn poorly_read(
        &self,
        collection: &str,
        document: &DocumentId,
        service: &str,
    ) -> anyhow::Result<Option<String>>;
    /// Pages of these bytes that `parser` at `service` made before, in any collection.
    fn parsed(
        &self,
        document: &DocumentId,
        service: &str,
        parser: &str,
    ) -> anyhow::Result<Option<Parsed>>;
    /// A document as it was put in, without its chunks.
    fn entry(&self, collection: &str, document: &DocumentId) -> anyhow::Result<Option<Entry>>;
    /// One page as it is stored.
    fn page(
        &self,
        collection: &str,
        document: &DocumentId,
        number: u32,
    ) -> anyhow::Result<Option<Page>>;

    /// Best `k` chunks by BM25 over `terms`; chunks outside the filter do not count.
    fn lexical(
        &self,
        collection: &Collection,
        terms: &[String],
        filter: &Filter,
        k: usize,
    ) -> anyhow::Result<Vec<Scored>>;
    /// How many chunks of the collection there are, and how many hold each of `terms`.
    fn frequencies(&self, collection: &Collection, terms: &[String])
    -> anyhow::Result<Frequencies>;
    /// Best chunks by cosine to the unit vector `query`; chunks outside the filter do not count.
    fn nearest(
        &self,
        collection: &Collection,
        query: &[f32],
        filter: &Filter,
        depth: Depth,
        index: IndexChoice,
    ) -> anyhow::Result<Nearest>;
    /// The chunks with these ids, in this order, gone ones left out; `score` is 0.
    fn hits(&self, chunks: &[i64]) -> anyhow::Result<Vec<(i64, Hit)>>;
    /// What chunks are called and written in, gone ones left out. For ranking only: no page is read,
    /// where the posting files hold the chunk, and nothing is compared with its checksum.
    fn sketches(
        &self,
        collection: &Collection,
        terms: &[String],
        chunks: &[i64],
    ) -> anyhow::Result<Vec<Sketch>>;

    /// Brings the index files up to date; with `force` makes all of them anew. Needs the writer lock.
    fn refresh(&self, collection: &Collection, force: bool) -> anyhow::Result<Refreshed>;
    /// Builds the HNSW graph of a collection of at least `from` chunks where it lags too far, or
    /// always with `force`; smaller ones lose theirs. Whether it did. Takes minutes for a million
    /// chunks, and may go on beside everything else.
    fn refresh_graph(
        &self,
        collection: &Collection,
        from: usize,
        force: bool,
    ) -> anyhow::Result<bool>;

    /// Totals of each collection.
    fn collections(&self) -> anyhow::Result<Vec<CollectionRow>>;
    /// The documents whose path is `prefix` or below it; all for an empty prefix.
    fn documents(&self, collection: &str, prefix: &str) -> anyhow::Result<Vec<DocumentRow>>;
    /// A piece of the documents `query` asks for, stored or on their way, and how many there are.
    fn list_documents(
        &self,
        query: &DocumentQuery,
        slice: Slice,
    ) -> anyhow::Result<(u64, Vec<Listed>)>;
    /// One document, stored or on its way.
    fn list_document(
        &self,
        collection: &str,
        document: &DocumentId,
    ) -> anyhow::Result<Option<Listed>>;
    /// A piece of the chunks of a document in their order, and how many there are.
    fn list_chunks(
        &self,
        collection: &str,
        document: &DocumentId,
        slice: Slice,
    ) -> anyhow::Result<(u64, Vec<Chunk>)>;
    /// A piece of the jobs `query` asks for, the last changed first, and how many there are.
    fn list_jobs(&self, query: &JobQuery, slice: Slice) -> anyhow::Result<(u64, Vec<JobRow>)>;
    /// How many jobs are in each state.
    fn job_states(&self) -> anyhow::Result<BTreeMap<String, u64>>;
    /// Completes an open job, unless an upload waits for it whose path does not hold its bytes yet.
    fn settle_job(&self, job: &str) -> anyhow::Result<bool>;
    /// Notes that `target` wants the pages of `job`, which is begun if there is none, and queued again if
    /// it is completed; with `anew` also if it has failed. Returns the job as it stands then.
    fn want(&self, job: &Job, target: &Target, anew: bool) -> anyhow::Result<Job>;
    /// Gives up a job that has not begun; whether it had not.
    fn cancel(&self, job: &str) -> anyhow::Result<bool>;
    /// Queues a failed job again, whatever the service made of it; whether it had failed.
    fn requeue(&self, job: &str) -> anyhow::Result<bool>;
    /// Whether these bytes are still wanted at `path`: no job that was cancelled, or target that was
    /// forgotten.
    fn is_wanted(
        &self,
        collection: &str,
        path: &str,
        document: &DocumentId,
    ) -> anyhow::Result<bool>;
    /// Whether `path` holds other bytes than these, or waits for some.
    fn is_taken(&self, collection: &str, path: &str, document: &DocumentId)
    -> anyhow::Result<bool>;
    /// Forgets the places of a collection that wait for a job.
    fn forget_targets(&self, job: &str, collection: &str) -> anyhow::Result<()>;
    /// The names of all collections.
    fn collection_names(&self) -> anyhow::Result<Vec<String>>;
    /// What came in over time, of which kinds, and how the jobs stand.
    fn history(&self, collection: &str) -> anyhow::Result<History>;
    /// Jobs that are not completed, oldest first.
    fn open_jobs(&self) -> anyhow::Result<Vec<JobRow>>;
    /// A job with its targets.
    fn job_row(&self, id: &str) -> anyhow::Result<Option<JobRow>>;
    /// Notes who wants a job's pages. The job must be saved.
    fn add_target(&self, job: &str, target: &Target) -> anyhow::Result<()>;
}
