//! The HNSW graph (crate `hnsw_rs`) over unit vectors: build, dump, load, search. Approximate;
//! callers score what it finds exactly.

use std::panic::AssertUnwindSafe;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use hnsw_rs::prelude::{AnnT as _, DistL2, Hnsw, HnswIo};

/// Links a node has on each layer (M).
const LINKS: usize = 16;
/// Candidates looked at when a node is inserted.
const EF_CONSTRUCTION: usize = 200;
const MAX_LAYERS: usize = 16;
/// Vectors handed to the parallel insert at once.
const BATCH: usize = 2048;

/// A graph in memory. L2 orders unit vectors as the cosine does, and unlike the crate's dot
/// distance it does not panic when rounding makes a dot product pass 1.
pub struct Graph {
    inner: Hnsw<'static, f32, DistL2>,
}

impl Graph {
    /// Builds a graph over `vectors` with their ids.
    pub fn build<'v>(count: usize, vectors: impl Iterator<Item = (&'v [f32], i64)>) -> Self {
        let inner = Hnsw::new(LINKS, count.max(1), MAX_LAYERS, EF_CONSTRUCTION, DistL2 {});
        let mut batch: Vec<(&[f32], usize)> = Vec::with_capacity(BATCH);
        for (vector, id) in vectors {
            batch.push((vector, id as usize));
            if batch.len() == BATCH {
                inner.parallel_insert_slice(&batch);
                batch.clear();
            }
        }
        inner.parallel_insert_slice(&batch);
        Self { inner }
    }

    /// Writes `<name>.hnsw.graph` and `<name>.hnsw.data` into `folder`.
    pub fn dump(&self, folder: &Path, name: &str) -> anyhow::Result<()> {
        self.inner.file_dump(folder, name)?;
        Ok(())
    }

    /// Loads what [`Graph::dump`] wrote. The crate asserts on damaged files, so callers compare
    /// checksums first; what still panics becomes an error.
    pub fn load(folder: &Path, name: &str) -> anyhow::Result<Self> {
        // The graph borrows from its loader, and lives as long as the process that loads it.
        let loader: &'static mut HnswIo = Box::leak(Box::new(HnswIo::new(folder, name)));
        let load = move || {
            let loader = loader;
            loader.load_hnsw()
        };
        let loaded = std::panic::catch_unwind(AssertUnwindSafe(load));
        let mut inner: Hnsw<'static, f32, DistL2> = loaded
            .map_err(|_| anyhow!("the graph files are damaged"))?
            .context("cannot load the graph")?;
        inner.set_searching_mode(true);
        Ok(Self { inner })
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.inner.get_nb_point()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About the `k` nearest ids among those `wanted`, best first. `ef` at least `k` trades time
    /// for recall.
    pub fn search(
        &self,
        query: &[f32],
        k: usize,
        ef: usize,
        wanted: &dyn Fn(i64) -> bool,
    ) -> Vec<i64> {
        let filter = |id: &usize| wanted(*id as i64);
        self.inner
            .search_filter(query, k, ef.max(k), Some(&filter))
            .into_iter()
            .map(|neighbour| neighbour.d_id as i64)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unit vectors in clusters, as text embeddings are; the same for the same seed.
    fn vectors(count: usize, dimension: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut state = seed;
        let mut next = move || {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            ((state >> 40) as f32 / (1u64 << 24) as f32) - 0.5
        };
        let centres: Vec<Vec<f32>> = (0..50)
            .map(|_| (0..dimension).map(|_| next()).collect())
            .collect();
        (0..count)
            .map(|i| {
                let centre = &centres[i % 50];
                let raw: Vec<f32> = centre.iter().map(|c| c + 0.6 * next()).collect();
                let norm = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
                raw.into_iter().map(|x| x / norm).collect()
            })
            .collect()
    }

    fn exact(all: &[Vec<f32>], query: &[f32], k: usize, wanted: &dyn Fn(i64) -> bool) -> Vec<i64> {
        let mut scored: Vec<(f32, i64)> = all
            .iter()
            .zip(0..)
            .filter(|(_, id)| wanted(*id))
            .map(|(v, id)| (v.iter().zip(query).map(|(a, b)| a * b).sum(), id))
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        scored.into_iter().take(k).map(|(_, id)| id).collect()
    }

    fn recall(graph: &Graph, all: &[Vec<f32>], wanted: &dyn Fn(i64) -> bool) -> f64 {
        let queries = vectors(100, all[0].len(), 99);
        let mut found = 0;
        for query in &queries {
            let truth = exact(all, query, 10, wanted);
            let got = graph.search(query, 10, 128, wanted);
            found += truth.iter().filter(|id| got.contains(id)).count();
        }
        found as f64 / (10 * queries.len()) as f64
    }

    #[test]
    fn recall_at_10_is_at_least_98_percent_also_after_reloading_and_with_tombstones() {
        let all = vectors(4000, 64, 7);
        let graph = Graph::build(4000, all.iter().map(Vec::as_slice).zip(0..));
        assert!(recall(&graph, &all, &|_| true) >= 0.98);
        let dir = tempfile::tempdir().unwrap();
        graph.dump(dir.path(), "g").unwrap();
        let loaded = Graph::load(dir.path(), "g").unwrap();
        assert_eq!(loaded.len(), 4000);
        assert!(recall(&loaded, &all, &|_| true) >= 0.98);
        assert!(recall(&loaded, &all, &|id| id % 10 != 3) >= 0.98);
    }
}
