//! The flat vector file: a memory-mapped copy of a collection's vectors, scanned exactly.
//!
//! Layout, little endian: a header of [`HEADER`] bytes, `count` chunk ids (i64, ascending), then
//! `count` x `dimension` f32. The header holds the BLAKE3 of the ids and that of the vectors, and
//! ends with its own. Opening the file checks header and ids; vectors are checked by `verify`, and
//! by what they score: no dot product of unit vectors is beyond 1.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use memmap2::Mmap;

use super::Collection;
use super::best::{Best, dot};

const MAGIC: &[u8; 8] = b"SQLVEC\x00\x02";
const HEADER: usize = 8 + 4 + 4 + 8 + 8 + 8 + 32 + 32 + 32 + 32;

/// A mapped vector file that belongs to a collection's model.
pub struct VectorFile {
    map: Mmap,
    dimension: usize,
    count: usize,
    /// The header's checksum, which tells two files apart.
    pub seal: [u8; 32],
    /// The collection's generation when the file was made.
    pub generation: i64,
    /// Chunks up to this id are in the file, or were gone when it was made.
    pub covers: i64,
}

impl VectorFile {
    /// Maps the file at `path`; `None` if there is none.
    ///
    /// # Errors
    /// When the file is damaged, or belongs to another model or a later database.
    pub fn open(path: &Path, collection: &Collection) -> anyhow::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // SAFETY: the file is never changed in place, only replaced by rename, so the mapped
        // bytes stay what they are.
        let map = unsafe { Mmap::map(&file)? };
        ensure!(
            map.len() >= HEADER && map[..8] == *MAGIC,
            "it is no vector file of this version"
        );
        let head = &map[..HEADER];
        let hash = blake3::hash(&head[..HEADER - 32]);
        ensure!(
            *hash.as_bytes() == head[HEADER - 32..],
            "its header is damaged"
        );
        let opened = Self {
            dimension: u32::from_le_bytes(array(head, 8)) as usize,
            count: u64::from_le_bytes(array(head, 16)) as usize,
            generation: i64::from_le_bytes(array(head, 24)),
            covers: i64::from_le_bytes(array(head, 32)),
            seal: *hash.as_bytes(),
            map,
        };
        let head = &opened.map[..HEADER];
        ensure!(
            head[40..72] == *fingerprint(collection).as_bytes()
                && opened.dimension == collection.model.dimension,
            "it was made with another model"
        );
        ensure!(
            opened.generation <= collection.generation,
            "it is newer than the database"
        );
        let payload = opened.count * (8 + 4 * opened.dimension);
        ensure!(opened.map.len() == HEADER + payload, "it is truncated");
        let ids = blake3::hash(&opened.map[HEADER..HEADER + 8 * opened.count]);
        ensure!(
            *ids.as_bytes() == opened.map[72..104],
            "its chunk ids are damaged"
        );
        Ok(Some(opened))
    }

    /// Compares the checksum of the vectors, which opening does not read.
    pub fn verify(&self) -> anyhow::Result<()> {
        let hash = blake3::hash(&self.map[HEADER + 8 * self.count..]);
        ensure!(
            *hash.as_bytes() == self.map[104..136],
            "its vectors are damaged"
        );
        Ok(())
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The chunk id of vector `index`.
    pub fn chunk(&self, index: usize) -> i64 {
        i64::from_le_bytes(array(&self.map, HEADER + 8 * index))
    }

    /// The vector of `chunk`, if it is in the file.
    pub fn vector(&self, chunk: i64) -> Option<&[f32]> {
        self.position(chunk).map(|index| self.at(index))
    }

    fn position(&self, chunk: i64) -> Option<usize> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.chunk(middle).cmp(&chunk) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// Vector number `index`.
    pub fn at(&self, index: usize) -> &[f32] {
        let start = HEADER + 8 * self.count + 4 * self.dimension * index;
        let bytes = &self.map[start..start + 4 * self.dimension];
        let (before, floats, after) = {
            // SAFETY: every bit pattern is an f32; `align_to` itself checks the alignment.
            unsafe { bytes.align_to::<f32>() }
        };
        debug_assert!(
            before.is_empty() && after.is_empty(),
            "offsets are multiples of 8"
        );
        floats
    }

    /// Scores every vector whose chunk passes `wanted`.
    pub fn scan(&self, query: &[f32], wanted: &dyn Fn(i64) -> bool, best: &mut Best) {
        for index in 0..self.count {
            let score = dot(query, self.at(index));
            best.doubt(score);
            if best.would_take(score) && wanted(self.chunk(index)) {
                best.push(self.chunk(index), score);
            }
        }
    }

    /// Scores the vectors of `chunks`, those the file holds.
    pub fn score(&self, query: &[f32], chunks: &[i64], best: &mut Best) {
        for &chunk in chunks {
            if let Some(vector) = self.vector(chunk) {
                let score = dot(query, vector);
                best.doubt(score);
                best.push(chunk, score);
            }
        }
    }
}

