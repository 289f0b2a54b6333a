//! [`EmbeddedStore`] as a [`Store`]: each method names the file that does the work.

use std::collections::BTreeMap;

use super::sqlite::EmbeddedStore;
use super::{
    Collection, CollectionRow, Depth, DocumentQuery, DocumentRow, Entry, Frequencies, History,
    JobQuery, JobRow, Listed, ModelIdentity, Nearest, Refreshed, Scored, Sketch, Slice, Store,
    Stored, StoredSource,
};
use crate::document::{Chunk, DocumentId, Filter, Hit, Page, Parsed, Source, Tags};
use crate::ledger::{Job, Target};
use crate::settings::IndexChoice;

impl Store for EmbeddedStore {
    fn collection(&self, name: &str) -> anyhow::Result<Option<Collection>> {
        self.find_collection(name)
    }

    fn open_collection(&self, name: &str, model: &ModelIdentity) -> anyhow::Result<Collection> {
        self.create_or_check(name, model)
    }

    fn drop_collection(&self, name: &str) -> anyhow::Result<bool> {
        self.delete_collection(name)
    }

    fn replace_collection(&self, old: &Collection, new: &Collection) -> anyhow::Result<bool> {
        self.swap_collection(old, new)
    }

    fn put(&self, entry: &Entry) -> anyhow::Result<Stored> {
        self.put_entry(entry)
    }

    fn attach(
        &self,
        collection: &str,
        document: &DocumentId,
        source: &Source,
        tags: &Tags,
    ) -> anyhow::Result<bool> {
        self.attach_source(collection, document, source, tags)
    }

    fn remove(&self, collection: &str, paths: &[String]) -> anyhow::Result<usize> {
        self.remove_paths(collection, paths)
    }

    fn source(&self, collection: &str, path: &str) -> anyhow::Result<Option<StoredSource>> {
        self.find_source(collection, path)
    }

    fn sources(&self, collection: &str, prefix: &str) -> anyhow::Result<Vec<StoredSource>> {
        self.find_sources(collection, prefix)
    }

    fn contains(&self, collection: &str, document: &DocumentId) -> anyhow::Result<bool> {
        self.has_document(collection, document)
    }

    fn poorly_read(
        &self,
        collection: &str,
        document: &DocumentId,
        service: &str,
    ) -> anyhow::Result<Option<String>> {
        self.bad_pages_by(collection, document, service)
    }

    fn parsed(
        &self,
        document: &DocumentId,
        service: &str,
        parser: &str,
    ) -> anyhow::Result<Option<Parsed>> {
        self.find_parsed(document, service, parser)
    }

    fn entry(&self, collection: &str, document: &DocumentId) -> anyhow::Result<Option<Entry>> {
        self.find_entry(collection, document)
    }

    fn page(
        &self,
        collection: &str,
        document: &DocumentId,
        number: u32,
    ) -> anyhow::Result<Option<Page>> {
        self.find_page(collection, document, number)
    }

    fn lexical(
        &self,
        collection: &Collection,
        terms: &[String],
        filter: &Filter,
        k: usize,
    ) -> anyhow::Result<Vec<Scored>> {
        self.bm25(collection, terms, filter, k)
    }

    fn frequencies(
        &self,
        collection: &Collection,
        terms: &[String],
    ) -> anyhow::Result<Frequencies> {
        self.term_frequencies(collection, terms)
    }

    fn nearest(
        &self,
        collection: &Collection,
        query: &[f32],
        filter: &Filter,
        depth: Depth,
        index: IndexChoice,
    ) -> anyhow::Result<Nearest> {
        self.cosine(collection, query, filter, depth, index)
    }

    fn hits(&self, chunks: &[i64]) -> anyhow::Result<Vec<(i64, Hit)>> {
        self.find_hits(chunks)
    }

    fn sketches(
        &self,
        collection: &Collection,
        terms: &[String],
        chunks: &[i64],
    ) -> anyhow::Result<Vec<Sketch>> {
        self.find_sketches(collection, terms, chunks)
    }

    fn refresh(&self, collection: &Collection, force: bool) -> anyhow::Result<Refreshed> {
        self.refresh_files(collection, force)
    }

    fn refresh_graph(
        &self,
        collection: &Collection,
        from: usize,
        force: bool,
    ) -> anyhow::Result<bool> {
        self.rebuild_graphs(&collection.name, from, force)
    }

    fn collections(&self) -> anyhow::Result<Vec<CollectionRow>> {
        self.collection_rows()
    }

    fn documents(&self, collection: &str, prefix: &str) -> anyhow::Result<Vec<DocumentRow>> {
        self.document_rows(collection, prefix)
    }

    fn list_documents(
        &self,
        query: &DocumentQuery,
        slice: Slice,
    ) -> anyhow::Result<(u64, Vec<Listed>)> {
        self.documents_of(query, slice)
    }

    fn list_document(
        &self,
        collection: &str,
        document: &DocumentId,
    ) -> anyhow::Result<Option<Listed>> {
        self.document_of(collection, document)
    }

    fn list_chunks(
        &self,
        collection: &str,
        document: &DocumentId,
        slice: Slice,
    ) -> anyhow::Result<(u64, Vec<Chunk>)> {
        self.chunks_of(collection, document, slice)
    }

    fn list_jobs(&self, query: &JobQuery, slice: Slice) -> anyhow::Result<(u64, Vec<JobRow>)> {
        self.jobs_of(query, slice)
    }

    fn job_states(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        self.states_of_jobs()
    }

    fn settle_job(&self, job: &str) -> anyhow::Result<bool> {
        self.complete_if_met(job)
    }

    fn want(&self, job: &Job, target: &Target, anew: bool) -> anyhow::Result<Job> {
        self.want_pages(job, target, anew)
    }

    fn cancel(&self, job: &str) -> anyhow::Result<bool> {
        self.cancel_job(job)
    }

    fn requeue(&self, job: &str) -> anyhow::Result<bool> {
        self.requeue_job(job)
    }

    fn is_wanted(
        &self,
        collection: &str,
        path: &str,
        document: &DocumentId,
    ) -> anyhow::Result<bool> {
        self.has_target(collection, path, document)
    }

    fn is_taken(
        &self,
        collection: &str,
        path: &str,
        document: &DocumentId,
    ) -> anyhow::Result<bool> {
        self.has_name(collection, path, document)
    }

    fn forget_targets(&self, job: &str, collection: &str) -> anyhow::Result<()> {
        self.delete_targets(job, collection)
    }

    fn collection_names(&self) -> anyhow::Result<Vec<String>> {
        self.names_of_collections()
    }

    fn history(&self, collection: &str) -> anyhow::Result<History> {
        Ok(History {
            days: self.days(collection)?,
            kinds: self.kinds(collection)?,
            jobs: self.states_of_jobs()?,
        })
    }

    fn open_jobs(&self) -> anyhow::Result<Vec<JobRow>> {
        self.find_open_jobs()
    }

    fn job_row(&self, id: &str) -> anyhow::Result<Option<JobRow>> {
        self.find_job_row(id)
    }

    fn add_target(&self, job: &str, target: &Target) -> anyhow::Result<()> {
        self.put_target(job, target)
    }
}
