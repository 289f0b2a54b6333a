//! The HNSW graph as a derived file: where it is, what it covers, whether it can be trusted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::Collection;
use super::sqlite::{EmbeddedStore, unique};
use super::vectors::{VectorFile, fingerprint, sync_folder};
use crate::hnsw::Graph;

/// Raised when the files or their meaning change.
const FORMAT: u32 = 1;

/// The manifest beside the graph files; written last, so that files without one do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    fingerprint: String,
    generation: i64,
    /// Chunks up to this id are in the graph, or were gone when it was built.
    covers: i64,
    chunks: u64,
    /// Base name of the files.
    name: String,
    /// BLAKE3 of the graph file and the data file.
    checksums: [String; 2],
}

/// A graph in memory and what it covers.
pub struct LoadedGraph {
    pub graph: Graph,
    /// Of its files, which is never used twice.
    pub name: String,
    pub covers: i64,
}

impl EmbeddedStore {
    fn graph_folder(&self) -> PathBuf {
        self.data_dir.join("graphs")
    }

    fn manifest_path(&self, uid: &str) -> PathBuf {
        self.graph_folder().join(format!("{uid}.json"))
    }

    fn manifest(&self, uid: &str) -> Option<Manifest> {
        let text = std::fs::read_to_string(self.manifest_path(uid)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Chunks in the graph of this collection, 0 where there is none.
    pub(super) fn graph_chunks(&self, uid: &str) -> u64 {
        self.manifest(uid).map_or(0, |manifest| manifest.chunks)
    }

    /// What the graph covers and how many chunks are in it.
    pub(super) fn graph_extent(&self, collection: &Collection) -> Option<(i64, u64)> {
        let manifest = self.manifest(&collection.uid)?;
        trusted(&manifest, collection).ok()?;
        Some((manifest.covers, manifest.chunks))
    }

    /// Builds the graph from the vector file and replaces the one before.
    pub(super) fn build_graph(
        &self,
        collection: &Collection,
        vectors: &VectorFile,
    ) -> anyhow::Result<()> {
        let folder = self.graph_folder();
        std::fs::create_dir_all(&folder)?;
        let before = self.manifest(&collection.uid);
        let rows = (0..vectors.len()).map(|index| (vectors.at(index), vectors.chunk(index)));
        let graph = Graph::build(vectors.len(), rows);
        let name = format!("{}-{}", collection.uid, unique(&collection.uid));
        graph.dump(&folder, &name)?;
        let mut checksums = Vec::new();
        for path in graph_files(&folder, &name) {
            let file = std::fs::File::open(&path)
                .with_context(|| format!("the graph was not written to {}", path.display()))?;
            file.sync_all()?;
            let mut hasher = blake3::Hasher::new();
            hasher.update_mmap(&path)?;
            checksums.push(hasher.finalize().to_hex().to_string());
        }
        let [graph_sum, data_sum] = checksums.try_into().unwrap_or_default();
        let manifest = Manifest {
            format: FORMAT,
            fingerprint: fingerprint(collection).to_hex().to_string(),
            generation: vectors.generation,
            covers: vectors.covers,
            chunks: vectors.len() as u64,
            name: name.clone(),
            checksums: [graph_sum, data_sum],
        };
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        serde_json::to_writer_pretty(&mut file, &manifest)?;
        file.as_file().sync_all()?;
        file.persist(self.manifest_path(&collection.uid))?;
        sync_folder(&folder)?;
        if let Some(before) = before.filter(|before| before.name != name) {
            for path in graph_files(&folder, &before.name) {
                // Left over at worst; the manifest no longer names it.
                let _ = std::fs::remove_file(path);
            }
        }
        Ok(())
    }

    /// The graph, loaded once for each generation; `None` where there is none.
    ///
    /// # Errors
    /// When the files are stale or damaged.
    pub(super) fn graph(
        &self,
        collection: &Collection,
    ) -> anyhow::Result<Option<Arc<LoadedGraph>>> {
        let Some(manifest) = self.manifest(&collection.uid) else {
            return Ok(None);
        };
        let mut graphs = self
            .graphs
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(loaded) = graphs.get(&collection.id)
            && loaded.name == manifest.name
        {
            return Ok(Some(Arc::clone(loaded)));
        }
        trusted(&manifest, collection)?;
        let folder = self.graph_folder();
        for (path, checksum) in graph_files(&folder, &manifest.name)
            .iter()
            .zip(&manifest.checksums)
        {
            let mut hasher = blake3::Hasher::new();
            hasher
                .update_mmap(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            ensure!(
                hasher.finalize().to_hex().as_str() == checksum,
                "{} is damaged",
                path.display()
            );
        }
        let loaded = Arc::new(LoadedGraph {
            graph: Graph::load(&folder, &manifest.name)?,
            name: manifest.name.clone(),
            covers: manifest.covers,
        });
        graphs.insert(collection.id, Arc::clone(&loaded));
        Ok(Some(loaded))
    }

    /// Removes the graph's files.
    pub(super) fn forget_graph(&self, uid: &str) {
        if let Some(manifest) = self.manifest(uid) {
            // The manifest first: files it does not name are never read.
            let _ = std::fs::remove_file(self.manifest_path(uid));
            for path in graph_files(&self.graph_folder(), &manifest.name) {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// Bytes of the graph's files.
    pub(super) fn graph_bytes(&self, uid: &str) -> u64 {
        let Some(manifest) = self.manifest(uid) else {
            return 0;
        };
        graph_files(&self.graph_folder(), &manifest.name)
            .iter()
            .filter_map(|path| Some(std::fs::metadata(path).ok()?.len()))
            .sum()
    }
}

fn trusted(manifest: &Manifest, collection: &Collection) -> anyhow::Result<()> {
    ensure!(
        manifest.format == FORMAT,
        "the graph has another format ({})",
        manifest.format
    );
    ensure!(
        manifest.fingerprint == fingerprint(collection).to_hex().as_str(),
        "the graph was made with another model"
    );
    ensure!(
        manifest.generation <= collection.generation,
        "the graph is newer than the database"
    );
    Ok(())
}

fn graph_files(folder: &Path, name: &str) -> [PathBuf; 2] {
    [
        folder.join(format!("{name}.hnsw.graph")),
        folder.join(format!("{name}.hnsw.data")),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::{ModelIdentity, Store as _};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn no_damage_to_a_graph_is_believed(
            which in 0usize..3, at in 0usize..4000, flip in 1u8.., cut in any::<bool>(),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let store = EmbeddedStore::open(dir.path()).unwrap();
            let model = ModelIdentity { name: "m".into(), fingerprint: "f".into(), dimension: 2 };
            let collection = store.open_collection("c", &model).unwrap();
            let rows = (1..40).map(|i| {
                let angle = i as f32 / 40.0;
                let vector = [angle.cos(), angle.sin()];
                Ok((i, vector.iter().flat_map(|x| x.to_le_bytes()).collect()))
            });
            let path = store.vector_path(&collection.uid);
            super::super::vectors::write(&path, &collection, 40, 39, &mut rows.into_iter()).unwrap();
            let file = VectorFile::open(&path, &collection).unwrap().unwrap();
            store.build_graph(&collection, &file).unwrap();
            let name = store.manifest(&collection.uid).unwrap().name;
            let folder = store.graph_folder();
            let [graph, data] = graph_files(&folder, &name);
            let path = [store.manifest_path(&collection.uid), graph, data][which].clone();
            let mut bytes = std::fs::read(&path).unwrap();
            let at = at % bytes.len();
            match cut {
                true => bytes.truncate(at),
                false => bytes[at] ^= flip,
            }
            std::fs::write(&path, bytes).unwrap();
            // Refused, not found, or, where only the manifest's spelling changed, as it was.
            if let Ok(Some(loaded)) = store.graph(&collection) {
                prop_assert_eq!(loaded.graph.len(), 39);
            }
        }
    }
}
