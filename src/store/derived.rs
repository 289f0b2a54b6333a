//! Derived files of a collection: the vector file and the graph. When they are used, when they are
//! made anew, which dead chunks they may still hold.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use rusqlite::{Connection, params};

use super::sqlite::{EmbeddedStore, find_collection};
use super::vectors::{self, VectorFile};
use super::{Collection, Refreshed};

/// Derived files are made anew when more than this many chunks, and a tenth of all, are missing
/// from them or dead in them.
pub(super) const LAG: u64 = 256;

impl EmbeddedStore {
    pub(super) fn vector_path(&self, uid: &str) -> PathBuf {
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
    pub(super) fn vector_file(&self, collection: &Collection) -> Option<Arc<VectorFile>> {
        let mut cache = self.vector_cache();
        let path = self.vector_path(&collection.uid);
        let cached = cache.get(&collection.id);
        if let Some(cached) =
            cached.filter(|cached| VectorFile::seal_of(&path) == Some(cached.seal))
        {
            return Some(Arc::clone(cached));
        }
        match VectorFile::open(&path, collection) {
            Ok(Some(opened)) => {
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
            if let Some(graph) = self.graph(&collection)? {
                graph.verify()?;
            }
        }
        Ok(())
    }

    /// Vectors of the collection, and those of chunks beyond `covers`.
    pub(super) fn lag(&self, collection: &Collection, covers: i64) -> anyhow::Result<(u64, u64)> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT count(*), coalesce(sum(k.id > ?2), 0)
             FROM chunks k JOIN vectors v ON v.chunk_id = k.id WHERE k.collection_id = ?1",
        )?;
        Ok(statement.query_row(params![collection.id, covers], |row| {
            let count = |index| row.get::<_, i64>(index).map(|n| n as u64);
            Ok((count(0)?, count(1)?))
        })?)
    }

    pub(super) fn refresh_vectors(
        &self,
        collection: &Collection,
        force: bool,
    ) -> anyhow::Result<Refreshed> {
        let Some(collection) = self.find_collection(&collection.name)? else {
            return Ok(Refreshed::default());
        };
        self.sweep();
        let file = self.vector_file(&collection);
        let covers = file.as_ref().map_or(0, |file| file.covers);
        let (chunks, late) = self.lag(&collection, covers)?;
        let too_many = |number: u64| number > LAG.max(chunks / 10);
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
        if refreshed.vectors_rebuilt {
            self.bury(&collection)?;
        }
        Ok(refreshed)
    }

    /// Removes what processes that were killed left half written. Whoever refreshes has the writer
    /// lock, so nobody is writing such a file now. Graphs are swept by who builds them.
    fn sweep(&self) {
        let vectors = self.data_dir.join("vectors");
        for folder in [&self.data_dir, &vectors] {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(".tmp") {
                    // What cannot be removed is in nobody's way.
                    let _ = match entry.path().is_dir() {
                        true => std::fs::remove_dir_all(entry.path()),
                        false => std::fs::remove_file(entry.path()),
                    };
                }
            }
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

    /// Forgets the dead chunks that no derived file can hold any more: those the vector file was made
    /// without, unless there is a graph of an earlier one.
    pub(super) fn bury(&self, collection: &Collection) -> anyhow::Result<()> {
        let Some(file) = self.vector_file(collection) else {
            return Ok(());
        };
        let graph = self.graph(collection).ok().flatten();
        if graph.is_some_and(|graph| graph.generation < file.generation) {
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
    path: &Path,
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
