//! Derived files that each hold what belongs to a range of a collection's chunks. New chunks get a file
//! of their own, and small neighbours are merged as they gather (a log-structured merge: O'Neil et al.
//! 1996, doi:10.1007/s002360050048): a document more costs what the document does, not what the
//! collection does.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::Collection;
use super::mapped::{Front, Reach};

/// How often the folder is read again, when another process merges files meanwhile.
const TRIES: usize = 3;

/// A kind of derived file, mapped.
pub trait Part: Sized {
    /// Folder below the data directory.
    const FOLDER: &'static str;
    /// For messages.
    const KIND: &'static str;

    /// Maps the file at `path`; `None` if there is none of this version.
    ///
    /// # Errors
    /// When the file is damaged, or belongs to another model.
    fn open(path: &Path, collection: &Collection) -> anyhow::Result<Option<Self>>;
    /// The seal of the file at `path`, without opening it whole.
    fn seal_of(path: &Path) -> Option<[u8; 32]>;
    fn front(&self) -> &Front;
    /// Number of chunks.
    fn len(&self) -> usize;
    fn holds(&self, chunk: i64) -> bool;
    /// Compares the checksum of what opening does not read.
    fn verify(&self) -> anyhow::Result<()>;
}

/// A kind of file that is made from the database.
pub trait FromDatabase: Part {
    /// Writes a file, durably.
    fn write(job: &Job<'_, Self>) -> anyhow::Result<()>;
}

/// The file of the chunks within `reach` that is to be at `path`, from a snapshot of the database.
/// `parts` hold some of them already, from the first on; `dead` are those that are gone.
pub struct Job<'a, P> {
    pub path: &'a Path,
    pub db: &'a Connection,
    pub collection: &'a Collection,
    pub reach: Reach,
    pub parts: &'a [Arc<P>],
    pub dead: &'a HashSet<i64>,
}

/// The files of one kind, mapped once for each file.
pub struct Files<P> {
    folder: PathBuf,
    open: Mutex<HashMap<PathBuf, Arc<P>>>,
    /// Damaged files that were told of.
    told: Mutex<HashSet<PathBuf>>,
}

/// The generation a collection has in the database now: no file can be of a later one.
pub type Generation<'a> = &'a dyn Fn() -> anyhow::Result<i64>;

/// Files whose ranges follow each other from the first chunk on.
pub struct Chain<P>(Vec<Arc<P>>);

impl<P: Part> Chain<P> {
    pub fn empty() -> Self {
        Self(Vec::new())
    }

    pub fn parts(&self) -> &[Arc<P>] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of chunks.
    pub fn len(&self) -> usize {
        self.0.iter().map(|part| part.len()).sum()
    }

    /// Chunks up to this id are in the files, or were gone when they were made.
    pub fn covers(&self) -> i64 {
        self.0.last().map_or(0, |part| part.front().reach.to)
    }

    /// The file whose range `chunk` is in.
    pub fn part_of(&self, chunk: i64) -> Option<&Arc<P>> {
        let index = self.0.partition_point(|part| part.front().reach.to < chunk);
        self.0.get(index)
    }

    pub fn holds(&self, chunk: i64) -> bool {
        self.part_of(chunk).is_some_and(|part| part.holds(chunk))
    }

    /// The range to write when `late` chunks up to `last` are in no file: theirs, and before it those of
    /// files that are not more than twice as large as what comes behind them, `most` chunks in all.
    pub fn next(&self, last: i64, late: usize, most: usize) -> Reach {
        let (mut after, mut size) = (self.covers(), late);
        for part in self.0.iter().rev() {
            if part.len() > 2 * size || part.len() + size > most {
                break;
            }
            size += part.len();
            after = part.front().reach.after;
        }
        Reach { after, to: last }
    }
}

