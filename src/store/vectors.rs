//! A flat vector file: a memory-mapped copy of the vectors of a range of chunks. All are looked at in 8 bits,
//! the best of them scored in f32.
//!
//! Layout, little endian: a header of [`HEADER`] bytes, `count` chunk ids (i64, ascending), `count`
//! steps (f32), `count` codes of `dimension` bytes ([`super::codes`]), `count` vectors of `dimension`
//! f32; codes and vectors begin at multiples of 64. The header holds the BLAKE3 of the ids and that of
//! all behind them, and ends with its own. Opening the file checks header and ids; the rest is checked
//! by `verify`, and by what vectors score: no dot product of unit vectors is beyond 1.

mod layout;
mod write;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use memmap2::Mmap;
use rayon::prelude::*;

use super::Collection;
use super::best::{Best, dot};
use super::codes::Asked;
use super::mapped::{self, FRONT, Front, Reach, array};
use super::parts::{Chain, FromDatabase, Job, Part};
use layout::Layout;

const MAGIC: &[u8; 8] = b"SQLVEC\x00\x04";
/// Magic and front, dimension, count, checksums of ids, of the rest, and of the header.
const HEADER: usize = FRONT + 8 + 8 + 32 + 32 + 32;
const SUMS: usize = FRONT + 16;
/// Vectors scanned at once; a file of no more is scanned by one thread.
const SPAN: usize = 32_768;

/// A mapped vector file that belongs to a collection's model.
pub struct VectorFile {
    map: Mmap,
    layout: Layout,
    front: Front,
}

impl Part for VectorFile {
    const FOLDER: &'static str = "vectors";
    const KIND: &'static str = "vector file";

    fn open(path: &Path, collection: &Collection) -> anyhow::Result<Option<Self>> {
        let Some((map, front)) = mapped::open_part(path, MAGIC, HEADER, collection)? else {
            return Ok(None);
        };
        let dimension = u64::from_le_bytes(array(&map, FRONT)) as usize;
        let count = u64::from_le_bytes(array(&map, FRONT + 8)) as usize;
        ensure!(
            dimension == collection.model.dimension,
            "its vectors have another length"
        );
        let layout = Layout::of(count, dimension).context("it is too large")?;
        ensure!(map.len() == layout.end, "it is truncated");
        let ids = blake3::hash(&map[HEADER..layout.steps]);
        ensure!(
            *ids.as_bytes() == map[SUMS..SUMS + 32],
            "its chunk ids are damaged"
        );
        Ok(Some(Self { map, layout, front }))
    }

    fn seal_of(path: &Path) -> Option<[u8; 32]> {
        mapped::seal(path, MAGIC, HEADER)
    }

    fn front(&self) -> &Front {
        &self.front
    }

    fn len(&self) -> usize {
        self.layout.count
    }

    fn holds(&self, chunk: i64) -> bool {
        self.position(chunk).is_some()
    }

    fn verify(&self) -> anyhow::Result<()> {
        let hash = blake3::hash(&self.map[self.layout.steps..]);
        ensure!(
            *hash.as_bytes() == self.map[SUMS + 32..SUMS + 64],
            "its vectors are damaged"
        );
        Ok(())
    }
}

impl FromDatabase for VectorFile {
    fn write(job: &Job<'_, Self>) -> anyhow::Result<()> {
        write::write(job)
    }
}

impl VectorFile {
    /// The chunk id of vector `index`.
    pub fn chunk(&self, index: usize) -> i64 {
        i64::from_le_bytes(array(&self.map, HEADER + 8 * index))
    }

    /// The vector of `chunk`, if it is in the file.
    pub fn vector(&self, chunk: i64) -> Option<&[f32]> {
        self.position(chunk).map(|index| self.at(index))
    }

    fn position(&self, chunk: i64) -> Option<usize> {
        let index = self.first_after(chunk.saturating_sub(1));
        (index < self.len() && self.chunk(index) == chunk).then_some(index)
    }

