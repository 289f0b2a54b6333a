//! Writing a vector file: row by row, in a few megabytes of memory.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};

use super::layout::Layout;
use super::{HEADER, MAGIC};
use crate::store::Collection;
use crate::store::codes::encode;
use crate::store::mapped::{fingerprint, sync_folder};

/// Vectors written at once.
const ROWS: usize = 1024;

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
    let layout = Layout::of(count, dimension).context("too many vectors")?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.as_file().set_len(layout.end as u64)?;
    let mut block = Block::default();
    let mut ids = Vec::with_capacity(8 * count);
    for row in rows {
        let (chunk, vector) = row?;
        ensure!(
            vector.len() == 4 * dimension,
            "chunk {chunk} has a vector of another length"
        );
        ensure!(ids.len() < 8 * count, "{CHANGED}");
        ids.extend(chunk.to_le_bytes());
        block.add(&vector);
        if block.rows == ROWS {
            block.write(file.as_file(), &layout)?;
        }
    }
    ensure!(ids.len() == 8 * count, "{CHANGED}");
    block.write(file.as_file(), &layout)?;
    write_front(file.as_file_mut(), collection, covers, &ids)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(folder)
}

const CHANGED: &str = "the collection changed while it was read";

/// Rows on their way to the file.
#[derive(Default)]
struct Block {
    first: usize,
    rows: usize,
    steps: Vec<u8>,
    codes: Vec<u8>,
    vectors: Vec<u8>,
}

impl Block {
    fn add(&mut self, vector: &[u8]) {
        let (numbers, _) = vector.as_chunks::<4>();
        let floats: Vec<f32> = numbers.iter().map(|&x| f32::from_le_bytes(x)).collect();
        let step = encode(&floats, &mut self.codes);
        self.steps.extend(step.to_le_bytes());
        self.vectors.extend(vector);
        self.rows += 1;
    }

    fn write(&mut self, file: &File, layout: &Layout) -> std::io::Result<()> {
        file.write_all_at(&self.steps, (layout.steps + 4 * self.first) as u64)?;
        file.write_all_at(&self.codes, layout.code(self.first).start as u64)?;
        file.write_all_at(&self.vectors, layout.vector(self.first).start as u64)?;
        *self = Self {
            first: self.first + self.rows,
            ..Self::default()
        };
        Ok(())
    }
}

/// Writes header and ids at the start of `file`, whose vectors are already in place.
fn write_front(
    file: &mut File,
    collection: &Collection,
    covers: i64,
    ids: &[u8],
) -> anyhow::Result<()> {
    use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
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
