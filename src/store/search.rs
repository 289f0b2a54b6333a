//! The semantic arm of retrieval in the embedded store, filters, and the texts of what was found.

use std::collections::HashSet;

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::best::{Best, dot};
use super::graph_file::GraphFile;
use super::parts::Chain;
use super::sqlite::EmbeddedStore;
use super::sums;
use super::vectors::VectorFile;
use super::{Collection, Depth, Nearest};
use crate::document::{DocumentId, Filter, Hit};
use crate::error::Error;
use crate::settings::IndexChoice;

/// What is looked for, and where.
struct Scope<'a> {
    collection: &'a Collection,
    query: &'a [f32],
    filter: &'a Filter,
    /// Chunks that are gone but may stand in the files.
    dead: &'a HashSet<i64>,
}

/// How many candidates the graph looks at; recall@10 is tested in `graph_file.rs`.
const EF_SEARCH: usize = 256;

impl EmbeddedStore {
    pub(super) fn cosine(
        &self,
        collection: &Collection,
        query: &[f32],
        filter: &Filter,
        depth: Depth,
        index: IndexChoice,
    ) -> anyhow::Result<Nearest> {
        let dead = self.tombstones(collection)?;
        let scope = Scope {
            collection,
            query,
            filter,
            dead: &dead,
        };
        let files = self.vectors(collection);
        if !files.is_empty() {
            let graphs = match index {
                IndexChoice::Exact => Chain::empty(),
                _ if !filter.is_empty() => Chain::empty(),
                // There are some only where the collection is large enough for them to pay.
                IndexChoice::Auto | IndexChoice::Hnsw => self.graphs(collection),
            };
            let best = match graphs.is_empty() {
                false => self.score_by_graphs(&scope, &files, &graphs, depth.few)?,
                true => self.score_by_files(&scope, &files, depth.many)?,
            };
            if !best.is_impossible() {
                return Ok(Nearest {
                    scored: best.into_sorted(),
                    by_graph: !graphs.is_empty(),
                });
            }
            tracing::warn!(
                "a vector file of '{}' is damaged and none is used; `squall optimize` makes them anew",
                collection.name
            );
        }
        let mut best = Best::new(depth.many);
        self.score_late(&scope, 0, &mut best)?;
        if best.is_impossible() {
            return Err(Error::Store(format!(
                "vectors of '{}' are damaged; type `squall repair`",
                collection.name
            ))
            .into());
        }
        Ok(Nearest {
            scored: best.into_sorted(),
            by_graph: false,
        })
    }

    /// Scores chunks by `files` where they cover them, and by the database beyond.
    fn score_by_files(
        &self,
        scope: &Scope<'_>,
        files: &Chain<VectorFile>,
        k: usize,
    ) -> anyhow::Result<Best> {
        let mut best = Best::new(k);
        if scope.filter.is_empty() {
            let alive = |chunk: i64| !scope.dead.contains(&chunk);
            files.scan(scope.query, 0, &alive, &mut best);
        } else {
            let allowed = self.allowed(scope.collection, scope.filter)?;
            files.score(scope.query, &allowed, &mut best);
        }
        self.score_late(scope, files.covers(), &mut best)?;
        Ok(best)
    }

    /// Scores what the graphs find, and what came after them.
    fn score_by_graphs(
        &self,
        scope: &Scope<'_>,
        files: &Chain<VectorFile>,
        graphs: &Chain<GraphFile>,
        k: usize,
    ) -> anyhow::Result<Best> {
        let mut best = Best::new(k);
        let alive = |chunk: i64| !scope.dead.contains(&chunk);
        for graph in graphs.parts() {
            let found = graph.search(scope.query, EF_SEARCH.max(2 * k), &alive);
            files.score(scope.query, &found, &mut best);
        }
        files.scan(scope.query, graphs.covers(), &alive, &mut best);
        self.score_late(scope, files.covers(), &mut best)?;
        Ok(best)
    }

    /// Chunk ids that pass a filter, ascending.
    pub(super) fn allowed(
        &self,
        collection: &Collection,
        filter: &Filter,
    ) -> anyhow::Result<Vec<i64>> {
        let mut values = vec![Value::from(collection.id), Value::Null];
        let condition = condition(filter, &mut values);
        let db = self.reader();
        let mut statement = db.prepare_cached(&format!(
            "SELECT k.id FROM chunks k WHERE k.collection_id = ?1 AND ?2 IS NULL AND {condition}
             ORDER BY k.id"
        ))?;
        let rows = statement.query_map(params_from_iter(values), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Scores chunks beyond `covered`, which no file holds yet, by the database.
    fn score_late(&self, scope: &Scope<'_>, covered: i64, best: &mut Best) -> anyhow::Result<()> {
        let mut values = vec![Value::from(scope.collection.id), Value::from(covered)];
        let condition = condition(scope.filter, &mut values);
        let db = self.reader();
        let mut statement = db.prepare_cached(&format!(
            "SELECT k.id, v.vector FROM chunks k JOIN vectors v ON v.chunk_id = k.id
             WHERE k.collection_id = ?1 AND k.id > ?2 AND {condition}"
        ))?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            let chunk = row.get(0)?;
            let score = dot(scope.query, &floats(row.get_ref(1)?.as_blob()?));
            best.doubt(score);
            best.push(chunk, score);
        }
        Ok(())
    }

    pub(super) fn find_hits(&self, chunks: &[i64]) -> anyhow::Result<Vec<(i64, Hit)>> {
        let db = self.reader();
        let mut statement = db.prepare_cached(&format!(
            "SELECT {HIT}, {} AND {} AND {} {OF_CHUNK}",
            sums::intact("chunks", "k"),
            sums::intact("documents", "d"),
            sums::intact("pages", "p")
        ))?;
        let mut hits = Vec::with_capacity(chunks.len());
        for &chunk in chunks {
            let mut rows = statement.query([chunk])?;
            if let Some(row) = rows.next()? {
                // Before the text is read: damaged bytes may not be text at all.
                let page = || {
                    let (number, path) = (row.get::<_, u32>(1), row.get::<_, String>(5));
                    let path = path.unwrap_or_else(|_| "a document".into());
                    format!("page {} of {path}", number.unwrap_or(0))
                };
                sums::check(row, 7, page)?;
                hits.push((chunk, hit(row)?));
            }
        }
        Ok(hits)
    }
}

/// The columns [`hit`] reads.
const HIT: &str = "d.hash, k.page, k.start, k.end, substr(p.text, k.start + 1, k.end - k.start),
    (SELECT min(path) FROM sources s WHERE s.document_id = d.id), d.title";
const OF_CHUNK: &str = "FROM chunks k
    JOIN documents d ON d.id = k.document_id
    JOIN pages p ON p.document_id = d.id AND p.number = k.page
    WHERE k.id = ?1";

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
    if let Some((from, to)) = filter.modified {
        let (from, to) = (bind(Value::from(from)), bind(Value::from(to)));
        parts.push(format!(
            "EXISTS (SELECT 1 FROM sources s WHERE s.document_id = k.document_id
             AND s.modified <> 0 AND s.modified >= ?{from} AND s.modified < ?{to})"
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
        title: row.get(6)?,
        page_number,
        start: start as usize,
        end: end as usize,
        text: row.get(4)?,
        score: 0.0,
        cosine: None,
    })
}

pub(super) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}
