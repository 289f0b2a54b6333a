//! The two arms of retrieval in the embedded store, and the derived files they use.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::sqlite::{EmbeddedStore, find_collection, terms_table};
use super::vectors::{self, Best, VectorFile, dot};
use super::{Collection, Refreshed, Scored};
use crate::document::{DocumentId, Filter, Hit};
use crate::ledger::Target;
use crate::settings::IndexChoice;
use crate::store::{CollectionRow, DocumentRow, Entry, JobRow, ModelIdentity, Store, StoredSource};

/// Derived files are made anew when more than this many chunks, and a tenth of all, are missing
/// from them or dead in them.
const LAG: u64 = 256;
/// How many candidates the graph looks at; recall@10 at this value is tested in `hnsw.rs`.
const EF_SEARCH: usize = 128;

impl EmbeddedStore {
    fn vector_path(&self, uid: &str) -> PathBuf {
        self.data_dir.join("vectors").join(format!("{uid}.vec"))
    }

    /// Bytes of the derived files.
    pub(super) fn derived_bytes(&self, uid: &str) -> u64 {
        let flat = std::fs::metadata(self.vector_path(uid)).map_or(0, |meta| meta.len());
        flat + self.graph_bytes(uid)
    }

    pub(super) fn forget_derived(&self, collection: &Collection) {
        // Gone already is as good; a leftover names a uid no collection has.
        let _ = std::fs::remove_file(self.vector_path(&collection.uid));
        self.forget_graph(&collection.uid);
        self.vector_cache().remove(&collection.id);
    }

