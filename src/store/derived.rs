//! The derived files of a collection: when they are made anew, which dead chunks they may still hold.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use anyhow::Context as _;
use rusqlite::{Connection, OpenFlags, params};

use super::graph_file::GraphFile;
use super::mapped::Reach;
use super::parts::{Chain, Files, FromDatabase, Job, Part};
use super::postings::Postings;
use super::sqlite::{BUSY_TIMEOUT, Dead, EmbeddedStore, find_collection};
use super::vectors::VectorFile;
use super::{Collection, Refreshed, sums};

/// Most chunks of files that are merged unasked: a second's work.
const MOST_MERGED: usize = 131_072;

impl EmbeddedStore {
    pub(super) fn vectors(&self, collection: &Collection) -> Chain<VectorFile> {
        let generation = || self.generation(collection);
        self.vector_files.chain(collection, &generation)
    }

    pub(super) fn postings(&self, collection: &Collection) -> Chain<Postings> {
        let generation = || self.generation(collection);
        self.posting_files.chain(collection, &generation)
    }

    pub(super) fn graphs(&self, collection: &Collection) -> Chain<GraphFile> {
        let generation = || self.generation(collection);
        self.graph_files.chain(collection, &generation)
    }

    /// The first file of one kind that is damaged, and why.
    pub(super) fn damage<P: Part>(
        &self,
        files: &Files<P>,
        collection: &Collection,
    ) -> Option<(PathBuf, anyhow::Error)> {
        files.damage(collection, &|| self.generation(collection))
    }

    fn generation(&self, collection: &Collection) -> anyhow::Result<i64> {
        let db = self.reader();
        let mut statement =
            db.prepare_cached("SELECT generation FROM collections WHERE id = ?1")?;
        Ok(statement.query_row([collection.id], |row| row.get(0))?)
    }

    /// Bytes of the derived files.
    pub(super) fn derived_bytes(&self, uid: &str) -> u64 {
        self.vector_files.bytes(uid) + self.posting_files.bytes(uid) + self.graph_files.bytes(uid)
    }

    pub(super) fn forget_derived(&self, collection: &Collection) {
        self.vector_files.forget(&collection.uid, None);
        self.posting_files.forget(&collection.uid, None);
        self.graph_files.forget(&collection.uid, None);
    }

    /// Compares the checksums of every derived file.
    ///
    /// # Errors
    /// The first file that is damaged.
    pub fn check_derived(&self) -> anyhow::Result<()> {
        for name in self.names_of_collections()? {
            let Some(collection) = self.find_collection(&name)? else {
                continue;
            };
            let damage = self
                .damage(&self.vector_files, &collection)
                .or_else(|| self.damage(&self.posting_files, &collection))
                .or_else(|| self.damage(&self.graph_files, &collection));
            if let Some((path, why)) = damage {
                return Err(why.context(format!("{} cannot be used", path.display())));
            }
        }
        Ok(())
    }

    /// Brings vector and posting files up to date: files of their own for new chunks, and files anew that
    /// hold too many dead ones; all of them in one with `force`.
    pub(super) fn refresh_files(
        &self,
        collection: &Collection,
        force: bool,
    ) -> anyhow::Result<Refreshed> {
        self.refuse_lost_writes()?;
        // Of its own, so that nobody waits meanwhile; in one snapshot.
        let mut db = self.sole_reader()?;
        let db = db.transaction()?;
        let Some(collection) = find_collection(&db, &collection.name)? else {
            return Ok(Refreshed::default());
        };
        let dead = tombstones(&db, &collection)?;
        let bring = Bring {
            db: &db,
            collection: &collection,
            dead: &dead,
            force,
        };
        let vectors = bring.up_to_date(&self.vector_files);
        let postings = bring.up_to_date(&self.posting_files);
        drop(db);
        if matches!(vectors, Ok(true)) || matches!(postings, Ok(true)) {
            self.sweep()?;
        }
        self.bury(&collection)?;
        Ok(Refreshed {
            vectors_rebuilt: vectors?,
            postings_rebuilt: postings?,
            graph_rebuilt: false,
            chunks: self.postings(&collection).len() as u64,
        })
    }

