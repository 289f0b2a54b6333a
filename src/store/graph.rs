//! The HNSW graph as a derived file: where it is, when it is made anew.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use super::Collection;
use super::derived::LAG;
use super::graph_file::{self, GraphFile};
use super::hnsw;
use super::parts::Chain;
use super::sqlite::EmbeddedStore;
use super::vectors::VectorFile;

impl EmbeddedStore {
    pub(super) fn graph_path(&self, uid: &str) -> PathBuf {
        self.data_dir.join("graphs").join(format!("{uid}.graph"))
    }

    /// Builds the graph of a collection of at least `from` chunks, where it lags too far behind the
    /// vector file, or always with `force`. One process at a time does; without `force` the others go on
    /// without.
    pub(super) fn rebuild_graph(
        &self,
        name: &str,
        from: usize,
        force: bool,
    ) -> anyhow::Result<bool> {
        let folder = self.data_dir.join("graphs");
        std::fs::create_dir_all(&folder)?;
        let turn = std::fs::File::create(folder.join("graph.lock"))?;
        match force {
            true => turn.lock()?,
            false if turn.try_lock().is_err() => return Ok(false),
            false => {}
        }
        self.sweep_graphs(&folder)?;
        let Some(collection) = self.find_collection(name)? else {
            return Ok(false);
        };
        let files = self.vectors(&collection);
        if files.len() < from.max(1) {
            self.forget_graph(&collection.uid);
            return Ok(false);
        }
        let graph = self.graph(&collection).ok().flatten();
        if !force && graph.is_some_and(|graph| !is_stale(&graph, &files)) {
            return Ok(false);
        }
        let rows = files.rows();
        let layers = hnsw::build(rows.len(), |index| rows.code(index))?;
        let path = self.graph_path(&collection.uid);
        graph_file::write(&path, &collection, &files, &layers)?;
        // It has taken a while.
        match self.find_collection(name)? {
            Some(now) if now.uid == collection.uid => self.bury(&now)?,
            _ => self.forget_graph(&collection.uid),
        }
        Ok(true)
    }

    /// Removes what builders that were killed left half written, and graphs of collections that are
    /// gone.
    fn sweep_graphs(&self, folder: &Path) -> anyhow::Result<()> {
        let mut kept: HashSet<OsString> = HashSet::from(["graph.lock".into()]);
        for name in self.collection_names()? {
            if let Some(found) = self.find_collection(&name)? {
                kept.insert(format!("{}.graph", found.uid).into());
            }
        }
        for entry in std::fs::read_dir(folder)?.flatten() {
            if !kept.contains(&entry.file_name()) {
                // What cannot be removed is in nobody's way.
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// The graph, mapped once for each file; `None` where there is none.
    ///
    /// # Errors
    /// When the file is stale or damaged.
    pub(super) fn graph(&self, collection: &Collection) -> anyhow::Result<Option<Arc<GraphFile>>> {
        let path = self.graph_path(&collection.uid);
        let mut graphs = self.graphs.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = graphs.get(&collection.id);
        if let Some(cached) = cached.filter(|cached| GraphFile::seal_of(&path) == Some(cached.seal))
        {
            return Ok(Some(Arc::clone(cached)));
        }
        let Some(opened) = GraphFile::open(&path, collection)?.map(Arc::new) else {
            return Ok(None);
        };
        graphs.insert(collection.id, Arc::clone(&opened));
        Ok(Some(opened))
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

/// Whether too many chunks of `files` are not in `graph`, or the other way round.
fn is_stale(graph: &GraphFile, files: &Chain<VectorFile>) -> bool {
    let newer = files.count_after(graph.covers);
    let gone = (graph.len() + newer).saturating_sub(files.len());
    let most = LAG.max(files.len() / 10);
    newer > most || gone > most
}