    /// The first vector whose chunk has a higher id.
    pub fn first_after(&self, chunk: i64) -> usize {
        let (mut low, mut high) = (0, self.layout.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.chunk(middle) > chunk {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        low
    }

    /// Vector number `index`.
    pub fn at(&self, index: usize) -> &[f32] {
        let bytes = &self.map[self.layout.vector(index)];
        let (before, floats, after) = {
            // SAFETY: every bit pattern is an f32; `align_to` itself checks the alignment.
            unsafe { bytes.align_to::<f32>() }
        };
        debug_assert!(
            before.is_empty() && after.is_empty(),
            "vectors begin at multiples of 4"
        );
        floats
    }

    /// Scores the vectors of chunks beyond `after` that pass `wanted`: all by their codes, and in f32
    /// twice as many of the best as are asked for.
    pub fn scan(
        &self,
        query: &[f32],
        after: i64,
        wanted: &(dyn Fn(i64) -> bool + Sync),
        best: &mut Best,
    ) {
        let asked = Asked::new(query);
        let most = 2 * best.room() + 64;
        let starts = (self.first_after(after)..self.len()).step_by(SPAN);
        let spans: Vec<Range<usize>> = starts.map(|at| at..(at + SPAN).min(self.len())).collect();
        let look = |span: &Range<usize>| self.look(&asked, span.clone(), wanted, most);
        let looks: Vec<Vec<usize>> = match spans.len() {
            0 | 1 => spans.iter().map(look).collect(),
            _ => spans.par_iter().map(look).collect(),
        };
        let mut promising = Best::new(most);
        for index in looks.into_iter().flatten() {
            promising.push(index as i64, self.first_look(&asked, index));
        }
        for found in promising.into_sorted() {
            let index = found.chunk as usize;
            let score = dot(query, self.at(index));
            best.doubt(score);
            best.push(self.chunk(index), score);
        }
    }

    /// The indexes in `span` that look best.
    fn look(
        &self,
        asked: &Asked,
        span: Range<usize>,
        wanted: &(dyn Fn(i64) -> bool + Sync),
        most: usize,
    ) -> Vec<usize> {
        let mut best = Best::new(most);
        for index in span {
            let score = self.first_look(asked, index);
            if best.would_take(score) && wanted(self.chunk(index)) {
                best.push(index as i64, score);
            }
        }
        let found = best.into_sorted().into_iter();
        found.map(|scored| scored.chunk as usize).collect()
    }

    /// The code of vector `index`, and what a step of it stands for.
    pub fn code(&self, index: usize) -> (&[u8], f32) {
        let step = f32::from_le_bytes(array(&self.map, self.layout.steps + 4 * index));
        (&self.map[self.layout.code(index)], step)
    }

    fn first_look(&self, asked: &Asked, index: usize) -> f32 {
        let (code, step) = self.code(index);
        asked.score(code, step)
    }
}

impl Chain<VectorFile> {
    /// As [`VectorFile::scan`], over all files.
    pub fn scan(
        &self,
        query: &[f32],
        after: i64,
        wanted: &(dyn Fn(i64) -> bool + Sync),
        best: &mut Best,
    ) {
        for file in self.parts() {
            file.scan(query, after, wanted, best);
        }
    }

    /// Scores the vectors of `chunks`, those the files hold.
    pub fn score(&self, query: &[f32], chunks: &[i64], best: &mut Best) {
        for &chunk in chunks {
            let file = self.part_of(chunk);
            if let Some(vector) = file.and_then(|file| file.vector(chunk)) {
                let score = dot(query, vector);
                best.doubt(score);
                best.push(chunk, score);
            }
        }
    }

    /// Number of vectors of chunks up to and with `chunk`.
    fn count_to(&self, chunk: i64) -> usize {
        let counts = self.parts().iter().map(|file| file.first_after(chunk));
        counts.sum()
    }

    /// The vectors of the chunks within `reach`, in order.
    pub fn rows(&self, reach: Reach) -> Rows<'_> {
        let sizes = self.parts().iter().scan(0, |end, file| {
            *end += file.len();
            Some(*end)
        });
        Rows {
            files: self.parts(),
            ends: sizes.collect(),
            first: self.count_to(reach.after),
            end: self.count_to(reach.to),
        }
    }
}

/// Vectors that may be in several files, numbered from 0.
pub struct Rows<'f> {
    files: &'f [Arc<VectorFile>],
    /// Vectors up to the end of each file.
    ends: Vec<usize>,
    /// The first of those meant among all, and the first behind them.
    first: usize,
    end: usize,
}

impl<'f> Rows<'f> {
    pub fn len(&self) -> usize {
        self.end - self.first
    }

    fn place(&self, index: usize) -> (&'f VectorFile, usize) {
        let index = self.first + index;
        let number = self.ends.partition_point(|&end| end <= index);
        let before = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        (&self.files[number], index - before)
    }

    pub fn chunk(&self, index: usize) -> i64 {
        let (file, index) = self.place(index);
        file.chunk(index)
    }

    /// See [`VectorFile::code`].
    pub fn code(&self, index: usize) -> (&'f [u8], f32) {
        let (file, index) = self.place(index);
        file.code(index)
    }
}

#[cfg(test)]
pub mod testing {
    use std::collections::HashSet;

    use rusqlite::{Connection, params};

    use super::*;