    /// A connection of its own to read the database by.
    fn sole_reader(&self) -> anyhow::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let db = Connection::open_with_flags(Self::database(&self.data_dir), flags)?;
        db.busy_timeout(BUSY_TIMEOUT)?;
        sums::register(&db)?;
        Ok(db)
    }

    /// Removes what processes that were killed left half written, files that were merged into others, and
    /// those of collections that are gone. Whoever refreshes has the writer lock, so nobody is writing
    /// such a file now. Graphs are swept by who builds them.
    fn sweep(&self) -> anyhow::Result<()> {
        let mut kept: HashSet<PathBuf> = HashSet::new();
        for name in self.names_of_collections()? {
            if let Some(collection) = self.find_collection(&name)? {
                let vectors = self.vectors(&collection);
                kept.extend(paths(&self.vector_files, &vectors, &collection));
                let postings = self.postings(&collection);
                kept.extend(paths(&self.posting_files, &postings, &collection));
            }
        }
        self.vector_files.keep_only(&|path| kept.contains(path));
        self.posting_files.keep_only(&|path| kept.contains(path));
        // As earlier versions called them.
        let is_old = |path: &Path| path.extension().is_some_and(|ext| ext == "graph");
        self.graph_files.keep_only(&|path| !is_old(path));
        for entry in std::fs::read_dir(&self.data_dir)
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry.file_name().to_string_lossy().starts_with(".tmp") {
                // What cannot be removed is in nobody's way.
                let _ = match entry.path().is_dir() {
                    true => std::fs::remove_dir_all(entry.path()),
                    false => std::fs::remove_file(entry.path()),
                };
            }
        }
        Ok(())
    }

    /// Forgets the dead chunks that no derived file holds any more. Only whoever has the writer lock knows
    /// that none is about to be made that holds them.
    fn bury(&self, collection: &Collection) -> anyhow::Result<()> {
        let dead = self.tombstones(collection)?;
        if dead.is_empty() {
            return Ok(());
        }
        let (vectors, postings) = (self.vectors(collection), self.postings(collection));
        let graphs = self.graphs(collection);
        let is_held =
            |chunk: i64| vectors.holds(chunk) || postings.holds(chunk) || graphs.holds(chunk);
        let gone: Vec<i64> = dead.iter().copied().filter(|&c| !is_held(c)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.write(|tx| {
            let mut delete = tx.prepare_cached("DELETE FROM tombstones WHERE chunk_id = ?1")?;
            for chunk in gone {
                delete.execute([chunk])?;
            }
            Ok(())
        })
    }

    /// Chunks that are gone but may stand in derived files; read once for each generation.
    pub(super) fn tombstones(&self, collection: &Collection) -> anyhow::Result<Arc<HashSet<i64>>> {
        let generation = self.generation(collection)?;
        let mut known = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(&collection.id);
        if let Some(dead) = found.filter(|dead| dead.generation == generation) {
            return Ok(Arc::clone(&dead.chunks));
        }
        let chunks = Arc::new(tombstones(&self.reader(), collection)?);
        let dead = Dead {
            generation,
            chunks: Arc::clone(&chunks),
        };
        known.insert(collection.id, dead);
        Ok(chunks)
    }
}

fn tombstones(db: &Connection, collection: &Collection) -> anyhow::Result<HashSet<i64>> {
    let mut statement =
        db.prepare_cached("SELECT chunk_id FROM tombstones WHERE collection_id = ?1")?;
    let rows = statement.query_map([collection.id], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The paths of the files in use.
pub(super) fn paths<P: Part>(
    files: &Files<P>,
    chain: &Chain<P>,
    collection: &Collection,
) -> Vec<PathBuf> {
    let reaches = chain.parts().iter().map(|part| part.front().reach);
    reaches
        .map(|reach| files.path(&collection.uid, reach))
        .collect()
}

/// What a collection is in the snapshot that files are made from.
struct Bring<'a> {
    db: &'a Connection,
    collection: &'a Collection,
    dead: &'a HashSet<i64>,
    force: bool,
}

impl Bring<'_> {
    /// Makes the files of one kind that are wanted; whether there were any.
    fn up_to_date<P: FromDatabase>(&self, files: &Files<P>) -> anyhow::Result<bool> {
        let sql = "SELECT coalesce(max(id), 0) FROM chunks WHERE collection_id = ?1";
        let last: i64 = self
            .db
            .query_row(sql, [self.collection.id], |row| row.get(0))?;
        if self.force {
            let reach = Reach { after: 0, to: last };
            let made = (last > 0).then_some(reach);
            if made.is_some() {
                self.write(files, reach, &[])?;
            }
            // Others may reach further than the chunks do now.
            files.forget(&self.collection.uid, made);
            return Ok(last > 0);
        }
        // In this snapshot nothing is later.
        let generation = || Ok(self.collection.generation);
        let mut chain = files.chain(self.collection, &generation);
        let mut is_written = false;
        for part in chain.parts() {
            let dead = self.dead.iter().filter(|&&chunk| part.holds(chunk)).count();
            // A large file takes a while, so more may be dead in it.
            let most = match part.len() > MOST_MERGED {
                true => part.len() / 4,
                false => part.len() / 10,
            };
            if dead > most {
                self.write(files, part.front().reach, std::slice::from_ref(part))?;
                is_written = true;
            }
        }
        if is_written {
            chain = files.chain(self.collection, &generation);
        }
        let late = self.late(chain.covers())?;
        if late > 0 {
            let reach = chain.next(last, late, MOST_MERGED);
            let parts = chain.parts().iter();
            let merged: Vec<Arc<P>> = parts
                .filter(|part| part.front().reach.after >= reach.after)
                .cloned()
                .collect();
            self.write(files, reach, &merged)?;
            is_written = true;
        }
        Ok(is_written)
    }

    fn write<P: FromDatabase>(
        &self,
        files: &Files<P>,
        reach: Reach,
        parts: &[Arc<P>],
    ) -> anyhow::Result<()> {
        let path = files.path(&self.collection.uid, reach);
        P::write(&Job {
            path: &path,
            db: self.db,
            collection: self.collection,
            reach,
            parts,
            dead: self.dead,
        })
        .with_context(|| {
            let (kind, path) = (P::KIND, path.display());
            format!("the {kind} {path} cannot be made: is its folder to be written to?")
        })
    }

    /// Chunks that no file covers.
    fn late(&self, covers: i64) -> anyhow::Result<usize> {
        let mut count = self
            .db
            .prepare_cached("SELECT count(*) FROM chunks WHERE collection_id = ?1 AND id > ?2")?;
        let late: i64 = count.query_row(params![self.collection.id, covers], |row| row.get(0))?;
        Ok(late as usize)
    }
}
