//! When the HNSW graphs of a collection are made anew.

use std::path::Path;
use std::sync::Arc;

use super::derived::paths;
use super::graph_file::{self, GraphFile};
use super::hnsw;
use super::mapped::Reach;
use super::parts::{Chain, Part as _};
use super::sqlite::EmbeddedStore;
use super::vectors::VectorFile;

/// A graph is made anew, or another one made, when more than this many chunks, and a tenth of all, are
/// gone from it or not in one.
const LAG: usize = 256;
/// Whose turn it is to build.
const LOCK: &str = "graph.lock";

impl EmbeddedStore {
    /// Builds graphs for a collection of at least `from` chunks, where they lag too far behind the vector
    /// files, or always with `force`. One process at a time does; without `force` the others go on
    /// without.
    pub(super) fn rebuild_graphs(
        &self,
        name: &str,
        from: usize,
        force: bool,
    ) -> anyhow::Result<bool> {
        let folder = self.graph_files.folder();
        std::fs::create_dir_all(folder)?;
        let turn = std::fs::File::create(folder.join(LOCK))?;
        match force {
            true => turn.lock()?,
            false if turn.try_lock().is_err() => return Ok(false),
            false => {}
        }
        let Some(collection) = self.find_collection(name)? else {
            return Ok(false);
        };
        let vectors = self.vectors(&collection);
        let reaches = match vectors.len() >= from.max(1) {
            true => wanted(&vectors, &self.graphs(&collection), force),
            false => {
                self.graph_files.forget(&collection.uid, None);
                Vec::new()
            }
        };
        for reach in &reaches {
            let rows = vectors.rows(*reach);
            let layers = hnsw::build(rows.len(), |index| rows.code(index))?;
            let path = self.graph_files.path(&collection.uid, *reach);
            graph_file::write(&path, &collection, *reach, &rows, &layers)?;
        }
        if let (true, Some(made)) = (force, reaches.first()) {
            // Others may reach further than the vector files do now.
            self.graph_files.forget(&collection.uid, Some(*made));
        }
        self.sweep_graphs()?;
        Ok(!reaches.is_empty())
    }

    /// Removes what builders that were killed left half written, and graphs that were merged into others
    /// or whose collection is gone. For whose turn it is.
    fn sweep_graphs(&self) -> anyhow::Result<()> {
        let mut kept = vec![self.graph_files.folder().join(LOCK)];
        for name in self.names_of_collections()? {
            if let Some(collection) = self.find_collection(&name)? {
                let graphs = self.graphs(&collection);
                kept.extend(paths(&self.graph_files, &graphs, &collection));
            }
        }
        let is_kept = |path: &Path| kept.iter().any(|kept| kept == path);
        self.graph_files.keep_only(&is_kept);
        Ok(())
    }
}

/// The ranges that want a new graph: all in one with `force`; else those of graphs too many of whose
/// chunks are gone, and the latest where there are too many without a graph.
fn wanted(vectors: &Chain<VectorFile>, graphs: &Chain<GraphFile>, force: bool) -> Vec<Reach> {
    let to = vectors.covers();
    if force {
        return vec![Reach { after: 0, to }];
    }
    let too_many = |number: usize, all: usize| number > LAG.max(all / 10);
    let stale = |graph: &&Arc<GraphFile>| {
        let live = vectors.rows(graph.front().reach).len();
        too_many(graph.len().saturating_sub(live), graph.len())
    };
    let stale = graphs.parts().iter().filter(stale);
    let mut reaches: Vec<Reach> = stale.map(|graph| graph.front().reach).collect();
    let covers = graphs.covers();
    let late = vectors.rows(Reach { after: covers, to }).len();
    if too_many(late, vectors.len()) {
        let next = graphs.next(to, late, usize::MAX);
        reaches.retain(|reach| reach.to <= next.after);
        reaches.push(next);
    }
    reaches
}