/// Writes a vector file beside `path` and renames it there. `rows` are ascending in chunk id;
/// `count` is their number.
pub fn write(
    path: &Path,
    collection: &Collection,
    covers: i64,
    count: usize,
    rows: &mut dyn Iterator<Item = anyhow::Result<(i64, Vec<u8>)>>,
) -> anyhow::Result<()> {
    let dimension = collection.model.dimension;
    let folder = path.parent().context("the vector file has no folder")?;
    std::fs::create_dir_all(folder)?;
    let mut ids = Vec::with_capacity(8 * count);
    let mut vectors = tempfile::NamedTempFile::new_in(folder)?;
    let mut buffered = std::io::BufWriter::new(vectors.as_file_mut());
    // Room for the header and the ids, which are known last.
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(0), (HEADER + 8 * count) as u64),
        &mut buffered,
    )?;
    for row in rows {
        let (chunk, vector) = row?;
        ensure!(
            vector.len() == 4 * dimension,
            "chunk {chunk} has a vector of another length"
        );
        ids.extend(chunk.to_le_bytes());
        buffered.write_all(&vector)?;
    }
    ensure!(
        ids.len() == 8 * count,
        "the collection changed while it was read"
    );
    buffered.flush()?;
    drop(buffered);
    let file = vectors.as_file_mut();
    write_front(file, collection, covers, &ids)?;
    file.sync_all()?;
    vectors.persist(path)?;
    sync_folder(folder)
}

/// Writes header and ids at the start of `file`, whose vectors are already in place.
fn write_front(
    file: &mut File,
    collection: &Collection,
    covers: i64,
    ids: &[u8],
) -> anyhow::Result<()> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut payload = blake3::Hasher::new();
    file.seek(SeekFrom::Start((HEADER + ids.len()) as u64))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        payload.update(&buffer[..read]);
    }
    let mut head = Vec::with_capacity(HEADER);
    head.extend(MAGIC);
    head.extend((collection.model.dimension as u32).to_le_bytes());
    head.extend(0u32.to_le_bytes());
    head.extend(((ids.len() / 8) as u64).to_le_bytes());
    head.extend(collection.generation.to_le_bytes());
    head.extend(covers.to_le_bytes());
    head.extend(fingerprint(collection).as_bytes());
    head.extend(blake3::hash(ids).as_bytes());
    head.extend(payload.finalize().as_bytes());
    let hash = blake3::hash(&head);
    head.extend(hash.as_bytes());
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&head)?;
    file.write_all(ids)?;
    Ok(())
}

/// Makes a rename in `folder` durable.
pub fn sync_folder(folder: &Path) -> anyhow::Result<()> {
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// What ties a derived file to a collection and its model.
pub fn fingerprint(collection: &Collection) -> blake3::Hash {
    blake3::hash(format!("{}\n{}", collection.uid, collection.model.fingerprint).as_bytes())
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::ModelIdentity;

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

    fn rows() -> Vec<(i64, [f32; 3])> {
        vec![
            (2, [1.0, 0.0, 0.0]),
            (5, [0.0, 1.0, 0.0]),
            (9, [0.6, 0.8, 0.0]),
        ]
    }

    fn written(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("x.vec");
        let mut bytes = rows()
            .into_iter()
            .map(|(id, vector)| Ok((id, vector.iter().flat_map(|x| x.to_le_bytes()).collect())));
        write(&path, &collection(), 9, 3, &mut bytes).unwrap();
        path
    }

    #[test]
    fn what_is_written_is_read_and_found() {
        let dir = tempfile::tempdir().unwrap();
        let file = VectorFile::open(&written(dir.path()), &collection())
            .unwrap()
            .unwrap();
        file.verify().unwrap();
        assert_eq!((file.len(), file.covers, file.generation), (3, 9, 7));
        for (id, vector) in rows() {
            assert_eq!(file.vector(id).unwrap(), vector);
        }
        assert!(file.vector(3).is_none());
        let mut best = Best::new(2);
        file.scan(&[0.0, 1.0, 0.0], &|chunk| chunk != 5, &mut best);
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
        let path = written(dir.path());
        let mut other = collection();
        other.model.fingerprint = "g".into();
        assert!(VectorFile::open(&path, &other).is_err());
        let mut older = collection();
        older.generation = 6;
        assert!(VectorFile::open(&path, &older).is_err());
        assert!(
            VectorFile::open(Path::new("/nowhere.vec"), &older)
                .unwrap()
                .is_none()
        );
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
                file.scan(&[0.6, 0.8, 0.0], &|_| true, &mut best);
                file.score(&[0.6, 0.8, 0.0], &[2, 5, 9, -1], &mut best);
                prop_assert!(best.into_sorted().len() <= 3);
            }
        }
    }
}