    fn vector_cache(
        &self,
    ) -> std::sync::MutexGuard<'_, std::collections::HashMap<i64, Arc<VectorFile>>> {
        self.vector_files
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The vector file, mapped once for each generation of it; `None` where there is none to use.
    /// A damaged one is reported once and left out: its vectors are read from the database.
    fn vector_file(&self, collection: &Collection) -> Option<Arc<VectorFile>> {
        let mut cache = self.vector_cache();
        let path = self.vector_path(&collection.uid);
        match VectorFile::open(&path, collection) {
            Ok(Some(opened)) => {
                let cached = cache.get(&collection.id);
                if let Some(cached) = cached.filter(|c| c.generation == opened.generation) {
                    return Some(Arc::clone(cached));
                }
                let opened = Arc::new(opened);
                cache.insert(collection.id, Arc::clone(&opened));
                Some(opened)
            }
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(
                    "the vector file {} is not used ({error:#}); the next ingest or `squall \
                     optimize` makes it anew",
                    path.display()
                );
                None
            }
        }
    }

    /// Compares the checksums of every derived file.
    ///
    /// # Errors
    /// The first file that is damaged.
    pub fn check_derived(&self) -> anyhow::Result<()> {
        for row in self.collection_rows()? {
            let Some(collection) = self.find_collection(&row.collection)? else {
                continue;
            };
            let path = self.vector_path(&collection.uid);
            VectorFile::open(&path, &collection)
                .and_then(|file| file.map_or(Ok(()), |file| file.verify()))
                .with_context(|| format!("the vector file {} cannot be used", path.display()))?;
            self.graph(&collection)?;
        }
        Ok(())
    }

    fn bm25(
        &self,
        collection: &Collection,
        terms: &[String],
        filter: &Filter,
        k: usize,
    ) -> anyhow::Result<Vec<Scored>> {
        if terms.is_empty() || k == 0 {
            return Ok(Vec::new());
        }
        // Terms hold only letters, digits and '_', so quoting them is enough.
        let quoted: Vec<String> = terms.iter().map(|term| format!("\"{term}\"")).collect();
        let table = terms_table(collection.id);
        let mut values = vec![Value::from(quoted.join(" OR ")), Value::from(k as i64)];
        let restriction = if filter.is_empty() {
            String::new()
        } else {
            let condition = condition(filter, &mut values);
            format!("AND rowid IN (SELECT k.id FROM chunks k WHERE {condition})")
        };
        let db = self.db();
        let mut statement = db.prepare_cached(&format!(
            "SELECT rowid, -bm25({table}) FROM {table} WHERE {table} MATCH ?1 {restriction}
             ORDER BY bm25({table}), rowid LIMIT ?2"
        ))?;
        let rows = statement.query_map(params_from_iter(values), |row| {
            Ok(Scored {
                chunk: row.get(0)?,
                score: row.get::<_, f64>(1)? as f32,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn cosine(
        &self,
        collection: &Collection,
        query: &[f32],
        filter: &Filter,
        k: usize,
        index: IndexChoice,
    ) -> anyhow::Result<Vec<Scored>> {
        let mut best = Best::new(k);
        let file = self.vector_file(collection);
        let covered = file.as_ref().map_or(0, |file| file.covers);
        if !filter.is_empty() {
            let allowed = self.allowed(collection, filter)?;
            if let Some(file) = &file {
                file.score(query, &allowed, &mut best);
            }
            let late = allowed.into_iter().filter(|&chunk| chunk > covered);
            self.score_late(
                query,
                &late.collect::<HashSet<_>>(),
                covered,
                collection,
                &mut best,
            )?;
            return Ok(best.into_sorted());
        }
        let dead = self.tombstones(collection)?;
        let alive = |chunk: i64| !dead.contains(&chunk);
        let graph = match index {
            IndexChoice::Hnsw => self.graph_or_warn(collection),
            _ => None,
        };
        match (graph, &file) {
            (Some(graph), Some(file)) => {
                let found = graph.graph.search(query, k, EF_SEARCH.max(2 * k), &alive);
                file.score(query, &found, &mut best);
                let newer: Vec<i64> = (0..file.len())
                    .rev()
                    .map(|index| file.chunk(index))
                    .take_while(|&chunk| chunk > graph.covers)
                    .filter(|&chunk| alive(chunk))
                    .collect();
                file.score(query, &newer, &mut best);
            }
            (_, Some(file)) => file.scan(query, &alive, &mut best),
            (_, None) => {}
        }
        self.scan_late(query, covered, collection, &mut best)?;
        Ok(best.into_sorted())
    }

    fn graph_or_warn(&self, collection: &Collection) -> Option<Arc<super::graph::LoadedGraph>> {
        self.graph(collection).unwrap_or_else(|error| {
            self.forget_graph(&collection.uid);
            tracing::warn!(
                "the HNSW graph is not used ({error:#}); `squall optimize` makes it anew"
            );
            None
        })
    }

    /// Chunk ids that pass a filter, ascending.
    fn allowed(&self, collection: &Collection, filter: &Filter) -> anyhow::Result<Vec<i64>> {
        let mut values = vec![Value::from(collection.id), Value::Null];
        let condition = condition(filter, &mut values);
        let db = self.db();
        let mut statement = db.prepare_cached(&format!(
            "SELECT k.id FROM chunks k WHERE k.collection_id = ?1 AND ?2 IS NULL AND {condition}
             ORDER BY k.id"
        ))?;
        let rows = statement.query_map(params_from_iter(values), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn tombstones(&self, collection: &Collection) -> anyhow::Result<HashSet<i64>> {
        let db = self.db();
        let mut statement =
            db.prepare_cached("SELECT chunk_id FROM tombstones WHERE collection_id = ?1")?;
        let rows = statement.query_map([collection.id], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Scores chunks the vector file does not cover yet.
    fn scan_late(
        &self,
        query: &[f32],
        covered: i64,
        collection: &Collection,
        best: &mut Best,
    ) -> anyhow::Result<()> {
        self.each_late(covered, collection, &mut |chunk, vector| {
            best.push(chunk, dot(query, &vector));
        })
    }

    fn score_late(
        &self,
        query: &[f32],
        wanted: &HashSet<i64>,
        covered: i64,
        collection: &Collection,
        best: &mut Best,
    ) -> anyhow::Result<()> {
        if wanted.is_empty() {
            return Ok(());
        }
        self.each_late(covered, collection, &mut |chunk, vector| {
            if wanted.contains(&chunk) {
                best.push(chunk, dot(query, &vector));
            }
        })
    }

    fn each_late(
        &self,
        covered: i64,
        collection: &Collection,
        take: &mut dyn FnMut(i64, Vec<f32>),
    ) -> anyhow::Result<()> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT k.id, v.vector FROM chunks k JOIN vectors v ON v.chunk_id = k.id
             WHERE k.collection_id = ?1 AND k.id > ?2",
        )?;
        let mut rows = statement.query(params![collection.id, covered])?;
        while let Some(row) = rows.next()? {
            let vector = row.get_ref(1)?.as_blob()?;
            take(row.get(0)?, floats(vector));
        }
        Ok(())
    }

    fn find_hits(&self, chunks: &[i64]) -> anyhow::Result<Vec<(i64, Hit)>> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT d.hash, k.page, k.start, k.end,
               substr(p.text, k.start + 1, k.end - k.start),
               (SELECT min(path) FROM sources s WHERE s.document_id = d.id)
             FROM chunks k
             JOIN documents d ON d.id = k.document_id
             JOIN pages p ON p.document_id = d.id AND p.number = k.page
             WHERE k.id = ?1",
        )?;
        let mut hits = Vec::with_capacity(chunks.len());
        for &chunk in chunks {
            let mut rows = statement.query([chunk])?;
            if let Some(row) = rows.next()? {
                hits.push((chunk, hit(row)?));
            }
        }
        Ok(hits)
    }

    /// Vectors of the collection, those beyond `covers`, and the dead chunks.
    fn lag(&self, collection: &Collection, covers: i64) -> anyhow::Result<(u64, u64, u64)> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT count(*), coalesce(sum(k.id > ?2), 0),
                    (SELECT count(*) FROM tombstones WHERE collection_id = ?1)
             FROM chunks k JOIN vectors v ON v.chunk_id = k.id WHERE k.collection_id = ?1",
        )?;
        Ok(statement.query_row(params![collection.id, covers], |row| {
            let count = |index| row.get::<_, i64>(index).map(|n| n as u64);
            Ok((count(0)?, count(1)?, count(2)?))
        })?)
    }

    fn refresh_derived(
        &self,
        collection: &Collection,
        graph_from: usize,
        force: bool,
    ) -> anyhow::Result<Refreshed> {
        let Some(collection) = self.find_collection(&collection.name)? else {
            return Ok(Refreshed::default());
        };
        let (chunks, ..) = self.lag(&collection, 0)?;
        let too_many = |number: u64| number > LAG.max(chunks / 10);
        let file = self.vector_file(&collection);
        let covers = file.as_ref().map_or(0, |file| file.covers);
        let (_, late, _) = self.lag(&collection, covers)?;
        let dead = match &file {
            Some(file) => self.dead_in(file, &collection)?,
            None => 0,
        };
        let mut refreshed = Refreshed {
            chunks,
            ..Refreshed::default()
        };
        if force || too_many(late) || too_many(dead) || (file.is_none() && chunks > 0) {
            self.write_vectors(&collection)?;
            refreshed.vectors_rebuilt = true;
        }
        refreshed.graph_rebuilt = self.refresh_graph(&collection, chunks, graph_from, force)?;
        if refreshed.vectors_rebuilt || refreshed.graph_rebuilt {
            self.bury(&collection)?;
        }
        Ok(refreshed)
    }

    /// Builds the graph where it lags too far; whether it did. Small collections have none.
    fn refresh_graph(
        &self,
        collection: &Collection,
        chunks: u64,
        graph_from: usize,
        force: bool,
    ) -> anyhow::Result<bool> {
        if chunks < graph_from as u64 {
            self.forget_graph(&collection.uid);
            return Ok(false);
        }
        let (covers, held) = self.graph_extent(collection).unwrap_or((0, 0));
        let (_, newer, _) = self.lag(collection, covers)?;
        let gone = (held + newer).saturating_sub(chunks);
        let most = LAG.max(chunks / 10);
        match self.vector_file(collection) {
            Some(file) if force || held == 0 || newer > most || gone > most => {
                self.build_graph(collection, &file)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Dead chunks that still stand in the vector file.
    fn dead_in(&self, file: &VectorFile, collection: &Collection) -> anyhow::Result<u64> {
        let dead = self.tombstones(collection)?;
        Ok(dead
            .iter()
            .filter(|&&chunk| file.vector(chunk).is_some())
            .count() as u64)
    }

    /// Forgets the dead chunks that no derived file can hold any more: those both files cover and
    /// were made without. A graph older than the vector file keeps them all.
    fn bury(&self, collection: &Collection) -> anyhow::Result<()> {
        let Some(file) = self.vector_file(collection) else {
            return Ok(());
        };
        let graph_is_older = self
            .graph_extent(collection)
            .is_some_and(|(covers, _)| covers < file.covers);
        if graph_is_older {
            return Ok(());
        }
        let dead = self.tombstones(collection)?;
        self.write(|tx| {
            let mut delete = tx.prepare_cached("DELETE FROM tombstones WHERE chunk_id = ?1")?;
            for chunk in dead.iter().filter(|&&chunk| file.vector(chunk).is_none()) {
                delete.execute([chunk])?;
            }
            Ok(())
        })
    }

    /// Copies the collection's vectors into a new vector file, from one snapshot of the database.
    fn write_vectors(&self, collection: &Collection) -> anyhow::Result<()> {
        let mut db = self.db();
        let tx = db.transaction()?;
        let Some(now) = find_collection(&tx, &collection.name)? else {
            return Ok(());
        };
        let (count, covers): (i64, i64) = tx.query_row(
            "SELECT count(v.chunk_id), coalesce(max(k.id), 0)
             FROM chunks k LEFT JOIN vectors v ON v.chunk_id = k.id WHERE k.collection_id = ?1",
            [now.id],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        write_rows(
            &tx,
            &now,
            covers,
            count as usize,
            &self.vector_path(&now.uid),
        )?;
        tx.commit()?;
        Ok(())
    }
}

fn write_rows(
    db: &Connection,
    collection: &Collection,
    covers: i64,
    count: usize,
    path: &std::path::Path,
) -> anyhow::Result<()> {
    let mut statement = db.prepare_cached(
        "SELECT k.id, v.vector FROM chunks k JOIN vectors v ON v.chunk_id = k.id
         WHERE k.collection_id = ?1 ORDER BY k.id",
    )?;
    let mut rows = statement
        .query_map([collection.id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .map(|row| row.map_err(anyhow::Error::from));
    vectors::write(path, collection, covers, count, &mut rows)
}

/// The filter as SQL over `chunks k`; its values are appended to `values`.
fn condition(filter: &Filter, values: &mut Vec<Value>) -> String {
    let mut parts = vec!["1".to_owned()];
    let mut bind = |value: Value| {
        values.push(value);
        values.len()
    };
    if !filter.path_prefixes.is_empty() {
        let any: Vec<String> = filter
            .path_prefixes
            .iter()
            .map(|prefix| {
                let n = bind(Value::from(prefix.clone()));
                format!("substr(s.path, 1, length(?{n})) = ?{n}")
            })
            .collect();
        parts.push(format!(
            "EXISTS (SELECT 1 FROM sources s WHERE s.document_id = k.document_id AND ({}))",
            any.join(" OR ")
        ));
    }
    for (key, value) in &filter.tags {
        let (key, value) = (
            bind(Value::from(key.clone())),
            bind(Value::from(value.clone())),
        );
        parts.push(format!(
            "EXISTS (SELECT 1 FROM tags t WHERE t.document_id = k.document_id
             AND t.key = ?{key} AND t.value = ?{value})"
        ));
    }
    if let Some((from, to)) = filter.pages {
        let (from, to) = (bind(Value::from(from)), bind(Value::from(to)));
        parts.push(format!("k.page BETWEEN ?{from} AND ?{to}"));
    }
    parts.join(" AND ")
}

fn hit(row: &rusqlite::Row<'_>) -> rusqlite::Result<Hit> {
    let hash: String = row.get(0)?;
    let (page_number, start, end): (u32, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
    Ok(Hit {
        id: format!("{hash}:{page_number}:{start}-{end}"),
        document_id: DocumentId(hash),
        document: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
        page_number,
        start: start as usize,
        end: end as usize,
        text: row.get(4)?,
        score: 0.0,
        cosine: None,
    })
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

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

    fn put(&self, entry: &Entry) -> anyhow::Result<bool> {
        self.put_entry(entry)
    }

    fn attach(
        &self,
        collection: &str,
        document: &DocumentId,
        source: &crate::document::Source,
        tags: &crate::document::Tags,
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

    fn parsed(
        &self,
        document: &DocumentId,
        service: &str,
        parser: &str,
    ) -> anyhow::Result<Option<crate::document::Parsed>> {
        self.find_parsed(document, service, parser)
    }

    fn page(
        &self,
        collection: &str,
        document: &DocumentId,
        number: u32,
    ) -> anyhow::Result<Option<crate::document::Page>> {
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

    fn nearest(
        &self,
        collection: &Collection,
        query: &[f32],
        filter: &Filter,
        k: usize,
        index: IndexChoice,
    ) -> anyhow::Result<Vec<Scored>> {
        self.cosine(collection, query, filter, k, index)
    }

    fn hits(&self, chunks: &[i64]) -> anyhow::Result<Vec<(i64, Hit)>> {
        self.find_hits(chunks)
    }

    fn refresh(
        &self,
        collection: &Collection,
        graph_from: usize,
        force: bool,
    ) -> anyhow::Result<Refreshed> {
        self.refresh_derived(collection, graph_from, force)
    }

    fn collections(&self) -> anyhow::Result<Vec<CollectionRow>> {
        self.collection_rows()
    }

    fn documents(&self, collection: &str, prefix: &str) -> anyhow::Result<Vec<DocumentRow>> {
        self.document_rows(collection, prefix)
    }

    fn open_jobs(&self) -> anyhow::Result<Vec<JobRow>> {
        self.find_open_jobs()
    }

    fn job_row(&self, id: &str) -> anyhow::Result<Option<JobRow>> {
        self.find_job_row(id)
    }

    fn add_target(&self, job: &str, target: &Target) -> anyhow::Result<()> {
        self.save_target(job, target)
    }
}