    /// Writes a file of `rows`, from a database that also has another collection's vector and one beyond
    /// `reach`.
    pub fn write(path: &Path, collection: &Collection, reach: Reach, rows: &[(i64, Vec<f32>)]) {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE chunks (id INTEGER PRIMARY KEY, collection_id INTEGER);
             CREATE TABLE vectors (chunk_id INTEGER PRIMARY KEY, vector BLOB);",
        )
        .unwrap();
        let add = |id: i64, collection: i64, vector: &[f32]| {
            let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
            db.prepare_cached("INSERT INTO chunks VALUES (?1, ?2)")
                .unwrap()
                .execute(params![id, collection])
                .unwrap();
            db.prepare_cached("INSERT INTO vectors VALUES (?1, ?2)")
                .unwrap()
                .execute(params![id, bytes])
                .unwrap();
        };
        for (id, vector) in rows {
            add(*id, collection.id, vector);
        }
        add(reach.to + 1, collection.id, &[]);
        add(reach.to + 2, collection.id + 1, &[]);
        add(-1, collection.id + 1, &[]);
        VectorFile::write(&Job {
            path,
            db: &db,
            collection,
            reach,
            parts: &[],
            dead: &HashSet::new(),
        })
        .unwrap();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::ModelIdentity;
    use crate::store::parts::Files;

    fn collection() -> Collection {
        Collection {
            id: 1,
            name: "c".into(),
            uid: "u".into(),
            model: ModelIdentity {
                name: "m".into(),
                fingerprint: "f".into(),
                dimension: 3,
            },
            generation: 7,
        }
    }

    fn rows() -> [(i64, [f32; 3]); 3] {
        [
            (2, [1.0, 0.0, 0.0]),
            (5, [0.0, 1.0, 0.0]),
            (9, [0.6, 0.8, 0.0]),
        ]
    }

    const REACH: Reach = Reach { after: 0, to: 9 };

    fn written(folder: &Path) -> std::path::PathBuf {
        let rows = rows().map(|(id, vector)| (id, vector.to_vec()));
        let path = folder.join("x");
        testing::write(&path, &collection(), REACH, &rows);
        path
    }

    #[test]
    fn what_is_written_is_read_and_found() {
        let dir = tempfile::tempdir().unwrap();
        let file = VectorFile::open(&written(dir.path()), &collection())
            .unwrap()
            .unwrap();
        file.verify().unwrap();
        assert_eq!((file.len(), file.front().generation), (3, 7));
        assert_eq!(file.front().reach, REACH);
        for (id, vector) in rows() {
            assert_eq!(file.vector(id).unwrap(), vector);
        }
        assert!(file.vector(3).is_none());
        let mut best = Best::new(2);
        file.scan(&[0.0, 1.0, 0.0], 0, &|chunk| chunk != 5, &mut best);
        let found: Vec<i64> = best.into_sorted().iter().map(|s| s.chunk).collect();
        assert_eq!(found, [9, 2]);
    }

    #[test]
    fn any_flipped_byte_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path());
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            std::fs::write(&path, bad).unwrap();
            let opened = VectorFile::open(&path, &collection());
            assert!(
                opened.and_then(|file| file.unwrap().verify()).is_err(),
                "byte {at}"
            );
        }
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(VectorFile::open(&path, &collection()).is_err());
    }

    #[test]
    fn a_file_of_another_model_or_of_the_future_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut other = collection();
        other.model.fingerprint = "g".into();
        assert!(VectorFile::open(&written(dir.path()), &other).is_err());
        let nowhere = VectorFile::open(Path::new("/nowhere"), &collection());
        assert!(nowhere.unwrap().is_none());
        let files: Files<VectorFile> = Files::new(dir.path());
        std::fs::create_dir(dir.path().join(VectorFile::FOLDER)).unwrap();
        std::fs::rename(written(dir.path()), files.path("u", REACH)).unwrap();
        let chain = |generation: i64| files.chain(&collection(), &|| Ok(generation));
        assert!(chain(6).is_empty());
        assert_eq!(chain(7).len(), 3);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(
            at in 0usize..400, with in proptest::collection::vec(any::<u8>(), 0..64), cut in 0usize..400,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = written(dir.path());
            let mut bytes = std::fs::read(&path).unwrap();
            for (index, byte) in with.iter().enumerate() {
                if let Some(place) = bytes.get_mut(at + index) {
                    *place = *byte;
                }
            }
            bytes.truncate(bytes.len().saturating_sub(cut.saturating_sub(300)));
            std::fs::write(&path, bytes).unwrap();
            if let Ok(Some(file)) = VectorFile::open(&path, &collection()) {
                let mut best = Best::new(3);
                file.scan(&[0.6, 0.8, 0.0], 0, &|_| true, &mut best);
                prop_assert!(file.vector(-1).is_none());
                prop_assert!(best.into_sorted().len() <= 3);
            }
        }
    }
}
