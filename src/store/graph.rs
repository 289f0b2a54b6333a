//! The HNSW graph as a derived file: where it is, when it is made anew.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use super::Collection;
use super::graph_file::{self, GraphFile};
use super::hnsw;
use super::sqlite::EmbeddedStore;
use super::vectors::VectorFile;

impl EmbeddedStore {
    pub(super) fn graph_path(&self, uid: &str) -> PathBuf {
        self.data_dir.join("graphs").join(format!("{uid}.graph"))
    }

    /// Builds the graph from the vector file and replaces the one before.
    pub(super) fn build_graph(
        &self,
        collection: &Collection,
        vectors: &VectorFile,
    ) -> anyhow::Result<()> {
        let layers = hnsw::build(vectors.len(), |index| vectors.code(index));
        let path = self.graph_path(&collection.uid);
        graph_file::write(&path, collection, vectors, &layers)
    }

    /// The graph, mapped once for each file; `None` where there is none.
    ///
    /// # Errors
    /// When the file is stale or damaged.
    pub(super) fn graph(&self, collection: &Collection) -> anyhow::Result<Option<Arc<GraphFile>>> {
        let path = self.graph_path(&collection.uid);
        let Some(opened) = GraphFile::open(&path, collection)? else {
            return Ok(None);
        };
        let mut graphs = self.graphs.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = graphs.get(&collection.id);
        if let Some(cached) = cached.filter(|cached| cached.seal == opened.seal) {
            return Ok(Some(Arc::clone(cached)));
        }
        let opened = Arc::new(opened);
        graphs.insert(collection.id, Arc::clone(&opened));
        Ok(Some(opened))
    }

    /// What a usable graph covers and how many chunks are in it.
    pub(super) fn graph_extent(&self, collection: &Collection) -> Option<(i64, u64)> {
        let graph = self.graph(collection).ok()??;
        Some((graph.covers, graph.len() as u64))
    }

    /// Chunks in the graph's file, 0 where there is none.
    pub(super) fn graph_chunks(&self, uid: &str) -> u64 {
        graph_file::nodes(&self.graph_path(uid)).unwrap_or(0)
    }

    /// Removes the graph's file.
    pub(super) fn forget_graph(&self, uid: &str) {
        // Gone already is as good.
        let _ = std::fs::remove_file(self.graph_path(uid));
    }

    /// Bytes of the graph's file.
    pub(super) fn graph_bytes(&self, uid: &str) -> u64 {
        std::fs::metadata(self.graph_path(uid)).map_or(0, |meta| meta.len())
    }
}
