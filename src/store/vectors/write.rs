//! Writing a vector file: row by row, in a few megabytes of memory.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, ensure};
use rusqlite::params;

use super::layout::Layout;
use super::{HEADER, MAGIC, VectorFile};
use crate::store::codes::encode;
use crate::store::mapped;
use crate::store::parts::Job;

/// Vectors written at once.
const ROWS: usize = 1024;

/// Writes the vectors of `job.reach` as the database holds them.
pub fn write(job: &Job<'_, VectorFile>) -> anyhow::Result<()> {
    let (collection, dimension) = (job.collection, job.collection.model.dimension);
    let within = "chunks k JOIN vectors v ON v.chunk_id = k.id
         WHERE k.collection_id = ?1 AND k.id > ?2 AND k.id <= ?3";
    let range = params![collection.id, job.reach.after, job.reach.to];
    let count: i64 = job
        .db
        .query_row(&format!("SELECT count(*) FROM {within}"), range, |row| {
            row.get(0)
        })?;
    let count = count as usize;
    let layout = Layout::of(count, dimension).context("too many vectors")?;
    let mut file = mapped::begin(job.path)?;
    file.as_file().set_len(layout.end as u64)?;
    let mut statement = job.db.prepare(&format!(
        "SELECT k.id, v.vector FROM {within} ORDER BY k.id"
    ))?;
    let mut rows = statement.query(range)?;
    let mut block = Block::default();
    let mut ids = Vec::with_capacity(8 * count);
    while let Some(row) = rows.next()? {
        let chunk: i64 = row.get(0)?;
        let vector = row.get_ref(1)?.as_blob()?;
        ensure!(
            vector.len() == 4 * dimension,
            "chunk {chunk} has a vector of another length"
        );
        ids.extend(chunk.to_le_bytes());
        block.add(vector);
        if block.rows == ROWS {
            block.write(file.as_file(), &layout)?;
        }
    }
    ensure!(
        ids.len() == 8 * count,
        "the collection changed while it was read"
    );
    block.write(file.as_file(), &layout)?;
    file.as_file().write_all_at(&ids, HEADER as u64)?;
    let rest = sum_from(file.as_file_mut(), layout.steps)?;
    let mut head = mapped::front(MAGIC, collection, job.reach);
    head.extend((dimension as u64).to_le_bytes());
    head.extend((count as u64).to_le_bytes());
    head.extend(blake3::hash(&ids).as_bytes());
    head.extend(rest.as_bytes());
    mapped::finish(file, &head, job.path)
}

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

/// The BLAKE3 of all in `file` from byte `start` on.
fn sum_from(file: &mut File, start: usize) -> anyhow::Result<blake3::Hash> {
    let mut sum = blake3::Hasher::new();
    file.seek(SeekFrom::Start(start as u64))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(sum.finalize()),
            read => sum.update(&buffer[..read]),
        };
    }
}