impl<P: Part> Files<P> {
    pub fn new(data_dir: &Path) -> Self {
        Self {
            folder: data_dir.join(P::FOLDER),
            open: Mutex::default(),
            told: Mutex::default(),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a range of the collection `uid`.
    pub fn path(&self, uid: &str, reach: Reach) -> PathBuf {
        self.folder
            .join(format!("{uid}-{}-{}", reach.after, reach.to))
    }

    /// The files of a collection that can be used. A damaged one is told of once and left out with all
    /// behind it: what they hold is read from the database.
    pub fn chain(&self, collection: &Collection, generation: Generation<'_>) -> Chain<P> {
        let mut chain = Chain::empty();
        for _ in 0..TRIES {
            let (found, is_whole) = self.look(collection, generation, &mut |path, error| {
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                if told.insert(path.to_path_buf()) {
                    tracing::warn!(
                        "the {} {} is not used ({error:#}); `squall optimize` makes it anew",
                        P::KIND,
                        path.display()
                    );
                }
            });
            chain = found;
            if is_whole {
                break;
            }
        }
        chain
    }

    /// The first file of a collection that cannot be used, and why.
    pub fn damage(
        &self,
        collection: &Collection,
        generation: Generation<'_>,
    ) -> Option<(PathBuf, anyhow::Error)> {
        let mut damage = None;
        let (chain, _) = self.look(collection, generation, &mut |path, error| {
            damage.get_or_insert((path.to_path_buf(), error));
        });
        for part in chain.parts() {
            if let Err(error) = part.verify() {
                let path = self.path(&collection.uid, part.front().reach);
                damage.get_or_insert((path, error));
            }
        }
        damage
    }

    /// The chain as it is now, and whether no file of it went away meanwhile.
    fn look(
        &self,
        collection: &Collection,
        generation: Generation<'_>,
        damaged: &mut dyn FnMut(&Path, anyhow::Error),
    ) -> (Chain<P>, bool) {
        let there = self.there().unwrap_or_else(|error| {
            damaged(&self.folder, error.into());
            HashSet::new()
        });
        let reaches = there
            .iter()
            .filter_map(|path| range_of(path, &collection.uid));
        let mut reaches: Vec<Reach> = reaches.filter(|reach| reach.after < reach.to).collect();
        // From each chunk on the longest file: shorter ones were merged into it.
        reaches.sort_unstable_by_key(|reach| (reach.after, Reverse(reach.to)));
        let (mut chain, mut is_whole) = (Vec::new(), true);
        let mut covers = 0;
        let mut open = self.cache();
        for reach in reaches {
            if reach.after != covers {
                continue;
            }
            let path = self.path(&collection.uid, reach);
            match opened(&mut open, &path, reach, collection, generation) {
                Ok(Some(part)) => {
                    covers = reach.to;
                    chain.push(part);
                }
                Ok(None) => is_whole &= path.exists(),
                Err(error) => damaged(&path, error),
            }
        }
        // A map keeps the room of a file that is gone.
        open.retain(|path, _| there.contains(path));
        (Chain(chain), is_whole)
    }

    /// Bytes of the files of a collection.
    pub fn bytes(&self, uid: &str) -> u64 {
        let paths = self.there().unwrap_or_default().into_iter();
        let paths = paths.filter(|path| range_of(path, uid).is_some());
        let sizes = paths.filter_map(|path| std::fs::metadata(path).ok());
        sizes.map(|meta| meta.len()).sum()
    }

    /// Removes the files of a collection, but that of one range if there is one to keep.
    pub fn forget(&self, uid: &str, but: Option<Reach>) {
        self.keep_only(&|path| {
            let reach = range_of(path, uid);
            reach.is_none() || reach == but
        });
    }

    /// Removes the files that are not `kept`. For whoever has the writer lock.
    pub fn keep_only(&self, kept: &dyn Fn(&Path) -> bool) {
        for path in self.there().unwrap_or_default() {
            if !kept(&path) {
                self.cache().remove(&path);
                // What cannot be removed is in nobody's way.
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    /// What is in the folder.
    fn there(&self) -> std::io::Result<HashSet<PathBuf>> {
        match std::fs::read_dir(&self.folder) {
            Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(HashSet::new()),
            Err(error) => Err(error),
        }
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<PathBuf, Arc<P>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn opened<P: Part>(
    open: &mut HashMap<PathBuf, Arc<P>>,
    path: &Path,
    reach: Reach,
    collection: &Collection,
    generation: Generation<'_>,
) -> anyhow::Result<Option<Arc<P>>> {
    let cached = open.get(path);
    if let Some(cached) = cached.filter(|cached| P::seal_of(path) == Some(cached.front().seal)) {
        return Ok(Some(Arc::clone(cached)));
    }
    let Some(part) = P::open(path, collection)? else {
        return Ok(None);
    };
    anyhow::ensure!(part.front().reach == reach, "it has another file's name");
    // Asked afterwards: another process may have written meanwhile.
    anyhow::ensure!(
        part.front().generation <= generation()?,
        "it is newer than the database"
    );
    let part = Arc::new(part);
    open.insert(path.to_path_buf(), Arc::clone(&part));
    Ok(Some(part))
}

/// The range in the name of a file of the collection `uid`.
fn range_of(path: &Path, uid: &str) -> Option<Reach> {
    let name = path.file_name()?.to_str()?;
    let (after, to) = name.strip_prefix(uid)?.strip_prefix('-')?.split_once('-')?;
    Some(Reach {
        after: after.parse().ok()?,
        to: to.parse().ok()?,
    })
}
